//! What is refused, and how that is told.

use super::*;

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
    check(
        "supervisor.on_battery = true",
        "c.toml:1: supervisor.on_battery = true: expected serve, unload_idle or no_new_loads",
    );
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
        "[models]\nstore = '/m/store'\ndirs = ['/a', '/m']",
        "c.toml:2: models.store = \"/m/store\": expected a folder apart from /m, which models.dirs names",
    );
    check(
        "supervisor.state_dir = '/s'\nmodels.dirs = ['/a', '/s/store/x']",
        "c.toml:2: models.dirs[1] = \"/s/store/x\": expected a folder apart from the store, /s/store; models.store \
         moves that",
    );
    check(
        "[gateway]\nlisten = 'localhost:8080'",
        "c.toml:2: gateway.listen = \"localhost:8080\": expected an IP address and a port, such as \
         127.0.0.1:8080 or [::1]:8080",
    );
    check(
        "[gateway]\nollama_listen = true",
        "c.toml:2: gateway.ollama_listen = true: expected an IP address and a port, such as 127.0.0.1:11434",
    );
    for address in ["127.0.0.1:8080", "0.0.0.0:8080"] {
        check(
            &format!("[gateway]\nollama_listen = '{address}'"),
            &format!(
                "c.toml:2: gateway.ollama_listen = \"{address}\": expected another address than gateway.listen, such \
                 as 127.0.0.1:11434"
            ),
        );
    }
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
        "[models]\nslots = 1",
        "c.toml:2: there is no setting models.slots; expected one of: dirs, store, import, default, follow_links",
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
    let collector = "the address of a collector, such as \"http://127.0.0.1:4317\"";
    for address in ["", "127.0.0.1:4317", "http://", "http:///path", "grpc://a", "http://a b"] {
        check(&format!("telemetry.otlp_endpoint={address}"), collector);
    }
    check("telemetry.otlp_protocol=tcp", "grpc or http/protobuf");
    check("telemetry.otlp_headers=", "the path of a file");
    check("telemetry.otlp_timeout_s=0", "a number from 1 to 3600");
    check("telemetry.sample_ratio=1.1", "a number from 0.0 to 1.0");
    check("telemetry.sample_ratio=nan", "a number from 0.0 to 1.0");
    check("telemetry.max_queue=0", "a number from 1 to 100000");
    check("workers.gguf.speculation=draft", "lookup or off");
    check("workers.gguf.speculation=true", "lookup or off");
    check("model=[{name=\"a\",speculation=\"Lookup\"}]", "lookup or off");
    for stretch in ["0.5", "-1", "nan", "inf", "1001"] {
        check(&format!("workers.gguf.step_stretch={stretch}"), "0, or a number from 1.0 to 1000.0");
    }
    check("workers.gguf.step_stretch=much", "a number");
    check("model=[{name=\"a\",step_stretch=0.9}]", "0, or a number from 1.0 to 1000.0");
    for slots in ["0", "257", "-1", "4294967297", "1.5", "true", "four", "Auto"] {
        check(&format!("workers.gguf.slots={slots}"), slots::EXPECTED);
    }
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
    check("model=[{name=\"a\",slots=0}]", slots::EXPECTED);
    check("model=[{name=\"a\",draft=\"a\"}]", "the name of another model");
    check("model=[{name=\"a\",aliases=[\"b\"],draft=\"b\"}]", "the name of another model");
    check(
        "model=[{name=\"a\",draft=\"\"}]",
        "a name of at most 256 characters without spaces or control characters",
    );
    check(
        "model=[{name=\"a\",draft=\"b\"},{name=\"c\",aliases=[\"b\"],draft=\"d\"}]",
        "a model that has no `draft` itself",
    );
    check("model=[{name=\"a\",draft=\"b\",speculation=\"off\"}]", "lookup, since it has a `draft`");
    check("model=[{name=\"a\",draft=\"b\",draft_tokens=0}]", "a number from 1 to 64");
    check("model=[{name=\"a\",draft_tokens=8}]", "a model that has a `draft`");
    check("model=[{name=\"a\",draft=1}]", "a string in quotes");
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
