//! The programs beside this one, and the libraries of their engines.

use std::path::Path;

use futures::future::join_all;
use impetus_config::WorkerConfig;
use nix::unistd::{AccessFlags, access};

use super::{Finding, Patient, trial};

pub(super) async fn findings(patient: &Patient) -> Vec<Finding> {
    let places = &patient.places;
    let shim = places.program(Path::new("supervisor"));
    let mut findings =
        vec![file("supervisor", &shim), file("gateway", &places.program(&patient.config.gateway.command))];
    if findings.iter().all(|finding| !finding.is_error()) {
        let workers =
            patient.config.workers.iter().map(|(format, worker)| try_out(patient, &shim, format, worker));
        findings.extend(join_all(workers).await);
    }
    // Everything else works without it.
    findings.push(file("fetcher", &places.program(&patient.config.pull.command)).into_warning());
    findings
}

fn file(name: &str, path: &Path) -> Finding {
    let shown = path.display();
    match access(path, AccessFlags::X_OK) {
        Ok(()) if path.is_file() => Finding::ok(name, shown),
        Ok(()) => Finding::error(name, format!("{shown} is no file"), "name a program in the configuration"),
        Err(error) => Finding::error(
            name,
            format!("{shown}: {error}"),
            "put all programs of one version into one folder, as `make build` does in dist/bin",
        ),
    }
}

/// Has a worker come as far as waiting for a model, which takes its engine's library.
async fn try_out(patient: &Patient, shim: &Path, format: &str, worker: &WorkerConfig) -> Finding {
    let name = format!("worker of {format}");
    let program = patient.places.program(&worker.command);
    let found = file(&name, &program);
    if found.is_error() {
        return found;
    }
    match trial::run(shim, &program, format).await {
        Ok(engine) => Finding::ok(name, engine),
        Err(error) => Finding::error(name, error, advice(format)),
    }
}

fn advice(format: &str) -> &'static str {
    match format {
        "onnx" => {
            "put libonnxruntime beside the program, as `make build` does, or name its file in the environment variable \
             ORT_DYLIB_PATH of the server"
        }
        _ => "build the programs on this machine, or for it",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_a_file_that_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let check = |path: &Path, is_fine: bool| assert_eq!(!file("x", path).is_error(), is_fine, "{path:?}");
        check(&dir.path().join("none"), false);
        check(dir.path(), false);
        fs::write(dir.path().join("text"), "").unwrap();
        check(&dir.path().join("text"), false);
        check(Path::new("/bin/sh"), true);
    }
}
