//! How many tokens of prompts go into a step beside sequences that decode, so that these do not wait much longer for
//! their next token than they would without.
//!
//! A step's time is taken for that of the decoding sequences alone and so much for each token of a prompt. Both are
//! moving averages of the steps that there were.
//!
//! Of the waits for a next token one in a hundred may become longer: when prompts of more sequences wait than there are
//! that decode, and all of them fit into one step. So those that come at once begin together, and then decode in wide
//! steps.

use std::time::Duration;

use super::composition::Room;

/// Tokens of prompts that a step takes in any case: below it prompts would hardly come on.
const LEAST_TOKENS: usize = 16;

/// Waits for a next token, of all sequences, of which one may be longer: it is not seen at the 99th percentile.
const WAITS_TO_A_LONG_ONE: usize = 100;
/// Waits that are remembered: enough to let a burst in when few decode.
const MOST_WAITS: usize = 1600;

/// The weight of the newest step.
const WEIGHT: f64 = 0.125;

/// See the module.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Times the step without prompts; infinite where nobody bounds it.
    most: f64,
    /// Of a step without prompts, in seconds.
    alone: Average,
    /// Of each token of a prompt, in seconds.
    token: Average,
    /// Waits that were within the bound and are not set against a long one yet.
    waits: usize,
}

/// Prompts that wait to be computed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Prompts {
    pub(super) n: usize,
    /// What is left of all of them.
    pub(super) n_tokens: usize,
}

#[derive(Debug, Default)]
struct Average(Option<f64>);

impl Stretch {
    /// Steps become at most `most` times as long; 0 is without bound.
    pub(super) fn new(most: f64) -> Self {
        let most = if most >= 1.0 { most } else { f64::INFINITY };
        Self { most, alone: Average::default(), token: Average::default(), waits: WAITS_TO_A_LONG_ONE }
    }

    /// Tokens of prompts for the next step, in which `decoding` sequences decode while `prompts` wait and which has
    /// `room` for them.
    pub(super) fn allow(&mut self, decoding: usize, prompts: Prompts, room: Room) -> usize {
        let bounded = self.tokens().min(room.tokens);
        let fits = prompts.n_tokens <= room.tokens && prompts.n <= room.chunks && prompts.n > decoding;
        let price = decoding.saturating_mul(WAITS_TO_A_LONG_ONE);
        if bounded < prompts.n_tokens && fits && self.waits >= price {
            self.waits -= price;
            return room.tokens;
        }
        bounded
    }

    /// Tokens of prompts that keep the step within its bound; as many as there are until that is known.
    pub(super) fn tokens(&self) -> usize {
        self.tokens_or(usize::MAX)
    }

    /// The same, but `unknown` while there is a bound and not known what keeps it.
    pub(super) fn tokens_or(&self, unknown: usize) -> usize {
        match (self.alone.0, self.token.0) {
            _ if !self.most.is_finite() => usize::MAX,
            (Some(alone), Some(token)) if token > 0.0 => {
                // A quotient beyond the largest number is that number.
                LEAST_TOKENS.max(((self.most - 1.0) * alone / token) as usize)
            }
            (Some(_), Some(_)) => usize::MAX,
            _ => unknown,
        }
    }

    /// Takes in that a step took `took`, with `decoding` sequences that decode and `tokens` tokens of prompts.
    pub(super) fn learn(&mut self, decoding: usize, tokens: usize, took: Duration) {
        let took = took.as_secs_f64();
        self.waits = MOST_WAITS.min(self.waits.saturating_add(decoding));
        match (decoding, tokens) {
            (_, 0) => self.alone.learn(took),
            (0, tokens) => self.token.learn(took / tokens as f64),
            (_, tokens) => {
                let beside = self.alone.0.map_or(took, |alone| (took - alone).max(0.0));
                self.token.learn(beside / tokens as f64);
            }
        }
    }
}

impl Average {
    fn learn(&mut self, value: f64) {
        self.0 = Some(self.0.map_or(value, |average| average + WEIGHT * (value - average)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn prompts_get_what_the_stretch_leaves() {
        let check = |most: f64, steps: &[(usize, usize, u64)], expected: usize| {
            let mut stretch = Stretch::new(most);
            for &(decoding, tokens, took) in steps {
                stretch.learn(decoding, tokens, ms(took));
            }
            assert_eq!(stretch.tokens(), expected, "{most} {steps:?}");
            let is_unknown = most > 0.0 && steps.len() < 2;
            assert_eq!(stretch.tokens_or(7), if is_unknown { 7 } else { expected }, "{most} {steps:?}");
        };
        check(2.0, &[], usize::MAX);
        check(2.0, &[(1, 0, 50)], usize::MAX);
        // 50 ms alone, 1 ms a token.
        check(2.0, &[(1, 0, 50), (0, 100, 100)], 50);
        check(3.0, &[(1, 0, 50), (0, 100, 100)], 100);
        check(2.0, &[(1, 0, 50), (2, 50, 100)], 50);
        check(2.0, &[(1, 0, 10), (0, 100, 100)], LEAST_TOKENS);
        check(1.0, &[(1, 0, 50), (0, 100, 100)], LEAST_TOKENS);
        check(0.0, &[(1, 0, 50), (0, 100, 100)], usize::MAX);
        // Free prompts.
        check(2.0, &[(1, 0, 50), (2, 50, 50)], usize::MAX);
    }

    #[test]
    fn those_that_come_at_once_begin_together_now_and_then() {
        // 50 ms alone, 1 ms a token: 50 tokens are within the bound.
        let learnt = || {
            let mut stretch = Stretch::new(2.0);
            stretch.learn(1, 0, ms(50));
            stretch.learn(0, 100, ms(100));
            stretch
        };
        let room = |tokens| Room { tokens, rows: 1, chunks: 16 };
        let check = |decoding, (n, n_tokens), tokens, expected| {
            assert_eq!(learnt().allow(decoding, Prompts { n, n_tokens }, room(tokens)), expected);
        };
        check(1, (15, 400), 500, 500);
        check(15, (15, 400), 500, 50);
        check(1, (15, 600), 500, 50);
        check(1, (17, 400), 500, 50);
        check(1, (1, 400), 500, 50);
        check(1, (2, 40), 500, 50);
        check(1, (2, 400), 30, 30);
        // One of a hundred waits: each of two that decode waits 50 times until both may wait longer.
        let mut stretch = learnt();
        let many = Prompts { n: 9, n_tokens: 400 };
        let long: Vec<_> = (1..350)
            .filter(|_| {
                stretch.learn(2, 0, ms(50));
                stretch.allow(2, many, room(500)) > 50
            })
            .collect();
        assert_eq!(long, [50, 150, 250]);
    }

    #[test]
    fn it_follows_a_machine_that_changes() {
        let mut stretch = Stretch::new(2.0);
        stretch.learn(1, 0, ms(50));
        stretch.learn(0, 100, ms(100));
        for _ in 0..100 {
            stretch.learn(1, 0, ms(100));
            stretch.learn(1, 50, ms(300));
        }
        assert!((24..=26).contains(&stretch.tokens()), "{}", stretch.tokens());
    }
}
