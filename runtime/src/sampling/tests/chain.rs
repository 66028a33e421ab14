//! What each step of the chain leaves of a row.

use super::*;
use crate::sampling::{
    BANNED, DryParams, DynamicTemperatureParams, MirostatParams, XtcParams,
    candidate::entropy,
    filter::{at_most, exclude_top, top_n_sigma},
    mirostat::Mirostat,
    temperature,
};

/// Logits of these probabilities, in percent.
fn percent(percents: &[f32]) -> Vec<f32> {
    percents.iter().map(|percent| percent.ln()).collect()
}

#[test]
fn top_choices_are_excluded_but_for_the_least_of_them() {
    let check = |percents: &[f32], threshold: f32, expected: &[u32]| {
        let mut kept = candidates(&percent(percents));
        exclude_top(&mut kept, threshold);
        assert_eq!(tokens(&kept), expected, "{percents:?} at {threshold}");
    };
    check(&[40.0, 30.0, 20.0, 10.0], 0.15, &[2, 3]);
    check(&[10.0, 30.0, 20.0, 40.0], 0.25, &[0, 1, 2]);
    // One top choice alone stays, as does everything where there is none.
    check(&[60.0, 20.0, 20.0], 0.4, &[0, 1, 2]);
    check(&[40.0, 30.0, 30.0], 0.5, &[0, 1, 2]);
    // Of equals the last one is the least.
    check(&[30.0, 30.0, 30.0, 10.0], 0.2, &[2, 3]);
}

#[test]
fn sigma_counts_from_the_largest_logit() {
    // Mean 2, variance (4 + 4 + 4 + 4) / 4: one standard deviation is 2.
    let logits = [0.0, 0.0, 4.0, 4.0];
    let check = |logits: &[f32], n: f32, expected: &[u32]| {
        let mut kept = candidates(logits);
        top_n_sigma(&mut kept, n);
        assert_eq!(tokens(&kept), expected, "{logits:?} within {n}");
    };
    check(&logits, 1.0, &[2, 3]);
    check(&logits, 1.9, &[2, 3]);
    check(&logits, 2.0, &[0, 1, 2, 3]);
    // Mean 3, variance 5: one standard deviation is 2.236.
    check(&[0.0, 2.0, 4.0, 6.0], 1.0, &[2, 3]);
    check(&[0.0, 2.0, 4.0, 6.0, f32::NEG_INFINITY], 1.8, &[1, 2, 3]);
}

#[test]
fn the_temperature_follows_the_entropy() {
    let check = |percents: &[f32], temperature: f32, (range, exponent): (f32, f32), expected: f32| {
        let candidates = candidates(&percent(percents));
        let dynamic = DynamicTemperatureParams { range, exponent };
        let found = temperature::of(&candidates, temperature, Some(dynamic));
        assert!((found - expected).abs() < 1e-5, "{percents:?} {temperature} {dynamic:?}: {found}");
    };
    // All equal: the entropy is the largest there is.
    check(&[25.0; 4], 1.0, (0.5, 1.0), 1.5);
    check(&[25.0; 4], 1.0, (0.5, 3.0), 1.5);
    // Half of it: two of four.
    check(&[50.0, 50.0, 1e-30, 1e-30], 1.0, (0.5, 1.0), 1.0);
    check(&[50.0, 50.0, 1e-30, 1e-30], 1.0, (0.5, 2.0), 0.75);
    check(&[100.0, 1e-30], 1.0, (0.5, 1.0), 0.5);
    check(&[100.0, 1e-30], 0.3, (0.5, 1.0), 0.0);
    check(&[25.0; 4], 0.7, (0.0, 1.0), 0.7);
    check(&[100.0], 0.7, (0.5, 1.0), 0.7);
    assert!((entropy(&candidates(&percent(&[50.0, 25.0, 25.0]))) - 1.5 * 2.0_f64.ln()).abs() < 1e-6);
}

#[test]
fn surprise_is_bounded() {
    let check = |percents: &[f32], bits: f64, expected: &[u32]| {
        let mut kept = candidates(&percent(percents));
        at_most(&mut kept, bits * 2.0_f64.ln());
        assert_eq!(tokens(&kept), expected, "{percents:?} within {bits} bits");
    };
    // One, two, three and three bits.
    check(&[50.0, 25.0, 12.5, 12.5], 2.1, &[0, 1]);
    check(&[50.0, 25.0, 12.5, 12.5], 3.1, &[0, 1, 2, 3]);
    check(&[25.0, 25.0, 50.0], 0.5, &[2]);
    check(&[25.0, 25.0, 25.0, 25.0], -3.0, &[0]);
}

#[test]
fn mirostat_moves_its_bound_by_what_surprised() {
    // Tau 1: the bound begins at two bits. What is left of 50, 25, 12.5, 12.5 are 2/3 and 1/3.
    let params = MirostatParams { version: 2, tau: 1.0, eta: 0.5 };
    let check = |token: u32, expected: &[u32]| {
        let mut mirostat = Mirostat::new(params);
        let row = percent(&[50.0, 25.01, 12.5, 12.5]);
        let mut left = candidates(&row);
        mirostat.cut(&mut left, row.len());
        assert_eq!(tokens(&left), [0, 1]);
        mirostat.learn(&left, token);
        let mut next = candidates(&percent(&[30.0, 24.0, 23.0, 23.0]));
        mirostat.cut(&mut next, row.len());
        assert_eq!(tokens(&next), expected, "after {token}: {mirostat:?}");
    };
    // 0.585 bits, so that the bound rises to 2.21: the 23 % have 2.12 bits.
    check(0, &[0, 1, 2, 3]);
    // 1.585 bits: it falls to 1.71; the 30 % have 1.74, and stay as the most probable.
    check(1, &[0]);
    // Chosen by somebody else: it stays at 2.
    check(3, &[0]);
}

#[test]
fn mirostat_one_counts_by_zipfs_law() {
    // Exactly Zipf's law with exponent 2 over 1,000 tokens: k = (2^mu / (1 - 1/1000))^(1/2), cut to an integer.
    let row: Vec<f32> = (1..=1000_i16).map(|rank| -2.0 * f32::from(rank).ln()).collect();
    let check = |tau: f32, expected: u32| {
        let mirostat = Mirostat::new(MirostatParams { version: 1, tau, eta: 0.1 });
        let mut left = candidates(&row);
        mirostat.cut(&mut left, row.len());
        assert_eq!(tokens(&left), (0..expected).collect::<Vec<_>>(), "tau {tau}");
    };
    check(1.01, 2);
    check(2.01, 4);
    check(3.01, 8);
    check(50.0, 1000);
    // Rows without an exponent.
    for row in [vec![1.0], vec![1.0, 1.0, 1.0], vec![5.0, f32::NEG_INFINITY]] {
        let mut left = candidates(&row);
        Mirostat::new(MirostatParams { version: 1, tau: 3.0, eta: 0.1 }).cut(&mut left, row.len());
        assert!(!left.is_empty(), "{row:?}");
    }
}

#[test]
fn ends_wait_unless_nothing_else_is_allowed() {
    let check = |logits: &[f32], position: u32, expected: u32| {
        for temperature in [0.0, 1.0] {
            let params = SamplingParams { temperature, top_p: Some(0.5), ..SamplingParams::default() };
            let mut sampler = sampler(params).open_for(3, vec![TokenId(0), TokenId(9)]);
            let mut logits = logits.to_vec();
            sampler.prepare(&mut logits, position);
            let chosen = sampler.choose(&logits, position).unwrap().token;
            assert_eq!(chosen, TokenId(expected), "{logits:?} at {position}");
        }
    };
    check(&[30.0, 1.0, 9.0], 2, 2);
    check(&[30.0, 1.0, 9.0], 3, 0);
    check(&[30.0, f32::NEG_INFINITY, f32::NAN], 0, 0);
    // What a constraint forbids stays forbidden.
    check(&[f32::NEG_INFINITY, -2e30, 9.0], 0, 2);
    let mut forbidden = [f32::NEG_INFINITY];
    sampler(SamplingParams::default()).open_for(1, vec![TokenId(0)]).prepare(&mut forbidden, 0);
    assert!(forbidden[0] < BANNED);
}

#[test]
fn log_probabilities_are_of_what_penalties_left_before_any_filter() {
    let half = 0.5_f32.ln();
    let check = |params: SamplingParams, row: &[f32], expected: &[(u32, f32)]| {
        let params = SamplingParams { logprobs: Some(2), ..params };
        for params in [
            params.clone(),
            SamplingParams { temperature: 3.0, top_k: 1, ..params.clone() },
            SamplingParams { temperature: 3.0, top_n_sigma: Some(0.1), ..params },
        ] {
            let mut sampler = sampler(params.clone());
            sampler.accept(TokenId(0));
            let mut row = row.to_vec();
            sampler.prepare(&mut row, 1);
            let sampled = sampler.choose(&row, 1).unwrap();
            let score = sampled.score.unwrap();
            let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
            let own = expected.iter().find(|(token, _)| *token == sampled.token.0).unwrap();
            assert!(near(score.logprob, own.1), "{params:?}: {score:?}");
            for ((token, logprob), expected) in score.top.iter().zip(expected) {
                assert!(token.0 == expected.0 && near(*logprob, expected.1), "{params:?}: {score:?}");
            }
        }
    };
    let base = SamplingParams::default;
    check(base(), &[2.0, 1.0, f32::NEG_INFINITY], &[(0, -0.313_261_7), (1, -1.313_261_7)]);
    check(SamplingParams { presence_penalty: 1.0, ..base() }, &[2.0, 1.0], &[(0, half), (1, half)]);
    check(
        SamplingParams { logit_bias: vec![(TokenId(1), 1.0)], ..base() },
        &[2.0, 1.0],
        &[(0, half), (1, half)],
    );
    // What is not asked for is not worked out.
    assert_eq!(sampler(base()).choose(&[1.0], 0).unwrap().score, None);
}

#[test]
fn groups_are_checked_by_the_names_that_clients_send() {
    let check = |params: SamplingParams, parameter: &str| {
        let error = params.validate(257).err();
        assert_eq!(error.as_ref().map(SamplingError::parameter), Some(parameter), "{params:?}");
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(parameter), "{message}");
    };
    let base = SamplingParams::default;
    let dry = DryParams { multiplier: 1.0, base: 1.75, ..DryParams::default() };
    let mirostat = MirostatParams { version: 2, tau: 5.0, eta: 0.1 };
    let valid = SamplingParams {
        dry: Some(dry.clone()),
        mirostat: Some(mirostat),
        xtc: Some(XtcParams { probability: 1.0, threshold: 0.1 }),
        dynamic_temperature: Some(DynamicTemperatureParams { range: 0.5, exponent: 1.0 }),
        top_n_sigma: Some(1.0),
        logprobs: Some(20),
        ..base()
    };
    assert_eq!(valid.validate(257), Ok(()));
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let with = |dry: DryParams| SamplingParams { dry: Some(dry), ..base() };
        check(with(DryParams { multiplier: bad, ..dry.clone() }), "dry_multiplier");
        check(with(DryParams { base: bad, ..dry.clone() }), "dry_base");
        let with = |xtc: XtcParams| SamplingParams { xtc: Some(xtc), ..base() };
        check(with(XtcParams { probability: bad, threshold: 0.1 }), "xtc_probability");
        check(with(XtcParams { probability: 0.5, threshold: bad }), "xtc_threshold");
        let with = |mirostat: MirostatParams| SamplingParams { mirostat: Some(mirostat), ..base() };
        check(with(MirostatParams { tau: bad, ..mirostat }), "mirostat_tau");
        check(with(MirostatParams { eta: bad, ..mirostat }), "mirostat_eta");
        let with = |dynamic| SamplingParams { dynamic_temperature: Some(dynamic), ..base() };
        check(with(DynamicTemperatureParams { range: bad, exponent: 1.0 }), "dynatemp_range");
        check(with(DynamicTemperatureParams { range: 1.0, exponent: bad }), "dynatemp_exponent");
        check(SamplingParams { top_n_sigma: Some(bad), ..base() }, "top_n_sigma");
    }
    check(SamplingParams { mirostat: Some(MirostatParams { version: 3, ..mirostat }), ..base() }, "mirostat");
    check(SamplingParams { logprobs: Some(21), ..base() }, "top_logprobs");
    for breakers in [vec![String::new()], vec!["x".repeat(65)], vec!["x".to_owned(); 33]] {
        let dry = DryParams { breakers, ..dry.clone() };
        check(SamplingParams { dry: Some(dry), ..base() }, "dry_sequence_breakers");
    }
}
