//! What the fetcher gives up before it speaks to anybody: writing anywhere but into its staging folder, and running
//! programs. It parses what strangers send, and so should be able to do little when it is taken over.

use std::path::Path;

#[cfg(target_os = "linux")]
pub(crate) fn enter(staging: &Path) {
    match linux::give_up_effects(staging) {
        Ok(true) => tracing::debug!("landlock is in force"),
        Ok(false) => tracing::warn!("this kernel has no landlock; the fetcher is not confined"),
        Err(error) => tracing::warn!(%error, "the fetcher is not confined"),
    }
}

/// Elsewhere there is nothing that a process can give up by itself.
#[cfg(not(target_os = "linux"))]
pub(crate) fn enter(_: &Path) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;

    use landlock::{
        ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
        RulesetStatus,
    };

    /// The newest version whose rights are known here. An older kernel enforces what it has of them.
    const KNOWN: ABI = ABI::V5;

    /// Whether the kernel enforces anything of it.
    pub(super) fn give_up_effects(staging: &Path) -> Result<bool, RulesetError> {
        let effects = AccessFs::from_write(KNOWN) | AccessFs::Execute;
        let mut rules = Ruleset::default().handle_access(effects)?.create()?;
        for (path, access) in
            [(staging, effects & !AccessFs::Execute), (Path::new("/dev/null"), AccessFs::WriteFile.into())]
        {
            if let Ok(opened) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(opened, access))?;
            }
        }
        Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
    }
}
