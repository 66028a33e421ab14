//! Files: those of the pull, and those of the system that the C library finds servers with.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

/// The newest version whose rights are known here. An older kernel enforces what it has of them.
const KNOWN: ABI = ABI::V7;

/// How the C library finds servers: its settings, and modules of it that are loaded when they are needed. Certificates are
/// not among them, since authorities are built in or told.
const READABLE: [&str; 15] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/services",
    "/run/systemd/resolve",
    "/gnu/store",
    "/lib",
    "/lib64",
    "/nix/store",
    "/usr/lib",
    "/usr/lib64",
    // How many threads are worth while.
    "/sys/devices/system/cpu",
];

/// Whether the kernel enforces anything of it.
pub(super) fn give_up_files(staging: &Path, resolver: &Path) -> Result<bool, RulesetError> {
    let reading = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let writing =
        make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir});
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        // Connections go anywhere; nobody connects to here.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let read = READABLE.iter().map(Path::new).chain([resolver]).map(|path| (path, reading));
    let own = [(staging, reading | writing), (Path::new("/dev/null"), reading | writing)];
    for (path, access) in read.chain(own) {
        // One that is not there needs no rule.
        let Ok(opened) = PathFd::new(path) else { continue };
        let access: BitFlags<AccessFs> =
            if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
        rules = rules.add_rule(PathBeneath::new(opened, access))?;
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
