//! How much text each model's clients have received so far: by it one tells that streams go on.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use super::wait::eventually;

#[derive(Debug, Default)]
pub(super) struct Pulse(BTreeMap<String, AtomicU64>);

impl Pulse {
    pub(super) fn of<'m>(models: impl IntoIterator<Item = &'m str>) -> Self {
        Self(models.into_iter().map(|model| (model.to_owned(), AtomicU64::default())).collect())
    }

    /// Counts a piece of text.
    pub(super) fn beat(&self, model: &str) {
        if let Some(count) = self.0.get(model) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self, model: &str) -> u64 {
        self.0.get(model).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Waits until the clients of `model` have received this many pieces more than `before`.
    pub(super) async fn passes(&self, model: &str, before: u64, pieces: u64) -> anyhow::Result<()> {
        let what = format!("the clients of {model} receive {pieces} pieces of text");
        eventually(&what, || async { (self.count(model) >= before + pieces).then_some(()) }).await
    }
}
