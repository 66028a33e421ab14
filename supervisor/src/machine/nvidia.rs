//! NVIDIA's cards, as the driver's own library sees them. It is looked for once; where there is none, there are no
//! cards.

use std::sync::LazyLock;

use nvml_wrapper::{Device, Nvml, enums::device::UsedGpuMemory};

use super::{PoolSample, Room, gpu_pool};
use crate::budget::Memory;

/// The library, which stays loaded: to load it takes long, and there is one driver in a machine.
static NVML: LazyLock<Option<Nvml>> = LazyLock::new(|| {
    let nvml = Nvml::init();
    nvml.inspect_err(|error| tracing::debug!(%error, "no NVIDIA driver")).ok()
});

/// The memory of each card.
pub(super) fn pools() -> Vec<PoolSample> {
    let pool = |(name, device): (String, Device)| {
        let memory = device.memory_info().ok()?;
        Some(PoolSample::new(name, Room { total: memory.total, available: memory.free }))
    };
    devices().filter_map(pool).collect()
}

/// What the processes hold of each card's memory, as far as the driver tells.
pub(super) fn held(pids: &[u32]) -> Memory {
    devices().fold(Memory::default(), |held, (name, device)| {
        let processes = device.running_compute_processes().unwrap_or_default();
        let ours = processes.iter().filter(|process| pids.contains(&process.pid));
        let bytes = ours.fold(0, |sum: u64, process| match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => sum.saturating_add(bytes),
            UsedGpuMemory::Unavailable => sum,
        });
        held.with(&name, bytes)
    })
}

/// How many cards there are.
pub(super) fn count() -> u32 {
    NVML.as_ref().and_then(|nvml| nvml.device_count().ok()).unwrap_or_default()
}

/// The driver's version, where there is one; else why not.
pub(super) fn driver() -> Result<String, String> {
    match NVML.as_ref() {
        Some(nvml) => nvml.sys_driver_version().map_err(|error| error.to_string()),
        None => Err("its library libnvidia-ml cannot be loaded".to_owned()),
    }
}

/// The cards by the names of their pools, in the order of the PCI bus.
fn devices() -> impl Iterator<Item = (String, Device<'static>)> {
    let nvml = NVML.as_ref();
    (0..count()).filter_map(move |idx| Some((gpu_pool(idx as usize), nvml?.device_by_index(idx).ok()?)))
}
