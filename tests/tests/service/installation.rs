//! `supervisorctl service`. The service manager itself is played by a script that writes down what it is told; what is
//! written for it is checked by systemd's own tool, and by a reader of property lists.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Output, command, program};

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$@" >>"$HOME/told"
case "$*" in
*is-system-running) cat "$HOME/state" ;;
*is-enabled*) echo enabled ;;
*is-active*) cat "$HOME/active"; exit 3 ;;
*disable*) [ ! -e "$HOME/stubborn" ] || { echo "it does not want to" >&2; exit 1; } ;;
esac
"#;

/// A user's home with a configuration in its usual place, and a service manager.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let dir = tempfile::TempDir::with_prefix("a b%").unwrap();
        let home = Self(dir);
        home.write("bin/systemctl", SYSTEMCTL);
        fs::set_permissions(home.path("bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        home.write("state", "running\n");
        home.write("active", "inactive\n");
        home.configure("127.0.0.1:8111");
        home
    }

    fn configure(&self, listen: &str) {
        self.write(".config/impetus/config.toml", &format!("gateway.listen = \"{listen}\"\n"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn unit(&self, name: &str) -> String {
        fs::read_to_string(self.path(".config/systemd/user").join(name)).unwrap()
    }

    /// What the service manager was told since this was asked last.
    fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(self.path("told")).unwrap_or_default();
        let _ = fs::remove_file(self.path("told"));
        told.lines().map(ToOwned::to_owned).collect()
    }

    fn service(&self, arguments: &[&str]) -> Output {
        let mut command = command(&program("supervisorctl"), self.0.path());
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.arg("service").args(arguments).output().unwrap().into()
    }
}

/// A program of this machine, if it has it.
fn found(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("not everything was tested: there is no {name}");
    }
    found
}

/// Runs a program that is to say nothing of what it checks.
fn silent(mut command: Command) {
    let output: Output = command.output().unwrap().into();
    assert_eq!((output.code, &*output.out, &*output.err), (0, "", ""));
}

/// Has systemd's own tool read the units in `folder`, for a user's manager or the machine's.
fn verify(folder: &Path, home: &Path, option: &str) {
    let Some(tool) = found("systemd-analyze") else { return };
    let mut command = command(&tool, home);
    let runtime = home.join("runtime");
    fs::create_dir_all(&runtime).unwrap();
    command.env("XDG_RUNTIME_DIR", runtime).args(["verify", "--man=no", option]);
    silent({
        command.arg(folder.join("impetus.service")).arg(folder.join("impetus.socket"));
        let more = folder.join("impetus-ollama.socket");
        command.args(more.exists().then_some(more));
        command
    });
}

#[test]
fn a_users_service_is_installed_changed_shown_and_removed() {
    let home = Home::new();
    let absent = home.service(&["status", "--user"]);
    assert_eq!(absent.code, 4, "{absent:?}");
    let first = home.service(&["install", "--user"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.out.contains("listens on 127.0.0.1:8111"), "{first:?}");
    let expected = [
        "--user is-system-running",
        "--user daemon-reload",
        "--user is-active impetus.service",
        "--user enable --now impetus.socket impetus.service",
    ];
    assert_eq!(home.told(), expected);
    let (service, socket) = (home.unit("impetus.service"), home.unit("impetus.socket"));
    let supervisor = program("supervisor").display().to_string().replace('%', "%%");
    assert!(service.contains(&format!("\nExecStart=\"{supervisor}\"\n")), "{service}");
    assert!(socket.contains("\nListenStream=127.0.0.1:8111\n"), "{socket}");
    verify(&home.path(".config/systemd/user"), home.0.path(), "--user");

    let again = home.service(&["install", "--user"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(!again.out.contains("wrote"), "it was there: {again:?}");
    assert_eq!(home.told(), expected, "enabled again, for what was disabled meanwhile");
    home.configure("127.0.0.1:8112");
    let changed = home.service(&["install", "--user"]);
    assert!(changed.out.contains("wrote") && changed.out.contains("kept"), "{changed:?}");
    assert!(home.unit("impetus.socket").contains("\nListenStream=127.0.0.1:8112\n"));
    home.told();

    let shown = home.service(&["status", "--user"]);
    assert_eq!(shown.code, 3, "installed, and nothing runs: {shown:?}");
    for expected in ["installed: ", "enabled: enabled\n", "running: inactive\n", "no server answers on"] {
        assert!(shown.out.contains(expected), "{expected}: {shown:?}");
    }
    home.told();

    home.write(".local/state/impetus/lock", "");
    home.write("stubborn", "");
    let refused = home.service(&["uninstall", "--user"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let expected =
        "`systemctl --user disable --now impetus.socket impetus.service` failed: it does not want to";
    assert!(refused.err.contains(expected), "{refused:?}");
    assert!(home.unit("impetus.service").contains("[Service]"), "it is still there");
    fs::remove_file(home.path("stubborn")).unwrap();
    home.told();
    let removed = home.service(&["uninstall", "--user"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    let expected = [
        "--user is-system-running",
        "--user disable --now impetus.socket impetus.service",
        "--user daemon-reload",
    ];
    assert_eq!(home.told(), expected);
    assert_eq!(fs::read_dir(home.path(".config/systemd/user")).unwrap().count(), 0);
    let state = home.path(".local/state/impetus");
    assert!(removed.out.contains(&format!("stay in {}\n", state.display())), "{removed:?}");
    assert!(state.join("lock").exists());
    let none = home.service(&["uninstall", "--user"]);
    assert_eq!((none.code, home.told().len()), (0, 0), "{none:?}");
    assert!(none.out.contains("there is no service"), "{none:?}");
}

#[test]
fn the_socket_of_another_entrance_comes_and_goes_with_its_setting() {
    let home = Home::new();
    let install = || {
        let done = home.service(&["install", "--user"]);
        assert_eq!(done.code, 0, "{done:?}");
        done
    };
    install();
    home.told();
    home.write(
        ".config/impetus/config.toml",
        "gateway = {listen = '127.0.0.1:8111', ollama_listen = '127.0.0.1:8112'}\n",
    );
    // The server that runs goes on as it is: systemd opens no socket for it.
    home.write("active", "active\n");
    let added = install();
    assert!(added.out.contains("restart impetus.socket impetus-ollama.socket impetus.service"), "{added:?}");
    let enabled = "--user enable impetus.socket impetus-ollama.socket impetus.service";
    assert_eq!(home.told().last().map(String::as_str), Some(enabled));
    let socket = home.unit("impetus-ollama.socket");
    assert!(socket.contains("\nListenStream=127.0.0.1:8112\n"), "{socket}");
    assert!(socket.contains("\nFileDescriptorName=ollama\n"), "{socket}");
    verify(&home.path(".config/systemd/user"), home.0.path(), "--user");

    home.configure("127.0.0.1:8111");
    install();
    assert!(home.told().contains(&"--user disable --now impetus-ollama.socket".to_owned()));
    assert!(!home.path(".config/systemd/user/impetus-ollama.socket").exists());
    assert!(!home.unit("impetus.service").contains("impetus-ollama"));
    home.write(
        ".config/impetus/config.toml",
        "gateway = {listen = '127.0.0.1:8111', ollama_listen = '127.0.0.1:8112'}\n",
    );
    install();
    assert_eq!(home.service(&["uninstall", "--user"]).code, 0);
    assert_eq!(fs::read_dir(home.path(".config/systemd/user")).unwrap().count(), 0);
}

#[test]
fn a_purge_removes_the_state_and_nothing_that_only_looks_like_it() {
    let home = Home::new();
    home.write(".config/impetus/config.toml", "models.dirs = ['~/models']\n");
    home.write("models/a.gguf", "a");
    let install = || assert_eq!(home.service(&["install", "--user"]).code, 0);
    home.write(".local/state/impetus/thesis.txt", "mine");
    install();
    let refused = home.service(&["uninstall", "--user", "--purge"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("has no lock of a supervisor"), "{refused:?}");
    assert!(home.path(".local/state/impetus/thesis.txt").exists());
    home.write(".local/state/impetus/lock", "");
    home.write(".config/impetus/config.toml", "models.dri = ['~/models']\n");
    let refused = home.service(&["uninstall", "--user", "--purge"]);
    assert!(refused.code == 1 && refused.err.contains("config.toml:1:"), "{refused:?}");
    assert!(
        home.path(".local/state/impetus/lock").exists() && home.path(".config/impetus/config.toml").exists()
    );
    // Somebody else's supervisor has it.
    home.write(".config/impetus/config.toml", "models.dirs = ['~/models']\nmodels.store = '~/pulled'\n");
    let lock = fs::File::open(home.path(".local/state/impetus/lock")).unwrap();
    lock.lock().unwrap();
    let refused = home.service(&["uninstall", "--user", "--purge"]);
    assert!(refused.code == 1 && refused.err.contains("another supervisor"), "{refused:?}");
    drop(lock);
    // Whatever was wrong, the service is still there to be tried again.
    home.write("pulled/a/a.gguf", "a");
    let purged = home.service(&["uninstall", "--user", "--purge"]);
    assert_eq!(purged.code, 0, "{purged:?}");
    assert!(!home.path(".local/state/impetus").exists());
    for folder in ["models", "pulled"] {
        let stays = format!("models stay in {}\n", home.path(folder).display());
        assert!(home.path(folder).exists() && purged.out.contains(&stays), "{purged:?}");
    }
}

#[test]
fn nothing_is_written_that_would_not_run_or_is_not_ours() {
    let home = Home::new();
    let check = |arguments: &[&str], expected: &str| {
        let refused = home.service(&[&["install", "--user"], arguments].concat());
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.err.contains(expected), "{expected}: {refused:?}");
        assert!(!home.path(".config/systemd/user/impetus.socket").exists());
    };
    home.configure("127.0.0.1:0");
    check(&[], "gateway.listen = 127.0.0.1:0 leaves the port open");
    home.configure("0.0.0.0:8111");
    check(&[], "there is no key that opens anything");
    home.write(".config/impetus/config.toml", "gateway.lisen = '127.0.0.1:1'\n");
    check(&[], "gateway.lisen");
    home.configure("127.0.0.1:8111");
    check(&["--programs", "nowhere"], "there is no program");
    check(&["--manager", "launchd"], "this machine's own service manager is systemd");
    home.write("state", "offline\n");
    check(&[], "systemd does not run services here (offline)");
    home.write("state", "running\n");
    home.write(".config/systemd/user/impetus.service", "[Service]\nExecStart=/bin/true\n");
    check(&[], "impetus.service is there and was not written by");
    assert_eq!(home.unit("impetus.service"), "[Service]\nExecStart=/bin/true\n");
    let refused = home.service(&["uninstall", "--user"]);
    assert!(refused.code == 1 && refused.err.contains("was not written by"), "{refused:?}");
}

#[test]
fn a_dry_run_prints_the_files_and_touches_nothing() {
    let home = Home::new();
    let shown = home.service(&["install", "--user", "--dry-run"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for name in ["impetus.socket", "impetus.service"] {
        let heading = format!("==> {} <==\n", home.path(".config/systemd/user").join(name).display());
        assert!(shown.out.contains(&heading), "{heading}: {shown:?}");
    }
    assert!(home.told().is_empty() && !home.path(".config/systemd").exists());
}

#[test]
fn a_package_gets_its_files_below_a_folder_and_systemd_takes_them() {
    let home = Home::new();
    let programs = program("supervisor").parent().unwrap().display().to_string();
    let root = home.path("root").display().to_string();
    let install = || home.service(&["install", "--root", &root, "--programs", &programs]);
    assert_eq!(install().code, 0);
    let files = [
        "etc/impetus/config.toml",
        "usr/lib/sysusers.d/impetus.conf",
        "usr/lib/systemd/system/impetus.service",
        "usr/lib/systemd/system/impetus.socket",
    ];
    for file in files {
        assert!(home.path("root").join(file).is_file(), "{file}");
    }
    assert!(home.told().is_empty(), "nothing is enabled");
    verify(&home.path("root/usr/lib/systemd/system"), home.0.path(), "--system");
    let unit = || fs::read_to_string(home.path("root/usr/lib/systemd/system/impetus.service")).unwrap();
    assert!(unit().contains("\nStateDirectory=impetus impetus/models\n"), "{}", unit());
    // The configuration that is begun says the same as what the units were begun with.
    let first = unit();
    assert_eq!(install().code, 0);
    assert_eq!(unit(), first);

    // What is there by then is what the units are written from, and is kept.
    let settings = "supervisor = {state_dir = '/srv/impetus', runtime_dir = '/run/impetus'}\n";
    home.write("root/etc/impetus/config.toml", settings);
    assert_eq!(install().code, 0);
    assert!(unit().contains("\nReadWritePaths=\"-/srv/impetus\"\n"), "{}", unit());
    assert_eq!(fs::read_to_string(home.path("root/etc/impetus/config.toml")).unwrap(), settings);
    home.write("root/etc/impetus/config.toml", "log.level = 'debug'\n");
    let refused = install();
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.err.contains("supervisor.state_dir is not set in /etc/impetus/config.toml"),
        "{refused:?}"
    );
}

#[test]
fn a_property_list_says_what_was_meant_whatever_the_paths() {
    const READ: &str =
        "import plistlib, sys, json; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let home = Home::new();
    home.write(
        "<x> & 'y'.toml",
        "gateway = {listen = '[::1]:8111', ollama_listen = '127.0.0.1:8112'}\nlog.dir = '/l & <m>'\n",
    );
    let config = home.path("<x> & 'y'.toml").display().to_string();
    let root = home.path("root").display().to_string();
    let arguments = ["install", "--user", "--manager", "launchd", "--root", &root, "--config", &config];
    let written = home.service(&arguments);
    assert_eq!(written.code, 0, "{written:?}");
    let list = home.path("root/Library/LaunchAgents/impetus.supervisor.plist");
    let Some(python) = found("python3") else { return };
    let mut reader = command(&python, home.0.path());
    let read: Output = reader.args(["-c", READ]).arg(&list).output().unwrap().into();
    let list = read.json();
    let supervisor = program("supervisor").display().to_string();
    assert_eq!(list["ProgramArguments"], serde_json::json!([supervisor, "--config", config]));
    let socket = &list["Sockets"]["Gateway"];
    assert_eq!(
        (&socket["SockNodeName"], &socket["SockServiceName"], &socket["SockFamily"]),
        (&"::1".into(), &"8111".into(), &"IPv6".into())
    );
    let socket = &list["Sockets"]["Ollama"];
    assert_eq!(
        (&socket["SockNodeName"], &socket["SockServiceName"], &socket["SockFamily"]),
        (&"127.0.0.1".into(), &"8112".into(), &"IPv4".into())
    );
    assert_eq!(list["KeepAlive"]["SuccessfulExit"], false);
    assert_eq!(list["RunAtLoad"], true);
    assert_eq!(list["StandardErrorPath"], "/l & <m>/launchd.log");
}
