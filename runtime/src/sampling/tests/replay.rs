//! Laws of whole sequences: what was chosen is chosen again, whoever chose the beginning.

use super::*;
use crate::sampling::{DryParams, DynamicTemperatureParams, MirostatParams, XtcParams};

/// Tokens of a row.
const WIDTH: u32 = 24;

/// Every sampler, switched on or off.
fn params() -> impl Strategy<Value = SamplingParams> {
    let mirostat = (1..=2_u32, 0.5_f32..6.0, 0.0_f32..1.0);
    let mirostat = mirostat.prop_map(|(version, tau, eta)| MirostatParams { version, tau, eta });
    let xtc = (0.0_f32..=1.0, 0.0_f32..0.6);
    let xtc = xtc.prop_map(|(probability, threshold)| XtcParams { probability, threshold });
    let dynamic = (0.0_f32..1.0, 0.2_f32..3.0);
    let dynamic = dynamic.prop_map(|(range, exponent)| DynamicTemperatureParams { range, exponent });
    let dry =
        (1_u8..3, prop::option::of(0..20_u32), 0..3_u32).prop_map(|(base, last_tokens, allowed_length)| {
            let breakers = vec!["\u{5}".to_owned(), "\u{1}\u{2}".to_owned()];
            DryParams { multiplier: 0.8, base: f32::from(base), allowed_length, last_tokens, breakers }
        });
    let one =
        (any::<u64>(), prop_oneof![Just(0.0_f32), 0.2_f32..2.0], 0..20_u32, 0.05_f32..=1.0, 0.0_f32..0.2);
    let other = (
        prop::option::of(dry),
        prop::option::of(xtc),
        prop::option::of(mirostat),
        prop::option::of(dynamic),
        prop::option::of(0.0_f32..3.0),
    );
    (one, other).prop_map(|((seed, temperature, top_k, p, min_p), (dry, xtc, mirostat, dynamic, sigma))| {
        SamplingParams {
            seed,
            temperature,
            top_k,
            top_p: Some(p),
            min_p: Some(min_p),
            typical_p: Some((1.5 - p).min(1.0)),
            repetition_penalty: Some(1.1),
            frequency_penalty: 0.2,
            presence_penalty: 0.1,
            penalty_last_tokens: Some(8),
            dry,
            xtc,
            mirostat,
            dynamic_temperature: dynamic,
            top_n_sigma: sigma,
            ..SamplingParams::default()
        }
    })
}

/// The engine's logits after `history`, spread enough for every step of the chain to matter.
fn row(history: &[TokenId]) -> Vec<f32> {
    let seed = history.iter().fold(17, |hash: u64, token| hash.wrapping_mul(31).wrapping_add(token.0.into()));
    (0..WIDTH).map(|token| random::uniform(seed, 0, token) as f32 * 8.0).collect()
}

/// Goes on behind `history`, of which the first `prompt` tokens are the prompt.
fn run(sampler: &mut Sampler, history: &mut Vec<TokenId>, prompt: usize, count: usize) {
    for _ in 0..count {
        let position = (history.len() - prompt) as u32;
        let token = sampler.sample(&mut row(history), position).unwrap();
        sampler.accept(token);
        history.push(token);
    }
}

proptest! {
    #[test]
    fn a_successor_goes_on_as_its_predecessor_would_have(
        params in params(),
        nth in 0..3_u32,
        cut in 0..40_usize,
        prompt in prop::collection::vec((0..WIDTH).prop_map(TokenId), 1..12),
    ) {
        let mut whole = prompt.clone();
        let mut first = choice(params.clone(), nth);
        first.observe_prompt(&prompt);
        run(&mut first, &mut whole, prompt.len(), 40);

        let mut resumed = whole[..prompt.len() + cut].to_vec();
        let mut second = choice(params, nth);
        second.observe_prompt(&prompt);
        for idx in prompt.len()..resumed.len() {
            let position = (idx - prompt.len()) as u32;
            if second.remembers_logits() {
                let mut row = row(&resumed[..idx]);
                second.prepare(&mut row, position);
                second.impose(&row, position, resumed[idx]);
            }
            second.accept(resumed[idx]);
        }
        run(&mut second, &mut resumed, prompt.len(), 40 - cut);
        prop_assert_eq!(resumed, whole);
    }

    #[test]
    fn what_is_forbidden_is_never_chosen(
        params in params(),
        allowed in prop::collection::btree_set(0..WIDTH, 1..6),
        bits in prop::collection::vec(0..WIDTH, 0..6),
    ) {
        let ends: Vec<_> = bits.iter().copied().map(TokenId).collect();
        let mut sampler = sampler(params).open_for(20, ends.clone());
        let is_open = allowed.iter().any(|token| !bits.contains(token));
        let mut history = vec![TokenId(0)];
        for position in 0..20 {
            let mut row = row(&history);
            sampler.prepare(&mut row, position);
            for token in (0..WIDTH).filter(|token| !allowed.contains(token)) {
                row[token as usize] = f32::NEG_INFINITY;
            }
            let token = sampler.choose(&row, position).unwrap().token;
            prop_assert!(allowed.contains(&token.0));
            prop_assert!(!is_open || !ends.contains(&token), "{:?} ends it at {}", token, position);
            sampler.accept(token);
            history.push(token);
        }
    }
}
