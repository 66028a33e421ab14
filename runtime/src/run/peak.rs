//! The most memory that this process has held at once.

use std::fs::File;

use impetus_proto::launch::PoolBytes;
use nix::sys::resource::{UsageWho, getrusage};

/// The name of the machine's RAM among pools.
const RAM: &str = "ram";

/// `ru_maxrss` counts kibibytes, but bytes on macOS (getrusage(2) of either).
const MAXRSS_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };

/// Bytes that suffice for `/proc/self/status`; what is read of it is in its first half.
#[cfg(target_os = "linux")]
const STATUS_BYTES: usize = 4096;

/// Where the kernel tells it.
pub(super) struct Peak {
    /// `/proc/self/status`, opened before the sandbox is sealed.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    status: Option<File>,
}

impl Peak {
    /// To be made before the sandbox is sealed.
    pub(super) fn open() -> Self {
        Self { status: File::open("/proc/self/status").ok() }
    }

    /// The peak of each pool that the kernel knows of; the memory of GPUs is the engines' to tell.
    pub(super) fn pools(&self) -> Vec<PoolBytes> {
        self.ram().map(|bytes| PoolBytes { pool: RAM.to_owned(), bytes }).into_iter().collect()
    }

    /// Resident bytes at their highest, mapped files included. Linux keeps it by address space, so by program;
    /// elsewhere what the program before this one held counts too.
    fn ram(&self) -> Option<u64> {
        #[cfg(target_os = "linux")]
        if let Some(bytes) = self.high_water() {
            return Some(bytes);
        }
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        Some(u64::try_from(usage.max_rss()).ok()?.saturating_mul(MAXRSS_UNIT))
    }

    #[cfg(target_os = "linux")]
    fn high_water(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt;

        let mut text = [0; STATUS_BYTES];
        let length = self.status.as_ref()?.read_at(&mut text, 0).ok()?;
        high_water_of(&text[..length])
    }
}

/// `VmHWM`, which proc_pid_status(5) gives in kibibytes.
#[cfg(target_os = "linux")]
fn high_water_of(status: &[u8]) -> Option<u64> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"VmHWM:"))?;
    let kibibytes: u64 = std::str::from_utf8(line).ok()?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_stays_when_what_made_it_is_gone() {
        const BYTES: u64 = 64 << 20;
        let peak = Peak::open();
        let before = peak.ram().expect("the kernel tells");
        drop(std::hint::black_box(vec![1_u8; BYTES as usize]));
        let after = peak.ram().expect("the kernel tells");
        // Other tests of this process may have freed as much meanwhile, but not made the peak lower.
        assert!(after >= BYTES && after >= before, "{before} {after}");
        assert_eq!(peak.pools(), [PoolBytes { pool: "ram".into(), bytes: peak.ram().unwrap() }]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_high_water_mark_is_found_or_nothing() {
        let check =
            |status: &str, expected| assert_eq!(high_water_of(status.as_bytes()), expected, "{status}");
        check("Name:\tworker\nVmPeak:\t  900 kB\nVmHWM:\t   12 kB\nVmRSS:\t 8 kB\n", Some(12 * 1024));
        check("Name:\tVmHWM: 3 kB\n", None);
        check("VmHWM:\t12 MB\n", None);
        check("VmHWM:\t99999999999999999999 kB\n", None);
        check("VmHWM:\t18446744073709551615 kB\n", None);
        check("", None);
    }
}
