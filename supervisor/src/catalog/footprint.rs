//! What a worker will hold, by the formulas of `impetus-models`, in the pools of this machine.

use impetus_models::{
    CANDLE_FORMAT, Footprint, FootprintParams, GGUF_FORMAT, Model, ONNX_FORMAT, Share, Task, footprint,
};
use impetus_proto::launch::{DraftSpec, WorkerSpec};

use crate::{budget::Memory, machine};

/// What a worker of a format without a formula holds besides the bytes of its files.
const PROCESS_BYTES: u64 = 64 << 20;

/// What a worker will hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Computed {
    /// With all slots full.
    pub(super) footprint: Memory,
    /// How much of it comes after the load, where that can be told.
    pub(super) growth: Option<Memory>,
    /// Keys and values of all slots; nothing where there are none, or nobody knows.
    pub(super) kv: Memory,
}

impl Computed {
    /// For a worker that is told `spec` of `model`.
    pub(super) fn of(model: &Model, spec: &WorkerSpec) -> Self {
        Self::new(model, spec, PROCESS_BYTES, |share| share)
    }

    /// The same with its `draft` model in the same process, which has as many slots of at most the same context. Prefixes
    /// are kept of the model alone.
    pub(super) fn with_draft(self, draft: &Model, told: &DraftSpec, spec: &WorkerSpec) -> Self {
        let context_tokens = match (spec.context_tokens, told.context_tokens) {
            (asked, 0) => asked,
            (asked, most) => asked.min(most),
        };
        let spec = WorkerSpec { context_tokens, options: told.options.clone(), ..spec.clone() };
        // The process is there already.
        let drafts = Self::new(draft, &spec, 0, |share| Share {
            process: 0,
            loaded: share.loaded.saturating_sub(share.process),
            ..share
        });
        Self {
            footprint: self.footprint.plus(&drafts.footprint),
            growth: self.growth.zip(drafts.growth).map(|(own, drafts)| own.plus(&drafts)),
            kv: self.kv,
        }
    }

    fn new(model: &Model, spec: &WorkerSpec, process_bytes: u64, part: fn(Share) -> Share) -> Self {
        match model.metadata().and_then(|metadata| Some((metadata.task, held(model, spec)?))) {
            Some((task, computed)) => Self {
                footprint: by_pool(&computed, |share| part(*share).full()),
                growth: Some(by_pool(&computed, |share| part(*share).growth())),
                kv: if task == Task::Generate {
                    by_pool(&computed, |share| share.kv)
                } else {
                    Memory::default()
                },
            },
            None => Self {
                footprint: Memory::ram(model.size_bytes.saturating_add(process_bytes)),
                growth: None,
                kv: Memory::default(),
            },
        }
    }
}

/// What a worker that is told `spec` of `model` will hold, part by part; none where no formula says.
pub(crate) fn held(model: &Model, spec: &WorkerSpec) -> Option<Footprint> {
    footprint(model.metadata()?, &params(model, spec))
}

fn params<'a>(model: &'a Model, spec: &'a WorkerSpec) -> FootprintParams<'a> {
    FootprintParams {
        format: &model.format,
        slots: spec.slots,
        context_tokens: spec.context_tokens,
        threads: spec.threads,
        options: &spec.options,
        gpus: if is_meant_for_gpus(&model.format, spec) { machine::n_gpus() } else { 0 },
    }
}

/// Whether the settings send the model to GPUs. Without them that is up to how its worker was built, which only the
/// worker knows.
fn is_meant_for_gpus(format: &str, spec: &WorkerSpec) -> bool {
    match format {
        GGUF_FORMAT => spec.options.contains_key("gpu_layers"),
        CANDLE_FORMAT => spec.options.get("device").is_some_and(|device| device == "cuda"),
        ONNX_FORMAT => spec.options.get("provider").is_some_and(|provider| provider == "cuda"),
        _ => false,
    }
}

fn by_pool(computed: &Footprint, bytes: impl Fn(&Share) -> u64) -> Memory {
    let gpus = computed.gpus.iter().enumerate();
    gpus.fold(Memory::ram(bytes(&computed.ram)), |memory, (idx, gpu)| {
        memory.with(&machine::gpu_pool(idx), bytes(gpu))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gpu_is_a_pool() {
        let share = |weights| Share { weights, ..Share::default() };
        let computed = Footprint { ram: share(1), gpus: vec![share(2), share(3)] };
        let expected = Memory::ram(1).with("cuda0", 2).with("cuda1", 3);
        assert_eq!(by_pool(&computed, Share::full), expected);
    }

    #[test]
    fn only_settings_send_models_to_gpus() {
        let check = |format: &str, option: (&str, &str), expected: bool| {
            let mut spec = WorkerSpec::default();
            spec.options.insert(option.0.into(), option.1.into());
            assert_eq!(is_meant_for_gpus(format, &spec), expected, "{format} {option:?}");
        };
        check("gguf", ("gpu_layers", "99"), true);
        check("gguf", ("mmap", "true"), false);
        check("onnx", ("provider", "cuda"), true);
        check("onnx", ("provider", "cpu"), false);
        check("candle", ("device", "cuda"), true);
        check("candle", ("device", "metal"), false);
        check("candle", ("gpu_layers", "99"), false);
    }
}
