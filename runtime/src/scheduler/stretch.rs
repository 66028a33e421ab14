//! How many tokens of prompts go into a step beside sequences that decode, so that these do not wait much longer for
//! their next token than they would without.
//!
//! A step's time is taken for that of the decoding sequences alone and so much for each token of a prompt. Both are
//! moving averages of the steps that there were.

use std::time::Duration;

/// Tokens of prompts that a step takes in any case: below it prompts would hardly come on.
const LEAST_TOKENS: usize = 16;

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
}

#[derive(Debug, Default)]
struct Average(Option<f64>);

impl Stretch {
    /// Steps become at most `most` times as long; 0 is without bound.
    pub(super) fn new(most: f64) -> Self {
        let most = if most >= 1.0 { most } else { f64::INFINITY };
        Self { most, alone: Average::default(), token: Average::default() }
    }

    /// Tokens of prompts for the next step, in which sequences decode.
    pub(super) fn tokens(&self) -> usize {
        match (self.alone.0, self.token.0) {
            (Some(alone), Some(token)) if self.most.is_finite() && token > 0.0 => {
                // A quotient beyond the largest number is that number.
                LEAST_TOKENS.max(((self.most - 1.0) * alone / token) as usize)
            }
            _ => usize::MAX,
        }
    }

    /// Takes in that a step took `took`, with `decoding` sequences that decode and `tokens` tokens of prompts.
    pub(super) fn learn(&mut self, decoding: usize, tokens: usize, took: Duration) {
        let took = took.as_secs_f64();
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
