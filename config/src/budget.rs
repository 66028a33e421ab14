//! `[budget]`

use serde::{Deserialize, Serialize};

use crate::{Size, size::EXPECTED_OR_AUTO};

/// How much memory workers may hold together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// RAM of all workers with a model.
    pub ram: Quota,
    /// RAM that `auto` leaves to others.
    pub ram_reserve: Size,
    /// Memory of each GPU.
    pub gpu: Quota,
    /// Memory of each GPU that `auto` leaves to others.
    pub gpu_reserve: Size,
    /// A worker is killed when it holds this many times its footprint.
    pub margin: f64,
    /// Whether the kernel is asked to hold workers to their limits, where it can.
    pub cgroups: bool,
    /// Seconds that a model waits for others to leave before its requests are refused.
    pub wait_s: u64,
    /// Seconds after which a model that waits for room gets its turn: a model in use takes no new requests then, and
    /// goes when it has finished those it has.
    pub turn_s: u64,
}

/// A bound on memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quota {
    /// What is free now, less a reserve.
    Auto,
    /// This much.
    Fixed(Size),
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            ram: Quota::Auto,
            ram_reserve: Size(1 << 30),
            gpu: Quota::Auto,
            gpu_reserve: Size(512 << 20),
            margin: 1.25,
            cgroups: true,
            wait_s: 60,
            turn_s: 2,
        }
    }
}

impl TryFrom<String> for Quota {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "auto" {
            Ok(Self::Auto)
        } else {
            text.parse().map(Self::Fixed).map_err(|_: &str| EXPECTED_OR_AUTO)
        }
    }
}

impl From<Quota> for String {
    fn from(quota: Quota) -> Self {
        match quota {
            Quota::Auto => "auto".into(),
            Quota::Fixed(size) => size.to_string(),
        }
    }
}
