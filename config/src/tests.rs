//! The sources together: which wins, what is refused and how, what is printed.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    Config, ConfigError, KeyEntry, Loaded, LogFormat, ModelEntry, Origin, Scope, Size, Speculation,
    WorkerConfig, load::Sources, place::Places, size,
};

/// Loads from text as a file, variables and `--set` arguments.
fn load(
    file: Option<&str>,
    variables: &[(&str, &str)],
    sets: &[&str],
) -> (Result<Loaded, ConfigError>, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
    let loaded = Sources {
        file: file.map(|_| path.clone()),
        default_file: Some(dir.path().join("absent.toml")),
        variables: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        sets,
        places: Places { cwd: "/cwd".into(), home: Some("/home/me".into()) },
    }
    .load();
    (loaded, path)
}

fn loaded(file: &str) -> Config {
    load(Some(file), &[], &[]).0.unwrap().config
}

#[test]
fn the_later_source_wins() {
    const FILE: &str = "[log]\nkeep = 2";
    const VARIABLE: &[(&str, &str)] = &[("IMPETUS_LOG__KEEP", "3")];
    let check = |file, variables, sets, expected: (usize, &str)| {
        let (loaded, path) = load(file, variables, sets);
        let loaded = loaded.unwrap();
        let origin = loaded.origin("log.keep").to_string().replace(&*path.to_string_lossy(), "c.toml");
        assert_eq!((loaded.config.log.keep, &*origin), expected);
    };
    check(None, &[], &[], (7, "default"));
    check(Some(FILE), &[], &[], (2, "c.toml:2"));
    check(Some(FILE), VARIABLE, &[], (3, "environment variable IMPETUS_LOG__KEEP"));
    check(Some(FILE), VARIABLE, &["log.keep=4"], (4, "--set log.keep"));
    check(Some(FILE), VARIABLE, &["log.keep=4", "log.keep = 5"], (5, "--set log.keep"));
    check(Some(FILE), &[], &["log.level=debug"], (2, "c.toml:2"));
}

#[test]
fn values_outside_files_are_toml_or_bare_words() {
    let check = |set: &str, read: fn(&Config) -> String, expected: &str| {
        let by_set = load(None, &[], &[set]).0.unwrap().config;
        assert_eq!(read(&by_set), expected, "{set}");
        let (key, value) = set.split_once('=').unwrap();
        let variable = format!("IMPETUS_{}", key.replace('.', "__").to_uppercase());
        let by_variable = load(None, &[(&variable, value)], &[]).0.unwrap().config;
        assert_eq!(by_variable, by_set, "{variable}");
    };
    check("gateway.listen=[::1]:9", |c| c.gateway.listen.to_string(), "[::1]:9");
    check("gateway.listen=\"0.0.0.0:80\"", |c| c.gateway.listen.to_string(), "0.0.0.0:80");
    check("budget.ram=auto", |c| format!("{:?}", c.budget.ram), "Auto");
    check("budget.ram=12GiB", |c| String::from(c.budget.ram), "12GiB");
    check("gateway.truncate_inputs=true", |c| c.gateway.truncate_inputs.to_string(), "true");
    check("log.level=info,hyper=off", |c| c.log.level.clone(), "info,hyper=off");
    check("models.default=2024-01-01", |c| format!("{:?}", c.models.default), "Some(\"2024-01-01\")");
    check("models.default='7'", |c| format!("{:?}", c.models.default), "Some(\"7\")");
    check("models.dirs=[\"/a\", \"b\"]", |c| format!("{:?}", c.models.dirs), "[\"/a\", \"/cwd/b\"]");
    check("workers.gguf.slots=0x10", |c| c.workers["gguf"].slots.to_string(), "16");
    check("workers.gguf.step_stretch=1", |c| c.workers["gguf"].step_stretch.to_string(), "1");
    check("workers.gguf.step_stretch=0", |c| c.workers["gguf"].step_stretch.to_string(), "0");
    check("workers.gguf.speculation=off", |c| format!("{:?}", c.workers["gguf"].speculation), "Off");
    check("prefixes.ram=0B", |c| c.prefixes.ram.to_string(), "0B");
    check("workers.x={command=\"x-worker\"}", |c| c.workers["x"].slots.to_string(), "4");
    check("model=[{name=\"a\",pin=true}]", |c| c.model[0].pin.to_string(), "true");
}

#[test]
fn workers_of_the_user_join_those_that_are_built_in() {
    let config = loaded("[workers.gguf]\nslots = 2\n[workers.mine]\ncommand = 'mine'\npatterns = ['*.mine']");
    let gguf = WorkerConfig { slots: 2, ..Config::default().workers["gguf"].clone() };
    let mine =
        WorkerConfig { command: "mine".into(), patterns: vec!["*.mine".into()], ..WorkerConfig::default() };
    let mut expected = Config::default().workers;
    expected.insert("gguf".into(), gguf);
    expected.insert("mine".into(), mine);
    assert_eq!(config.workers, expected);
}

#[test]
fn paths_become_absolute() {
    let file = "log.dir = 'logs'
        models.dirs = ['~/models', '~', './here', '/there']
        gateway.command = 'bin/gateway'
        workers.gguf.command = 'worker-gguf'
        model = [{ name = 'a', path = '../a.gguf' }]";
    let (loaded, path) = load(Some(file), &[], &["supervisor.state_dir=state"]);
    let (config, dir) = (loaded.unwrap().config, path.parent().unwrap());
    assert_eq!(config.log.dir, Some(dir.join("logs")));
    let dirs = [PathBuf::from("/home/me/models"), "/home/me".into(), dir.join("here"), "/there".into()];
    assert_eq!(config.models.dirs, dirs);
    assert_eq!(config.gateway.command, dir.join("bin/gateway"));
    assert_eq!(config.workers["gguf"].command, PathBuf::from("worker-gguf"));
    assert_eq!(config.model[0].path, Some(dir.join("../a.gguf")));
    assert_eq!(config.supervisor.state_dir, PathBuf::from("/cwd/state"));
}

#[test]
fn an_error_names_place_key_value_and_what_was_expected() {
    let check = |file: &str, expected: &str| {
        let (result, path) = load(Some(file), &[], &[]);
        let message = result.expect_err(file).to_string().replace(&*path.to_string_lossy(), "c.toml");
        assert_eq!(message, expected);
    };
    check(
        "[log]\nkeep = \n",
        "c.toml:2:8: not valid TOML: string values must be quoted, expected literal string",
    );
    check("[log]\nkeep = 1\nkeep = 2", "c.toml:3:1: not valid TOML: duplicate key");
    check(
        "[log]\nkeep = 'many'",
        "c.toml:2: log.keep = \"many\": expected a whole number that is not negative",
    );
    check("[log]\nkeep = -1", "c.toml:2: log.keep = -1: expected a whole number that is not negative");
    check("[log]\nkeep = 1.5", "c.toml:2: log.keep = 1.5: expected a whole number that is not negative");
    check("[log]\n\nkeep = 0", "c.toml:3: log.keep = 0: expected a number from 1 to 10000");
    check("log.format = 'xml'", "c.toml:1: log.format = \"xml\": expected json or text");
    check("log.rotation = 1", "c.toml:1: log.rotation = 1: expected minutely, hourly, daily or never");
    check("log.level = 3", "c.toml:1: log.level = 3: expected a string in quotes");
    check(
        "[budget]\nram = 12",
        "c.toml:2: budget.ram = 12: expected \"auto\", or a whole number of B, KiB, MiB, GiB or TiB in quotes, such \
         as \"12GiB\"",
    );
    check(
        "[budget]\nram = '12 GB'",
        "c.toml:2: budget.ram = \"12 GB\": expected \"auto\", or a whole number of B, KiB, MiB, GiB or TiB in quotes, \
         such as \"12GiB\"",
    );
    check(
        "[budget]\nram_reserve = 'auto'",
        "c.toml:2: budget.ram_reserve = \"auto\": expected a whole number of B, KiB, MiB, GiB or TiB in quotes, such \
         as \"512MiB\"",
    );
    check(
        "[[model]]\nname = 'a'\nmemory = 6.5",
        "c.toml:3: model[0].memory = 6.5: expected a whole number of B, KiB, MiB, GiB or TiB in quotes, such as \
         \"512MiB\"",
    );
    check("log = 3", "c.toml:1: log = 3: expected a table of settings");
    check("models.dirs = '/a'", "c.toml:1: models.dirs = \"/a\": expected a list");
    check("models.dirs = ['/a',\n 5]", "c.toml:2: models.dirs[1] = 5: expected a path");
    check(
        "[gateway]\nlisten = 'localhost:8080'",
        "c.toml:2: gateway.listen = \"localhost:8080\": expected an IP address and a port, such as \
         127.0.0.1:8080 or [::1]:8080",
    );
    check(
        "[gateway]\nlisten = 8080",
        "c.toml:2: gateway.listen = 8080: expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
    );
    check(
        "[gateway]\nlisten_on = 1",
        "c.toml:2: there is no setting gateway.listen_on; did you mean gateway.listen?",
    );
    check("[gatewy]", "c.toml:1: there is no setting gatewy; did you mean gateway?");
    check("[models]\ndri = []", "c.toml:2: there is no setting models.dri; did you mean models.dirs?");
    check(
        "[models]\nport = 1",
        "c.toml:2: there is no setting models.port; expected one of: dirs, default, follow_links",
    );
    check(
        "[workers.gguf]\nslot = 1",
        "c.toml:2: there is no setting workers.gguf.slot; did you mean workers.gguf.slots?",
    );
    check("[[model]]\nname = 'a'\n[[model]]\npin = true", "c.toml:3: model[1] lacks the setting name");
    check(
        "[[model]]\nname = 'a'\nslot = 1",
        "c.toml:3: there is no setting model[0].slot; did you mean model[0].slots?",
    );
    check(
        "[workers.mine]\nslots = 1",
        "c.toml:1: workers.mine.command = \"\": expected the name or path of the worker's program",
    );
}

#[test]
fn an_error_outside_files_names_the_variable_or_argument() {
    let check = |variables: &[(&str, &str)], sets: &[&str], expected: &str| {
        assert_eq!(load(None, variables, sets).0.unwrap_err().to_string(), expected);
    };
    check(
        &[("IMPETUS_LOG__KEEP", "0")],
        &[],
        "environment variable IMPETUS_LOG__KEEP: log.keep = 0: expected a number from 1 to 10000",
    );
    check(
        &[("IMPETUS_LOG__KEPT", "1")],
        &[],
        "environment variable IMPETUS_LOG__KEPT: there is no setting log.kept; did you mean log.keep?",
    );
    check(
        &[("IMPETUS_GATEWAY_LISTEN", "1")],
        &[],
        "environment variable IMPETUS_GATEWAY_LISTEN: expected the form IMPETUS_SECTION__KEY; did you mean \
         IMPETUS_GATEWAY__LISTEN?",
    );
    check(
        &[("IMPETUS_LOG__", "1")],
        &[],
        "environment variable IMPETUS_LOG__: expected the form IMPETUS_SECTION__KEY",
    );
    check(
        &[("IMPETUS_LOG", "debug")],
        &[],
        "environment variable IMPETUS_LOG: log = \"debug\": expected a table of settings",
    );
    check(
        &[],
        &["log.keep=no"],
        "--set log.keep: log.keep = \"no\": expected a whole number that is not negative",
    );
    check(
        &[],
        &["supervisor.backoff_initial_ms=40000"],
        "--set supervisor.backoff_initial_ms: supervisor.backoff_max_ms = 30000: expected a number from 40000 to \
         31536000000",
    );
    check(&[], &["logs.keep=1"], "--set logs.keep: there is no setting logs; did you mean log?");
    for argument in ["log.keep", "=1", "keep=1", "log.=1", ".keep=1"] {
        let form = "expected section.key=value, such as gateway.listen=127.0.0.1:8081";
        check(&[], &[argument], &format!("--set {argument}: {form}"));
    }
}

#[test]
fn other_variables_are_left_alone() {
    let variables = [("IMPETUS_HOME", "/x"), ("PATH", "/bin"), ("IMPETUS", "1"), ("impetus_log__keep", "1")];
    assert_eq!(load(None, &variables, &[]).0.unwrap().config, Config::default());
}

#[test]
fn values_that_no_server_can_run_with_are_refused() {
    let check = |set: &str, expected: &str| {
        let message = load(None, &[], &[set]).0.expect_err(set).to_string();
        assert!(message.ends_with(&format!("expected {expected}")), "{set}: {message}");
    };
    check("gateway.command=", "the name or path of a program");
    check("gateway.max_body_bytes=10", "a number from 1024 to 4294967296");
    check("gateway.max_connections=0", "a number from 1 to 100000");
    check("gateway.keep_alive_s=0", "a number from 1 to 31536000");
    check("gateway.acquire_timeout_s=9223372036854775807", "a number from 1 to 31536000");
    check("responses.retention_s=0", "a number from 1 to 315360000");
    check("responses.max_responses=0", "a number from 1 to 100000000");
    check("responses.max_bytes=1KiB", "at least \"1MiB\"");
    check("responses.max_background=0", "a number from 1 to 10000");
    check("supervisor.runtime_dir=", "the path of a folder, which has no default when HOME is not set");
    check("supervisor.max_starts=0", "a number from 1 to 1000");
    check("supervisor.backoff_max_ms=100", "a number from 200 to 31536000000");
    check("budget.ram=0B", "at least \"1MiB\"");
    check("budget.margin=0.9", "a number from 1.0 to 10.0");
    check("budget.margin=nan", "a number from 1.0 to 10.0");
    check("prefixes.ram=1KiB", "\"0B\" or at least \"1MiB\"");
    check("prefixes.file=1B", "\"0B\" or at least \"1MiB\"");
    check("prefixes.disk=0B", "at least \"1MiB\"");
    check("prefixes.disk=8", size::EXPECTED);
    check("workers.gguf.speculation=draft", "lookup or off");
    check("workers.gguf.speculation=true", "lookup or off");
    check("model=[{name=\"a\",speculation=\"Lookup\"}]", "lookup or off");
    for stretch in ["0.5", "-1", "nan", "inf", "1001"] {
        check(&format!("workers.gguf.step_stretch={stretch}"), "0, or a number from 1.0 to 1000.0");
    }
    check("workers.gguf.step_stretch=much", "a number");
    check("model=[{name=\"a\",step_stretch=0.9}]", "0, or a number from 1.0 to 1000.0");
    check("workers.gguf.slots=0", "a number from 1 to 256");
    check("workers.gguf.slots=257", "a number from 1 to 256");
    check("workers.gguf.standby=17", "a number from 0 to 16");
    check("workers.gguf.patterns=[\"gguf\"]", "a file name pattern of the form *.ext");
    check("workers.gguf.patterns=[\"*\"]", "a file name pattern of the form *.ext");
    check(
        "workers.a/b={command=\"c\"}",
        "a format name of at most 32 lower-case letters, digits, '-' and '_'",
    );
    check("models.default=", "a name of at most 256 characters without spaces or control characters");
    check("model=[{name=\"a b\"}]", "a name of at most 256 characters without spaces or control characters");
    check("model=[{name=\"a\"},{name=\"a\"}]", "a name that no other model or alias has");
    check(
        "model=[{name=\"a\"},{name=\"b\",aliases=[\"c\",\"a\"]}]",
        "a name that no other model or alias has",
    );
    check("model=[{name=\"a\",slots=0}]", "a number from 1 to 256");
    check("model=[{name=\"a\",memory=\"1B\"}]", "at least \"1MiB\"");
    check("model=[{name=\"a\",ttl=99999999999}]", "a number from 0 to 31536000");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("absent.toml"), dir.path().into()] {
        let error = crate::load(Some(&path), &[]).unwrap_err();
        assert!(matches!(&error, ConfigError::Read { path: named, .. } if *named == path), "{error}");
    }
}

#[test]
fn the_file_in_the_default_place_is_read_when_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let default_file = dir.path().join("config.toml");
    let load = || {
        let places = Places { cwd: "/cwd".into(), home: Some("/home/me".into()) };
        let default_file = Some(default_file.clone());
        Sources { file: None, default_file, variables: Vec::new(), sets: Vec::new(), places }.load().unwrap()
    };
    assert!(load().describe().starts_with("# configuration file: none; there is no "));
    fs::write(&default_file, "log.format = 'text'").unwrap();
    let loaded = load();
    assert_eq!(loaded.config.log.format, LogFormat::Text);
    assert_eq!(loaded.origin("log.format"), Origin::File { path: default_file.clone(), line: Some(1) });
    assert!(loaded.describe().lines().next().unwrap().ends_with("config.toml (the default place)"));
}

#[test]
fn read_again_it_is_what_the_same_sources_say_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let write = |text: &str| fs::write(&path, text).unwrap();
    write("[log]\nkeep = 2\nlevel = 'warn'");
    let sources = Sources {
        file: Some(path.clone()),
        default_file: None,
        variables: vec![("IMPETUS_LOG__LEVEL".into(), "debug".into())],
        sets: vec!["gateway.max_queue=9".into()],
        places: Places { cwd: "/cwd".into(), home: None },
    };
    let loaded = sources.load().unwrap();
    write("[log]\nkeep = 3\nlevel = 'error'");
    let again = loaded.again().unwrap();
    assert_eq!((again.config.log.keep, again.config.gateway.max_queue), (3, 9));
    assert_eq!(again.changes_from(&loaded), ["log.keep"]);
    write("[log]\nkeep = 0");
    let message = again.again().unwrap_err().to_string();
    assert!(message.contains("c.toml:2: log.keep = 0: expected"), "{message}");
}

#[test]
fn changes_are_named_by_their_keys() {
    let check = |old: &str, new: &str, expected: &[&str]| {
        let [old, new] = [old, new].map(|text| load(Some(text), &[], &[]).0.unwrap());
        assert_eq!(new.changes_from(&old), expected);
        assert_eq!(old.changes_from(&new), expected);
    };
    check("", "", &[]);
    check("", "gateway.listen = '127.0.0.1:8080'", &[]);
    check("", "budget.ram = '2GiB'", &["budget.ram"]);
    check("budget.ram = '2GiB'", "budget.ram = '2048MiB'", &[]);
    check("models.dirs = ['/a', '/b']", "models.dirs = ['/b', '/a']", &["models.dirs"]);
    check("", "models.default = 'a'\n[workers.gguf]\nslots = 2", &["models.default", "workers.gguf.slots"]);
    check(
        "[workers.gguf.options]\nmmap = 'true'",
        "[workers.gguf.options]\nmmap = 'false'\nmlock = 'true'",
        &["workers.gguf.options.mlock", "workers.gguf.options.mmap"],
    );
    check("", "[workers.gguf.options]\nmmap = 'true'", &["workers.gguf.options.mmap"]);
    check("", "prefixes.file = '2GiB'\nworkers.gguf.step_stretch = 2", &[]);
    check(
        "",
        "prefixes.ram = '0B'\n[workers.gguf]\nspeculation = 'off'\nstep_stretch = 0",
        &["prefixes.ram", "workers.gguf.speculation", "workers.gguf.step_stretch"],
    );
    // An entry is itself wherever it stands.
    check("model = [{name = 'a'}, {name = 'b-1.5'}]", "model = [{name = 'b-1.5'}, {name = 'a'}]", &[]);
    check(
        "model = [{name = 'a'}, {name = 'b-1.5', slots = 1}]",
        "model = [{name = 'b-1.5', slots = 2}, {name = 'a'}]",
        &["model[b-1.5].slots"],
    );
    check(
        "",
        "model = [{name = 'a'}]",
        &["model[a].aliases", "model[a].name", "model[a].pin", "model[a].preload"],
    );
}

#[test]
fn without_a_home_folder_nothing_of_other_people_is_read() {
    let load = |set: &str| {
        let sets = vec![set.to_owned()];
        let places = Places { cwd: "/cwd".into(), home: None };
        Sources { file: None, default_file: None, variables: Vec::new(), sets, places }.load()
    };
    let message = load("supervisor.state_dir=~/state").unwrap_err().to_string();
    assert!(message.contains("supervisor.state_dir = \"\""), "{message}");
    let text = load("supervisor.state_dir=/state").unwrap().describe();
    assert!(text.starts_with("# configuration file: none; it has no default place"), "{text}");
}

#[test]
fn the_description_loads_to_the_same_configuration() {
    let file = "[models]\ndirs = ['/a']\n[workers.\"gguf\".options]\n\"odd key\" = 'a \"b\" \\ #'\n\
                [[model]]\nname = 'a'\naliases = ['b']\n[[model]]\nname = 'c'\nttl = 60";
    let (loaded, path) = load(Some(file), &[("IMPETUS_LOG__KEEP", "3")], &["log.level=debug"]);
    let loaded = loaded.unwrap();
    let text = loaded.describe();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), loaded.config, "{text}");
    assert!(text.lines().all(|line| line.is_empty() || line.contains('#')), "{text}");

    let text = text.replace(&*path.to_string_lossy(), "c.toml");
    let check = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    check("# configuration file: c.toml");
    check("gateway.listen = \"127.0.0.1:8080\"  # default");
    check("models.dirs = [\"/a\"]  # c.toml:2");
    check("workers.gguf.command = \"worker-gguf\"  # default");
    check("log.keep = 3  # environment variable IMPETUS_LOG__KEEP");
    check("log.level = \"debug\"  # --set log.level");
    check("[[model]]  # c.toml:5");
    check("name = \"c\"  # c.toml:9");
    check("ttl = 60  # c.toml:10");
    check("pin = false  # default");
}

#[test]
fn a_configuration_survives_json() {
    let config =
        loaded("log.dir = '/l'\n[[model]]\nname = 'a'\nttl = 60\n[workers.gguf.options]\nkv = 'q8_0'");
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

#[test]
fn the_example_shows_every_setting_with_its_default() {
    const EXAMPLE: &str = include_str!("../impetus.example.toml");
    assert_eq!(loaded(EXAMPLE), Config::default());

    // `#key = value` and `#[[header]]` are settings, `# text` is prose.
    let uncommented = |line: &'static str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting,
        _ => line,
    };
    let shown = EXAMPLE.lines().map(uncommented).collect::<Vec<_>>().join("\n");

    // What has no fixed default is shown by an example.
    let mut known = Config::default();
    known.supervisor.state_dir = "~/.local/state/impetus".into();
    known.supervisor.runtime_dir = "~/.local/state/impetus/run".into();
    known.log.dir = Some("~/.local/state/impetus/logs".into());
    known.models.default = Some("impetus-tiny".into());
    known.gateway.tls.cert = Some("~/certificates/server.pem".into());
    known.gateway.tls.key = Some("~/certificates/server.key".into());
    known.auth.key.push(KeyEntry {
        name: "editor".into(),
        key: None,
        key_sha256: Some("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into()),
        scopes: vec![Scope::Inference],
        expires: Some("2030-01-31".parse().unwrap()),
        models: Vec::new(),
        requests_per_minute: Some(60),
        tokens_per_minute: Some(100_000),
        priority: 0,
    });
    known.model.push(ModelEntry {
        name: "my-model".into(),
        path: Some("~/models/my-model.gguf".into()),
        aliases: Vec::new(),
        context: Some(4096),
        slots: Some(4),
        speculation: Some(Speculation::Lookup),
        step_stretch: Some(2.0),
        pin: false,
        ttl: Some(0),
        preload: false,
        memory: Some(Size(6 << 30)),
        output_format: Some("hermes".into()),
        options: BTreeMap::new(),
    });
    assert_eq!(toml::from_str::<Config>(&shown).unwrap(), known);
    let keys_of = |value: toml::Value| keys(&value, "");
    assert_eq!(keys_of(toml::from_str(&shown).unwrap()), keys_of(toml::Value::try_from(known).unwrap()));
}

mod access;

/// The dotted keys of all values, sorted; entries of a list share theirs.
fn keys(value: &toml::Value, at: &str) -> Vec<String> {
    let mut keys: Vec<_> = match value {
        toml::Value::Table(table) if !table.is_empty() => {
            table.iter().flat_map(|(name, value)| keys(value, &format!("{at}.{name}"))).collect()
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            items.iter().flat_map(|item| keys(item, at)).collect()
        }
        _ => vec![at.to_owned()],
    };
    keys.sort();
    keys
}
