//! Whether a draft model saves more time than it takes: what a token takes with its guesses and what it takes without
//! are moving averages of the steps that there were.

/// The weight of the newest step.
const WEIGHT: f64 = 0.125;

/// Steps with guesses that are looked at before it is decided.
const TRIAL: u32 = 8;

/// Steps without guesses after they did not pay: twice as many each time.
const FIRST_PAUSE: u32 = 16;
const LONGEST_PAUSE: u32 = 4096;

/// Steps with guesses after which one is without, so that it stays known what a token takes then: that depends on how many
/// sequences decode, and on how long they are.
const MOST_SINCE_PLAIN: u32 = 32;

/// See the module.
#[derive(Debug)]
pub(super) struct Worth {
    /// Seconds for a token of each sequence without guesses; none where that is not known, or no matter.
    plain: Option<f64>,
    /// The same with guesses, since the last pause.
    drafted: Option<f64>,
    n_drafted: u32,
    /// Steps with guesses since the last one without.
    since_plain: u32,
    /// Steps that are still left alone, and how many are the next time.
    pause: u32,
    next_pause: u32,
    is_free: bool,
}

impl Default for Worth {
    fn default() -> Self {
        Self {
            plain: None,
            drafted: None,
            n_drafted: 0,
            since_plain: 0,
            pause: 0,
            next_pause: FIRST_PAUSE,
            is_free: false,
        }
    }
}

impl Worth {
    /// It is always worth it.
    #[cfg(test)]
    pub(super) fn at_any_price() -> Self {
        Self { is_free: true, ..Self::default() }
    }

    /// Whether to guess in this step.
    pub(super) fn pays(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        if self.is_free {
            return true;
        }
        if self.since_plain >= MOST_SINCE_PLAIN {
            self.since_plain = 0;
            return false;
        }
        self.plain.is_some()
    }

    /// A token of each sequence took so many seconds without guesses.
    pub(super) fn learn_plain(&mut self, seconds: f64) {
        average(&mut self.plain, seconds);
        self.since_plain = 0;
    }

    /// The same with guesses, and with what these took.
    pub(super) fn learn_drafted(&mut self, seconds: f64) {
        average(&mut self.drafted, seconds);
        self.n_drafted += 1;
        self.since_plain += 1;
        if self.is_free || self.n_drafted < TRIAL {
            return;
        }
        if self.drafted > self.plain {
            self.hold_off();
        } else {
            self.next_pause = FIRST_PAUSE;
        }
    }

    /// Nothing is guessed for a while; then it is tried again.
    pub(super) fn hold_off(&mut self) {
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        (self.drafted, self.n_drafted) = (None, 0);
    }
}

fn average(average: &mut Option<f64>, value: f64) {
    *average = Some(average.map_or(value, |average| average + WEIGHT * (value - average)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps with guesses among `n_steps`, where a token takes `plain` seconds without guesses and `drafted` with them.
    fn n_drafted(worth: &mut Worth, n_steps: usize, plain: f64, drafted: f64) -> usize {
        let step = |_: &usize| {
            let pays = worth.pays();
            if pays {
                worth.learn_drafted(drafted);
            } else {
                worth.learn_plain(plain);
            }
            pays
        };
        (0..n_steps).filter(step).count()
    }

    #[test]
    fn guesses_that_pay_are_made_and_others_seldom() {
        let check = |seconds: f64, expected: std::ops::RangeInclusive<usize>| {
            let n = n_drafted(&mut Worth::default(), 1000, 1.0, seconds);
            assert!(expected.contains(&n), "{seconds}: {n}");
        };
        // The first step shows what one takes without, and one of 33 behind it.
        check(0.5, 969..=969);
        check(1.0, 969..=969);
        check(1.1, 40..=60);
        check(3.0, 40..=60);
    }

    #[test]
    fn what_once_did_not_pay_is_tried_again() {
        let mut worth = Worth::default();
        assert!(n_drafted(&mut worth, 1000, 1.0, 2.0) < 60);
        // One pause may still be left.
        assert!(n_drafted(&mut worth, 3000, 1.0, 0.5) > 1500);
        assert!(n_drafted(&mut worth, 990, 1.0, 0.5) == 960);
    }

    #[test]
    fn what_a_token_takes_without_guesses_is_seen_to_change_while_they_pay() {
        let mut worth = Worth::default();
        assert!(n_drafted(&mut worth, 1000, 1.0, 0.5) > 900);
        assert!(n_drafted(&mut worth, 4000, 0.2, 0.5) < 500);
    }

    #[test]
    fn after_a_step_that_failed_there_is_a_pause() {
        let mut worth = Worth::at_any_price();
        worth.hold_off();
        assert_eq!((0..100).filter(|_| worth.pays()).count(), 84);
    }
}
