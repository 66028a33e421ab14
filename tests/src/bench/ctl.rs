//! `supervisorctl bench`, whose figures are those that users see.

use std::{path::Path, process::Command};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::{MODEL, server::Server};

/// What it says of the model that is measured; `arguments` are those behind the model's name.
pub(super) fn bench(
    programs: &Path,
    server: &Server,
    pairs: u32,
    arguments: &[String],
) -> anyhow::Result<Value> {
    let program = programs.join("supervisorctl");
    #[allow(clippy::disallowed_methods)] // the benchmark stands where an administrator does
    let output = Command::new(&program)
        .arg("--config")
        .arg(server.config())
        .args(["bench", MODEL, "--json", "--pairs", &pairs.to_string()])
        .args(arguments)
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.stdout.is_empty(), "supervisorctl bench failed: {said}");
    let report: Value =
        serde_json::from_slice(&output.stdout).context("reading what supervisorctl bench says")?;
    ensure!(output.status.success(), "requests failed: {}", report["cells"]);
    Ok(report)
}
