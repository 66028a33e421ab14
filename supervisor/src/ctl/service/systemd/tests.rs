use super::*;

fn service(scope: Scope) -> Description {
    let is_system = scope == Scope::System;
    let of = |system: &str, user: &str| PathBuf::from(if is_system { system } else { user });
    Description {
        scope,
        programs: "/opt/im petus/bin".into(),
        config: is_system.then(|| CONFIG.into()),
        entrances: vec![(Entrance::Gateway, "[::1]:8080".parse().unwrap())],
        state_dir: of("/var/lib/impetus", "/home/a/.local/state/impetus"),
        runtime_dir: of("/run/impetus", "/run/user/1000/impetus"),
        log_dir: of("/var/lib/impetus/logs", "/home/a/.local/state/impetus/logs"),
        models: vec![of("/var/lib/impetus/models", "/home/a/models"), "/srv/models".into()],
        store: of("/var/lib/impetus/store", "/home/a/.local/state/impetus/store"),
        reads_homes: !is_system,
        stop_s: 45,
        environment: Vec::new(),
    }
}

fn lines(text: &str, beginnings: &[&str]) -> Vec<String> {
    let is_wanted = |line: &&str| beginnings.iter().any(|beginning| line.starts_with(beginning));
    text.lines().filter(is_wanted).map(ToOwned::to_owned).collect()
}

#[test]
fn the_service_of_the_machine_has_folders_of_its_own_and_no_more() {
    let check = |service: &Description, expected: &[&str]| {
        let text = system(service).unwrap();
        assert!(!text.contains('@') || text.matches('@').count() == 1, "only @system-service: {text}");
        let told = ["State", "Runtime", "Logs", "ReadWrite", "ProtectHome", "Exec", "TimeoutStop", "# Conf"];
        assert_eq!(lines(&text, &told), expected);
    };
    check(
        &service(Scope::System),
        &[
            "# Configuration: /etc/impetus/config.toml",
            "ExecStart=\"/opt/im petus/bin/supervisor\" \"--config\" \"/etc/impetus/config.toml\"",
            "ExecReload=\"/opt/im petus/bin/supervisorctl\" \"--config\" \"/etc/impetus/config.toml\" \"reload\"",
            "TimeoutStopSec=45",
            "StateDirectory=impetus impetus/models",
            "StateDirectoryMode=0700",
            "RuntimeDirectory=impetus",
            "RuntimeDirectoryMode=0700",
            "ProtectHome=yes",
        ],
    );
    let elsewhere = Description {
        config: Some("/srv/a$b.toml".into()),
        state_dir: "/srv/state 1%".into(),
        runtime_dir: "/run/a b".into(),
        log_dir: "/var/log/im/petus".into(),
        store: "/data/models".into(),
        reads_homes: true,
        ..service(Scope::System)
    };
    check(
        &elsewhere,
        &[
            "# Configuration: /srv/a$b.toml",
            "ExecStart=\"/opt/im petus/bin/supervisor\" \"--config\" \"/srv/a$$b.toml\"",
            "ExecReload=\"/opt/im petus/bin/supervisorctl\" \"--config\" \"/srv/a$$b.toml\" \"reload\"",
            "TimeoutStopSec=45",
            "ReadWritePaths=\"-/srv/state 1%%\"",
            "ReadWritePaths=\"-/run/a b\"",
            "LogsDirectory=im/petus",
            "LogsDirectoryMode=0700",
            "ReadWritePaths=\"-/data/models\"",
            "ProtectHome=read-only",
        ],
    );
    let beside = Description { store: "/var/lib/pulled/models".into(), ..service(Scope::System) };
    let text = system(&beside).unwrap();
    let folders = ["StateDirectory=impetus impetus/models", "StateDirectory=pulled/models"];
    assert_eq!(lines(&text, &["StateDirectory="]), folders);
    assert_eq!(configuration(&system(&elsewhere).unwrap()), elsewhere.config);
}

#[test]
fn people_put_models_beside_the_store_of_the_machines_service() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, BEGINNING).unwrap();
    let config = impetus_config::load_for_service(Some(&file), &[]).unwrap().config;
    assert_eq!(config.models.dirs, [Path::new("/var/lib/impetus/models")]);
    assert_eq!(config.store_dir(), Path::new("/var/lib/impetus/store"));
}

#[test]
fn the_service_of_a_user_finds_what_the_user_finds() {
    let plain = user(&service(Scope::User)).unwrap();
    assert_eq!(
        lines(&plain, &["ExecStart", "Environment", "# Conf"]),
        ["# Configuration: the default place", "ExecStart=\"/opt/im petus/bin/supervisor\""]
    );
    assert_eq!(configuration(&plain), None);
    let other = Description {
        config: Some("/a/b.toml".into()),
        environment: vec![("XDG_STATE_HOME", "/s %\"x".into())],
        ..service(Scope::User)
    };
    assert_eq!(
        lines(&user(&other).unwrap(), &["ExecStart", "Environment"]),
        [
            "ExecStart=\"/opt/im petus/bin/supervisor\" \"--config\" \"/a/b.toml\"",
            "Environment=\"XDG_STATE_HOME=/s %%\\\"x\"",
        ]
    );
}

#[test]
fn what_is_written_is_ours_and_where_it_belongs() {
    let check = |files: Result<Files, ServiceError>, expected: &[&str]| {
        let files = files.unwrap();
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, expected);
        for (path, text) in &files {
            let is_ours = super::super::files::is_ours(text.as_str());
            assert_eq!(is_ours, matches!(text, Text::Ours(_)), "{}", path.display());
        }
        let (_, socket) = files.iter().find(|(path, _)| path.ends_with("impetus.socket")).unwrap();
        assert_eq!(lines(socket.as_str(), &["ListenStream"]), ["ListenStream=[::1]:8080"]);
    };
    check(
        files(&service(Scope::System)),
        &[
            "/etc/sysusers.d/impetus.conf",
            "/etc/systemd/system/impetus.socket",
            "/etc/systemd/system/impetus.service",
            "/etc/impetus/config.toml",
        ],
    );
    check(
        packaged(&service(Scope::System)),
        &[
            "/usr/lib/sysusers.d/impetus.conf",
            "/usr/lib/systemd/system/impetus.socket",
            "/usr/lib/systemd/system/impetus.service",
            "/etc/impetus/config.toml",
        ],
    );
    check(
        packaged(&service(Scope::User)),
        &["/usr/lib/systemd/user/impetus.socket", "/usr/lib/systemd/user/impetus.service"],
    );
}

#[test]
fn each_entrance_has_a_unit_of_its_own_that_the_service_inherits_from() {
    for scope in [Scope::System, Scope::User] {
        let mut service = service(scope);
        service.entrances.push((Entrance::Ollama, "127.0.0.1:11434".parse().unwrap()));
        let files = files(&service).unwrap();
        let of = |name: &str, beginnings: &[&str]| {
            let (_, text) = files.iter().find(|(path, _)| path.ends_with(name)).expect(name);
            lines(text.as_str(), beginnings)
        };
        let socket = ["Description", "# gateway", "ListenStream", "FileDescriptorName", "Service="];
        assert_eq!(
            of("impetus-ollama.socket", &socket),
            [
                "Description=Where Impetus serves HTTP for Ollama's clients",
                "# gateway.ollama_listen. It stays open while the server is started again: connections wait.",
                "ListenStream=127.0.0.1:11434",
                "FileDescriptorName=ollama",
                "Service=impetus.service",
            ]
        );
        assert_eq!(of("impetus.socket", &["FileDescriptorName"]), ["FileDescriptorName=gateway"]);
        assert_eq!(
            of("impetus.service", &["Requires", "Sockets", "Also"]),
            [
                "Requires=impetus.socket impetus-ollama.socket",
                "Sockets=impetus.socket impetus-ollama.socket",
                "Also=impetus.socket impetus-ollama.socket",
            ]
        );
    }
}
