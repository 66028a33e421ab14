//! Why an output cannot be held to what a request asks for.

use impetus_proto::{Code, Error, worker::structure::Structure};

/// What a grammar was made of, by the names that requests use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `response_format`, and a schema by other names.
    Schema,
    /// A grammar in Lark or GBNF.
    Grammar,
    /// A regular expression.
    Regex,
    /// A list of texts.
    Choices,
    /// What a model's output format makes of tools and reasoning.
    Format,
}

/// Why an output cannot be held to what a request asks for. Nothing is ever left out instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A keyword of a schema that cannot be honoured.
    #[error("the schema's `{keyword}` at {place} {reason}")]
    Keyword {
        /// The keyword.
        keyword: String,
        /// Where it stands: a JSON pointer.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of a schema that is none.
    #[error("the schema at {place} {reason}")]
    Schema {
        /// Where it stands: a JSON pointer.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Larger or deeper than any real one.
    #[error("the {} has {size} {unit}; at most {limit} are supported", source_of.noun())]
    TooLarge {
        /// What it is.
        source_of: Source,
        /// How large it is.
        size: usize,
        /// Of what.
        unit: &'static str,
        /// How large it may be.
        limit: usize,
    },
    /// It does not compile.
    #[error("the {} cannot be enforced: {reason}", source_of.noun())]
    Refused {
        /// What it is.
        source_of: Source,
        /// The compiler's words.
        reason: String,
    },
    /// No output of this model can be constrained.
    #[error("outputs of this model cannot be constrained: {reason}")]
    Vocabulary {
        /// What its vocabulary lacks.
        reason: String,
    },
    /// It takes too long.
    #[error("the {} takes more than {seconds} seconds to compile: make it simpler", source_of.noun())]
    Slow {
        /// What it is.
        source_of: Source,
        /// How long it may take.
        seconds: u64,
    },
    /// Others take too long.
    #[error("too many grammars are being compiled: try again soon")]
    Busy,
    /// There is no thread to compile on.
    #[error("no thread could be started to compile a grammar: {reason}; try again")]
    Thread {
        /// The system's words.
        reason: String,
    },
}

impl Source {
    /// What a structure is.
    pub fn of(structure: &Structure) -> Self {
        match structure {
            Structure::JsonObject(_) | Structure::JsonSchema(_) => Self::Schema,
            Structure::Lark(_) | Structure::Gbnf(_) => Self::Grammar,
            Structure::Regex(_) => Self::Regex,
            Structure::Choices(_) => Self::Choices,
        }
    }

    /// The field of a request that holds one, by its most common name.
    pub fn param(self) -> &'static str {
        match self {
            Self::Schema => "response_format",
            Self::Grammar => "grammar",
            Self::Regex => "regex",
            Self::Choices => "choice",
            Self::Format => "tools",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Grammar => "grammar",
            Self::Regex => "regular expression",
            Self::Choices => "list of choices",
            Self::Format => "grammar of the tools",
        }
    }
}

impl GrammarError {
    /// What the compiler says, without the traces that it adds.
    pub(super) fn refused(source_of: Source, words: &str) -> Self {
        let words = words.split("\n<").next().unwrap_or_default().trim();
        let reason: String = words.chars().take(600).collect();
        Self::Refused { source_of, reason }
    }

    /// The error of a request whose field `param` holds the grammar.
    pub fn into_error(self, param: &str) -> Error {
        match self {
            Self::Vocabulary { .. } => Error::new(Code::Unprocessable, self.to_string()).with_param(param),
            Self::Busy | Self::Thread { .. } => {
                Error::new(Code::NoCapacity, self.to_string()).with_retry_after(1)
            }
            _ => Error::invalid(param, self.to_string()),
        }
    }
}
