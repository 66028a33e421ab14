use std::{collections::BTreeMap, fs, path::Path};

use impetus_config::{ModelEntry, Slots, Speculation, WorkerConfig};

use super::*;

/// A library over `dir`, whose `*.toy` files are models.
async fn library(dir: &Path, entries: Vec<ModelEntry>, default: Option<&str>) -> Arc<Library> {
    let toy = WorkerConfig {
        command: "worker-toy".into(),
        patterns: vec!["*.toy".into()],
        slots: Slots::Number(2),
        context: 512,
        threads: 3,
        ..WorkerConfig::default()
    };
    let mut config = Config::default();
    config.models.dirs = vec![dir.into()];
    config.models.default = default.map(str::to_owned);
    config.workers.insert("toy".into(), toy);
    config.model = entries;
    let library = Arc::new(Library::new(&config, None, Aliases::default()).unwrap());
    library.scan().await;
    library
}

fn entry(name: &str) -> ModelEntry {
    ModelEntry {
        name: name.into(),
        path: None,
        aliases: Vec::new(),
        context: None,
        slots: None,
        speculation: None,
        draft: None,
        draft_tokens: None,
        step_stretch: None,
        pin: false,
        ttl: None,
        preload: false,
        memory: None,
        output_format: None,
        options: BTreeMap::new(),
    }
}

fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(dir.path().join(file), "toy").unwrap();
    }
    dir
}

#[tokio::test]
async fn a_model_gets_its_formats_settings_and_its_own() {
    let dir = folder(&["small.toy", "big.toy"]);
    let big = ModelEntry {
        slots: Some(Slots::Number(8)),
        ttl: Some(60),
        pin: true,
        aliases: vec!["main".into()],
        output_format: Some("hermes".into()),
        speculation: Some(Speculation::Off),
        step_stretch: Some(0.0),
        ..entry("big")
    };
    let library = library(dir.path(), vec![big], None).await;
    let small = library.find("small").await.unwrap();
    assert_eq!((small.spec.slots, small.spec.context_tokens, small.spec.threads), (2, 512, 3));
    assert_eq!((small.format.as_str(), small.pin, small.ttl), ("toy", false, None));
    assert_eq!(small.spec.output_format, "");
    assert_eq!((small.spec.step_stretch, small.spec.speculation.as_ref().unwrap().lookup_tokens), (2.0, 16));
    assert_eq!(small.spec.prefixes, None, "nobody knows its keys and values");
    assert_eq!(small.files, [dir.path().join("small.toy")]);
    let big = library.find("main").await.unwrap();
    assert_eq!((big.spec.model.as_str(), big.spec.slots, big.spec.context_tokens), ("big", 8, 512));
    assert_eq!((big.pin, big.ttl), (true, Some(Duration::from_mins(1))));
    assert_eq!(big.spec.output_format, "hermes");
    assert_eq!((big.spec.step_stretch, &big.spec.speculation), (0.0, &None));
    assert_eq!(Path::new(&big.spec.path), dir.path().join("big.toy"));
}

#[tokio::test]
async fn the_default_is_the_configured_one_the_only_one_or_the_bundled_one() {
    async fn check(files: &[&str], configured: Option<&str>, expected: Option<&str>) {
        let dir = folder(files);
        let library = library(dir.path(), Vec::new(), configured).await;
        let found = library.find("").await;
        match expected {
            Some(name) => assert_eq!(found.unwrap().spec.model, name, "{files:?}"),
            None => assert_eq!(found.unwrap_err().code(), Code::InvalidRequest, "{files:?}"),
        }
    }
    check(&["a.toy", "b.toy"], Some("b"), Some("b")).await;
    check(&["a.toy"], None, Some("a")).await;
    check(&["a.toy", "impetus-tiny.toy"], None, Some("impetus-tiny")).await;
    check(&["a.toy", "b.toy"], None, None).await;
    check(&[], None, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_file_is_found_when_it_is_asked_for() {
    let dir = folder(&["a.toy"]);
    let library = library(dir.path(), Vec::new(), None).await;
    let error = library.find("b").await.unwrap_err();
    assert_eq!((error.code(), error.param.as_str()), (Code::ModelNotFound, "model"));
    fs::write(dir.path().join("b.toy"), "toy").unwrap();
    tokio::time::advance(FRESH).await;
    assert_eq!(library.find("b").await.unwrap().spec.model, "b");
}

#[tokio::test]
async fn a_broken_file_is_refused_with_the_reason() {
    let dir = folder(&[]);
    fs::write(dir.path().join("torn.gguf"), b"GGUF\x03\0\0\0").unwrap();
    let library = library(dir.path(), Vec::new(), None).await;
    let error = library.find("torn").await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert!(error.message.starts_with("torn cannot be loaded: "), "{error}");
}

#[tokio::test]
async fn a_model_gets_its_draft_and_room_for_both() {
    let dir = folder(&["big.toy", "small.toy"]);
    let big = ModelEntry { draft: Some("little".into()), draft_tokens: Some(5), ..entry("big") };
    let small = ModelEntry {
        aliases: vec!["little".into()],
        options: BTreeMap::from([("x".to_owned(), "1".to_owned())]),
        ..entry("small")
    };
    let library = library(dir.path(), vec![big, small], None).await;
    let (big, small) = (library.find("big").await.unwrap(), library.find("small").await.unwrap());
    let speculation = big.spec.speculation.clone().unwrap();
    let draft = speculation.draft.unwrap();
    assert_eq!((speculation.lookup_tokens, draft.tokens, draft.context_tokens), (16, 5, 0));
    assert_eq!((draft.model.as_str(), &draft.path), ("small", &small.spec.path));
    assert_eq!((draft.options, big.spec.options.len()), (small.spec.options.clone(), 0));
    assert_eq!(small.spec.speculation.as_ref().unwrap().draft, None);
    // The process is there once.
    let files = small.size_bytes;
    assert_eq!((big.size_bytes, big.footprint.total()), (2 * files, small.footprint.total() + files));
    assert_eq!(big.files, [dir.path().join("big.toy")], "whose prefixes are the model's own");
}

#[tokio::test]
async fn a_draft_means_guesses_whatever_is_the_rule() {
    let dir = folder(&["big.toy", "small.toy"]);
    let mut config = Config::default();
    config.models.dirs = vec![dir.path().into()];
    let toy = WorkerConfig {
        patterns: vec!["*.toy".into()],
        speculation: Speculation::Off,
        ..WorkerConfig::default()
    };
    config.workers.insert("toy".into(), toy);
    config.model = vec![ModelEntry { draft: Some("small".into()), ..entry("big") }];
    let library = Arc::new(Library::new(&config, None, Aliases::default()).unwrap());
    let big = library.find("big").await.unwrap();
    assert_eq!(big.spec.speculation.as_ref().unwrap().lookup_tokens, 16);
    assert_eq!(library.find("small").await.unwrap().spec.speculation, None);
}

#[tokio::test]
async fn a_draft_that_cannot_be_one_is_refused_with_the_reason() {
    let dir = folder(&["big.toy", "small.toy", "other.doll"]);
    fs::write(dir.path().join("torn.gguf"), b"GGUF\x03\0\0\0").unwrap();
    let check = async |draft: &str, expected: &str| {
        let mut config = Config::default();
        config.models.dirs = vec![dir.path().into()];
        for format in ["toy", "doll"] {
            let patterns = vec![format!("*.{format}")];
            config.workers.insert(format.into(), WorkerConfig { patterns, ..WorkerConfig::default() });
        }
        config.model = vec![
            ModelEntry { draft: Some(draft.into()), ..entry("big") },
            ModelEntry { draft: Some("big".into()), ..entry("small") },
        ];
        let library = Arc::new(Library::new(&config, None, Aliases::default()).unwrap());
        let error = library.find("big").await.unwrap_err();
        assert_eq!(error.code(), Code::ModelLoadFailed);
        assert!(error.message.starts_with("big cannot be loaded: "), "{error}");
        assert!(error.message.contains(expected) && error.message.contains("set `draft` of"), "{error}");
    };
    check("absent", "is not here").await;
    check("big", "is the model itself").await;
    check("small", "has a draft model of its own").await;
    check("other", "is of the format doll, the model of toy").await;
    check("torn", "is damaged").await;
}

#[test]
fn a_name_that_could_be_a_path_is_refused() {
    let config = Config { model: vec![entry("../x")], ..Config::default() };
    let error = Library::new(&config, None, Aliases::default()).unwrap_err().to_string();
    assert!(error.contains("[[model]] name = \"../x\""), "{error}");
}
