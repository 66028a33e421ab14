//! How many slots a seat's worker is given: the number that is configured, or as many as there is room for.

use std::sync::Arc;

use super::{
    Fleet, Manifest, Width,
    seat::{Resident, Role, Seat},
};
use crate::{
    budget::{Memory, RAM},
    policy::{
        sizing::Sizing,
        slots::{self, Bound, Choice, USUAL},
    },
    worker::Nursery,
};

/// What a seat is to be placed with.
pub(super) struct Fit {
    /// With as many slots as it gets.
    pub(super) manifest: Arc<Manifest>,
    /// What that takes.
    pub(super) need: Memory,
    /// Why it gets no more slots; none where the number is configured, or there are no more.
    pub(super) bound: Option<Bound>,
}

impl Manifest {
    /// The same with as many slots as `width` has, and no other choice.
    fn with(&self, width: &Width) -> Self {
        let mut spec = self.spec.clone();
        spec.slots = width.slots;
        if let Some(prefixes) = &mut spec.prefixes {
            prefixes.ram_bytes = width.prefix_bytes;
        }
        let (footprint, growth) = (width.footprint.clone(), width.growth.clone());
        Self { spec, footprint, growth, widths: Vec::new(), ..self.clone() }
    }

    /// The same with so many slots, where it can have as many.
    pub(super) fn with_slots(self: &Arc<Self>, slots: u32) -> Arc<Self> {
        let width = self.widths.iter().find(|width| width.slots == slots);
        width.map_or_else(|| self.clone(), |width| Arc::new(self.with(width)))
    }
}

impl Resident {
    /// The model is as `manifest` says from now on. What its worker had counts no more where it is told something else.
    pub(super) fn renew(&mut self, manifest: Arc<Manifest>) {
        if self.manifest.spec != manifest.spec {
            self.slots = None;
        }
        self.manifest = manifest;
    }

    /// Notes what its worker was placed with.
    pub(super) fn note_slots(&mut self, slots: u32) {
        self.slots = (!self.manifest.widths.is_empty()).then_some(slots);
    }

    /// Its worker goes and nobody is to take its place at once: where there was little room there may be more the next
    /// time.
    pub(super) fn forget_few_slots(&mut self) {
        self.slots = self.slots.filter(|slots| *slots >= USUAL);
    }

    /// The slots of the present worker, or of the last one, where one that is told `manifest` should have as many.
    fn slots_for(&self, manifest: &Manifest) -> Option<u32> {
        self.slots.filter(|_| self.manifest.spec == manifest.spec)
    }
}

impl<N: Nursery> Fleet<N> {
    /// What the seat's worker is given where so much is free.
    pub(super) fn fit(&self, seat: &Seat, free: &Memory) -> Option<Fit> {
        let resident = self.residents.get(&seat.model)?;
        let manifest = resident.manifest_of(seat.role);
        let former = resident.slots_for(manifest);
        let (widths, caps) = match (seat.role, former) {
            // One request needs one slot.
            (Role::Alone, _) => (last_of(&manifest.widths), Vec::new()),
            // What takes over is what it takes over from.
            (Role::Next, Some(slots)) => (only(&manifest.widths, slots), Vec::new()),
            (_, former) => (manifest.widths.as_slice(), caps(manifest, &resident.sizing, former)),
        };
        let limit = self.memory.borrow().limit.clone();
        let fits: Vec<Fit> =
            widths.iter().map(|width| self.fit_of(manifest.with(width).into(), resident)).collect();
        let choices: Vec<Choice> = std::iter::zip(widths, &fits)
            .map(|(width, fit)| Choice { slots: width.slots, need: fit.need.clone(), kv: width.kv.clone() })
            .collect();
        let Some((idx, bound)) = slots::choose(&choices, &caps, free, &limit) else {
            let fit = self.fit_of(manifest.clone(), resident);
            return Some(Fit { need: self.least_of(manifest, fit.need), ..fit });
        };
        let fit = fits.into_iter().nth(idx)?;
        let is_least = idx + 1 == choices.len();
        let need = if is_least { self.least_of(&fit.manifest, fit.need) } else { fit.need };
        Some(Fit { need, bound, ..fit })
    }

    /// What the seat needs at least.
    pub(super) fn least_need(&self, seat: &Seat) -> Memory {
        self.fit(seat, &Memory::default()).map(|fit| fit.need).unwrap_or_default()
    }

    /// What has to be free beside others for a worker that is told `manifest`: with the slots that the model has, or,
    /// where it has none yet, the usual ones, as far as there could ever be room for them.
    pub(super) fn need_beside(&self, manifest: &Arc<Manifest>) -> Memory {
        let limit = self.memory.borrow().limit.clone();
        let former =
            self.residents.get(&manifest.spec.model).and_then(|resident| resident.slots_for(manifest));
        let need = |width: &Width| self.predict(&manifest.with(width));
        let widths = match former {
            Some(slots) => only(&manifest.widths, slots),
            None => manifest.widths.as_slice(),
        };
        let usual = widths.iter().filter(|width| former.is_some() || width.slots <= USUAL).map(need);
        let found = usual.clone().find(|need| need.fits(&limit)).or_else(|| usual.last());
        found.unwrap_or_else(|| self.predict(manifest))
    }

    /// What a worker that is told `manifest` needs, earlier deaths for lack of memory considered.
    fn fit_of(&self, manifest: Arc<Manifest>, resident: &Resident) -> Fit {
        let need = self.predict(&manifest).times(resident.sizing.factor);
        Fit { manifest, need, bound: None }
    }

    /// What was learned from workers that took too much must not make a model too large for good.
    fn least_of(&self, manifest: &Manifest, need: Memory) -> Memory {
        let limit = &self.memory.borrow().limit;
        if manifest.fixed.is_none() && manifest.footprint.fits(limit) { need.min(limit) } else { need }
    }
}

/// What allows no more slots than so many.
fn caps(manifest: &Manifest, sizing: &Sizing, former: Option<u32>) -> Vec<(u32, Bound)> {
    let setting = manifest.fixed.as_ref().map(|fixed| {
        let fits = |width: &&Width| width.footprint.of(RAM) <= fixed.of(RAM);
        (manifest.widths.iter().find(fits).map_or(1, |width| width.slots), Bound::Setting)
    });
    let death = sizing.slots.map(|slots| (slots, Bound::Death));
    let former = former.map(|slots| (slots, Bound::Former));
    [death, setting, former].into_iter().flatten().collect()
}

fn last_of(widths: &[Width]) -> &[Width] {
    &widths[widths.len().saturating_sub(1)..]
}

/// Those of `widths` that have so many slots; all where none has.
fn only(widths: &[Width], slots: u32) -> &[Width] {
    let idx = widths.iter().position(|width| width.slots == slots);
    idx.map_or(widths, |idx| &widths[idx..=idx])
}
