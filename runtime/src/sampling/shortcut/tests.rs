use proptest::prelude::*;

use super::*;
use crate::sampling::{
    candidate::{self, collect, scale},
    filter,
};

/// Rows as models make them, rows of few different values, and what an engine should not give.
fn rows() -> impl Strategy<Value = Vec<f32>> {
    let peaked = (0.0_f32..1.0).prop_map(|x| 18.0 * x.powi(6) - 4.0);
    let logit = prop_oneof![
        8 => peaked,
        4 => -12.0_f32..12.0,
        2 => (-8_i8..8).prop_map(f32::from),
        1 => Just(f32::NAN),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(BANNED),
    ];
    prop::collection::vec(logit, 1..3000)
        .prop_filter("one that counts", |logits| logits.iter().any(|logit| *logit > BANNED))
}

fn by_token(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_unstable_by_key(|candidate| candidate.token);
    candidates
}

fn plainly(logits: &[f32], filter: impl FnOnce(&mut Vec<Candidate>)) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    collect(logits, &mut candidates);
    filter(&mut candidates);
    by_token(candidates)
}

proptest! {
    #[test]
    fn a_draw_is_the_plain_one(logits in rows(), temperature in 0.05_f32..4.0, uniforms in prop::array::uniform8(0.0..1.0)) {
        let mut scaled = plainly(&logits, |candidates| scale(candidates, temperature));
        let mut parts = Vec::new();
        for uniform in uniforms {
            let expected = candidate::draw(&mut scaled, uniform);
            let drawn = draw(&logits, temperature, uniform, &mut parts);
            prop_assert!(drawn.is_none() || drawn == expected, "{:?} instead of {:?} at {}", drawn, expected, uniform);
        }
    }

    #[test]
    fn a_nucleus_is_the_plain_one(logits in rows(), p in 0.0_f32..1.0) {
        let mut candidates = Vec::new();
        if nucleus(&logits, p, &mut candidates) {
            prop_assert_eq!(by_token(candidates), plainly(&logits, |all| filter::top_p(all, p)));
        }
    }

    #[test]
    fn what_is_probable_is_so_plainly(logits in rows(), p in 0.0001_f32..=1.0) {
        let mut candidates = Vec::new();
        prop_assert!(probable(&logits, p, &mut candidates));
        prop_assert_eq!(candidates, plainly(&logits, |all| filter::min_p(all, p)));
    }
}

/// A row whose tokens have these probabilities, and others in front that have none.
fn row(probabilities: &[f32]) -> Vec<f32> {
    let none = std::iter::repeat_n(-200.0, 2 * softmax::PART - 1);
    none.chain(probabilities.iter().map(|probability| probability.ln())).collect()
}

#[test]
fn what_is_too_close_is_left_to_the_plain_way() {
    let first = 2 * softmax::PART as u32 - 1;
    let check = |probabilities: &[f32], uniform: f64, expected: Option<u32>| {
        let drawn = draw(&row(probabilities), 1.0, uniform, &mut Vec::new());
        assert_eq!(drawn, expected.map(|nth| TokenId(first + nth)), "{uniform} of {probabilities:?}");
    };
    check(&[0.5, 0.25, 0.25], 0.3, Some(0));
    check(&[0.5, 0.25, 0.25], 0.6, Some(1));
    check(&[0.5, 0.25, 0.25], 0.8, Some(2));
    check(&[0.5, 0.25, 0.25], 0.5, None);
    check(&[0.5, 0.25, 0.25], 0.500_001, None);
    check(&[0.5, 0.25, 0.25], 0.999_999_9, None);
    check(&[0.5, 1e-6, 0.5], 0.500_000_25, None);
    let kept = |probabilities: &[f32], p: f32, expected: Option<usize>| {
        let mut candidates = Vec::new();
        let told = nucleus(&row(probabilities), p, &mut candidates);
        assert_eq!(told.then_some(candidates.len()), expected, "{p} of {probabilities:?}");
    };
    kept(&[0.5, 0.25, 0.25], 0.0, Some(1));
    kept(&[0.5, 0.25, 0.25], 0.6, Some(2));
    kept(&[0.5, 0.25, 0.25], 0.75, None);
    kept(&[1.0 / 600.0; 600], 0.9, None);
    for none in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, BANNED] {
        assert_eq!(draw(&[none, none], 1.0, 0.5, &mut Vec::new()), None);
        assert!(!nucleus(&[none], 0.5, &mut Vec::new()) && !probable(&[none], 0.5, &mut Vec::new()));
    }
}
