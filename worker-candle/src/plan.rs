//! The order in which a batch is computed: rows of short chunks together, each long chunk by itself, so that what
//! comes out for a sequence never depends on its neighbours.

use std::ops::Range;

use impetus_runtime::engine::{Batch, Pair, SlotId, TokenId, Want};

/// Rows up to which a chunk counts as short. Short chunks are computed row by row, long ones as blocks.
pub(crate) const NARROW_ROWS: usize = 8;

/// Consecutive rows that are computed in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) rows: Range<usize>,
    /// One chunk of many rows, not many chunks of few.
    pub(crate) wide: bool,
}

/// One chunk and where its rows are; in the batch's order.
#[derive(Debug)]
pub(crate) struct PlannedChunk {
    pub(crate) slot: SlotId,
    /// Of its first token.
    pub(crate) position: usize,
    pub(crate) rows: Range<usize>,
}

impl PlannedChunk {
    /// Whether it is computed as a block.
    pub(crate) fn is_wide(&self) -> bool {
        self.rows.len() > NARROW_ROWS
    }
}

/// A batch in computing order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) tokens: Vec<u32>,
    /// Of each row.
    pub(crate) positions: Vec<usize>,
    pub(crate) chunks: Vec<PlannedChunk>,
    pub(crate) segments: Vec<Segment>,
    /// The rows of second segments.
    pub(crate) second: Vec<Range<usize>>,
    /// The rows whose logits are wanted, in computing order.
    pub(crate) wanted: Vec<usize>,
    pub(crate) wanted_segments: Vec<Segment>,
    /// For each chunk of the batch, its place in `wanted`; in the batch's order.
    pub(crate) answers: Vec<Range<usize>>,
}

impl Plan {
    /// The plan of a step.
    pub(crate) fn of(batch: &Batch) -> Self {
        let chunks: Vec<_> = batch
            .chunks()
            .iter()
            .map(|chunk| (chunk.slot, chunk.position as usize, batch.tokens(chunk)))
            .collect();
        let mut plan = Self::arranged(&chunks);
        let wanted: Vec<Range<usize>> = batch
            .chunks()
            .iter()
            .zip(&plan.chunks)
            .map(|(chunk, PlannedChunk { rows, .. })| match chunk.want {
                Want::Nothing => rows.end..rows.end,
                Want::Last => rows.end.saturating_sub(1).max(rows.start)..rows.end,
                Want::All => rows.clone(),
            })
            .collect();
        let lengths: Vec<_> = wanted.iter().map(ExactSizeIterator::len).collect();
        let (answers, segments) = arrange(&lengths);
        plan.wanted_segments = segments;
        plan.wanted.resize(lengths.iter().sum(), 0);
        for (rows, answer) in wanted.iter().zip(&answers) {
            for (row, place) in rows.clone().zip(answer.clone()) {
                plan.wanted[place] = row;
            }
        }
        plan.answers = answers;
        plan
    }

    /// The plan of whole texts, each in the slot of its number. No logits are wanted.
    pub(crate) fn of_inputs(inputs: &[&[TokenId]]) -> Self {
        let chunks: Vec<_> =
            inputs.iter().zip(0..).map(|(tokens, slot)| (SlotId(slot), 0, *tokens)).collect();
        Self::arranged(&chunks)
    }

    /// The plan of whole pairs of texts, each in the slot of its number. No logits are wanted.
    pub(crate) fn of_pairs(pairs: &[Pair<'_>]) -> Self {
        let inputs: Vec<&[TokenId]> = pairs.iter().map(|pair| pair.tokens).collect();
        let mut plan = Self::of_inputs(&inputs);
        let seconds = pairs
            .iter()
            .zip(&plan.chunks)
            .map(|(pair, chunk)| (chunk.rows.start + pair.first_tokens).min(chunk.rows.end)..chunk.rows.end);
        plan.second = seconds.filter(|rows| !rows.is_empty()).collect();
        plan
    }

    fn arranged(chunks: &[(SlotId, usize, &[TokenId])]) -> Self {
        let mut plan = Self::default();
        let lengths: Vec<_> = chunks.iter().map(|(_, _, tokens)| tokens.len()).collect();
        let (places, segments) = arrange(&lengths);
        plan.segments = segments;
        plan.tokens.resize(lengths.iter().sum(), 0);
        plan.positions.resize(plan.tokens.len(), 0);
        for (&(slot, position, tokens), rows) in chunks.iter().zip(places) {
            for (row, token) in rows.clone().zip(tokens) {
                plan.tokens[row] = token.0;
                plan.positions[row] = position + row - rows.start;
            }
            plan.chunks.push(PlannedChunk { slot, position, rows });
        }
        plan
    }
}

/// Where pieces of these lengths go: the short ones first, in one segment, then each long one in its own.
fn arrange(lengths: &[usize]) -> (Vec<Range<usize>>, Vec<Segment>) {
    let mut places = vec![0..0; lengths.len()];
    let mut segments = Vec::new();
    let mut next = 0;
    for wide in [false, true] {
        let first = next;
        for (place, &length) in places.iter_mut().zip(lengths) {
            if (length > NARROW_ROWS) != wide {
                continue;
            }
            *place = next..next + length;
            next += length;
            if wide {
                segments.push(Segment { rows: place.clone(), wide });
            }
        }
        if !wide && next > first {
            segments.push(Segment { rows: first..next, wide });
        }
    }
    (places, segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_chunks_come_first_and_answers_find_their_rows() {
        let mut batch = Batch::default();
        let tokens: Vec<TokenId> = (0..20).map(TokenId).collect();
        batch.push(SlotId(0), 5, &tokens[..10], Want::Last);
        batch.push(SlotId(1), 7, &tokens[10..11], Want::Last);
        batch.push(SlotId(2), 0, &tokens[11..20], Want::All);
        batch.push(SlotId(3), 3, &tokens[0..2], Want::Nothing);
        let plan = Plan::of(&batch);

        let rows: Vec<_> = plan.chunks.iter().map(|chunk| chunk.rows.clone()).collect();
        assert_eq!(rows, [3..13, 0..1, 13..22, 1..3]);
        let segments: Vec<_> = plan.segments.iter().map(|s| (s.rows.clone(), s.wide)).collect();
        assert_eq!(segments, [(0..3, false), (3..13, true), (13..22, true)]);
        assert_eq!((plan.tokens[0], plan.positions[0]), (10, 7));
        assert_eq!((plan.tokens[12], plan.positions[12]), (9, 14));

        assert_eq!(plan.answers, [0..1, 1..2, 2..11, 2..2]);
        assert_eq!(plan.wanted[..3], [12, 0, 13]);
        let wanted: Vec<_> = plan.wanted_segments.iter().map(|s| (s.rows.clone(), s.wide)).collect();
        assert_eq!(wanted, [(0..2, false), (2..11, true)]);
    }
}
