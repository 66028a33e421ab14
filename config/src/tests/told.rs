//! What is told of a configuration: what changed, what is in force, what there is.

use super::*;

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
    check("", "prefixes.file = '2GiB'\nworkers.gguf.step_stretch = 2\nworkers.gguf.slots = 'auto'", &[]);
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
    const EXAMPLE: &str = include_str!("../../impetus.example.toml");
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
    known.models.store = Some("~/.local/state/impetus/store".into());
    known.pull.proxy = Some("http://proxy.example.org:3128".into());
    known.pull.ca_file = Some("~/certificates/authority.pem".into());
    known.telemetry.otlp_endpoint = Some("http://127.0.0.1:4317".into());
    known.telemetry.otlp_headers = Some("~/.config/impetus/otlp-headers".into());
    known.telemetry.otlp_ca = Some("~/certificates/collector.pem".into());
    known.gateway.ollama_listen = Some("127.0.0.1:11434".parse().unwrap());
    known.gateway.tls.cert = Some("~/certificates/server.pem".into());
    known.gateway.tls.key = Some("~/certificates/server.key".into());
    known.auth.admin_without_keys = Some(true);
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
        slots: Some(Slots::Number(4)),
        speculation: Some(Speculation::Lookup),
        draft: Some("my-small-model".into()),
        draft_tokens: Some(16),
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
