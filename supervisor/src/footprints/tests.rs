//! What is measured counts, is kept, and never makes a worker's share too small.

use std::{
    fs,
    time::{Duration, UNIX_EPOCH},
};

use impetus_proto::launch::{DraftSpec, SpeculationSpec, WorkerSpec};

use super::*;

const MIB: u64 = 1 << 20;

fn manifest(path: &str) -> Manifest {
    Manifest {
        spec: WorkerSpec { path: path.into(), slots: 4, context_tokens: 512, ..WorkerSpec::default() },
        files: Vec::new(),
        format: "gguf".into(),
        pin: false,
        ttl: None,
        modified: Some(UNIX_EPOCH + Duration::from_secs(1)),
        size_bytes: 10,
        footprint: Memory::ram(100 * MIB),
        growth: Some(Memory::ram(30 * MIB)),
        fixed: None,
        widths: Vec::new(),
    }
}

fn load(dir: &Path) -> Footprints {
    Footprints::load(dir, &BTreeMap::from([("gguf".to_owned(), dir.join("program"))]))
}

fn ram(mib: u64) -> Memory {
    Memory::ram(mib * MIB)
}

#[test]
fn a_load_is_measured_and_its_growth_computed() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    let model = manifest("/m");
    let check = |footprints: &Footprints, mib| assert_eq!(footprints.predict(&model), ram(mib));
    check(&footprints, 100);
    assert!(footprints.learn(&model, &ram(50)));
    check(&footprints, 80);
    assert!(footprints.learn(&model, &ram(60)), "a tick");
    check(&footprints, 80);
    assert!(!footprints.learn(&model, &ram(55)), "the next worker's load");
    assert!(!footprints.learn(&model, &Memory::default()));
    check(&footprints, 80);
    assert!(footprints.learn(&model, &ram(95)));
    check(&footprints, 95);
}

#[test]
fn what_the_user_says_is_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    let fixed = Manifest { fixed: Some(ram(7)), ..manifest("/m") };
    footprints.learn(&fixed, &ram(500));
    assert_eq!(footprints.predict(&fixed), ram(7));
}

#[test]
fn without_a_formula_a_peak_lowers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    let opaque = Manifest { growth: None, ..manifest("/m") };
    footprints.learn(&opaque, &ram(20));
    assert_eq!(footprints.predict(&opaque), ram(100));
    footprints.learn(&opaque, &ram(120));
    assert_eq!(footprints.predict(&opaque), ram(120));
}

#[test]
fn each_pool_is_learned_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    let model = manifest("/m");
    footprints.learn(&model, &ram(50).with("cuda0", 900 * MIB));
    footprints.learn(&model, &ram(90));
    assert_eq!(footprints.predict(&model), ram(90).with("cuda0", 900 * MIB));
}

#[test]
fn other_circumstances_are_another_footprint() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    footprints.learn(&manifest("/m"), &ram(50));
    let is_known = |change: &dyn Fn(&mut Manifest)| {
        let mut other = manifest("/m");
        change(&mut other);
        footprints.predict(&other) != ram(100)
    };
    assert!(is_known(&|_| {}));
    assert!(is_known(&|other| other.spec.model = "another name".into()));
    assert!(!is_known(&|other| other.spec.path = "/n".into()));
    assert!(!is_known(&|other| other.spec.slots = 5));
    assert!(!is_known(&|other| other.spec.context_tokens = 0));
    assert!(!is_known(&|other| other.spec.threads = 1));
    assert!(!is_known(&|other| drop(other.spec.options.insert("kv_type".into(), "f16".into()))));
    assert!(!is_known(&|other| other.format = "onnx".into()));
    assert!(!is_known(&|other| other.size_bytes = 11));
    assert!(!is_known(&|other| other.modified = None));
    let draft = |path: &str| {
        let draft = DraftSpec { path: path.into(), ..DraftSpec::default() };
        Some(SpeculationSpec { lookup_tokens: 16, draft: Some(draft) })
    };
    assert!(!is_known(&|other| other.spec.speculation = draft("/d")));
    assert!(is_known(&|other| other.spec.speculation = Some(SpeculationSpec::default())));
}

#[test]
fn what_was_learned_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    for n in 1..20 {
        footprints.learn(&manifest("/m"), &ram(n * 10));
    }
    drop(footprints);
    let footprints = load(dir.path());
    assert_eq!(footprints.predict(&manifest("/m")), ram(190));

    // Another version of the program may hold anything.
    fs::write(dir.path().join("program"), "new").unwrap();
    let mut footprints = load(dir.path());
    assert_eq!(footprints.predict(&manifest("/m")), ram(100));
    footprints.learn(&manifest("/m"), &ram(40));
    assert_eq!(footprints.records.len(), 1, "the former version is forgotten");
}

#[test]
fn a_file_that_is_none_is_as_good_as_no_file() {
    for content in ["", "{", "[]", r#"{"records": [1]}"#, "{\"records\": null}", "\0\0\0"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), content).unwrap();
        let mut footprints = load(dir.path());
        assert_eq!(footprints.predict(&manifest("/m")), ram(100), "{content:?}");
        assert!(footprints.learn(&manifest("/m"), &ram(50)));
        drop(footprints);
        assert_eq!(load(dir.path()).predict(&manifest("/m")), ram(80), "{content:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_costs_only_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(&dir.path().join("missing"));
    assert!(footprints.learn(&manifest("/m"), &ram(50)));
    assert_eq!(footprints.predict(&manifest("/m")), ram(80));
}

#[test]
fn the_oldest_of_too_many_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut footprints = load(dir.path());
    let model = |n: usize| manifest(&format!("/{n}"));
    for n in 0..MAX_RECORDS {
        footprints.learn(&model(n), &ram(50));
    }
    footprints.learn(&model(0), &ram(70));
    footprints.learn(&model(MAX_RECORDS), &ram(50));
    assert_eq!(footprints.records.len(), MAX_RECORDS);
    assert_eq!(footprints.predict(&model(1)), ram(100));
    assert_eq!(footprints.predict(&model(0)), ram(80));
    assert_eq!(footprints.predict(&model(MAX_RECORDS)), ram(80));
}
