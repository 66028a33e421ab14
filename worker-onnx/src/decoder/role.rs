//! What each input and output of a decoder's graph is for, which its name says: by the names of optimum's exports,
//! or by those that `genai_config.json` gives.
//!
//! <https://huggingface.co/docs/optimum/exporters/onnx/overview>,
//! <https://onnxruntime.ai/docs/genai/reference/config.html>

use serde_json::Value;

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Token ids, `[rows, tokens]`.
    Tokens,
    /// Which columns hold tokens, `[rows, columns]`, those of the run included.
    Mask,
    /// Where each token stands in its text, `[rows, tokens]`.
    Positions,
    /// Which of two texts a token is of, `[rows, tokens]`; decoders have one.
    TokenTypes,
    /// Of a merged graph: whether there is a cache.
    HasCache,
    /// How many of the last tokens get logits, 0 for all.
    KeptLogits,
    /// Columns of the cache.
    PastColumns,
    /// Columns of the cache and of the run.
    TotalColumns,
    /// By row, the index of its last token.
    LastTokens,
    /// A part of the cache.
    Past(Part),
}

/// The keys or the values of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) layer: u32,
    pub(crate) is_value: bool,
}

/// The names of a graph's inputs and outputs.
#[derive(Debug)]
pub(crate) struct Names {
    inputs: Vec<(String, Role)>,
    past: [Pattern; 2],
    present: [Pattern; 2],
    pub(crate) logits: String,
}

/// A name with `%d` in the place of the layer.
#[derive(Debug)]
struct Pattern {
    before: String,
    after: String,
}

/// Inputs by the key that they have in `genai_config.json`, which is their usual name as well.
const INPUTS: [(&str, Role); 11] = [
    ("input_ids", Role::Tokens),
    ("attention_mask", Role::Mask),
    ("position_ids", Role::Positions),
    ("token_type_ids", Role::TokenTypes),
    ("use_cache_branch", Role::HasCache),
    ("num_logits_to_keep", Role::KeptLogits),
    ("past_sequence_length", Role::PastColumns),
    ("past_seq_len", Role::PastColumns),
    ("total_sequence_length", Role::TotalColumns),
    ("total_seq_len", Role::TotalColumns),
    ("seqlens_k", Role::LastTokens),
];

impl Names {
    /// The names that `genai_config.json` gives, and the usual ones for what it does not name.
    pub(crate) fn new(genai: Option<&Value>) -> Self {
        let decoder = genai.map(|genai| &genai["model"]["decoder"]);
        let name = |side: &str, key: &str, usual: &str| {
            let given = decoder.and_then(|decoder| decoder[side][key].as_str());
            given.unwrap_or(usual).to_owned()
        };
        let pattern = |side, key, usual| Pattern::new(&name(side, key, usual));
        Self {
            inputs: INPUTS.iter().map(|&(key, role)| (name("inputs", key, key), role)).collect(),
            past: [
                pattern("inputs", "past_key_names", "past_key_values.%d.key"),
                pattern("inputs", "past_value_names", "past_key_values.%d.value"),
            ],
            present: [
                pattern("outputs", "present_key_names", "present.%d.key"),
                pattern("outputs", "present_value_names", "present.%d.value"),
            ],
            logits: name("outputs", "logits", "logits"),
        }
    }

    /// What the input `name` is for; nothing when nobody knows.
    pub(crate) fn role(&self, name: &str) -> Option<Role> {
        let named = self.inputs.iter().find(|(known, _)| known == name).map(|(_, role)| *role);
        named.or_else(|| part(&self.past, name).map(Role::Past))
    }

    /// The name of the input that is for `role`.
    pub(crate) fn input(&self, role: Role) -> String {
        if let Role::Past(part) = role {
            return self.past[usize::from(part.is_value)].with(part.layer);
        }
        let named = self.inputs.iter().find(|(_, known)| *known == role);
        named.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// Which part of the new cache the output `name` is.
    pub(crate) fn part(&self, name: &str) -> Option<Part> {
        part(&self.present, name)
    }

    /// The name of the output with a part of the new cache.
    pub(crate) fn present(&self, part: Part) -> String {
        self.present[usize::from(part.is_value)].with(part.layer)
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let (before, after) = text.split_once("%d").unwrap_or((text, ""));
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    fn layer(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&self.before)?.strip_suffix(&self.after)?.parse().ok()
    }

    fn with(&self, layer: u32) -> String {
        format!("{}{layer}{}", self.before, self.after)
    }
}

fn part(patterns: &[Pattern; 2], name: &str) -> Option<Part> {
    let part =
        |(pattern, is_value): (&Pattern, bool)| pattern.layer(name).map(|layer| Part { layer, is_value });
    patterns.iter().zip([false, true]).find_map(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_say_what_an_input_is_for() {
        let check = |genai: Option<Value>, name: &str, expected: Option<Role>| {
            let names = Names::new(genai.as_ref());
            assert_eq!(names.role(name), expected, "{name}");
            if let Some(role) = expected {
                assert_eq!(names.input(role), name);
            }
        };
        let past = |layer, is_value| Some(Role::Past(Part { layer, is_value }));
        check(None, "input_ids", Some(Role::Tokens));
        check(None, "seqlens_k", Some(Role::LastTokens));
        check(None, "past_key_values.0.key", past(0, false));
        check(None, "past_key_values.12.value", past(12, true));
        for unknown in
            ["pixel_values", "past_key_values.x.key", "past_key_values.0.decoder.key", "past_0", ""]
        {
            check(None, unknown, None);
        }
        let genai = || {
            Some(json!({"model": {"decoder": {"inputs": {
                "input_ids": "ids", "past_key_names": "k_%d", "past_value_names": "v_%d"
            }}}}))
        };
        check(genai(), "ids", Some(Role::Tokens));
        check(genai(), "k_3", past(3, false));
        check(genai(), "v_3", past(3, true));
        check(genai(), "attention_mask", Some(Role::Mask));
        check(genai(), "input_ids", None);
    }

    #[test]
    fn outputs_are_told_apart() {
        let names = Names::new(None);
        let part = Part { layer: 7, is_value: true };
        assert_eq!(names.part("present.7.value"), Some(part));
        assert_eq!(names.present(part), "present.7.value");
        assert_eq!(names.part("present.7"), None);
        assert_eq!(names.logits, "logits");
    }
}
