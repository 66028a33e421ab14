//! What a row of logits costs: microseconds to choose a token, by sampler and vocabulary.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use impetus_runtime::{
    engine::fake::ByteVocabulary,
    sampling::{Sampler, SamplingParams},
};

/// Rows that take turns, and how often each sampler goes through them.
const ROWS: usize = 16;
const ROUNDS: u32 = 20;

fn main() -> io::Result<()> {
    let drawn = SamplingParams { temperature: 0.8, ..SamplingParams::default() };
    let samplers = [
        ("greedy", SamplingParams::default()),
        ("temperature", drawn.clone()),
        ("top-k 40", SamplingParams { top_k: 40, ..drawn.clone() }),
        ("top-p 0.95", SamplingParams { top_p: Some(0.95), ..drawn.clone() }),
        ("min-p 0.05", SamplingParams { min_p: Some(0.05), ..drawn.clone() }),
        ("all of them", SamplingParams { top_k: 40, top_p: Some(0.95), min_p: Some(0.05), ..drawn }),
    ];
    // The tail falls off as in a model's rows, or hardly.
    for (kind, spread) in [("peaked", 2.0), ("flat", 0.5)] {
        for vocabulary in [32_000, 128_256] {
            let rows: Vec<Vec<f32>> = (0..ROWS as u64).map(|seed| row(seed, vocabulary, spread)).collect();
            for (name, params) in &samplers {
                let us = cost(params, &rows);
                writeln!(io::stdout(), "{kind:8} {vocabulary:7} {name:12} {us:8.1} us a row")?;
            }
        }
    }
    Ok(())
}

/// Microseconds a row: the median of the rounds.
fn cost(params: &SamplingParams, rows: &[Vec<f32>]) -> f64 {
    let Ok(mut sampler) = Sampler::new(params.clone(), 0, Arc::new(ByteVocabulary::default())) else {
        return f64::NAN;
    };
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let begun = Instant::now();
            for (position, row) in (round * 1000..).zip(rows) {
                std::hint::black_box(sampler.choose(row, position).ok());
            }
            begun.elapsed().as_secs_f64() * 1e6 / rows.len() as f64
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Logits whose distribution is about normal, with `spread` as the standard deviation, and a dozen above them.
fn row(seed: u64, vocabulary: usize, spread: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u32 << 24) as f32
    };
    let mut row: Vec<f32> =
        (0..vocabulary).map(|_| spread * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect();
    for best in 0..12 {
        let token = (uniform() * vocabulary as f32) as usize % vocabulary;
        row[token] = spread * (8.0 - best as f32 * 0.3);
    }
    row
}
