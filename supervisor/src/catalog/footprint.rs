//! What a worker will hold, by the formulas of `impetus-models`, in the pools of this machine.

use impetus_models::{Footprint, FootprintParams, GGUF_FORMAT, Model, ONNX_FORMAT, Share, Task, footprint};
use impetus_proto::launch::WorkerSpec;

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
    /// Keys and values of all slots, wherever they are; 0 where there are none, or nobody knows.
    pub(super) kv_bytes: u64,
}

impl Computed {
    /// For a worker that is told `spec` of `model`.
    pub(super) fn of(model: &Model, spec: &WorkerSpec) -> Self {
        let params = FootprintParams {
            format: &model.format,
            slots: spec.slots,
            context_tokens: spec.context_tokens,
            threads: spec.threads,
            options: &spec.options,
            gpus: if is_meant_for_gpus(&model.format, spec) { machine::n_gpus() } else { 0 },
        };
        match model.metadata().and_then(|metadata| Some((metadata.task, footprint(metadata, &params)?))) {
            Some((task, computed)) => Self {
                footprint: by_pool(&computed, Share::full),
                growth: Some(by_pool(&computed, Share::growth)),
                kv_bytes: if task == Task::Generate { kv(&computed) } else { 0 },
            },
            None => Self {
                footprint: Memory::ram(model.size_bytes.saturating_add(PROCESS_BYTES)),
                growth: None,
                kv_bytes: 0,
            },
        }
    }
}

/// Whether the settings send the model to GPUs. Without them that is up to how its worker was built, which only the
/// worker knows.
fn is_meant_for_gpus(format: &str, spec: &WorkerSpec) -> bool {
    match format {
        GGUF_FORMAT => spec.options.contains_key("gpu_layers"),
        ONNX_FORMAT => spec.options.get("provider").is_some_and(|provider| provider == "cuda"),
        _ => false,
    }
}

fn kv(computed: &Footprint) -> u64 {
    let gpus = computed.gpus.iter().map(|gpu| gpu.kv);
    gpus.fold(computed.ram.kv, u64::saturating_add)
}

fn by_pool(computed: &Footprint, bytes: fn(&Share) -> u64) -> Memory {
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
        let share = |kv| Share { kv, ..Share::default() };
        assert_eq!(kv(&Footprint { ram: share(5), gpus: vec![share(u64::MAX)] }), u64::MAX);
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
        check("candle", ("gpu_layers", "99"), false);
    }
}
