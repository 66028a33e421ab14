//! Which source of a setting wins, and what its value becomes.

use super::*;

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
    check("workers.gguf.slots=auto", |c| format!("{:?}", c.workers["gguf"].slots), "Auto");
    check("model=[{name=\"a\",slots=\"auto\"}]", |c| format!("{:?}", c.model[0].slots), "Some(Auto)");
    check("workers.gguf.step_stretch=1", |c| c.workers["gguf"].step_stretch.to_string(), "1");
    check("workers.gguf.step_stretch=0", |c| c.workers["gguf"].step_stretch.to_string(), "0");
    check("workers.gguf.speculation=off", |c| format!("{:?}", c.workers["gguf"].speculation), "Off");
    check("prefixes.ram=0B", |c| c.prefixes.ram.to_string(), "0B");
    check("workers.x={command=\"x-worker\"}", |c| c.workers["x"].slots.to_string(), "auto");
    check("model=[{name=\"a\",draft=\"b\"}]", |c| format!("{:?}", c.model[0].draft), "Some(\"b\")");
    check("model=[{name=\"a\",pin=true}]", |c| c.model[0].pin.to_string(), "true");
}

#[test]
fn workers_of_the_user_join_those_that_are_built_in() {
    let config = loaded("[workers.gguf]\nslots = 2\n[workers.mine]\ncommand = 'mine'\npatterns = ['*.mine']");
    let gguf = WorkerConfig { slots: Slots::Number(2), ..Config::default().workers["gguf"].clone() };
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
fn other_variables_are_left_alone() {
    let variables = [("IMPETUS_HOME", "/x"), ("PATH", "/bin"), ("IMPETUS", "1"), ("impetus_log__keep", "1")];
    assert_eq!(load(None, &variables, &[]).0.unwrap().config, Config::default());
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
