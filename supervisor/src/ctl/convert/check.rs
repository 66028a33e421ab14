//! Whether a model that was made of another one answers as that one does: both are asked through the gateway, as any
//! client would.

use std::path::Path;

use impetus_proto::supervisor::StatusRequest;
use serde_json::{Value, json};

use crate::ctl::{Server, connect::connect, entrance, failure::Failure, run::Client};

/// What both are asked to continue.
const PROMPTS: [&str; 8] = [
    "Once upon a time",
    "The capital of France is",
    "def add(a, b):\n    return",
    "In the year 1969, people",
    "A list of fruits:\n1.",
    "Water boils at",
    "Q: What is the sum of two and three?\nA:",
    "The quick brown fox",
];

/// What the coarsest type may cost.
const LARGEST_MEAN: f64 = 1.6;

/// Tokens of a continuation.
const TOKENS: u32 = 32;

/// How far apart two models may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    /// Every text has to be the same.
    Same,
    /// The mean difference of log probabilities may be this.
    Mean(f64),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    /// Texts that were compared.
    pub(super) n_texts: usize,
    /// Texts that both continued the same way.
    pub(super) n_same: usize,
    /// Texts that both cut into the same tokens.
    pub(super) n_cut_alike: usize,
    /// Tokens of the model's continuations, and how many the result began them with.
    pub(super) n_tokens: usize,
    pub(super) n_agreed: usize,
    /// Mean difference of the log probabilities that the two give the model's own tokens, those of the prompts included.
    pub(super) mean: f64,
    /// The largest difference.
    pub(super) most: f64,
}

/// The two do not answer alike.
#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum CheckError {
    #[error("the result continues {} of {n_texts} texts in another way than its source, and has to be the same", n_texts - n_same)]
    Differs { n_texts: usize, n_same: usize },
    #[error(
        "the result's log probabilities differ by {mean:.3} on average, more than the {bound} that its type may cost"
    )]
    Far { mean: f64, bound: f64 },
    #[error("the result and its source cut the same text into different tokens")]
    Tokens,
    #[error("the gateway's answer has no log probabilities")]
    Answer,
}

/// Asks the gateway.
pub(super) struct Check {
    client: Client,
}

/// A text cut into tokens, with the log probability of each but the first.
struct Scored {
    tokens: Vec<String>,
    logprobs: Vec<f64>,
}

/// What a type may cost; `None`: it is not one that is made here.
fn mean(kind: &str) -> Option<f64> {
    Some(match kind {
        "F32" | "F16" => 0.02,
        "BF16" | "Q8_0" => 0.05,
        "Q6_K" => 0.1,
        "Q5_K_M" | "Q5_K_S" | "Q5_1" | "Q5_0" => 0.2,
        "Q4_K_M" | "Q4_K_S" | "Q4_1" | "Q4_0" => 0.4,
        "Q3_K_L" | "Q3_K_M" | "Q3_K_S" => 0.8,
        "Q2_K" => LARGEST_MEAN,
        _ => return None,
    })
}

impl Bound {
    /// What a conversion between these types may cost.
    pub(super) fn of(source: &str, result: &str) -> Self {
        let is_exact = |kind: &str| ["F32", "F16"].contains(&kind);
        if is_exact(result) && source == result {
            return Self::Same;
        }
        // Engines round activations for rounded weights, so that a rounded source differs from its exact copy too.
        Self::Mean(mean(source).unwrap_or(0.0).max(mean(result).unwrap_or(LARGEST_MEAN)))
    }

    /// Whether what was found is within it.
    pub(super) fn judge(&self, found: &Found) -> Result<(), CheckError> {
        if found.n_cut_alike < found.n_texts {
            return Err(CheckError::Tokens);
        }
        match *self {
            Self::Same if found.n_same < found.n_texts => {
                Err(CheckError::Differs { n_texts: found.n_texts, n_same: found.n_same })
            }
            // What is no number is not within any bound.
            Self::Mean(bound) if found.mean.is_nan() || found.mean > bound => {
                Err(CheckError::Far { mean: found.mean, bound })
            }
            _ => Ok(()),
        }
    }
}

impl Check {
    pub(super) async fn new(server: &Server, key_file: Option<&Path>) -> Result<Self, Failure> {
        let status = connect(server).await?.status(StatusRequest {}).await?.into_inner();
        let authority = entrance::authority(status.gateway.as_ref())?;
        Ok(Self { client: Client::new(authority, key_file)? })
    }

    /// Has both continue the same texts, and both judge how the first continued them.
    pub(super) async fn compare(&self, [source, result]: [&str; 2]) -> Result<Found, Failure> {
        let mut found = Found::default();
        let (mut sum, mut n_scored) = (0.0, 0_usize);
        for prompt in PROMPTS {
            let [expected, got] = [self.go_on(source, prompt).await?, self.go_on(result, prompt).await?];
            found.n_texts += 1;
            found.n_same += usize::from(expected.tokens == got.tokens);
            found.n_tokens += expected.tokens.len();
            let agreed = expected.tokens.iter().zip(&got.tokens).take_while(|(a, b)| a == b);
            found.n_agreed += agreed.count();
            let whole = format!("{prompt}{}", expected.tokens.concat());
            let [expected, got] = [self.score(source, &whole).await?, self.score(result, &whole).await?];
            found.n_cut_alike += usize::from(expected.tokens == got.tokens);
            for (a, b) in expected.logprobs.iter().zip(&got.logprobs) {
                let difference = (a - b).abs();
                sum += difference;
                found.most = found.most.max(difference);
                n_scored += 1;
            }
        }
        found.mean = sum / n_scored as f64;
        Ok(found)
    }

    /// The model's most probable continuation.
    async fn go_on(&self, model: &str, prompt: &str) -> Result<Scored, Failure> {
        self.ask(
            &json!({"model": model, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "logprobs": 0}),
        )
        .await
    }

    /// How probable each token of a text is to the model.
    async fn score(&self, model: &str, text: &str) -> Result<Scored, Failure> {
        let mut scored = self
            .ask(&json!({"model": model, "prompt": text, "max_tokens": 1, "temperature": 0, "logprobs": 0,
                "echo": true}))
            .await?;
        // One was generated.
        scored.tokens.pop();
        scored.logprobs.pop();
        Ok(scored)
    }

    async fn ask(&self, body: &Value) -> Result<Scored, Failure> {
        let answer = self.client.complete(body).await?;
        let logprobs = &answer["choices"][0]["logprobs"];
        let list = |key: &str| logprobs[key].as_array().ok_or(CheckError::Answer);
        let tokens = list("tokens")?.iter().map(|token| token.as_str().unwrap_or_default().to_owned());
        Ok(Scored { tokens: tokens.collect(), logprobs: numbers(list("token_logprobs")?) })
    }
}

/// What is said of tokens. The first one of all has nothing before it; any other one without a number is none that can be
/// compared, and keeps its place.
fn numbers(told: &[Value]) -> Vec<f64> {
    let is_first = |(idx, value): &(usize, &Value)| *idx == 0 && value.is_null();
    let behind = told.iter().enumerate().skip_while(is_first);
    behind.map(|(_, value)| value.as_f64().unwrap_or(f64::NAN)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_of_its_token() {
        let check = |told: Value, expected: &str| {
            assert_eq!(format!("{:?}", numbers(told.as_array().unwrap())), expected, "{told}");
        };
        check(json!([null, -1.5, -2]), "[-1.5, -2.0]");
        check(json!([-1.5, -2.5]), "[-1.5, -2.5]");
        check(json!([null, null, -2.5]), "[NaN, -2.5]");
        check(json!([-1.5, null, -2.5]), "[-1.5, NaN, -2.5]");
        check(json!([]), "[]");
    }

    #[test]
    fn what_is_exact_has_to_be_the_same() {
        let check = |source: &str, result: &str, found: Found, expected: bool| {
            assert_eq!(
                Bound::of(source, result).judge(&found).is_ok(),
                expected,
                "{source} {result} {found:?}"
            );
        };
        let one_differs = Found { n_texts: 8, n_same: 7, n_cut_alike: 8, ..Found::default() };
        let same = Found { n_same: 8, ..one_differs.clone() };
        let far = |mean| Found { mean, ..one_differs.clone() };
        for kind in ["F32", "F16"] {
            check(kind, kind, same.clone(), true);
            check(kind, kind, one_differs.clone(), false);
        }
        check("F32", "F16", far(0.01), true);
        check("F32", "F16", far(0.03), false);
        check("F32", "Q8_0", far(0.04), true);
        check("F32", "Q4_K_M", far(0.3), true);
        check("Q8_0", "Q4_K_M", far(0.5), false);
        check("Q8_0", "F32", far(0.04), true);
        check("MLX 4-bit", "F32", far(0.04), false);
        check("F32", "Q2_K", far(1.7), false);
        check("F32", "Q2_K", far(f64::NAN), false);
        check("F32", "Q2_K", Found { n_cut_alike: 7, ..same.clone() }, false);
    }
}
