//! What is written down of the ends of workers.

use tokio::time::Instant;

use super::{Entry, Fleet, seat::Stage};
use crate::{
    attribution::ExitCause,
    budget::RAM,
    crashes::{Crash, Model, Serving},
    events::{Kind, Note},
    worker::{Nursery, WorkerId},
};

impl<N: Nursery> Fleet<N> {
    /// The worker has ended, unless it was asked to.
    pub(super) fn note_exit(&mut self, id: &WorkerId, entry: &Entry, cause: &ExitCause, now: Instant) {
        if *cause == ExitCause::Stopped {
            return;
        }
        let model = entry.model().unwrap_or_default();
        let note = Note::new(Kind::WorkerExited, id.as_str(), cause).with("model", model);
        if !Crash::is_one(cause) {
            return self.nursery.note(note);
        }
        let worker = Some(self.serving(id, entry));
        let crash = Crash::new(id.as_str(), entry.pid, cause, now.saturating_duration_since(entry.started));
        self.nursery.report(Crash { worker, ..crash }, note);
    }

    /// The model's worker has ended: what becomes of the model, if that is the end of it.
    pub(super) fn note_end(&mut self, model: &str) {
        let note = match self.residents.get(model).map(|resident| &resident.main) {
            Some(Stage::Absent) => Note::new(Kind::ModelUnloaded, model, "is not loaded any more"),
            Some(Stage::Failed { error, .. }) => Note::new(Kind::ModelFailed, model, &error.message),
            _ => return,
        };
        self.nursery.note(note);
    }

    fn serving(&self, id: &WorkerId, entry: &Entry) -> Serving {
        let model = entry.placed.as_ref().map(|placed| {
            let spec = &placed.manifest.spec;
            let draft = spec.speculation.as_ref().and_then(|speculation| speculation.draft.as_ref());
            Model {
                name: placed.model.clone(),
                path: spec.path.clone(),
                slots: spec.slots,
                context_tokens: spec.context_tokens,
                threads: spec.threads,
                options: spec.options.clone().into_iter().collect(),
                draft: draft.map(|draft| draft.model.clone()),
            }
        });
        Serving {
            format: entry.format.clone(),
            model,
            state: entry.state.name().to_owned(),
            sandbox: entry.sandbox.clone(),
            sequences: entry.stats.slots_busy,
            waiting: entry.stats.waiting,
            leases: u32::try_from(self.n_holders(id)).unwrap_or(u32::MAX),
            peak_bytes: entry.peaks.of(RAM),
            limit_bytes: entry.placed.as_ref().and_then(|placed| placed.limit_bytes),
        }
    }
}
