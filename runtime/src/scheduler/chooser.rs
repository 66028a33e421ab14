//! What decides a sequence's tokens: its sampler, and the grammar that its output is held to.

use crate::{
    engine::TokenId,
    sampling::{
        SampleError, Sampled, Sampler,
        grammar::{Constraint, ConstraintError},
    },
};

/// The sampler and the grammar of one sequence.
pub(super) struct Chooser {
    sampler: Sampler,
    constraint: Option<Constraint>,
}

/// The place that a token is due at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Its index in the completion.
    pub(super) index: u32,
    /// The token that has to come there as soon as the grammar lets it.
    pub(super) forced: Option<TokenId>,
}

/// Why no token comes of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChoiceError {
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// What came of a row.
pub(super) type Choice = Result<Sampled, ChoiceError>;

impl Chooser {
    pub(super) fn new(sampler: Sampler, constraint: Option<Constraint>) -> Self {
        Self { sampler, constraint }
    }

    /// Lets the sampler see the prompt, before anything else.
    pub(super) fn observe_prompt(&mut self, prompt: &[TokenId]) {
        self.sampler.observe_prompt(prompt);
    }

    /// Whether what is chosen depends on the logits of former positions.
    pub(super) fn remembers_logits(&self) -> bool {
        self.sampler.remembers_logits()
    }

    /// Whether to choose is worth another thread's while.
    pub(super) fn is_costly(&self) -> bool {
        self.sampler.is_costly() || self.constraint.is_some()
    }

    /// Chooses the token that is `due` from its row of logits.
    pub(super) fn choose(&mut self, logits: &mut [f32], due: Due) -> Choice {
        let Due { index, forced } = due;
        self.sampler.prepare(logits, index);
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(logits)?;
        }
        // A grammar goes before the end of a thought, which may not be allowed within a character.
        let is_allowed = |token: &TokenId| logits.get(token.0 as usize) > Some(&f32::NEG_INFINITY);
        match forced.filter(is_allowed) {
            Some(token) => Ok(self.sampler.impose(logits, index, token)),
            None => Ok(self.sampler.choose(logits, index)?),
        }
    }

    /// Takes in the row of a token of the completion that another worker chose, and the token.
    pub(super) fn follow(&mut self, logits: &mut [f32], index: u32, token: TokenId) {
        self.sampler.prepare(logits, index);
        // A grammar that cannot be followed shows at the next token that is chosen.
        if let Some(constraint) = &mut self.constraint {
            drop(constraint.mask(logits));
            constraint.accept(token);
        }
        self.sampler.impose(logits, index, token);
        self.sampler.accept(token);
    }

    /// Remembers a token of the completion.
    pub(super) fn accept(&mut self, token: TokenId) {
        self.sampler.accept(token);
    }

    /// Moves the grammar on by `token`, behind which there will be another one.
    pub(super) fn go_on(&mut self, token: TokenId) {
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(token);
        }
    }

    /// Moves the grammar on by what a former worker chose. A failure shows at the first token that is chosen.
    pub(super) fn replay(&mut self, tokens: &[TokenId]) {
        if let Some(constraint) = &mut self.constraint {
            drop(constraint.replay(tokens));
        }
    }

    /// Whether `token` ends the output: under a grammar an end token does whatever else was asked for, since it is
    /// allowed where nothing else is.
    pub(super) fn is_end(&self, token: TokenId) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.is_end(token))
    }
}
