//! Whatever is done to slots in whatever order, each holds what it was told to hold.

use std::cell::RefCell;

use impetus_runtime::engine::{Batch, Rows, SlotId, TextEngine, TokenId, Want};
use proptest::prelude::*;

use crate::{
    bundled,
    export::{self, Layout, PLAIN, Trait, VOCABULARY},
};

/// Slots that things are done to; the one behind them is kept for references.
const SLOTS: u32 = 5;

/// Something done to slots.
#[derive(Debug, Clone)]
enum Deed {
    /// A step with a chunk of some tokens for each of some slots.
    Step(Vec<(u32, usize)>),
    Truncate(u32, usize),
    Copy(u32, u32, usize),
    Clear(u32),
}

struct Slots {
    engine: Box<dyn TextEngine>,
    /// What each slot is to hold.
    held: Vec<Vec<TokenId>>,
    /// Tokens so far, so that no two are the same.
    n_tokens: u32,
}

impl Slots {
    fn new(layout: Layout) -> Self {
        let folder = export::folder();
        export::decoder(folder.path(), "model.onnx", layout);
        let model = bundled::load(folder.path(), (SLOTS + 1, 0), &[]);
        let engine = model.task.into_generate().expect("it generates");
        Self { engine, held: vec![Vec::new(); SLOTS as usize], n_tokens: 0 }
    }

    fn clear(&mut self) {
        for slot in 0..SLOTS {
            self.engine.kv_clear(SlotId(slot));
            self.held[slot as usize].clear();
        }
    }

    fn step(&mut self, chunks: &[(u32, Vec<TokenId>)]) -> Vec<Vec<f32>> {
        let (mut batch, mut rows) = (Batch::default(), Rows::new(VOCABULARY as u32));
        for (slot, tokens) in chunks {
            let position = self.held.get(*slot as usize).map_or(0, Vec::len);
            batch.push(SlotId(*slot), position as u32, tokens, Want::Last);
        }
        self.engine.step(&batch, &mut rows).expect("the step succeeds");
        for (slot, tokens) in chunks {
            if let Some(held) = self.held.get_mut(*slot as usize) {
                held.extend(tokens);
            }
        }
        (0..rows.len()).map(|row| rows.row(row).to_vec()).collect()
    }

    fn tokens(&mut self, n: usize) -> Vec<TokenId> {
        let start = self.n_tokens;
        self.n_tokens += n as u32;
        (start..self.n_tokens).map(|n| TokenId(n * 7 % VOCABULARY as u32)).collect()
    }

    fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Step(chunks) => {
                let chunks: Vec<_> = chunks.iter().map(|&(slot, n)| (slot, self.tokens(n))).collect();
                self.step(&chunks);
            }
            Deed::Truncate(slot, keep) => {
                let held = &mut self.held[*slot as usize];
                held.truncate(*keep);
                self.engine.kv_truncate(SlotId(*slot), held.len() as u32).expect("it can");
            }
            Deed::Copy(from, to, keep) => {
                let mut copied = self.held[*from as usize].clone();
                copied.truncate(*keep);
                self.engine.kv_copy(SlotId(*from), SlotId(*to), copied.len() as u32).expect("it can");
                self.held[*to as usize] = copied;
            }
            Deed::Clear(slot) => {
                self.engine.kv_clear(SlotId(*slot));
                self.held[*slot as usize].clear();
            }
        }
    }

    /// Appends a token to every slot, and compares with what the whole text gives alone.
    fn verify(&mut self) {
        let chunks: Vec<_> = (0..SLOTS).map(|slot| (slot, self.tokens(1))).collect();
        let found = self.step(&chunks);
        for (slot, found) in found.iter().enumerate() {
            self.engine.kv_clear(SlotId(SLOTS));
            let text = self.held[slot].clone();
            let expected = &self.step(&[(SLOTS, text)])[0];
            let far = found.iter().zip(expected).find(|(a, b)| (**a - **b).abs() > 1e-4);
            assert_eq!(far, None, "slot {slot}");
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let slot = 0..SLOTS;
    let chunk = (any::<bool>(), prop_oneof![4 => Just(1_usize), 1 => 2..7_usize]);
    prop_oneof![
        4 => prop::collection::vec(chunk, SLOTS as usize).prop_map(|chunks| {
            let due = (0..).zip(chunks).filter(|(_, (is_due, _))| *is_due);
            Deed::Step(due.map(|(slot, (_, n))| (slot, n)).collect())
        }),
        1 => (slot.clone(), 0..12_usize).prop_map(|(slot, keep)| Deed::Truncate(slot, keep)),
        1 => (slot.clone(), 1..SLOTS, 0..12_usize)
            .prop_map(|(from, other, keep)| Deed::Copy(from, (from + other) % SLOTS, keep)),
        1 => slot.prop_map(Deed::Clear),
    ]
}

#[test]
fn slots_hold_what_they_were_told_to() {
    for layout in [PLAIN, Layout::with(&[Trait::RowWise])] {
        let slots = RefCell::new(Slots::new(layout));
        proptest!(ProptestConfig::with_cases(64), |(deeds in prop::collection::vec(deed(), 1..16))| {
            let mut slots = slots.borrow_mut();
            slots.clear();
            for deed in &deeds {
                slots.apply(deed);
            }
            slots.verify();
        });
    }
}
