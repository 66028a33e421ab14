use std::{collections::BTreeMap, fs};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A store in a folder of its own.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Store {
        Store::open(&self.dir.path().join("models"), self.dir.path()).unwrap()
    }
}

/// Models of a format that is known by the ends of names alone.
fn patterns() -> Vec<FormatPattern> {
    vec![FormatPattern { format: "toy".into(), patterns: vec!["*.toy".into()] }]
}

fn name(text: &str) -> ModelName {
    ModelName::new(text).unwrap()
}

/// Puts files into the staging folder `id`.
fn stage(store: &Store, id: &str, files: &[(&str, &str)]) -> Vec<KeptFile> {
    let staging = store.staging(id).unwrap().join("model");
    let file = |&(path, content): &(&str, &str)| {
        let target = staging.join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, content).unwrap();
        let sha256 = Some(Digest::of(&target).unwrap());
        KeptFile { path: path.into(), bytes: content.len() as u64, sha256, modified_ns: 0 }
    };
    files.iter().map(file).collect()
}

fn publish(store: &Store, model: &str, content: &str) -> Result<Kept, StoreError> {
    let files = stage(store, model, &[("m.toy", content)]);
    store.publish(model, arrival(model, files), &patterns())
}

fn arrival(model: &str, files: Vec<KeptFile>) -> Arrival {
    let (source, revision) = ("hub".to_owned(), "c".to_owned());
    Arrival { name: name(model), origin: Origin::Pulled, source, revision, files }
}

/// Hears of all files.
#[derive(Default)]
struct Told(std::cell::RefCell<Vec<Checked>>);

impl Listener for Told {
    fn listens(&self) -> bool {
        true
    }

    fn hear(&self, checked: Checked) {
        self.0.borrow_mut().push(checked);
    }
}

fn names(store: &Store) -> Vec<String> {
    store.models().unwrap().into_iter().map(|kept| kept.name.to_string()).collect()
}

#[test]
fn what_is_published_is_there_after_a_start_and_what_is_removed_is_not() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "a", "one").unwrap();
    let kept = publish(&store, "b:1", "two").unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(names(&store), ["a", "b:1"]);
    assert_eq!(store.find("b:1").unwrap(), kept);
    assert_eq!(store.places().unwrap()[1].path, store.root().join("b:1"));
    assert_eq!(store.remove("a").unwrap(), 3);
    assert!(matches!(store.remove("a"), Err(StoreError::Absent { .. })));
    drop(store);
    assert_eq!(names(&place.open()), ["b:1"]);
    let left = fs::read_dir(place.dir.path().join("models/.trash")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_model_takes_the_place_of_the_one_before() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "a", "one").unwrap();
    let open = fs::read(store.root().join("a/m.toy")).unwrap();
    publish(&store, "a", "another").unwrap();
    assert_eq!((open.as_slice(), names(&store)), (b"one".as_slice(), vec!["a".to_owned()]));
    assert_eq!(fs::read(store.root().join("a/m.toy")).unwrap(), b"another");
    assert_eq!(store.find("a").unwrap().bytes, 7);
}

#[test]
fn what_is_no_model_is_not_kept() {
    let place = Place::new();
    let store = place.open();
    let files = stage(&store, "x", &[("readme.txt", "hello")]);
    let error = store.publish("x", arrival("x", files), &patterns()).unwrap_err().to_string();
    assert!(error.contains("x cannot be served"), "{error}");
    let torn = stage(&store, "y", &[("m.gguf", "GGUFtorn")]);
    let error = store.publish("y", arrival("y", torn), &patterns()).unwrap_err().to_string();
    assert!(error.contains("y cannot be served"), "{error}");
    assert!(names(&store).is_empty());
    assert_eq!(fs::read_dir(store.root().join(".staging")).unwrap().count(), 0);
}

#[test]
fn a_change_that_was_begun_is_carried_through() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "gone", "one").unwrap();
    publish(&store, "old", "one").unwrap();
    let files = stage(&store, "id", &[("m.toy", "new")]);
    let kept = Kept { files, bytes: 3, ..store.find("old").unwrap() };
    store.catalogue().put(&kept, &Stage::Publishing("id".into())).unwrap();
    store.catalogue().set_stage(&name("gone"), &Stage::Removing).unwrap();
    // One whose folder is in its place already.
    let there = Kept { name: name("there"), ..kept.clone() };
    fs::create_dir(store.root().join("there")).unwrap();
    store.catalogue().put(&there, &Stage::Publishing("none".into())).unwrap();
    // One of which nothing is there.
    let lost = Kept { name: name("lost"), ..kept };
    store.catalogue().put(&lost, &Stage::Publishing("none".into())).unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(names(&store), ["old", "there"]);
    assert_eq!(fs::read(store.root().join("old/m.toy")).unwrap(), b"new");
}

#[test]
fn models_are_found_again_when_the_catalogue_is_lost() {
    let place = Place::new();
    let store = place.open();
    drop(store);
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny.gguf");
    let folder = place.dir.path().join("models/tiny");
    fs::create_dir(&folder).unwrap();
    fs::copy(bundled, folder.join("m.gguf")).unwrap();
    fs::create_dir(place.dir.path().join("models/other")).unwrap();
    fs::write(place.dir.path().join(FILE), "no database at all, but long enough to be looked at").unwrap();
    let _ = fs::remove_file(place.dir.path().join("catalogue.db-wal"));
    let store = place.open();
    assert_eq!(names(&store), ["tiny"]);
    let kept = store.find("tiny").unwrap();
    assert_eq!((kept.origin, kept.format.as_str(), kept.files.len()), (Origin::Found, "gguf", 1));
    assert!(place.dir.path().join("catalogue.db.damaged").exists());
    // Its content becomes known when it is first read.
    store.verify("tiny", &()).unwrap();
    assert!(store.find("tiny").unwrap().files[0].sha256.is_some());
}

#[test]
fn damage_is_found_and_takes_a_model_out_of_service() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "a", "one").unwrap();
    assert_eq!(store.suspects().unwrap(), Vec::<String>::new());
    fs::write(store.root().join("a/m.toy"), "ONE").unwrap();
    assert_eq!(store.suspects().unwrap(), ["a"]);
    let told = Told::default();
    store.verify("a", &told).unwrap();
    let told = told.0.into_inner();
    assert!(told[0].problem.as_deref().unwrap().contains("its content is sha256:"), "{told:?}");
    assert!(store.find("a").unwrap().damage.unwrap().starts_with("m.toy: "));
    assert!(store.places().unwrap().is_empty());
    fs::write(store.root().join("a/m.toy"), "one").unwrap();
    store.verify("a", &()).unwrap();
    assert_eq!((store.find("a").unwrap().damage, store.places().unwrap().len()), (None, 1));
    assert_eq!(store.suspects().unwrap(), Vec::<String>::new());
}

/// Changes a model when the first of its files was read.
struct Meddler<F>(F);

impl<F: Fn()> Listener for Meddler<F> {
    fn listens(&self) -> bool {
        true
    }

    fn hear(&self, _: Checked) {
        (self.0)();
    }
}

#[test]
fn what_became_of_a_model_while_it_was_read_counts() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "a", "one").unwrap();
    fs::write(store.root().join("a/m.toy"), "ONE").unwrap();
    let replaced = Meddler(|| drop(publish(&store, "a", "another").unwrap()));
    store.verify("a", &replaced).unwrap();
    let kept = store.find("a").unwrap();
    assert_eq!((kept.bytes, kept.damage), (7, None));

    fs::write(store.root().join("a/m.toy"), "damaged").unwrap();
    let removed = Meddler(|| assert_eq!(store.remove("a").unwrap(), 7));
    store.verify("a", &removed).unwrap();
    assert!(names(&store).is_empty());
}

#[test]
fn nothing_is_said_of_a_model_that_was_not_read_to_the_end() {
    struct Gone;
    impl Listener for Gone {
        fn listens(&self) -> bool {
            false
        }

        fn hear(&self, checked: Checked) {
            panic!("{checked:?}");
        }
    }
    let place = Place::new();
    let store = place.open();
    let kept = publish(&store, "a", "one").unwrap();
    fs::write(store.root().join("a/m.toy"), "ONE").unwrap();
    store.verify("a", &Gone).unwrap();
    assert_eq!(store.find("a").unwrap(), kept);
}

#[test]
fn nothing_takes_the_place_of_another_model() {
    let place = Place::new();
    let store = place.open();
    publish(&store, "a", "one").unwrap();
    let files = stage(&store, "id", &[("m.toy", "two")]);
    let refused = |arrival: Arrival| {
        let error = store.publish("id", arrival, &patterns()).unwrap_err();
        assert!(matches!(error, StoreError::Taken { .. }), "{error}");
        error.to_string()
    };
    let sent = Arrival { origin: Origin::Uploaded, source: String::new(), ..arrival("a", files.clone()) };
    assert!(refused(sent).contains("a is the name of a model of the store (hub)"));
    refused(Arrival { source: "else".into(), ..arrival("a", files.clone()) });
    // A folder that somebody put there and that is no model.
    fs::create_dir(store.root().join("b")).unwrap();
    assert!(refused(arrival("b", files.clone())).contains("what lies at"));
    assert_eq!(fs::read(store.root().join("a/m.toy")).unwrap(), b"one");
    // It is there still, and can have another name.
    store.publish("id", arrival("c", files), &patterns()).unwrap();
    assert_eq!(names(&store), ["a", "c"]);
}

#[test]
fn what_was_given_up_becomes_no_model() {
    let place = Place::new();
    let store = place.open();
    let files = stage(&store, "id", &[("m.toy", "one")]);
    fs::create_dir_all(store.root().join("elsewhere")).unwrap();
    store.discard("id").unwrap();
    let error = store.publish("id", arrival("a", files), &patterns()).unwrap_err();
    assert!(matches!(error, StoreError::NoModel { .. }), "{error}");
    assert!(names(&store).is_empty());
}

#[test]
fn models_are_not_forgotten_when_their_disk_is_not_there() {
    let place = Place::new();
    let store = place.open();
    let kept = publish(&store, "a", "one").unwrap();
    drop(store);
    let (root, away) = (place.dir.path().join("models"), place.dir.path().join("away"));
    fs::rename(&root, &away).unwrap();
    let store = place.open();
    assert_eq!(names(&store), ["a"]);
    assert!(!store.has(&kept));
    drop(store);
    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert_eq!(place.open().find("a").unwrap(), kept);
    // One that is gone from a disk that is there is forgotten.
    fs::remove_dir_all(root.join("a")).unwrap();
    assert!(names(&place.open()).is_empty());
}

#[test]
fn what_cannot_be_cleaned_up_is_in_nobodys_way() {
    let place = Place::new();
    let store = place.open();
    fs::write(store.root().join(".trash/file"), "").unwrap();
    fs::write(store.root().join(".staging/file"), "").unwrap();
    let sending = store.staging("upload-0-a").unwrap();
    let forgotten = store.staging("upload-1-b").unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    fs::File::open(forgotten.join("model")).unwrap().set_modified(old).unwrap();
    publish(&store, "a", "one").unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(names(&store), ["a"]);
    assert!(sending.exists() && !forgotten.exists());
    let left = |hidden: &str| fs::read_dir(store.root().join(hidden)).unwrap().count();
    assert_eq!((left(".trash"), left(".staging")), (0, 1));
}

#[test]
fn the_same_content_is_on_the_disk_once() {
    let place = Place::new();
    let store = place.open();
    for (model, content) in [("a", "same"), ("b", "same"), ("c", "else")] {
        publish(&store, model, content).unwrap();
    }
    // What a stop in the middle of it leaves.
    fs::write(store.root().join("b/.m.toy.sharing"), "").unwrap();
    let expected =
        Shared { path: store.root().join("b/m.toy"), with: store.root().join("a/m.toy"), bytes: 4 };
    assert_eq!(store.share(true).unwrap(), std::slice::from_ref(&expected));
    assert_eq!(store.share(false).unwrap(), [expected]);
    assert_eq!(store.share(false).unwrap(), []);
    // Nothing has to be read again for it.
    assert_eq!(store.suspects().unwrap(), Vec::<String>::new());
    store.remove("a").unwrap();
    assert_eq!(fs::read(store.root().join("b/m.toy")).unwrap(), b"same");
    // What changed since it came shares nothing.
    publish(&store, "a", "same").unwrap();
    fs::write(store.root().join("a/m.toy"), "SAME").unwrap();
    assert_eq!(store.share(false).unwrap(), []);
    assert_eq!(fs::read(store.root().join("b/m.toy")).unwrap(), b"same");
}

#[test]
fn pulls_are_known_until_they_are_over() {
    let place = Place::new();
    let store = place.open();
    let pull = PullRow {
        id: "0123".into(),
        reference: "hf:a/b".into(),
        name: String::new(),
        format: "gguf".into(),
        detached: true,
        state: PullState::Running,
        detail: String::new(),
        bytes: 1,
        total_bytes: 2,
        started_s: 3,
    };
    store.put_pull(&pull).unwrap();
    store.staging("0123").unwrap();
    store.staging("stray").unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.pulls().unwrap(), std::slice::from_ref(&pull));
    let staged = || fs::read_dir(store.root().join(".staging")).unwrap().count();
    assert_eq!(staged(), 1, "what nobody knows is gone");
    store.put_pull(&PullRow { state: PullState::Failed, ..pull }).unwrap();
    assert_eq!(store.pulls().unwrap()[0].state, PullState::Failed);
    store.forget_pull("0123").unwrap();
    store.discard("0123").unwrap();
    assert_eq!((store.pulls().unwrap().len(), staged()), (0, 0));
}

#[test]
fn a_digest_is_read_as_it_is_written() {
    let digest = Digest(std::array::from_fn(|n| u8::try_from(n * 7).unwrap()));
    assert_eq!(digest.to_string().parse(), Ok(digest));
    for text in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), "../../../etc/passwd"] {
        assert_eq!(text.parse::<Digest>(), Err(NoDigest), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_catalogue_says_what_was_done(acts in prop::collection::vec((0usize..3, 0usize..3), 1..12)) {
        let place = Place::new();
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for (step, (act, which)) in acts.into_iter().enumerate() {
            // Every second act comes after a start.
            let store = place.open();
            let model = format!("m{which}");
            if act < 2 {
                publish(&store, &model, &step.to_string()).unwrap();
                expected.insert(model, step.to_string());
            } else {
                prop_assert_eq!(store.remove(&model).is_ok(), expected.remove(&model).is_some());
            }
            let got: BTreeMap<String, String> = names(&store)
                .into_iter()
                .map(|name| { let text = fs::read_to_string(store.root().join(&name).join("m.toy")).unwrap(); (name, text) })
                .collect();
            prop_assert_eq!(&got, &expected);
        }
    }
}
