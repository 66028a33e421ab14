//! Which tokens a model has for filling holes, as its file says or by names that are well known.

use std::collections::HashMap;

use crate::engine::{InfillPart, TokenId, Vocabulary};

/// The tokens of prefix, suffix and middle that belong together, and whether the suffix comes first.
struct Convention {
    prefix: &'static str,
    suffix: &'static str,
    /// None where nothing stands between the prompt and the filling.
    middle: Option<&'static str>,
    is_suffix_first: bool,
}

const CONVENTIONS: [Convention; 8] = [
    // Qwen, CodeGemma and many more.
    Convention::new("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    // StarCoder, Granite.
    Convention::new("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    // SantaCoder.
    Convention::new("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    // DeepSeek, whose suffix is what begins behind the hole.
    Convention::new(
        "<\u{ff5c}fim\u{2581}begin\u{ff5c}>",
        "<\u{ff5c}fim\u{2581}hole\u{ff5c}>",
        "<\u{ff5c}fim\u{2581}end\u{ff5c}>",
    ),
    // CodeLlama.
    Convention::new("\u{2581}<PRE>", "\u{2581}<SUF>", "\u{2581}<MID>"),
    Convention::new("<PRE>", "<SUF>", "<MID>"),
    // GLM.
    Convention::new("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    // Codestral: its tokenizer has a token for the middle, which prompts do not use.
    Convention { prefix: "[PREFIX]", suffix: "[SUFFIX]", middle: None, is_suffix_first: true },
];

/// Names of the token before a repository's name, before a file's, and of those that end a filling.
const REPOSITORY: [&str; 5] = ["<|repo_name|>", "<repo_name>", "<reponame>", "<|fim_repo|>", "<fim-repo>"];
const FILE: [&str; 3] = ["<|file_sep|>", "<file_sep>", "<|file_separator|>"];
const ENDS: [&str; 6] = ["<|fim_pad|>", "<fim_pad>", "<fim-pad>", "\u{2581}<EOT>", "<EOT>", "<|endoftext|>"];

/// The tokens by which a model is asked to fill a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfillTokens {
    pub(super) prefix: TokenId,
    pub(super) suffix: TokenId,
    pub(super) middle: Option<TokenId>,
    pub(super) is_suffix_first: bool,
    pub(super) repository: Option<TokenId>,
    pub(super) file: Option<TokenId>,
    ends: Vec<TokenId>,
}

impl InfillTokens {
    /// The tokens of a model that has any. Reads the whole vocabulary.
    pub fn of(vocabulary: &dyn Vocabulary) -> Option<Self> {
        let named = names(vocabulary);
        let find = |names: &[&str]| names.iter().find_map(|name| named.get(name).copied());
        let part = |part, names: &[&str]| vocabulary.infill_token(part).or_else(|| find(names));
        let (prefix, suffix, middle, is_suffix_first) = by_file(vocabulary).or_else(|| {
            CONVENTIONS.iter().find_map(|convention| {
                let middle = match convention.middle {
                    Some(name) => Some(find(&[name])?),
                    None => None,
                };
                let (prefix, suffix) = (find(&[convention.prefix])?, find(&[convention.suffix])?);
                Some((prefix, suffix, middle, convention.is_suffix_first))
            })
        })?;
        let repository = part(InfillPart::Repository, &REPOSITORY);
        let file = part(InfillPart::File, &FILE);
        let named_ends = ENDS.iter().filter_map(|name| named.get(name).copied());
        let ends = vocabulary.infill_token(InfillPart::Pad).into_iter().chain(repository).chain(file);
        let ends = ends.chain(named_ends).collect();
        Some(Self { prefix, suffix, middle, is_suffix_first, repository, file, ends })
    }

    /// Tokens that end a filling besides the model's own end tokens: what follows one is another file.
    pub fn ends(&self) -> &[TokenId] {
        &self.ends
    }
}

impl Convention {
    const fn new(prefix: &'static str, suffix: &'static str, middle: &'static str) -> Self {
        Self { prefix, suffix, middle: Some(middle), is_suffix_first: false }
    }
}

/// What the model's file says, where it names all three.
fn by_file(vocabulary: &dyn Vocabulary) -> Option<(TokenId, TokenId, Option<TokenId>, bool)> {
    let middle = vocabulary.infill_token(InfillPart::Middle)?;
    let (prefix, suffix) = (InfillPart::Prefix, InfillPart::Suffix);
    Some((vocabulary.infill_token(prefix)?, vocabulary.infill_token(suffix)?, Some(middle), false))
}

fn names(vocabulary: &dyn Vocabulary) -> HashMap<&str, TokenId> {
    let tokens = (0..vocabulary.size()).map(TokenId);
    tokens.filter_map(|token| Some((vocabulary.control_name(token)?, token))).collect()
}
