//! Prompts: texts of about as many tokens as are wanted, none of which begins as another one does, so that no server
//! can have computed a part of one before.

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Words that most vocabularies have as one token each.
const WORDS: [&str; 64] = [
    "the", "time", "of", "a", "good", "man", "is", "to", "be", "where", "people", "work", "and", "live",
    "in", "one", "house", "with", "water", "for", "every", "day", "they", "see", "that", "this", "world",
    "has", "many", "small", "things", "we", "know", "not", "how", "long", "it", "may", "take", "her", "hand",
    "to", "find", "new", "land", "under", "high", "light", "year", "after", "his", "name", "was", "read",
    "from", "left", "right", "he", "will", "go", "home", "or", "stay", "here",
];

/// Words of the two texts by which the tokens of words are counted: all of them, and all of them twice.
pub(super) const COUNTED_WORDS: [u32; 2] = [WORDS.len() as u32, 2 * WORDS.len() as u32];

/// Letters that a prompt begins with.
const MARK_LETTERS: usize = 8;

/// How many tokens texts of these words have in one vocabulary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    /// Of the mark and of what a server adds.
    pub(super) fixed_tokens: f64,
    pub(super) tokens_per_word: f64,
}

/// Where prompts come from; what it says never comes again, in this run or another.
#[derive(Debug)]
pub(super) struct Prompts {
    random: StdRng,
}

impl Measure {
    /// From the tokens of two texts with so many words each.
    pub(super) fn of([few, many]: [(u32, u64); 2]) -> Self {
        let (words, tokens) = (f64::from(many.0) - f64::from(few.0), many.1 as f64 - few.1 as f64);
        let tokens_per_word = if words > 0.0 { (tokens / words).max(0.1) } else { 1.0 };
        let fixed_tokens = (few.1 as f64 - tokens_per_word * f64::from(few.0)).max(0.0);
        Self { fixed_tokens, tokens_per_word }
    }

    /// Words of a text that has about so many tokens; at least one.
    pub(super) fn words(&self, tokens: u32) -> u32 {
        ((f64::from(tokens) - self.fixed_tokens) / self.tokens_per_word).round().max(1.0) as u32
    }
}

impl Prompts {
    /// Prompts that no earlier run has had.
    pub(super) fn new() -> Self {
        Self { random: StdRng::seed_from_u64(rand::rng().next_u64()) }
    }

    /// So many words, each behind a blank. All of them come before one comes again, so that texts of as many words have
    /// about as many tokens.
    pub(super) fn words(&mut self, n_words: u32) -> String {
        let (mut text, mut left) = (String::new(), n_words as usize);
        let mut words = WORDS;
        while left > 0 {
            words.shuffle(&mut self.random);
            words.iter().take(left).for_each(|word| text.extend([" ", *word]));
            left = left.saturating_sub(WORDS.len());
        }
        text
    }

    /// Letters at random, for a prompt to begin with.
    pub(super) fn mark(&mut self) -> String {
        (0..MARK_LETTERS).map(|_| char::from(self.random.random_range(b'a'..=b'z'))).collect()
    }

    /// Which of `n` things comes next.
    pub(super) fn choose(&mut self, n: u32) -> u32 {
        self.random.random_range(0..n.max(1))
    }

    /// How long after an arrival the next one comes, in seconds, where `rate` come in a second independently of each
    /// other.
    pub(super) fn gap_s(&mut self, rate: f64) -> f64 {
        -(1.0 - self.random.random::<f64>()).ln() / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_by_what_a_server_said() {
        let check = |few, many, tokens: u32, expected: u32| {
            assert_eq!(Measure::of([few, many]).words(tokens), expected, "{few:?} {many:?} {tokens}");
        };
        // A token a word, four of the mark.
        check((16, 20), (80, 84), 32, 28);
        check((16, 52), (80, 244), 512, 169);
        check((16, 20), (80, 84), 1, 1);
        // A server that counts nothing.
        check((16, 0), (80, 0), 10, 100);
    }

    #[test]
    fn no_prompt_begins_as_another() {
        let mut prompts = Prompts::new();
        let marks: std::collections::HashSet<String> = (0..100).map(|_| prompts.mark()).collect();
        assert_eq!(marks.len(), 100);
        assert_ne!(prompts.mark(), Prompts::new().mark());
        let words = prompts.words(3);
        assert_eq!(words.split(' ').skip(1).filter(|word| WORDS.contains(word)).count(), 3, "{words:?}");
    }

    #[test]
    fn texts_of_as_many_words_hold_the_same_words() {
        let mut prompts = Prompts::new();
        let sorted = |text: String| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort_unstable();
            words
        };
        let [once, twice] = COUNTED_WORDS;
        assert_eq!(sorted(prompts.words(once)), sorted(prompts.words(once)));
        assert_eq!(sorted(prompts.words(twice)).len(), twice as usize + 1);
        assert_eq!(prompts.words(0), "");
    }

    #[test]
    fn arrivals_come_as_often_as_they_should() {
        let mut prompts = Prompts { random: StdRng::seed_from_u64(7) };
        let mean = (0..20_000).map(|_| prompts.gap_s(200.0)).sum::<f64>() / 20_000.0;
        // Five standard deviations of the mean of so many.
        assert!((mean * 200.0 - 1.0).abs() < 5.0 / 20_000_f64.sqrt(), "{mean}");
    }
}
