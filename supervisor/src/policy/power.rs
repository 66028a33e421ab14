//! What a machine that runs on its battery is spared.

use std::time::Duration;

use impetus_config::OnBattery;

/// How long a model stays when nobody uses it while the battery is to be spared.
pub const IDLE: Duration = Duration::from_mins(1);

/// A charge that moves around the limit by less than this many percent changes nothing.
const SLACK: u8 = 3;

/// What the machine runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It is connected.
    Mains,
    /// Its battery, which has this many percent left.
    Battery {
        /// From 0 to 100.
        percent: u8,
    },
}

/// What is not done meanwhile. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Restraint {
    /// All is as usual.
    #[default]
    None,
    /// Models that nobody uses do not stay, and none is preloaded.
    UnloadIdle,
    /// No model is loaded.
    NoNewLoads,
}

impl Restraint {
    /// What follows from `power` where `on_battery` is wanted from `percent` on down. It is `self` so far.
    #[must_use]
    pub fn next(self, on_battery: OnBattery, percent: u8, power: Power) -> Self {
        let Power::Battery { percent: left } = power else { return Self::None };
        let limit = if self == Self::None { percent } else { percent.saturating_add(SLACK) };
        match on_battery {
            OnBattery::UnloadIdle if left <= limit => Self::UnloadIdle,
            OnBattery::NoNewLoads if left <= limit => Self::NoNewLoads,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_battery_is_spared_as_far_as_is_wanted() {
        let check = |former: Restraint, on_battery, limit, power, expected| {
            assert_eq!(former.next(on_battery, limit, power), expected, "{on_battery:?} {limit} {power:?}");
        };
        let at = |percent| Power::Battery { percent };
        let (none, unload, refuse) = (Restraint::None, Restraint::UnloadIdle, Restraint::NoNewLoads);
        check(none, OnBattery::Serve, 100, at(1), none);
        check(none, OnBattery::UnloadIdle, 100, at(100), unload);
        check(none, OnBattery::NoNewLoads, 100, at(100), refuse);
        check(none, OnBattery::NoNewLoads, 100, Power::Mains, none);
        check(refuse, OnBattery::NoNewLoads, 100, Power::Mains, none);
        check(refuse, OnBattery::UnloadIdle, 100, at(50), unload);
        check(refuse, OnBattery::Serve, 100, at(50), none);
        // Around the limit.
        check(none, OnBattery::UnloadIdle, 20, at(21), none);
        check(none, OnBattery::UnloadIdle, 20, at(20), unload);
        check(unload, OnBattery::UnloadIdle, 20, at(23), unload);
        check(unload, OnBattery::UnloadIdle, 20, at(24), none);
    }
}
