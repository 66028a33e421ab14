//! How many tokens it pays to guess: a guess that does not come true costs what computing it took.

/// Tokens of the first guess.
const FIRST: usize = 4;

/// What share of the guessed tokens has to come true. A token beside others costs a fourth to a half of one by itself
/// where the processor computes, next to nothing on a GPU.
const LEAST_SHARE: f32 = 0.4;

/// The weight of the last guess.
const WEIGHT: f32 = 0.2;

/// Tokens without a guess after too many that did not come true: twice as many each time.
const FIRST_PAUSE: u32 = 16;
const LONGEST_PAUSE: u32 = 512;

/// Tokens of the guess that ends a pause.
const PROBE: usize = 2;

/// Learns from each guess what the next one may be.
pub(super) struct Appetite {
    most: usize,
    length: usize,
    /// The share that came true lately.
    share: f32,
    /// Tokens that are still left alone, and how many are the next time.
    pause: u32,
    next_pause: u32,
}

impl Appetite {
    /// For guesses of at most `most` tokens.
    pub(super) fn new(most: usize) -> Self {
        let (length, share) = (FIRST.min(most), 2.0 * LEAST_SHARE);
        Self { most, length, share, pause: 0, next_pause: FIRST_PAUSE }
    }

    /// How many tokens to guess now, as many as can be found.
    pub(super) fn next(&mut self) -> usize {
        if self.pause == 0 {
            return self.length;
        }
        self.pause -= 1;
        0
    }

    /// Of `n_guessed` tokens, at least one, `n_true` came true.
    pub(super) fn learn(&mut self, n_guessed: usize, n_true: usize) {
        self.share += (n_true as f32 / n_guessed as f32 - self.share) * WEIGHT;
        self.length = if n_true == n_guessed { self.length * 2 } else { n_true + 1 }.min(self.most);
        if self.share < LEAST_SHARE {
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
            self.length = PROBE.min(self.most);
            // The probe decides whether there is another pause.
            self.share = LEAST_SHARE;
        } else if self.share > 2.0 * LEAST_SHARE {
            self.next_pause = FIRST_PAUSE;
        }
    }
}
