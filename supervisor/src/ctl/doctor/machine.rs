//! Cores, memory and cards.

use std::{path::Path, thread};

use impetus_config::Config;

use super::{super::table::amount, Finding};
use crate::{
    budget::{Memory, RAM},
    machine,
};

/// Less than this for all workers is too little for any model of use, in bytes.
const LITTLE: u64 = 1 << 30;

/// What the driver of NVIDIA's cards is known by, where its library is not to be found.
const DRIVER: &str = "/proc/driver/nvidia/version";

pub(super) fn findings() -> Vec<Finding> {
    vec![cores(), swap(machine::swap()), gpus(machine::gpu_driver(), Path::new(DRIVER).exists())]
}

/// What workers may hold together.
pub(super) fn budget(config: &Config) -> Vec<Finding> {
    let samples = machine::pools();
    let limits = machine::limits(&config.budget, &samples, &Memory::default());
    let pools = samples.iter().map(|sample| {
        let seen = format!(
            "{} of {} available, of which workers may hold {}",
            amount(sample.available_bytes),
            amount(sample.total_bytes),
            amount(limits.of(&sample.name))
        );
        pool(&sample.name, seen, limits.of(&sample.name))
    });
    if samples.iter().any(|sample| sample.name == RAM) {
        return pools.collect();
    }
    let unknown = Finding::none(RAM, "the system does not tell; budget.ram bounds what workers may hold");
    std::iter::once(unknown).chain(pools).collect()
}

fn pool(name: &str, seen: String, limit_bytes: u64) -> Finding {
    let advice = format!(
        "end other programs, or set budget.{} and its reserve",
        if name == RAM { "ram" } else { "gpu" }
    );
    match limit_bytes {
        0 => Finding::error(name, seen, advice),
        1..LITTLE => Finding::warning(name, seen, advice),
        _ => Finding::ok(name, seen),
    }
}

fn cores() -> Finding {
    match thread::available_parallelism() {
        Ok(n) => Finding::ok("cores", n),
        Err(error) => Finding::none("cores", error),
    }
}

fn swap(swap: Option<(u64, u64)>) -> Finding {
    const NAME: &str = "swap";
    match swap {
        None => Finding::none(NAME, "the system does not tell"),
        Some((0, _)) => Finding::ok(NAME, "none"),
        Some((total, used)) => {
            let seen = format!("{} of {} in use", amount(used), amount(total));
            // Some pages go there in the course of time without anybody missing them.
            if used > total / 2 {
                Finding::warning(
                    NAME,
                    seen,
                    "the machine is short of memory: end other programs, or lower budget.ram",
                )
            } else {
                Finding::ok(NAME, seen)
            }
        }
    }
}

fn gpus(driver: Result<String, String>, has_driver: bool) -> Finding {
    const NAME: &str = "GPU";
    match driver {
        Ok(version) => Finding::ok(NAME, format!("{} of NVIDIA's, driver {version}", machine::n_gpus())),
        Err(error) if has_driver => Finding::warning(
            NAME,
            format!("NVIDIA's driver is there, but {error}"),
            "install the driver's libraries, libnvidia-ml.so.1 among them, where the server runs",
        ),
        Err(_) if cfg!(target_os = "macos") => Finding::ok(NAME, "Apple's, which computes in RAM"),
        Err(_) => Finding::none(NAME, "no driver of NVIDIA's; models run on the processor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(finding: &Finding) -> String {
        super::super::text(std::slice::from_ref(finding)).lines().nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn memory_is_enough_or_not() {
        let check = |finding: &Finding, verdict: &str, advice: &str| {
            let told = told(finding);
            assert!(told.starts_with(verdict) && told.contains(advice), "{told}");
        };
        check(&pool(RAM, "x".into(), 0), "error", "budget.ram");
        check(&pool("cuda0", "x".into(), 1), "warning", "budget.gpu");
        check(&pool(RAM, "x".into(), LITTLE), "ok", "x");
        check(&swap(None), "not applicable", "");
        check(&swap(Some((0, 0))), "ok", "none");
        check(&swap(Some((8 << 30, 1 << 30))), "ok", "1.0 GiB of 8.0 GiB in use");
        check(&swap(Some((8 << 30, 5 << 30))), "warning", "lower budget.ram");
    }

    #[test]
    fn a_driver_that_does_not_work_is_told_from_none() {
        let check = |driver: Result<&str, &str>, is_there, verdict: &str| {
            let driver = driver.map(ToOwned::to_owned).map_err(ToOwned::to_owned);
            let told = told(&gpus(driver, is_there));
            assert!(told.starts_with(verdict), "{told}");
        };
        check(Ok("550.1"), true, "ok");
        check(Err("no library"), true, "warning");
        if cfg!(target_os = "linux") {
            check(Err("no library"), false, "not applicable");
        }
    }
}
