use std::{collections::BTreeMap, fs};

use serde_json::{Value as Json, json};

use super::*;
use crate::load;

/// A configuration file of this text, and what it says.
fn loaded(text: &str, sets: &[&str]) -> (tempfile::TempDir, Loaded) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let loaded = load(Some(&path), &sets).unwrap();
    (dir, loaded)
}

fn edit(text: &str, changes: &[(&str, Json)]) -> Result<Edit, EditError> {
    let (_dir, loaded) = loaded(text, &["gateway.max_depth=64"]);
    let changes: BTreeMap<String, Json> =
        changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    loaded.edit(&changes)
}

#[test]
fn every_setting_is_told_with_its_value_and_where_that_comes_from() {
    let text = "[gateway]\nmax_queue = 7\n[[model]]\nname = \"a.b\"\nttl = 9\n[pull]\nproxy = \"http://me:pw@p:1\"\n";
    let (_dir, loaded) = loaded(text, &["log.level=debug"]);
    let settings = loaded.settings();
    let find =
        |key: &str| settings.iter().find(|setting| setting.key == key).unwrap_or_else(|| panic!("{key}"));
    let check = |key: &str, value: Json, default: Json, origin: &str, is_editable: bool| {
        let setting = find(key);
        assert_eq!((&setting.value, &setting.default), (&value, &default), "{key}");
        assert!(setting.origin.to_string().contains(origin), "{key}: {}", setting.origin);
        assert_eq!(setting.is_editable, is_editable, "{key}");
        assert!(!setting.description.is_empty(), "{key}");
    };
    check("gateway.max_queue", json!(7), json!(256), "config.toml:2", true);
    check("gateway.max_depth", json!(128), json!(128), "default", true);
    check("gateway.tls.cert", Json::Null, Json::Null, "default", true);
    check("log.level", json!("debug"), json!("info"), "--set log.level", false);
    check("model[a.b].ttl", json!(9), Json::Null, "config.toml:5", true);
    check("model[a.b].pin", json!(false), json!(false), "default", true);
    check("workers.onnx.slots", json!("auto"), json!("auto"), "default", true);
    check("pull.proxy", json!("hidden"), Json::Null, "config.toml:7", false);
    assert!(find("log.level").starts_only && !find("gateway.max_queue").starts_only);
    assert!(find("workers.onnx.slots").description.starts_with("Sequences that are generated at once"));
    assert!(settings.iter().all(|setting| !setting.key.starts_with("auth.key")));
    let all = Value::try_from(Config::default()).unwrap();
    for (section, table) in
        all.as_table().unwrap().iter().filter_map(|(name, it)| Some((name, it.as_table()?)))
    {
        for name in table.keys().filter(|name| (section.as_str(), name.as_str()) != ("auth", "key")) {
            let key = format!("{section}.{name}");
            assert!(settings.iter().any(|setting| setting.key.starts_with(&key)), "{key} is not told");
        }
    }
}

#[test]
fn an_edit_keeps_what_it_is_not_about() {
    let check = |text: &str, changes: &[(&str, Json)], expected: &str| {
        let edit = edit(text, changes).unwrap();
        assert_eq!((edit.text.as_str(), edit.former.as_deref()), (expected, Some(text)));
    };
    let commented = "# mine\n[gateway]\n# long\nmax_queue = 7 # seven\n\n[log] # last\nkeep = 3\n";
    let expected = "# mine\n[gateway]\n# long\nmax_queue = 9 # seven\n\n[log] # last\nkeep = 3\n";
    check(commented, &[("gateway.max_queue", json!(9))], expected);
    let expected = "# mine\n[gateway]\n\n[log] # last\nkeep = 3\n";
    check(commented, &[("gateway.max_queue", Json::Null), ("gateway.tls.cert", Json::Null)], expected);
    check("", &[("budget.margin", json!(1.5))], "[budget]\nmargin = 1.5\n");
    check(
        "workers = { gguf = { threads = 1 } }\n",
        &[("workers.gguf.threads", json!(2))],
        "workers = { gguf = { threads = 2 } }\n",
    );
    let models = "[[model]]\nname = \"a.b\"\npin = false\n";
    check(models, &[("model[a.b].pin", json!(true))], "[[model]]\nname = \"a.b\"\npin = true\n");
    let both =
        "[[model]]\nname = \"a.b\"\npin = false\n\n[[model]]\nname = \"c\"\naliases = [\"d\", \"e\"]\n";
    check(models, &[("model[c].aliases", json!(["d", "e"]))], both);
    check(models, &[("model[c].ttl", Json::Null)], models);
}

#[test]
fn an_edit_that_cannot_hold_is_refused_with_its_key() {
    let check = |changes: &[(&str, Json)], key: &str, message: &str| {
        let error = edit("[gateway]\nmax_queue = 7\n", changes).unwrap_err();
        assert_eq!(error.key(), Some(key), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    };
    check(&[("gateway.max_queue", json!("many"))], "gateway.max_queue", "expected");
    check(&[("gateway.max_queues", json!(1))], "gateway.max_queues", "did you mean");
    check(&[("gateway.max_depth", json!(1))], "gateway.max_depth", "--set gateway.max_depth");
    check(&[("auth.key", json!([]))], "auth.key", "make and revoke keys");
    check(&[("gateway", json!(1))], "gateway", "no setting");
    check(&[("gateway.max_queue.x", json!(1))], "gateway.max_queue.x", "no setting");
    check(&[("model[].pin", json!(true))], "model[].pin", "no setting");
    assert!(edit("", &[("gateway.max_queue", json!(1))]).unwrap().diff().contains("+max_queue = 1"));
}

#[test]
fn profiles_have_the_same_keys_and_can_be_taken() {
    let profiles = profiles(2);
    for profile in &profiles {
        assert!(profile.changes.keys().eq(profiles[0].changes.keys()), "{}", profile.name);
        let (_dir, loaded) = loaded("", &[]);
        let edit = loaded.edit(&profile.changes).unwrap();
        for setting in edit.loaded.settings() {
            if let Some(wanted) = profile.changes.get(&setting.key) {
                let expected = if wanted.is_null() { &setting.default } else { wanted };
                assert_eq!(&setting.value, expected, "{} of {}", setting.key, profile.name);
            }
        }
    }
}
