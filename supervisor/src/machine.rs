//! How much memory this machine has and has left, by pool, and how much of it workers may hold together.
//!
//! RAM is what the kernel says a new program could have, or what is left within the control groups that this process
//! is in, whichever is less. On Apple's machines the GPU computes in RAM, so there is no pool besides. Each NVIDIA card
//! is a pool, `cuda0` being the first on the PCI bus.

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "macos")]
mod mach;
#[cfg(target_os = "linux")]
mod meminfo;
mod nvidia;
mod power;

pub use power::power;

use impetus_config::{BudgetConfig, Quota, Size};

use crate::{
    budget::{Memory, RAM},
    memory,
};

/// One kind of memory at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSample {
    /// [`RAM`], or `cuda0` and so on.
    pub name: String,
    /// What there is.
    pub total_bytes: u64,
    /// What nobody uses; files that are only cached count as unused.
    pub available_bytes: u64,
}

/// What there is and what is available, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    total: u64,
    available: u64,
}

impl PoolSample {
    fn new(name: impl Into<String>, room: Room) -> Self {
        Self { name: name.into(), total_bytes: room.total, available_bytes: room.available.min(room.total) }
    }
}

impl Room {
    /// The lesser of both, each figure for itself.
    #[cfg(target_os = "linux")]
    fn within(self, other: Self) -> Self {
        Self { total: self.total.min(other.total), available: self.available.min(other.available) }
    }
}

/// All pools of this machine, RAM first where the system tells of it. Takes well under a millisecond, but for the
/// first call where there is an NVIDIA driver, which loads the driver's library.
pub fn pools() -> Vec<PoolSample> {
    let ram = ram().map(|room| PoolSample::new(RAM, room));
    ram.into_iter().chain(nvidia::pools()).collect()
}

/// How many NVIDIA cards there are.
pub fn n_gpus() -> u32 {
    nvidia::count()
}

/// The version of NVIDIA's driver, where it works; else why it does not.
pub fn gpu_driver() -> Result<String, String> {
    nvidia::driver()
}

/// What can be swapped out and what is, in bytes, where the system tells.
pub fn swap() -> Option<(u64, u64)> {
    #[cfg(target_os = "linux")]
    return meminfo::swap();
    #[cfg(not(target_os = "linux"))]
    None
}

/// The name of the pool of the card with this number.
pub fn gpu_pool(idx: usize) -> String {
    format!("cuda{idx}")
}

/// What these processes hold that would be available without them: of RAM not the files that they map, which count
/// as available already.
pub fn held(pids: &[u32]) -> Memory {
    let ram = pids.iter().filter_map(|&pid| memory::unshared_bytes(pid)).fold(0, u64::saturating_add);
    nvidia::held(pids).with(RAM, ram)
}

/// What workers may hold together, by pool: a figure as it stands, or else what is available and what they hold already
/// (`held`), less the reserve. So what other programs hold counts against it. A fixed figure for a pool that the system
/// tells nothing of holds too.
pub fn limits(config: &BudgetConfig, samples: &[PoolSample], held: &Memory) -> Memory {
    let mut limits = Memory::default();
    if let Quota::Fixed(size) = config.ram {
        limits = limits.with(RAM, size.0);
    }
    for sample in samples {
        let (quota, reserve) = match sample.name.as_str() {
            RAM => (config.ram, config.ram_reserve),
            _ => (config.gpu, config.gpu_reserve),
        };
        limits = limits.with(&sample.name, limit(quota, reserve, sample, held.of(&sample.name)));
    }
    limits
}

fn limit(quota: Quota, reserve: Size, sample: &PoolSample, held: u64) -> u64 {
    match quota {
        Quota::Fixed(size) => size.0,
        Quota::Auto => {
            let without_workers = sample.available_bytes.saturating_add(held).min(sample.total_bytes);
            without_workers.saturating_sub(reserve.0)
        }
    }
}

#[cfg(target_os = "linux")]
fn ram() -> Option<Room> {
    let machine = meminfo::room()?;
    Some(cgroup::room().map_or(machine, |group| machine.within(group)))
}

#[cfg(target_os = "macos")]
fn ram() -> Option<Room> {
    mach::room()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn ram() -> Option<Room> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn sample(name: &str, total: u64, available: u64) -> PoolSample {
        PoolSample::new(name, Room { total: total * GIB, available: available * GIB })
    }

    #[test]
    fn what_others_hold_counts_against_auto() {
        let check = |quota: &str, available: u64, held: u64, expected: u64| {
            let ram = Quota::try_from(quota.to_owned()).unwrap();
            let config = BudgetConfig { ram, ram_reserve: Size(GIB), ..BudgetConfig::default() };
            let limits = limits(&config, &[sample(RAM, 16, available)], &Memory::ram(held * GIB));
            assert_eq!(limits, Memory::ram(expected * GIB), "{quota} {available} {held}");
        };
        check("auto", 12, 0, 11);
        check("auto", 8, 4, 11);
        check("auto", 2, 4, 5);
        check("auto", 0, 0, 0);
        check("auto", 15, 9, 15);
        check("20 GiB", 1, 0, 20);
    }

    #[test]
    fn each_card_is_a_pool_with_a_limit_of_its_own() {
        let gpu = Quota::try_from("auto".to_owned()).unwrap();
        let config = BudgetConfig { gpu, gpu_reserve: Size(GIB), ..BudgetConfig::default() };
        let samples = [sample(RAM, 8, 8), sample("cuda0", 24, 20), sample("cuda1", 24, 1)];
        let limits = limits(&config, &samples, &Memory::default().with("cuda1", 10 * GIB));
        assert_eq!((limits.of("cuda0"), limits.of("cuda1")), (19 * GIB, 10 * GIB));
        assert_eq!(limits.of("cuda2"), 0);
    }

    #[test]
    fn a_figure_holds_where_nothing_is_known() {
        let ram = Quota::Fixed(Size(GIB));
        let config = BudgetConfig { ram, ..BudgetConfig::default() };
        assert_eq!(limits(&config, &[], &Memory::default()), Memory::ram(GIB));
        assert_eq!(limits(&BudgetConfig::default(), &[], &Memory::default()), Memory::default());
    }

    #[test]
    fn this_machine_has_ram() {
        let pools = pools();
        let ram = pools.first().expect("a pool");
        assert_eq!(ram.name, RAM);
        assert!(ram.available_bytes > 0 && ram.available_bytes <= ram.total_bytes, "{pools:?}");
        assert!(pools[1..].iter().all(|pool| pool.name.starts_with("cuda")), "{pools:?}");
        assert!(held(&[std::process::id()]).of(RAM) > 0);
        assert_eq!(held(&[]).of(RAM), 0);
    }
}
