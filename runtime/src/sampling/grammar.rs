//! Grammars: what an output may be, enforced by a mask over the vocabulary before each token.
//!
//! Everything is said in llguidance's dialect of Lark: a [`Format`](crate::output::format::Format) writes the grammar of
//! its tool calls and reasoning, [`structure::content`] that of what a request asks for, and [`Grammars::compile`]
//! makes a [`Grammar`] of the text, of which every sequence has its own [`Constraint`].

mod chain;
mod compilers;
pub mod constraint;
mod error;
mod gbnf;
mod lark;
mod masks;
pub mod schema;
pub mod structure;
#[cfg(test)]
mod tests;
mod trie;
mod warm;

use std::sync::{Arc, OnceLock};

use llguidance::{
    Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
};

pub use constraint::{Constraint, ConstraintError};
pub use error::{GrammarError, Source};
pub use lark::quote;

use crate::engine::{TokenId, Vocabulary};
use compilers::Compilers;
use lark::Author;
use masks::Masks;

/// Bytes of a grammar, its schemas included.
pub const MAX_GRAMMAR_BYTES: usize = 512 << 10;

/// The grammars of one model. Cheap to make: its share of the vocabulary is prepared when it is first needed, or by
/// [`prepare`](Self::prepare).
pub struct Grammars {
    shared: Arc<Shared>,
    compilers: Compilers,
}

/// A compiled grammar for the vocabulary of one model, at its beginning.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
    vocabulary: Arc<dyn Vocabulary>,
    masks: Arc<Masks>,
}

/// What compiling needs.
struct Shared {
    vocabulary: Arc<dyn Vocabulary>,
    parts: OnceLock<Result<Parts, GrammarError>>,
}

/// What all grammars of a model share.
struct Parts {
    factory: ParserFactory,
    masks: Arc<Masks>,
    bytes: warm::Bytes,
}

impl Grammars {
    /// Grammars over `vocabulary`.
    pub fn new(vocabulary: Arc<dyn Vocabulary>) -> Self {
        let shared = Shared { vocabulary, parts: OnceLock::new() };
        Self { shared: Arc::new(shared), compilers: Compilers::default() }
    }

    /// Does now what the first grammar would wait for: a tenth of a second for 128,000 tokens.
    pub fn prepare(&self) {
        if let Err(error) = self.shared.parts() {
            tracing::warn!(%error, "outputs of this model cannot be constrained");
        }
    }

    /// Compiles a grammar that this process wrote, in which control tokens stand by their names: `<name>`, or
    /// `<[NAME]>` where the name is in brackets. A name that is no control token of this model stands for its text.
    /// Blocks while it works; bounded in time and memory.
    pub fn compile(&self, lark: &str, source: Source) -> Result<Grammar, GrammarError> {
        lark::check_size(lark, source)?;
        let (shared, lark) = (Arc::clone(&self.shared), lark.to_owned());
        self.compilers.run(source, move || Ok(shared.compile(&lark, source)?.warmed(shared.parts()?)))
    }

    /// What `structure` asks for as the rules of a Lark grammar whose first one is `content`, checked by itself.
    /// Blocks like [`compile`](Self::compile).
    pub fn content(
        &self,
        structure: &impetus_proto::worker::structure::Structure,
    ) -> Result<String, GrammarError> {
        let source = Source::of(structure);
        let (shared, structure) = (Arc::clone(&self.shared), structure.clone());
        self.compilers.run(source, move || {
            let content = structure::content(&structure, shared.vocabulary.as_ref())?;
            lark::check_size(&content, source)?;
            shared.compile(&structure::alone(&content), source)?;
            Ok(content)
        })
    }
}

impl Shared {
    fn compile(&self, lark: &str, source: Source) -> Result<Grammar, GrammarError> {
        let lark = lark::resolve(lark, self.vocabulary.as_ref(), Author::Process)?;
        lark::check_chains(&lark, source)?;
        let parts = self.parts()?;
        let matcher = begin(&parts.factory, lark).map_err(|reason| GrammarError::refused(source, &reason))?;
        let vocabulary = Arc::clone(&self.vocabulary);
        Ok(Grammar { matcher, vocabulary, masks: Arc::clone(&parts.masks) })
    }

    fn parts(&self) -> Result<&Parts, GrammarError> {
        self.parts.get_or_init(|| Parts::new(self.vocabulary.as_ref())).as_ref().map_err(Clone::clone)
    }
}

impl Parts {
    fn new(vocabulary: &dyn Vocabulary) -> Result<Self, GrammarError> {
        let trie = trie::of(vocabulary)?;
        let bytes = warm::Bytes::of(&trie);
        Ok(Self { factory: trie::factory(trie)?, masks: Arc::new(Masks::default()), bytes })
    }
}

impl Grammar {
    fn warmed(self, parts: &Parts) -> Self {
        Self { matcher: warm::warmed(self.matcher, &parts.bytes), ..self }
    }

    /// Whether `text`, in bytes of tokens one by one, is an output that this grammar lets end. For tests of grammars.
    pub fn accepts(&self, tokens: &[TokenId]) -> bool {
        let mut matcher = self.matcher.deep_clone();
        let tokens: Vec<_> = tokens.iter().map(|token| token.0).collect();
        matcher.try_consume_tokens(&tokens).is_ok_and(|n| n == tokens.len())
            && matcher.is_accepting().unwrap_or(false)
    }
}

impl std::fmt::Debug for Grammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

/// Whether a grammar that a format wrote compiles for a vocabulary; for tests of formats.
pub fn check(lark: &str, vocabulary: Arc<dyn Vocabulary>) -> Result<Grammar, GrammarError> {
    Grammars::new(vocabulary).compile(lark, Source::Format)
}

/// A parser at the beginning of `lark`; the compiler's words where there is none.
fn begin(factory: &ParserFactory, lark: String) -> Result<Matcher, String> {
    let mut matcher = Matcher::new(factory.create_parser(TopLevelGrammar::from_lark(lark)));
    // A grammar that nothing satisfies shows only in its first mask.
    if matcher.compute_mask_or_eos().is_err() && matcher.stop_reason() == StopReason::NoExtensionBias {
        return Err("nothing satisfies it".to_owned());
    }
    matcher.get_error().map_or(Ok(matcher), Err)
}
