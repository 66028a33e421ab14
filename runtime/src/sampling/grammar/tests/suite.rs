//! Schemas of growing difficulty: each is refused by a keyword of its own, or whatever is sampled under it is valid.

mod generated;
mod plain;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use impetus_proto::worker::structure::Structure;
use serde_json::Value as Json;

use super::vocabularies;
use crate::engine::{TokenId, Vocabulary};
use crate::sampling::grammar::{Grammar, GrammarError, Grammars, Source, structure};

const SAMPLES: u64 = 20;

/// Tokens after which an output is driven to its end, and those that it may have at most.
const FREE_TOKENS: u32 = 24;
const MAX_TOKENS: u32 = 1500;

/// Numbers that look random, the same in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % limit.max(1) as u64) as usize
    }
}

/// What a schema came to.
#[derive(Debug)]
enum Verdict {
    Refused,
    Enforced,
    Wrong(String),
}

struct Suite {
    vocabulary: Arc<dyn Vocabulary>,
    grammars: Grammars,
}

impl Suite {
    fn new() -> Self {
        let vocabulary = vocabularies::bundled();
        Self { grammars: Grammars::new(Arc::clone(&vocabulary)), vocabulary }
    }

    fn compile(&self, schema: &Json) -> Result<Grammar, GrammarError> {
        let content = self.grammars.content(&Structure::JsonSchema(schema.to_string()))?;
        self.grammars.compile(&structure::alone(&content), Source::Schema)
    }

    fn judge(&self, schema: &Json) -> Verdict {
        let grammar = match self.compile(schema) {
            Ok(grammar) => grammar,
            Err(error) => {
                let error = error.to_string();
                let is_named = keywords(schema).iter().any(|keyword| error.contains(keyword.as_str()));
                return if is_named {
                    Verdict::Refused
                } else {
                    Verdict::Wrong(format!("refused without a keyword: {error}"))
                };
            }
        };
        let validator = match jsonschema::options().should_validate_formats(true).build(schema) {
            Ok(validator) => validator,
            Err(error) => return Verdict::Wrong(format!("no schema: {error}")),
        };
        for seed in 0..SAMPLES {
            let text = match self.sample(&grammar, seed) {
                Ok(text) => text,
                Err(error) => return Verdict::Wrong(error),
            };
            match serde_json::from_str::<Json>(&text) {
                Ok(value) if validator.is_valid(&value) => {}
                Ok(_) => return Verdict::Wrong(format!("not valid: {text}")),
                Err(error) => return Verdict::Wrong(format!("not JSON ({error}): {text}")),
            }
        }
        Verdict::Enforced
    }

    /// One output: tokens at random, and after a while those that bring the end nearer.
    fn sample(&self, grammar: &Grammar, seed: u64) -> Result<String, String> {
        let mut random = Random::new(seed);
        let mut constraint = grammar.begin(false);
        let mut bytes = Vec::new();
        let mut allowed = Vec::new();
        for position in 0..MAX_TOKENS {
            let mut logits = vec![0.0; self.vocabulary.size() as usize];
            constraint
                .mask(&mut logits)
                .map_err(|error| format!("{error} after {}", String::from_utf8_lossy(&bytes)))?;
            allowed.clear();
            allowed.extend(
                (0..self.vocabulary.size()).map(TokenId).filter(|token| logits[token.0 as usize] == 0.0),
            );
            let in_string = is_in_string(&bytes);
            if !in_string {
                // Rust's reader knows no number with a large exponent; the grammar of any value does.
                allowed.retain(|&token| !begins_exponent(self.vocabulary.piece(token), &bytes));
            }
            if position >= FREE_TOKENS {
                let nearness = |&token: &TokenId| self.nearness(token, in_string);
                let best = allowed.iter().map(nearness).max().unwrap_or_default();
                allowed.retain(|token| nearness(token) == best);
            }
            let token = allowed[random.below(allowed.len())];
            if self.vocabulary.is_end(token) {
                return String::from_utf8(bytes).map_err(|error| error.to_string());
            }
            bytes.extend_from_slice(self.vocabulary.piece(token));
            constraint.accept(token);
        }
        Err(format!("no end: {}", String::from_utf8_lossy(&bytes).chars().take(300).collect::<String>()))
    }

    /// How much a token brings the end nearer.
    fn nearness(&self, token: TokenId, in_string: bool) -> u32 {
        if self.vocabulary.is_end(token) {
            return 9;
        }
        match (self.vocabulary.piece(token), in_string) {
            ([b'"'], true) => 8,
            // What ends a pattern is rarely a long token.
            ([_], true) => 2,
            (_, true) => 1,
            ([b'}' | b']'], _) => 8,
            ([b'"'] | [b'n' | b't' | b'f' | b'u' | b'a' | b'e' | b'r' | b'l' | b's', ..], _) => 7,
            ([b',' | b':'], _) => 6,
            ([b'0'..=b'9', ..], _) => 5,
            _ => 1,
        }
    }
}

fn is_in_string(json: &[u8]) -> bool {
    let (mut is_in, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = is_in,
            b'"' => is_in = !is_in,
            _ => {}
        }
    }
    is_in
}

fn begins_exponent(piece: &[u8], before: &[u8]) -> bool {
    let follows_digit = before.last().is_some_and(u8::is_ascii_digit);
    let inner = piece.windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'e' | b'E'));
    inner || (follows_digit && matches!(piece.first(), Some(b'e' | b'E')))
}

/// All keys of all objects in a schema.
fn keywords(schema: &Json) -> Vec<String> {
    match schema {
        Json::Object(object) => object
            .iter()
            .flat_map(|(key, value)| std::iter::once(key.clone()).chain(keywords(value)))
            .collect(),
        Json::Array(items) => items.iter().flat_map(keywords).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_schema_is_refused_by_name_or_enforced() {
    let mut schemas = plain::schemas();
    schemas.extend(generated::schemas(120));
    assert!(schemas.len() >= 300, "{} schemas", schemas.len());
    let suite = Suite::new();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut verdicts = Vec::new();
        while let Some(schema) = schemas.get(next.fetch_add(1, Ordering::Relaxed)) {
            verdicts.push((schema, suite.judge(schema)));
        }
        verdicts
    };
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let wrong: Vec<_> = verdicts
        .iter()
        .filter_map(|(schema, verdict)| match verdict {
            Verdict::Wrong(why) => Some(format!("{schema}\n    {why}")),
            _ => None,
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), verdicts.len(), wrong.join("\n"));
    let enforced = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Enforced)).count();
    assert!(enforced >= 240, "only {enforced} of {} schemas are enforced", verdicts.len());
}
