//! The model file of `worker-fake`: a line `fake`, then lines `name = value`.

use std::time::Duration;

use super::fault::Fault;

/// What a model file asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Script {
    /// How long a load takes.
    pub(super) load: Duration,
    /// Whether it says nothing meanwhile.
    pub(super) silent_load: bool,
    /// What happens at its end, every time.
    pub(super) at_load: Option<Fault>,
    /// Memory that the weights hold.
    pub(super) weights_mib: usize,
    /// How long a step takes.
    pub(super) step: Duration,
    /// The name of another model, which the worker says it serves.
    pub(super) claims: Option<String>,
    /// Nonsense to the supervisor when the model is loaded.
    pub(super) garbage_on_channel: bool,
    /// A crash when the worker is asked to stop.
    pub(super) die_while_draining: bool,
    /// A port of this machine that an escape tries to reach.
    pub(super) port: u16,
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum ScriptError {
    #[error("it does not begin with a line `fake`")]
    Magic,
    #[error("line {number}: `{line}` is not a known `name = value`")]
    Line { number: usize, line: String },
}

impl Script {
    /// Reads a model file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ScriptError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ScriptError::Magic)?;
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line.trim() != "fake") {
            return Err(ScriptError::Magic);
        }
        let mut script = Self::default();
        for (idx, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || ScriptError::Line { number: idx + 1, line: line.to_owned() };
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            script.set(name.trim(), value.trim()).ok_or_else(wrong)?;
        }
        Ok(script)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "load_ms" => self.load = Duration::from_millis(value.parse().ok()?),
            "progress" => self.silent_load = value == "none",
            "crash_on_load" => self.at_load = Some(Fault::parse(value)?),
            "weights_mib" => self.weights_mib = value.parse().ok()?,
            "step_ms" => self.step = Duration::from_millis(value.parse().ok()?),
            "claims" => self.claims = Some(value.to_owned()),
            "garbage_on_channel" => self.garbage_on_channel = value.parse().ok()?,
            "die_while_draining" => self.die_while_draining = value.parse().ok()?,
            "port" => self.port = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_or_refused_by_its_line() {
        let check = |text: &str, expected: Result<Script, ScriptError>| {
            assert_eq!(Script::parse(text.as_bytes()), expected, "{text:?}");
        };
        check("fake\n", Ok(Script::default()));
        check("fake\n\nload_ms = 10\n", Ok(Script { load: Duration::from_millis(10), ..Script::default() }));
        check("fake\nprogress=none", Ok(Script { silent_load: true, ..Script::default() }));
        check("fake\ncrash_on_load = abort", Ok(Script { at_load: Some(Fault::Abort), ..Script::default() }));
        check("", Err(ScriptError::Magic));
        check("toy\n", Err(ScriptError::Magic));
        for line in ["load_ms", "load_ms = soon", "colour = red", "crash_on_load = gently"] {
            let wrong = ScriptError::Line { number: 2, line: line.to_owned() };
            check(&format!("fake\n{line}\n"), Err(wrong));
        }
    }
}
