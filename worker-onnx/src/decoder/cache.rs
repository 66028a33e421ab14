//! Keys and values, in tensors of the library. Slots that decode together are the rows of one group, so that one
//! run computes them all; what a run gives is the group's next state and is copied nowhere. A group is laid anew
//! only when other slots decode together than before, which costs about what every run costs anyway: graphs that
//! append to their cache write it anew each time. With 110 million parameters in F32 on two cores, eight sequences
//! decode three to five times as fast so as with a run for each.

mod state;

use std::collections::BTreeMap;

use half::{bf16, f16};
use impetus_runtime::engine::SlotId;
use ort::{
    Result,
    memory::Allocator,
    value::{DynTensor, DynValue, PrimitiveTensorElementType, TensorElementType},
};

/// The keys or values of one layer, but for rows and columns: `[rows, heads, columns, size]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorShape {
    pub(crate) heads: usize,
    pub(crate) size: usize,
    pub(crate) element: TensorElementType,
}

/// Where a row's tokens lie when it has fewer of them than there are columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// In the first columns: `GroupQueryAttention` appends to each row where it ends.
    Start,
    /// In the last columns: everything else appends a column.
    End,
}

/// The tokens of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) slot: SlotId,
    pub(crate) tokens: usize,
}

/// Rows that one run computes.
#[derive(Debug)]
pub(crate) struct Group {
    /// None where a slot has left.
    rows: Vec<Option<Row>>,
    pub(crate) columns: usize,
    /// In the order of the layers, keys before values.
    pub(crate) tensors: Vec<DynValue>,
}

/// The caches of all slots.
pub(crate) struct Cache {
    shapes: Vec<TensorShape>,
    side: Side,
    groups: BTreeMap<u64, Group>,
    /// The next group's key.
    next: u64,
}

/// Names a group until it is laid anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupId(u64);

impl Group {
    /// The rows of a group that no slot has left.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = Row> {
        let whole = |row: &Option<Row>| row.expect("a group is run whole");
        self.rows.iter().map(whole)
    }

    /// The same rows `n_tokens` later.
    pub(crate) fn advanced(&self, n_tokens: usize, columns: usize, tensors: Vec<DynValue>) -> Self {
        let later = |row: &Option<Row>| row.map(|row| Row { tokens: row.tokens + n_tokens, ..row });
        Self { rows: self.rows.iter().map(later).collect(), columns, tensors }
    }

    fn position(&self, slot: SlotId) -> Option<usize> {
        self.rows.iter().position(|row| row.is_some_and(|row| row.slot == slot))
    }

    fn is(&self, slots: &[SlotId]) -> bool {
        self.rows.len() == slots.len()
            && self.rows.iter().zip(slots).all(|(row, &slot)| row.is_some_and(|row| row.slot == slot))
    }
}

impl Cache {
    /// Empty caches.
    pub(crate) fn new(shapes: Vec<TensorShape>, side: Side) -> Self {
        Self { shapes, side, groups: BTreeMap::new(), next: 0 }
    }

    /// Tokens of `slot`.
    pub(crate) fn length(&self, slot: SlotId) -> usize {
        self.find(slot).map_or(0, |(_, row)| row.tokens)
    }

    /// Makes `slots`, in this order, the rows of one group.
    pub(crate) fn gather(&mut self, slots: &[SlotId]) -> Result<GroupId> {
        if let Some((&id, _)) = self.groups.iter().find(|(_, group)| group.is(slots)) {
            return Ok(GroupId(id));
        }
        let rows: Vec<Row> = slots.iter().map(|&slot| Row { slot, tokens: self.length(slot) }).collect();
        let group = self.lay(&rows, slots)?;
        for &slot in slots {
            self.clear(slot);
        }
        Ok(self.keep(group))
    }

    /// A group of [`Cache::gather`].
    pub(crate) fn group(&self, id: GroupId) -> &Group {
        &self.groups[&id.0]
    }

    /// Puts a group's next state into its place.
    pub(crate) fn put(&mut self, id: GroupId, group: Group) {
        self.groups.insert(id.0, group);
    }

    /// Forgets the tokens of `slot` from `length` on.
    pub(crate) fn truncate(&mut self, slot: SlotId, length: usize) -> Result<()> {
        if length < self.length(slot) {
            self.copy(slot, slot, length)?;
        }
        Ok(())
    }

    /// Makes `to` hold the first `length` tokens of `from`.
    pub(crate) fn copy(&mut self, from: SlotId, to: SlotId, length: usize) -> Result<()> {
        let tokens = length.min(self.length(from));
        let group = match tokens {
            0 => None,
            _ => Some(self.lay(&[Row { slot: to, tokens }], &[from])?),
        };
        self.clear(to);
        if let Some(group) = group {
            self.keep(group);
        }
        Ok(())
    }

    /// Forgets `slot`.
    pub(crate) fn clear(&mut self, slot: SlotId) {
        let Some((id, _)) = self.find(slot) else { return };
        let Some(group) = self.groups.get_mut(&id) else { return };
        if let Some(position) = group.position(slot) {
            group.rows[position] = None;
        }
        let left: Vec<Row> = group.rows.iter().flatten().copied().collect();
        if left.is_empty() {
            self.groups.remove(&id);
        } else if left.len() * 2 <= group.rows.len() {
            self.scatter(id, &left);
        }
    }

    /// Gives each of the `left` rows of a group its own, so that the memory of those that went is free. Where there
    /// is none for that, things stay as they are.
    fn scatter(&mut self, id: u64, left: &[Row]) {
        let alone: Result<Vec<Group>> = left.iter().map(|row| self.lay(&[*row], &[row.slot])).collect();
        let Ok(alone) = alone else { return };
        self.groups.remove(&id);
        for group in alone {
            self.keep(group);
        }
    }

    fn keep(&mut self, group: Group) -> GroupId {
        let id = self.next;
        self.next += 1;
        self.groups.insert(id, group);
        GroupId(id)
    }

    fn find(&self, slot: SlotId) -> Option<(u64, Row)> {
        self.groups.iter().find_map(|(&id, group)| Some((id, group.rows[group.position(slot)?]?)))
    }

    /// A group of `rows`, each with the first tokens of the slot in `from` that is in its place.
    fn lay(&self, rows: &[Row], from: &[SlotId]) -> Result<Group> {
        let columns = rows.iter().map(|row| row.tokens).max().unwrap_or(0);
        let tensors = (0..self.shapes.len()).map(|tensor| {
            let copy = match self.shapes[tensor].element {
                TensorElementType::Float16 => Self::lay_tensor::<f16>,
                TensorElementType::Bfloat16 => Self::lay_tensor::<bf16>,
                _ => Self::lay_tensor::<f32>,
            };
            copy(self, tensor, columns, rows, from)
        });
        let tensors = tensors.collect::<Result<_>>()?;
        Ok(Group { rows: rows.iter().copied().map(Some).collect(), columns, tensors })
    }

    fn lay_tensor<T: PrimitiveTensorElementType + Copy>(
        &self,
        tensor: usize,
        columns: usize,
        rows: &[Row],
        from: &[SlotId],
    ) -> Result<DynValue> {
        let TensorShape { heads, size, element } = self.shapes[tensor];
        let shape = [rows.len(), heads, columns, size];
        // The library gives it zeroed, so that columns without a token weigh nothing.
        let mut laid = DynTensor::new(&Allocator::default(), element, shape)?;
        let (_, target) = laid.try_extract_tensor_mut::<T>()?;
        for (idx, (row, &from)) in rows.iter().zip(from).enumerate() {
            let Some((id, held)) = self.find(from) else { continue };
            let group = &self.groups[&id];
            let (_, source) = group.tensors[tensor].try_extract_tensor::<T>()?;
            let place = group.position(from).unwrap_or(0);
            let (start, source_start) =
                (self.start(columns, row.tokens), self.start(group.columns, held.tokens));
            for head in 0..heads {
                let to = ((idx * heads + head) * columns + start) * size;
                let at = ((place * heads + head) * group.columns + source_start) * size;
                let n_elements = row.tokens * size;
                target[to..to + n_elements].copy_from_slice(&source[at..at + n_elements]);
            }
        }
        Ok(laid.into_dyn())
    }

    /// The first column of a row.
    fn start(&self, columns: usize, tokens: usize) -> usize {
        match self.side {
            Side::Start => 0,
            Side::End => columns - tokens,
        }
    }
}
