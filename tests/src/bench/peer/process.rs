//! llama.cpp's own server as a process: `tools/peer.py`.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use serde_json::Value;

/// A running peer; it is stopped with this.
pub(super) struct Peer {
    process: Child,
    /// `http://host:port`
    pub(super) url: String,
    /// How it was started, in its own words.
    pub(super) settings: Value,
    /// What loading the model took of its start, in milliseconds.
    pub(super) load_ms: f64,
}

impl Peer {
    /// Starts it with so many slots of so many tokens and so many threads, and waits until it listens.
    pub(super) fn start(model: &Path, [slots, context_tokens, threads]: [u32; 3]) -> anyhow::Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let [slots, context, threads] = [slots, context_tokens, threads].map(|number| number.to_string());
        #[allow(clippy::disallowed_methods)] // a process of this program, not of the product
        let mut process = Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()))
            .arg(project.join("tools/peer.py"))
            .arg(model)
            .args(["--slots", &slots, "--context", &context, "--threads", &threads])
            .env("PYTHONPATH", project.join(".tools/peer"))
            // Its threads wait as its makers have it.
            .env_remove("OMP_WAIT_POLICY")
            .env_remove("GOMP_SPINCOUNT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting tools/peer.py")?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output is a pipe")?;
        let n_bytes = BufReader::new(output).read_line(&mut line).context("reading what the peer says")?;
        if n_bytes == 0 {
            bail!(
                "the peer did not start ({:?}); run `tools/setup peer`, and tools/peer.py to see why",
                process.wait()
            );
        }
        let said: Value = serde_json::from_str(&line).with_context(|| format!("reading {line:?}"))?;
        let url = said["url"].as_str().context("the peer says no url")?.to_owned();
        let load_ms = said["load_ms"].as_f64().context("the peer does not say how long it loaded")?;
        Ok(Self { process, url, settings: said["settings"].clone(), load_ms })
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing of it outlives a measurement, so there is nothing to save.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
