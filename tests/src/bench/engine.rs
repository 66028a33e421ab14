//! An engine in a process of its own, without anything of ours around it: `worker-gguf/examples/gguf_alone.rs` and its
//! likes.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{Measured, Task};

/// The process; it ends with this.
pub(super) struct EngineAlone {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl EngineAlone {
    /// Starts the engine of `format` with its `model`; `programs` is the folder that cargo built into.
    pub(super) fn start(
        programs: &Path,
        format: &str,
        model: &Path,
        [slots, context_tokens, threads]: [u32; 3],
    ) -> anyhow::Result<Self> {
        let program = programs.join(format!("examples/{format}_alone"));
        #[allow(clippy::disallowed_methods)] // a process of this program, not of the product
        let mut process = Command::new(&program)
            .arg(model)
            .args([slots, context_tokens, threads].map(|number| number.to_string()))
            // As the supervisor sets it for its workers.
            .env("OMP_WAIT_POLICY", "passive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}; `make bench` builds it", program.display()))?;
        let input = process.stdin.take().context("its input is a pipe")?;
        let output = BufReader::new(process.stdout.take().context("its output is a pipe")?);
        Ok(Self { process, input, output })
    }

    /// Measures one task; gives the tokens of its first stream too.
    pub(super) fn run(&mut self, task: Task) -> anyhow::Result<(Measured, Vec<u32>)> {
        let Task { streams, prompt_tokens, completion_tokens, seed } = task;
        writeln!(self.input, "{streams} {prompt_tokens} {completion_tokens} {seed}")
            .context("giving the engine a task")?;
        let mut line = String::new();
        if self.output.read_line(&mut line).context("reading the engine's answer")? == 0 {
            bail!("the engine ended early: {:?}", self.process.wait());
        }
        let report: Value = serde_json::from_str(&line).with_context(|| format!("reading {line:?}"))?;
        let prefill = report["prefill_us"].as_array().context("no prefill_us")?;
        let prefill_us = prefill.iter().filter_map(Value::as_f64).sum::<f64>();
        let decode_us = report["decode_us"].as_f64().context("no decode_us")?;
        let steps = report["decode_steps"].as_f64().context("no decode_steps")?;
        let tokens = report["tokens"].as_array().context("no tokens")?;
        let tokens = tokens.iter().filter_map(|token| u32::try_from(token.as_u64()?).ok()).collect();
        let measured = Measured {
            prefill: f64::from(streams * prompt_tokens) * 1e6 / prefill_us,
            decode: f64::from(streams) * steps * 1e6 / decode_us,
        };
        Ok((measured, tokens))
    }
}

impl Drop for EngineAlone {
    fn drop(&mut self) {
        // Nothing of it outlives a measurement, so there is nothing to save.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
