//! The grammar of one sequence in progress.

use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};

use llguidance::{Matcher, toktrie::SimpleVob};

use super::{Grammar, masks::Masks, trie::MAX_TOKEN_BYTES};
use crate::engine::{TokenId, Vocabulary};

/// Holds the output of one sequence to a grammar. Its state is a function of the tokens accepted, so a replay of them
/// rebuilds it.
///
/// After each token the mask of the next one is computed on another thread, while the engine computes its logits.
pub struct Constraint {
    place: Place,
    vocabulary: Arc<dyn Vocabulary>,
    masks: Arc<Masks>,
    /// No end while the grammar allows anything else.
    ignore_end: bool,
}

/// A grammar that cannot be followed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output cannot be held to its grammar any further: {reason}")]
pub struct ConstraintError {
    /// The parser's words.
    pub reason: String,
}

enum Place {
    Here(Box<State>),
    /// On a thread that computes the next mask.
    Away(Receiver<Box<State>>),
    /// The thread failed.
    Lost,
}

struct State {
    matcher: Matcher,
    next: Result<SimpleVob, ConstraintError>,
}

impl Grammar {
    /// A constraint at the grammar's beginning. With `ignore_end` the output goes on while the grammar allows anything
    /// but its end. Computes the first mask, so not for the engine's thread.
    pub fn begin(&self, ignore_end: bool) -> Constraint {
        let mut state = State { matcher: self.matcher.deep_clone(), next: Ok(SimpleVob::default()) };
        state.look_ahead();
        Constraint {
            place: Place::Here(Box::new(state)),
            vocabulary: Arc::clone(&self.vocabulary),
            masks: Arc::clone(&self.masks),
            ignore_end,
        }
    }
}

impl Constraint {
    /// Takes tokens in that were chosen before, by a predecessor or as the beginning of an answer. Fails if the grammar
    /// does not allow them, and so does every mask from then on. Blocks.
    pub fn replay(&mut self, tokens: &[TokenId]) -> Result<(), ConstraintError> {
        let vocabulary = Arc::clone(&self.vocabulary);
        let state = self.state()?;
        let tokens = state.in_trie(tokens, &*vocabulary);
        state.take(&tokens);
        state.look_ahead();
        state.next.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Makes all logits minus infinity that stand for what the grammar does not allow next, waiting for the mask where
    /// it is not computed yet.
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<(), ConstraintError> {
        let ignore_end = self.ignore_end;
        let vocabulary = Arc::clone(&self.vocabulary);
        let mask = self.state()?.next.as_ref().map_err(Clone::clone)?;
        let is_end = |token: u32| vocabulary.is_end(TokenId(token));
        let delays_end = ignore_end && mask.iter().any(|token| !is_end(token));
        let words = mask.as_slice();
        for (word, logits) in logits.chunks_mut(u32::BITS as usize).enumerate() {
            let allowed = words.get(word).copied().unwrap_or(0);
            if allowed == u32::MAX {
                continue;
            }
            for (bit, logit) in logits.iter_mut().enumerate() {
                if allowed & (1 << bit) == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        if delays_end {
            for token in mask.iter().filter(|&token| is_end(token)) {
                logits[token as usize] = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Whether `token`, chosen under the mask, ends the output.
    pub fn is_end(&self, token: TokenId) -> bool {
        self.vocabulary.is_end(token)
    }

    /// Takes the chosen token in; the next mask is computed elsewhere from now on.
    pub fn accept(&mut self, token: TokenId) {
        self.fetch();
        let (answer, answers) = sync_channel(1);
        let Place::Here(mut state) = std::mem::replace(&mut self.place, Place::Away(answers)) else {
            self.place = Place::Lost;
            return;
        };
        self.masks.submit(Box::new(move || {
            state.take(&[token]);
            state.look_ahead();
            // The sequence may be gone.
            drop(answer.try_send(state));
        }));
    }

    /// Waits for what is away.
    fn fetch(&mut self) {
        if let Place::Away(answers) = &self.place {
            self.place = answers.recv().map_or(Place::Lost, Place::Here);
        }
    }

    fn state(&mut self) -> Result<&mut State, ConstraintError> {
        self.fetch();
        match &mut self.place {
            Place::Here(state) => Ok(state),
            Place::Away(_) | Place::Lost => {
                Err(ConstraintError { reason: "the thread that follows it failed".to_owned() })
            }
        }
    }
}

impl State {
    /// The same text in tokens that the trie has: the beginning of an answer is somebody else's, and may have tokens that
    /// are never chosen.
    fn in_trie(&self, tokens: &[TokenId], vocabulary: &dyn Vocabulary) -> Vec<TokenId> {
        let Ok(env) = self.matcher.tok_env() else { return tokens.to_vec() };
        let spelled = |&token: &TokenId| {
            let piece = vocabulary.piece(token);
            let bytes = piece.iter().map(|&byte| env.tok_trie().token_id(&[byte]).map(TokenId));
            let bytes = (piece.len() > MAX_TOKEN_BYTES).then(|| bytes.collect::<Option<Vec<_>>>());
            bytes.flatten().unwrap_or_else(|| vec![token])
        };
        tokens.iter().flat_map(spelled).collect()
    }

    fn take(&mut self, tokens: &[TokenId]) {
        let tokens: Vec<_> = tokens.iter().map(|token| token.0).collect();
        if self.next.is_ok()
            && let Err(error) = self.matcher.consume_tokens(&tokens)
        {
            self.fail(&error.to_string());
        }
    }

    fn look_ahead(&mut self) {
        if self.next.is_ok() {
            match self.matcher.compute_mask_or_eos() {
                Ok(mask) => self.next = Ok(mask),
                Err(error) => self.fail(&error.to_string()),
            }
        }
    }

    fn fail(&mut self, words: &str) {
        let reason = words.split("\n<").next().unwrap_or_default().chars().take(300).collect();
        self.next = Err(ConstraintError { reason });
    }
}
