//! Rotary embeddings (arXiv:2104.09864), with a head's first half as the real and its second as the imaginary
//! parts.

use crate::config::RopeConfig;

/// A rotary embedding for slots of a known length.
pub(crate) struct Rope {
    frequencies: Vec<f32>,
    magnitude: f32,
}

/// Cosines and sines for the rows of a step.
pub(crate) struct Angles {
    /// For each row and pair.
    turns: Vec<(f32, f32)>,
    pairs: usize,
}

impl Rope {
    pub(crate) fn new(config: &RopeConfig, context_tokens: usize) -> Self {
        let (frequencies, magnitude) = config.frequencies(context_tokens);
        Self { frequencies, magnitude }
    }

    pub(crate) fn angles(&self, positions: &[usize]) -> Angles {
        let turn = |position: usize, frequency: f32| {
            let (sine, cosine) = (position as f32 * frequency).sin_cos();
            (cosine * self.magnitude, sine * self.magnitude)
        };
        let turns = positions
            .iter()
            .flat_map(|&position| self.frequencies.iter().map(move |&frequency| turn(position, frequency)))
            .collect();
        Angles { turns, pairs: self.frequencies.len() }
    }
}

impl Angles {
    /// Turns one head of the given row; dimensions beyond the pairs stay.
    pub(crate) fn rotate(&self, row: usize, head: &mut [f32]) {
        let turns = &self.turns[row * self.pairs..(row + 1) * self.pairs];
        let (real, imaginary) = head.split_at_mut(self.pairs);
        for ((real, imaginary), &(cosine, sine)) in real.iter_mut().zip(imaginary).zip(turns) {
            (*real, *imaginary) = (*real * cosine - *imaginary * sine, *imaginary * cosine + *real * sine);
        }
    }
}
