use super::*;
use crate::engine::{
    SlotId,
    fake::{FakeEngine, Faults},
};

const LIMITS: Limits = Limits {
    slots: 3,
    context_tokens: 512,
    tokens_per_step: 512,
    chunk_rows: 512,
    chunks_per_step: 3,
    vocabulary: 257,
};

#[test]
fn only_what_is_probable_is_a_guess() {
    let check = |logits: &[f32], expected: Option<u32>| {
        assert_eq!(probable(logits), expected.map(TokenId), "{logits:?}");
    };
    check(&[0.0, 1.0, 0.0], None);
    check(&[0.0, 3.0, 0.0], Some(1));
    check(&[5.0], Some(0));
    check(&[f32::NEG_INFINITY, 3.0, f32::NAN], Some(1));
    // Two that are as probable as each other are not probable.
    check(&[9.0, 9.0], None);
    check(&[f32::NEG_INFINITY; 3], None);
    check(&[f32::NAN; 3], None);
    check(&[f32::INFINITY, 0.0], None);
}

fn tokens(ids: std::ops::Range<u32>) -> Vec<TokenId> {
    ids.map(|id| TokenId(id % 257)).collect()
}

/// Has `slot` follow `tokens` of `owner` and computes what is due; how much that was, and whether nothing had to be
/// forgotten that could not.
fn turn(
    slots: &mut Slots,
    engine: &mut FakeEngine,
    slot: u32,
    owner: &str,
    tokens: &[TokenId],
) -> (usize, bool) {
    let slot = SlotId(slot);
    let has_followed = slots.follow(engine, slot, &owner.into(), tokens);
    let due = slots.due(slot, tokens).to_vec();
    let mut batch = Batch::default();
    batch.push(slot, slots.held(slot) as u32, &due, Want::Last);
    // The engine refuses what does not begin where it is.
    engine.step(&batch, &mut Rows::new(LIMITS.vocabulary)).unwrap();
    slots.extend(slot, &due);
    (due.len(), has_followed)
}

#[test]
fn a_slot_computes_what_it_lacks() {
    let (mut slots, mut engine) = (Slots::new(LIMITS), FakeEngine::new(LIMITS, Faults::default()));
    let said = tokens(0..200);
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..50]), (50, true));
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..52]), (2, true));
    // The row behind the last token is always wanted.
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..52]), (1, true));
    // Guesses that did not come true.
    let mut other = said[..45].to_vec();
    other.push(TokenId(255));
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &other), (1, true));
    // Another text, and another owner's.
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &tokens(50..60)), (10, true));
    assert_eq!(turn(&mut slots, &mut engine, 0, "b", &tokens(50..60)), (10, true));
    assert_eq!(engine.held(SlotId(0)), 10);
}

#[test]
fn what_another_slot_of_the_owner_has_is_copied_where_it_is_long() {
    let (mut slots, mut engine) = (Slots::new(LIMITS), FakeEngine::new(LIMITS, Faults::default()));
    let said = tokens(0..300);
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..290]), (290, true));
    assert_eq!(turn(&mut slots, &mut engine, 1, "a", &said), (10, true));
    assert_eq!(turn(&mut slots, &mut engine, 2, "b", &said), (300, true));
    // Too little to be copied.
    assert_eq!(turn(&mut slots, &mut engine, 2, "a", &said[..100]), (100, true));
}

#[test]
fn an_engine_that_cannot_cut_begins_again() {
    let faults = Faults { rigid_kv: true, ..Faults::default() };
    let (mut slots, mut engine) = (Slots::new(LIMITS), FakeEngine::new(LIMITS, faults));
    let said = tokens(0..100);
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..50]), (50, true));
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..51]), (1, true));
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..40]), (40, false));
    // Where nothing could be kept nothing is missing.
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &tokens(60..70)), (10, true));
}

#[test]
fn a_copy_that_is_not_made_leaves_nothing_behind() {
    let faults = Faults { rigid_kv: true, ..Faults::default() };
    let (mut slots, mut engine) = (Slots::new(LIMITS), FakeEngine::new(LIMITS, faults));
    let said = tokens(0..300);
    assert_eq!(turn(&mut slots, &mut engine, 0, "a", &said[..290]), (290, true));
    assert_eq!(turn(&mut slots, &mut engine, 1, "a", &said[..50]), (50, true));
    assert_eq!(turn(&mut slots, &mut engine, 1, "a", &said), (300, false));
    assert_eq!(engine.held(SlotId(1)), 300);
}
