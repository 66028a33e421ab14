//! Who may depend on whom.

use std::collections::BTreeSet;

use cargo_metadata::{MetadataCommand, Package};

/// What each package may use of ours; `worker-*` stands for every worker, and `tests` may use everything.
const MAY_USE: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("models", &[]),
    ("runtime", &["proto", "telemetry"]),
    ("worker-*", &["runtime"]),
    ("supervisor", &["proto", "config", "models", "telemetry"]),
    ("gateway", &["proto", "config", "telemetry"]),
    ("fetcher", &["proto", "models", "telemetry"]),
];

/// Families of crates that are or link an engine: `ort` stands for `ort` and every `ort-*`.
const ENGINES: &[&str] = &["llama-cpp", "candle", "ort", "onnxruntime"];

/// Crates that speak HTTP to others; gRPC over the Unix sockets of this machine is tonic's.
const HTTP_CLIENTS: &[&str] =
    &["attohttpc", "awc", "curl", "hyper", "hyper-util", "isahc", "minreq", "reqwest", "surf", "ureq"];

/// What is wrong with `package` depending on `dependencies`.
fn violations<'d>(package: &str, dependencies: impl IntoIterator<Item = &'d str>) -> Vec<String> {
    let package = package.strip_prefix("impetus-").unwrap_or(package);
    if package == "tests" {
        return Vec::new();
    }
    let is_worker = package.starts_with("worker-");
    let room = if is_worker { "worker-*" } else { package };
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{package} has no line in MAY_USE: say what it may depend on")];
    };
    let complaint = |dependency: &str| {
        let ours = dependency.strip_prefix("impetus-");
        if ours.is_some_and(|ours| !may_use.contains(&ours)) {
            Some(format!("{package} must not depend on {dependency}, only on {may_use:?} of ours"))
        } else if !is_worker && is_engine(dependency) {
            Some(format!("{package} must not depend on {dependency}: only workers link an engine"))
        } else if package == "supervisor" && HTTP_CLIENTS.contains(&dependency) {
            Some(format!("{package} must not depend on {dependency}: it has no network client"))
        } else {
            None
        }
    };
    dependencies.into_iter().filter_map(complaint).collect()
}

fn is_engine(name: &str) -> bool {
    ENGINES.iter().any(|family| {
        name.strip_prefix(family).is_some_and(|member| member.is_empty() || member.starts_with('-'))
    })
}

fn workspace() -> Vec<Package> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata describes the workspace")
        .packages
}

#[test]
fn dependencies_run_in_one_direction() {
    let packages = workspace();
    let found: Vec<_> = packages
        .iter()
        .flat_map(|package| violations(&package.name, package.dependencies.iter().map(|d| &*d.name)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));

    let names: BTreeSet<_> =
        packages.iter().map(|package| package.name.trim_start_matches("impetus-")).collect();
    let rooms = MAY_USE.iter().map(|(room, _)| *room).filter(|room| *room != "worker-*");
    let missing: Vec<_> = rooms.filter(|room| !names.contains(room)).collect();
    assert!(missing.is_empty(), "the workspace has no {missing:?}");
    assert!(names.contains("worker-gguf"), "{names:?}");
}

#[test]
fn a_wrong_direction_is_noticed() {
    let check = |package: &str, dependency: &str, is_allowed: bool| {
        assert_eq!(violations(package, [dependency]).is_empty(), is_allowed, "{package} → {dependency}");
    };
    check("impetus-gateway", "impetus-config", true);
    check("impetus-gateway", "impetus-runtime", false);
    check("impetus-gateway", "hyper", true);
    check("impetus-proto", "impetus-telemetry", false);
    check("impetus-runtime", "impetus-config", false);
    check("impetus-runtime", "llama-cpp-2", false);
    check("impetus-supervisor", "ort", false);
    check("impetus-supervisor", "ordered-float", true);
    check("impetus-worker-gguf", "llama-cpp-2", true);
    check("impetus-worker-gguf", "impetus-runtime", true);
    check("impetus-worker-gguf", "impetus-proto", false);
    check("impetus-worker-mlx", "impetus-runtime", true);
    check("impetus-supervisor", "impetus-models", true);
    check("impetus-supervisor", "reqwest", false);
    check("impetus-supervisor", "tonic", true);
    check("impetus-tests", "impetus-gateway", true);
    check("impetus-utils", "serde", false);
}
