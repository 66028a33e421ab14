//! What a worker that died for lack of memory is given the next time: more, or less to do. Never the same again.

use crate::budget::Memory;

/// How much more than predicted it gets after each such death.
const GROWTH: f64 = 1.5;

/// What is changed about a model's placement because of earlier deaths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizing {
    /// Times the predicted footprint.
    pub factor: f64,
    /// Slots, where they were cut.
    pub slots: Option<u32>,
}

impl Default for Sizing {
    fn default() -> Self {
        Self { factor: 1.0, slots: None }
    }
}

impl Sizing {
    /// The sizing after another death for lack of memory: a larger footprint where `limit` has room for it, else half
    /// of the `slots` that it had in the same. `None` when a worker of one slot died with all there is.
    pub fn after_death(self, predicted: &Memory, limit: &Memory, slots: u32) -> Option<Self> {
        let larger = Self { factor: self.factor * GROWTH, ..self };
        if predicted.times(larger.factor).fits(limit) {
            return Some(larger);
        }
        let slots = self.slots.map_or(slots, |cut| cut.min(slots));
        (slots > 1).then_some(Self { slots: Some(slots / 2), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gets_more_then_less_to_do_then_nothing() {
        let (predicted, limit) = (Memory::ram(100), Memory::ram(240));
        let mut sizing = Sizing::default();
        let mut seen = Vec::new();
        while let Some(next) = sizing.after_death(&predicted, &limit, 4) {
            assert_ne!(next, sizing, "never the same again");
            sizing = next;
            seen.push((sizing.factor, sizing.slots));
        }
        assert_eq!(seen, [(1.5, None), (2.25, None), (2.25, Some(2)), (2.25, Some(1))]);
    }
}
