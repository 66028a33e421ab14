//! Folders and files: whose they are, who may read them, and how much room is left.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access, geteuid},
};

use super::{super::table::amount, Finding, Patient};
use crate::{hubs::TokenFile, keys::Keys};

/// With less room than this, in bytes, something is about to fail.
const LEAST_ROOM: u64 = 100 << 20;
/// With less than this, it may soon.
const LITTLE_ROOM: u64 = 2 << 30;

/// Bits of a mode: what the group and others may do.
const OTHERS_WRITE: u32 = 0o022;
const OTHERS_READ: u32 = 0o077;

pub(super) fn findings(patient: &Patient) -> Vec<Finding> {
    let (places, config) = (&patient.places, &patient.config);
    let mut findings = vec![folder("state folder", &places.state_dir, "supervisor.state_dir")];
    findings.push(match places.check_runtime() {
        Ok(()) => folder("runtime folder", &places.runtime_dir, "supervisor.runtime_dir"),
        Err(error) => Finding::error("runtime folder", error, "set supervisor.runtime_dir to a shorter path"),
    });
    findings.push(keys(patient));
    if let Some(key) = &config.gateway.tls.key {
        findings.push(secret("TLS key", key));
    }
    let tokens = TokenFile::new(&places.state_dir);
    if tokens.path().exists() {
        findings.push(secret("hub tokens", tokens.path()));
    }
    findings.push(room("room for state", &places.state_dir));
    findings.extend(config.models.dirs.iter().map(|dir| room("room for models", dir)));
    findings
}

/// A folder of the server's own, which nobody else is to write to.
pub(super) fn folder(name: &str, path: &Path, setting: &str) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            Finding::error(name, format!("{shown} is no folder"), format!("set {setting} to a folder"))
        }
        Ok(found) => judged(name, path, (found.uid(), found.mode()), setting),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = path.ancestors().find(|above| above.exists());
            if above.is_some_and(|above| access(above, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()) {
                Finding::ok(name, format!("{shown} is made at the first start"))
            } else {
                Finding::error(
                    name,
                    format!("{shown} is not there and cannot be made"),
                    format!("make it, or set {setting} to another folder"),
                )
            }
        }
        Err(error) => Finding::error(
            name,
            format!("{shown}: {error}"),
            format!("check its permissions, or set {setting} to another folder"),
        ),
    }
}

fn judged(name: &str, path: &Path, (owner, mode): (u32, u32), setting: &str) -> Finding {
    let (shown, bits) = (path.display(), mode & 0o777);
    let seen = format!("{shown}, mode {bits:03o}");
    if owner != geteuid().as_raw() {
        let advice = format!(
            "run this as the user that the server runs as, or set {setting} to a folder of this user"
        );
        return Finding::warning(
            name,
            format!("{seen}, belongs to the user with the number {owner}"),
            advice,
        );
    }
    if bits & OTHERS_WRITE != 0 {
        return Finding::error(name, format!("{seen}: others can write to it"), format!("chmod 700 {shown}"));
    }
    if bits & OTHERS_READ != 0 {
        return Finding::warning(
            name,
            format!("{seen}: others can look into it"),
            format!("chmod 700 {shown}"),
        );
    }
    Finding::ok(name, seen)
}

/// A file that is for this user alone.
fn secret(name: &str, path: &Path) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.mode() & OTHERS_READ != 0 => Finding::error(
            name,
            format!("{shown}, mode {:03o}: others can read it", found.mode() & 0o777),
            format!("chmod 600 {shown}"),
        ),
        Ok(_) => match fs::File::open(path) {
            Ok(_) => Finding::ok(name, format!("{shown}, for this user alone")),
            Err(error) => Finding::error(name, format!("{shown}: {error}"), "have the server's user own it"),
        },
        Err(error) => Finding::error(
            name,
            format!("{shown}: {error}"),
            "correct its path, or check the folder's permissions",
        ),
    }
}

/// The keys that clients need, and whether any is needed that is not there.
fn keys(patient: &Patient) -> Finding {
    const NAME: &str = "keys";
    let state_dir = &patient.places.state_dir;
    let keys = match Keys::load(state_dir) {
        Ok(keys) => keys,
        Err(error) => return Finding::error(NAME, error, "the server does not start before that is done"),
    };
    if let Err(error) = keys.check_exposure(&patient.config) {
        return Finding::error(NAME, error, "the server does not start before that is done");
    }
    let file = state_dir.join("keys.json");
    if file.exists() {
        return secret(NAME, &file);
    }
    match patient.config.auth.key.len() {
        0 => Finding::ok(NAME, "none; whoever reaches the server may use it"),
        n => Finding::ok(NAME, format!("{n}, of the configuration")),
    }
}

pub(super) fn room(name: &str, path: &Path) -> Finding {
    let Some(there) = path.ancestors().find(|above| above.exists()) else {
        return Finding::none(name, format!("{} is not there", path.display()));
    };
    match statvfs(there) {
        #[allow(clippy::unnecessary_cast)] // the numbers are shorter on some systems
        Ok(disk) => left(name, path, disk.blocks_available() as u64 * disk.fragment_size() as u64),
        Err(error) => Finding::none(name, format!("{}: {error}", there.display())),
    }
}

fn left(name: &str, path: &Path, bytes: u64) -> Finding {
    let seen = format!("{} left for {}", amount(bytes), path.display());
    match bytes {
        0..LEAST_ROOM => Finding::error(name, seen, "remove something from that disk"),
        LEAST_ROOM..LITTLE_ROOM => Finding::warning(name, seen, "remove something from that disk"),
        _ => Finding::ok(name, seen),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn check(finding: &Finding, verdict: &str, seen: &str) {
        let text = super::super::text(std::slice::from_ref(finding));
        let told = text.lines().nth(1).unwrap_or_default();
        assert!(told.starts_with(verdict) && told.contains(seen), "{told}");
    }

    #[test]
    fn folders_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        check(&folder("x", &path, "s"), "ok", "made at the first start");
        fs::create_dir(&path).unwrap();
        for (mode, verdict, seen) in [
            (0o700, "ok", "mode 700"),
            (0o755, "warning", "look into it; chmod 700"),
            (0o777, "error", "write to it"),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            check(&folder("x", &path, "s"), verdict, seen);
        }
        let stranger = geteuid().as_raw() + 1;
        check(&judged("x", &path, (stranger, 0o700), "s"), "warning", "belongs to");
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        check(&folder("x", &file, "s.dir"), "error", "set s.dir to a folder");
    }

    #[test]
    fn secrets_are_for_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        check(&secret("x", &path), "error", "correct its path");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        check(&secret("x", &path), "error", "chmod 600");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        check(&secret("x", &path), "ok", "this user alone");
    }

    #[test]
    fn disks_have_room() {
        let check = |bytes, verdict: &str| check(&left("x", Path::new("/d"), bytes), verdict, "left for /d");
        check(0, "error");
        check(LEAST_ROOM, "warning");
        check(LITTLE_ROOM, "ok");
    }
}
