//! Where the time goes, stage by stage.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use impetus_proto::worker::StageTimes;

/// A part of a worker's work; what each is, `worker.v1.StageTimes` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Tokenize,
    Queue,
    Prefill,
    Decode,
    Compose,
    Sample,
    Detokenize,
    Keep,
}

/// The time of each stage, in nanoseconds: many a step spends less than a microsecond on one.
#[derive(Debug, Default)]
pub(super) struct Stages([AtomicU64; Stage::Keep as usize + 1]);

impl Stages {
    pub(super) fn add(&self, stage: Stage, time: Duration) {
        self.0[stage as usize].fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// As the protocol says them.
    pub(super) fn times(&self) -> StageTimes {
        let us = |stage: Stage| self.0[stage as usize].load(Relaxed) / 1000;
        StageTimes {
            tokenize_us: us(Stage::Tokenize),
            queue_us: us(Stage::Queue),
            prefill_us: us(Stage::Prefill),
            decode_us: us(Stage::Decode),
            compose_us: us(Stage::Compose),
            sample_us: us(Stage::Sample),
            detokenize_us: us(Stage::Detokenize),
            keep_us: us(Stage::Keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_microseconds_add_up() {
        let stages = Stages::default();
        for _ in 0..4 {
            stages.add(Stage::Sample, Duration::from_nanos(600));
        }
        stages.add(Stage::Keep, Duration::from_millis(1));
        let expected = StageTimes { sample_us: 2, keep_us: 1000, ..StageTimes::default() };
        assert_eq!(stages.times(), expected);
    }
}
