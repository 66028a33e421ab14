//! How much memory workers hold and may hold, by pool: pure arithmetic, which reads nothing and waits for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The pool of the machine's RAM.
pub const RAM: &str = "ram";

/// Bytes by pool; what is not named is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory(BTreeMap<String, u64>);

impl Memory {
    /// RAM alone.
    pub fn ram(bytes: u64) -> Self {
        Self(BTreeMap::from([(RAM.to_owned(), bytes)]))
    }

    /// The bytes of one pool.
    pub fn of(&self, pool: &str) -> u64 {
        self.0.get(pool).copied().unwrap_or_default()
    }

    /// Sets the bytes of one pool.
    #[must_use]
    pub fn with(mut self, pool: &str, bytes: u64) -> Self {
        self.0.insert(pool.to_owned(), bytes);
        self
    }

    /// All pools that are named here.
    pub fn pools(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(pool, bytes)| (pool.as_str(), *bytes))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    /// What is left without `other`; never less than nothing.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    /// The larger of both, pool by pool.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        self.zip(other, u64::max)
    }

    /// The lesser of both, pool by pool.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        self.zip(other, u64::min)
    }

    /// This many times as much.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|(pool, bytes)| (pool.clone(), (*bytes as f64 * factor) as u64)).collect())
    }

    /// Whether all of it fits into `room`.
    pub fn fits(&self, room: &Self) -> bool {
        self.pools().all(|(pool, bytes)| bytes <= room.of(pool))
    }

    /// Bytes of all pools.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    fn zip(&self, other: &Self, op: impl Fn(u64, u64) -> u64) -> Self {
        let pools: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        Self(pools.into_iter().map(|pool| (pool.clone(), op(self.of(pool), other.of(pool)))).collect())
    }
}

impl fmt::Display for Memory {
    /// `1.5 GiB of ram and 200 MiB of cuda0`; nothing as `0 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.pools().filter(|(_, bytes)| *bytes > 0).peekable();
        if parts.peek().is_none() {
            return f.write_str("0 MiB");
        }
        let mut is_first = true;
        for (pool, bytes) in parts {
            if !is_first {
                f.write_str(" and ")?;
            }
            is_first = false;
            write!(f, "{} of {pool}", Bytes(bytes))?;
        }
        Ok(())
    }
}

/// The memory of this machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pools {
    /// What workers may hold together.
    pub limit: Memory,
    /// What there is.
    pub total: Memory,
    /// What nobody uses.
    pub available: Memory,
}

/// A number of bytes for people: `512 MiB`, `1.5 GiB`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(
    /// The bytes.
    pub u64,
);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: f64 = 1024.0 * 1024.0;
        let mib = self.0 as f64 / MIB;
        if mib < 1024.0 { write!(f, "{mib:.0} MiB") } else { write!(f, "{:.1} GiB", mib / 1024.0) }
    }
}
