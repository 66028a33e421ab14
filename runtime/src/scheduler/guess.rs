//! Guesses of what comes next, looked up in what was there before: texts repeat themselves, and answers repeat their
//! prompts.
//!
//! Guessed tokens are computed behind the known one in the same chunk. Each row is then sampled as if there were no
//! guess, and counts as long as the guesses before it came true, so that guesses change how long an output takes and
//! nothing else.

mod appetite;
mod index;
mod share;
#[cfg(test)]
mod tests;

pub(super) use share::Share;

use crate::engine::TokenId;
use appetite::Appetite;
use index::{Index, LONGEST_GROUP, agreeing};

/// The guesses of one sequence.
pub(super) struct Guesser {
    index: Index,
    appetite: Appetite,
    /// For what a draft model guesses.
    drafts: Appetite,
    /// The last guess is of a draft model.
    is_drafted: bool,
    /// The place whose token would come next if the text went on as it did there, and for how many tokens that was so.
    source: Option<usize>,
    /// Tokens that `source` has been followed through.
    followed: usize,
    guess: Vec<TokenId>,
}

impl Guesser {
    /// Guesses of at most `most` tokens for a sequence that may grow to `tokens`.
    pub(super) fn new(most: usize, tokens: usize) -> Self {
        Self {
            index: Index::new(if most == 0 { 0 } else { tokens }),
            appetite: Appetite::new(most),
            drafts: Appetite::new(0),
            is_drafted: false,
            source: None,
            followed: 0,
            guess: Vec::with_capacity(most),
        }
    }

    /// The same, and at most `most` tokens of a draft model where nothing is found.
    pub(super) fn drafting(mut self, most: usize) -> Self {
        self.drafts = Appetite::new(most);
        self.guess.reserve(most);
        self
    }

    /// Guesses at most `room` tokens that come behind `tokens`, which are those of the last call and perhaps more.
    /// Never more than have been the same before the two places.
    pub(super) fn guess(&mut self, tokens: &[TokenId], room: usize) -> &[TokenId] {
        self.guess.clear();
        self.is_drafted = false;
        let most = self.appetite.next().min(room);
        if most == 0 {
            return &self.guess;
        }
        self.follow(tokens);
        if let Some((source, agreeing)) = self.find(tokens) {
            self.source = Some(source);
            for place in source..source + most.min(agreeing) {
                // Where the source reaches the end the guess goes on from itself: it is a period.
                let token = tokens.get(place).or_else(|| self.guess.get(place - tokens.len()));
                self.guess.extend(token.copied());
            }
        }
        &self.guess
    }

    /// How many tokens a draft model may guess where nothing was found.
    pub(super) fn wish(&mut self, room: usize) -> usize {
        self.drafts.next().min(room)
    }

    /// A draft model guesses that `token` comes next.
    pub(super) fn push(&mut self, token: TokenId) {
        self.is_drafted = true;
        self.guess.push(token);
    }

    /// Only the first `n` tokens of the last guess are computed.
    pub(super) fn shorten(&mut self, n: usize) {
        self.guess.truncate(n);
    }

    /// The last guess.
    pub(super) fn last(&self) -> &[TokenId] {
        &self.guess
    }

    /// So many tokens of the last guess came true. It is over; answers whether it was a draft model's.
    pub(super) fn learn(&mut self, n_true: usize) -> bool {
        let appetite = if self.is_drafted { &mut self.drafts } else { &mut self.appetite };
        if !self.guess.is_empty() {
            appetite.learn(self.guess.len(), n_true);
            self.guess.clear();
        }
        self.is_drafted
    }

    /// Takes in the tokens that are new.
    fn follow(&mut self, tokens: &[TokenId]) {
        self.index.extend(tokens);
        for &token in &tokens[self.followed..] {
            self.source = self.source.filter(|&place| tokens[place] == token).map(|place| place + 1);
        }
        self.followed = tokens.len();
    }

    /// The place to go on from, and how many tokens before it are also the last ones. A place that has been right for
    /// long is kept to, since what it repeats may occur more often.
    fn find(&self, tokens: &[TokenId]) -> Option<(usize, usize)> {
        let source = self.source.map(|place| (place, agreeing(tokens, place)));
        source.filter(|(_, agreeing)| *agreeing >= LONGEST_GROUP).or_else(|| self.index.find(tokens))
    }
}
