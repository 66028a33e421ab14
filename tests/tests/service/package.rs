//! What the package for Debian does as root, in a mount namespace where its folders and its user are.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::harness::{Output, command};

/// Gets a folder, the script, and what else is to happen before it runs again.
const COURSE: &str = r#"
set -e
for file in passwd group; do grep -v '^impetus:' /etc/$file >"$1/$file"; done
echo 'impetus:x:64999:64999::/var/lib/impetus:/usr/sbin/nologin' >>"$1/passwd"
echo 'impetus:x:64999:' >>"$1/group"
for file in passwd group; do mount --bind "$1/$file" /etc/$file; done
mount -t tmpfs none /var/lib
install -d -m 0700 /var/lib/private
PATH="$1/bin:$PATH"
sh "$2" configure
stat -c '%U:%a %F' /var/lib/impetus /var/lib/impetus/models
runuser -u impetus -- rmdir /var/lib/impetus/models
runuser -u impetus -- ln -s "$3" /var/lib/impetus/models
sh "$2" configure
stat -c '%U:%a %F' /var/lib/private
"#;

#[test]
fn roots_scripts_follow_no_link_of_the_services_user() {
    let dir = tempfile::tempdir().unwrap();
    let unshare = |arguments: &[&str]| -> Option<Output> {
        let mut command = command(Path::new("/usr/bin/unshare"), dir.path());
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("--mount").args(arguments);
        Some(command.output().ok()?.into())
    };
    let tools = "mount -t tmpfs none /mnt && command -v runuser getent install stat";
    if unshare(&["sh", "-c", tools]).is_none_or(|probe| probe.code != 0) {
        eprintln!("no folder can be mounted here: nothing is tested");
        return;
    }
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for program in ["deb-systemd-helper", "deb-systemd-invoke", "systemctl"] {
        fs::write(bin.join(program), "#!/bin/sh\n").unwrap();
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/deb/postinst");
    for target in ["/var/lib/private", "/nowhere"] {
        let told =
            unshare(&["sh", "-c", COURSE, "sh", dir.path().to_str().unwrap(), script, target]).unwrap();
        assert_eq!(
            (told.code, &*told.out),
            (0, "impetus:700 directory\nimpetus:755 directory\nroot:700 directory\n")
        );
    }
}
