//! What landlock forbids: in a first layer every effect on files but the process's own sockets, programs, TCP, and
//! signals to other processes; in a second one reading.

use std::{
    mem::forget,
    os::fd::{AsFd, OwnedFd},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{
    places::{self, Place},
    threads::{self, ThreadsError},
};

/// The newest version whose rights are known here. An older kernel enforces what it has of them.
const KNOWN: ABI = ABI::V7;

/// Why landlock does not confine this process.
#[derive(Debug, thiserror::Error)]
pub(super) enum LandlockError {
    #[error("this kernel has none; use Linux 5.13 or newer")]
    NotBuilt,
    #[error("it is disabled; add landlock to the kernel's lsm= parameter")]
    Disabled,
    #[error(transparent)]
    Refused(#[from] RulesetError),
    #[error(transparent)]
    Threads(#[from] ThreadsError),
}

impl LandlockError {
    /// Whether there is no landlock at all, rather than a failure of it.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::NotBuilt | Self::Disabled)
    }
}

/// The first layer, for this thread and those that it starts. Answers the version in force.
pub(super) fn give_up_effects(own: &Place) -> Result<i32, LandlockError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_write(KNOWN) | AccessFs::Execute)?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    for place in places::devices().into_iter().chain([own.clone()]) {
        rules = allow(rules, &place.only(AccessFs::from_write(KNOWN)))?;
    }
    match rules.restrict_self()?.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            Ok(kernel_abi.unwrap_or(KNOWN as i32).min(effective_abi as i32))
        }
        LandlockStatus::NotEnabled => Err(LandlockError::Disabled),
        LandlockStatus::NotImplemented => Err(LandlockError::NotBuilt),
    }
}

/// The second layer, for all threads: nothing is used but the process's `own` places, libraries and what the system says
/// of itself, and not even sockets can be made any more.
pub(super) fn give_up_reading(own: impl Iterator<Item = Place>) -> Result<(), LandlockError> {
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.create()?;
    for place in places::devices().into_iter().chain(places::readable()).chain(own) {
        rules = allow(rules, &place)?;
    }
    let Some(ruleset) = Option::<OwnedFd>::from(rules) else { return Err(LandlockError::NotBuilt) };
    Ok(threads::restrict_all(ruleset.as_fd())?)
}

/// Allows a place; one that is not there needs no rule.
fn allow(rules: RulesetCreated, place: &Place) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(&place.path) else { return Ok(rules) };
    let access: BitFlags<AccessFs> =
        if place.path.is_dir() { place.access } else { place.access & AccessFs::from_file(KNOWN) };
    if access.is_empty() {
        return Ok(rules);
    }
    let rules = rules.add_rule(PathBeneath::new(&opened, access))?;
    if place.is_fleeting {
        // A rule holds for what is open; what is in /proc may otherwise be forgotten and come back as another.
        forget(opened);
    }
    Ok(rules)
}
