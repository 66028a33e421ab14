//! The engine behind `worker-fake`.

use std::{path::Path, thread, time::Duration};

use impetus_runtime::engine::{
    Batch, Chunk, Limits, Rows, SlotId, StepError, TextEngine, TokenId, Unsupported, Want,
};

use super::{
    directive::{Directive, directives},
    escape, fault,
    oracle::{self, MARKER},
    script::Script,
};

/// The token that ends a text.
const END: TokenId = TokenId(256);

/// See the module of the worker.
pub(super) struct ScriptedEngine {
    limits: Limits,
    step: Duration,
    slots: Vec<Slot>,
    /// What was allocated for weights and by prompts.
    memory: Vec<Vec<u8>>,
    escape: escape::Attempts,
    /// How the attempts went, once they were made.
    escaped: Option<String>,
}

#[derive(Default)]
struct Slot {
    tokens: Vec<TokenId>,
    /// Of the present prompt; absent while it is not known.
    plan: Option<Plan>,
}

/// What follows from a prompt.
struct Plan {
    prompt_tokens: usize,
    directives: Vec<Directive>,
}

impl ScriptedEngine {
    pub(super) fn new(limits: Limits, script: &Script, weights: Vec<u8>, model: &Path) -> Self {
        Self {
            limits,
            step: script.step,
            slots: (0..limits.slots).map(|_| Slot::default()).collect(),
            memory: vec![weights],
            escape: escape::Attempts::new(model, script.port),
            escaped: None,
        }
    }

    /// Computes one chunk; what is to go wrong goes wrong before its row is there.
    fn compute(&mut self, chunk: &Chunk, tokens: &[TokenId], rows: &mut Rows) {
        let slot = &mut self.slots[chunk.slot.0 as usize];
        assert_eq!(slot.tokens.len(), chunk.position as usize, "{:?} holds other tokens", chunk.slot);
        if tokens.len() > 1 {
            slot.plan = None;
        }
        let before = slot.tokens.len();
        slot.tokens.extend_from_slice(tokens);
        assert!(slot.tokens.len() <= self.limits.context_tokens as usize, "{:?} is overfull", chunk.slot);
        if chunk.want == Want::Nothing {
            return;
        }
        let slot = &mut self.slots[chunk.slot.0 as usize];
        let plan = slot.plan.get_or_insert_with(|| Plan::of(&slot.tokens));
        let prompt_tokens = plan.prompt_tokens;
        let reached = slot.tokens.len().saturating_sub(prompt_tokens);
        let mut tells = false;
        for directive in plan.directives.clone() {
            match directive {
                Directive::Fault { at, fault } if reached >= at => fault.happen(),
                Directive::Grow { at, mib } if reached == at || (reached > at && tokens.len() > 1) => {
                    self.memory.push(fault::hold(mib));
                }
                Directive::Garbage { at } if reached == at && tokens.len() == 1 => {
                    fault::garble_connections();
                }
                Directive::Sandbox => tells = true,
                _ => {}
            }
        }
        let vocabulary = self.limits.vocabulary;
        let slot = &self.slots[chunk.slot.0 as usize];
        let first = if chunk.want == Want::All { before + 1 } else { slot.tokens.len() };
        for end in first..=slot.tokens.len() {
            if tells {
                let text = self.escaped.get_or_insert_with(|| self.escape.report());
                let byte = text.as_bytes().get(end.saturating_sub(prompt_tokens));
                rows.push(&oracle::certain(byte.map_or(END, |byte| TokenId((*byte).into())), vocabulary));
            } else {
                rows.push(&oracle::row(&slot.tokens[..end], vocabulary));
            }
        }
    }
}

impl TextEngine for ScriptedEngine {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
        thread::sleep(self.step);
        for chunk in batch.chunks() {
            self.compute(chunk, batch.tokens(chunk), rows);
        }
        Ok(())
    }

    fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
        let slot = &mut self.slots[slot.0 as usize];
        slot.tokens.truncate(length as usize);
        slot.plan = None;
        Ok(())
    }

    fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
        let tokens = self.slots[from.0 as usize].tokens[..length as usize].to_vec();
        self.slots[to.0 as usize] = Slot { tokens, plan: None };
        Ok(())
    }

    fn kv_clear(&mut self, slot: SlotId) {
        self.slots[slot.0 as usize] = Slot::default();
    }

    fn kv_bytes(&self, slot: SlotId) -> Option<u64> {
        Some(size_of_val(&*self.slots[slot.0 as usize].tokens) as u64)
    }

    fn kv_save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), Unsupported> {
        state.extend(self.slots[slot.0 as usize].tokens.iter().flat_map(|token| token.0.to_le_bytes()));
        Ok(())
    }

    fn kv_load(&mut self, slot: SlotId, state: &[u8], tokens: u32) -> Result<(), Unsupported> {
        self.kv_clear(slot);
        let (saved, rest) = state.as_chunks::<4>();
        if !rest.is_empty() || saved.len() != tokens as usize {
            return Err(Unsupported);
        }
        let tokens = saved.iter().map(|bytes| TokenId(u32::from_le_bytes(*bytes))).collect();
        self.slots[slot.0 as usize] = Slot { tokens, plan: None };
        Ok(())
    }
}

impl Plan {
    fn of(tokens: &[TokenId]) -> Self {
        let bytes: Vec<u8> = tokens.iter().map(|token| token.0 as u8).collect();
        let text = String::from_utf8_lossy(&bytes);
        let prompt_tokens = bytes
            .windows(MARKER.len())
            .rposition(|window| window == MARKER.as_bytes())
            .map_or(0, |at| at + MARKER.len());
        Self { prompt_tokens, directives: directives(&text) }
    }
}
