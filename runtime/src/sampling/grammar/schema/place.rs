//! Where a part of a schema stands.

use crate::sampling::grammar::GrammarError;

/// JSON pointers to the same part, in the schema as it came and as it is written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) depth: usize,
}

impl Place {
    pub(super) fn root() -> Self {
        Self { from: "#".to_owned(), to: "#".to_owned(), depth: 0 }
    }

    pub(super) fn at(&self, step: &str) -> Self {
        self.moved(step, step)
    }

    /// A part that stands under another name in what is written.
    pub(super) fn moved(&self, from: &str, to: &str) -> Self {
        Self {
            from: format!("{}/{}", self.from, escaped(from)),
            to: format!("{}/{}", self.to, escaped(to)),
            depth: self.depth + 1,
        }
    }

    /// A keyword here that cannot be honoured.
    pub(super) fn refused(&self, keyword: &str, reason: impl Into<String>) -> GrammarError {
        GrammarError::Keyword {
            keyword: keyword.chars().take(64).collect(),
            place: self.from.clone(),
            reason: reason.into(),
        }
    }
}

fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
