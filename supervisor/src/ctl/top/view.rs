//! What is shown, and what keys do to it.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use impetus_proto::supervisor::{StatusReply, WorkerStatus};
use tokio::time::Instant;

use super::speed::{Speed, Speedometer};

/// The state of the server, how fast it is, and where the person who looks at it is.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) reply: StatusReply,
    pub(super) speeds: BTreeMap<String, Speed>,
    /// Whether the server does not answer any more.
    pub(super) is_lost: bool,
    pub(super) sort: Sort,
    /// The worker that more is shown of, by its place in the order.
    pub(super) chosen: usize,
    meter: Speedometer,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// As the server has them: by format, the oldest first.
    #[default]
    Worker,
    Model,
    Speed,
    Memory,
}

/// Whether the view goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Away,
}

impl View {
    pub(super) fn take_in(&mut self, reply: StatusReply, now: Instant) {
        self.speeds = self.meter.look(&reply.workers, now);
        self.reply = reply;
        self.is_lost = false;
        self.chosen = self.chosen.min(self.reply.workers.len().saturating_sub(1));
    }

    /// The server does not answer. What it said last stays to be seen.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Goes {
        if key.kind == KeyEventKind::Release {
            return Goes::On;
        }
        let last = self.reply.workers.len().saturating_sub(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Goes::Away,
            KeyCode::Char('q') | KeyCode::Esc => return Goes::Away,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.chosen = (self.chosen + 1).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            _ => {}
        }
        Goes::On
    }

    /// The workers in their order.
    pub(super) fn workers(&self) -> Vec<&WorkerStatus> {
        let mut workers: Vec<&WorkerStatus> = self.reply.workers.iter().collect();
        match self.sort {
            Sort::Worker => {}
            // Those without a model come last.
            Sort::Model => workers.sort_by_key(|worker| (worker.model.is_empty(), worker.model.clone())),
            Sort::Speed => {
                workers.sort_by(|a, b| self.speed(b).completion.total_cmp(&self.speed(a).completion));
            }
            Sort::Memory => workers.sort_by_key(|worker| std::cmp::Reverse(worker.rss_bytes)),
        }
        workers
    }

    pub(super) fn speed(&self, worker: &WorkerStatus) -> Speed {
        self.speeds.get(&worker.id).copied().unwrap_or_default()
    }
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Worker => Self::Model,
            Self::Model => Self::Speed,
            Self::Speed => Self::Memory,
            Self::Memory => Self::Worker,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Model => "model",
            Self::Speed => "tokens/s",
            Self::Memory => "memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let worker = |id: &str, model: &str, rss_bytes| WorkerStatus {
            id: id.into(),
            model: model.into(),
            rss_bytes,
            ..WorkerStatus::default()
        };
        let workers = vec![worker("1", "", 5), worker("2", "b", 1), worker("3", "a", 9)];
        let mut view = View::default();
        view.take_in(StatusReply { workers, ..StatusReply::default() }, Instant::now());
        view.speeds.insert("2".into(), Speed { completion: 5.0, ..Speed::default() });
        view
    }

    fn order(view: &View) -> Vec<&str> {
        view.workers().iter().map(|worker| worker.id.as_str()).collect()
    }

    #[test]
    fn s_goes_through_the_orders() {
        let mut view = view();
        let expected = [
            ("worker", ["1", "2", "3"]),
            ("model", ["3", "2", "1"]),
            ("tokens/s", ["2", "1", "3"]),
            ("memory", ["3", "1", "2"]),
        ];
        for (name, ids) in expected.iter().cycle().take(5) {
            assert_eq!((view.sort.name(), order(&view).as_slice()), (*name, ids.as_slice()));
            assert_eq!(view.press(KeyCode::Char('s').into()), Goes::On);
        }
    }

    #[test]
    fn arrows_stay_within_the_table() {
        let mut view = view();
        let mut press = |code: KeyCode, expected: usize| {
            view.press(code.into());
            assert_eq!(view.chosen, expected, "{code:?}");
        };
        press(KeyCode::Up, 0);
        press(KeyCode::Down, 1);
        press(KeyCode::Down, 2);
        press(KeyCode::Down, 2);
        press(KeyCode::Home, 0);
        press(KeyCode::End, 2);
        view.take_in(StatusReply::default(), Instant::now());
        assert_eq!(view.chosen, 0);
    }

    #[test]
    fn q_and_ctrl_c_lead_away() {
        let mut view = view();
        assert_eq!(view.press(KeyCode::Char('q').into()), Goes::Away);
        assert_eq!(view.press(KeyCode::Esc.into()), Goes::Away);
        assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Goes::Away);
        assert_eq!(view.press(KeyCode::Char('c').into()), Goes::On);
    }
}
