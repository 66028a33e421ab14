//! What was typed in former chats, kept in the state folder for this user alone.

use std::path::{Path, PathBuf};

use crate::state_file;

/// The name of the file.
const FILE: &str = "inputs.json";

/// The most inputs that are kept, and the most bytes of all of them.
pub(super) const MAX_INPUTS: usize = 1000;
const MAX_BYTES: usize = 256 << 10;

/// The inputs of former chats; without a folder of this chat alone.
#[derive(Debug)]
pub(super) struct History(Option<PathBuf>);

impl History {
    /// Kept in `state_dir`, if that is there.
    pub(super) fn new(state_dir: Option<&Path>) -> Self {
        Self(state_dir.filter(|dir| dir.is_dir()).map(|dir| dir.join(FILE)))
    }

    /// All of them, the oldest first.
    pub(super) fn read(&self) -> Vec<String> {
        self.0.as_deref().map(state_file::read).unwrap_or_default()
    }

    /// Keeps one more; other chats may have done so meanwhile.
    pub(super) fn keep(&self, input: &str) {
        let Some(path) = &self.0 else { return };
        let mut inputs = self.read();
        push(&mut inputs, input);
        if let Err(error) = state_file::write(path, &inputs) {
            // The chat is worth more than its history.
            tracing::debug!(path = %path.display(), %error, "an input is not kept");
        }
    }
}

/// Adds an input, unless it is the last one again, and drops old ones until the rest is within its bounds.
fn push(inputs: &mut Vec<String>, input: &str) {
    if inputs.last().is_some_and(|last| last == input) {
        return;
    }
    inputs.push(input.to_owned());
    let mut bytes = 0;
    let fits = |input: &&String| {
        bytes += input.len();
        bytes <= MAX_BYTES
    };
    let n_kept = inputs.iter().rev().take(MAX_INPUTS).take_while(fits).count();
    inputs.drain(..inputs.len() - n_kept);
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn inputs_are_kept_for_this_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(Some(dir.path()));
        assert!(history.read().is_empty());
        for input in ["a", "b\nc", "b\nc", "a"] {
            history.keep(input);
        }
        assert_eq!(History::new(Some(dir.path())).read(), ["a", "b\nc", "a"]);
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let nowhere = History::new(Some(&dir.path().join("none")));
        nowhere.keep("a");
        assert!(nowhere.read().is_empty() && !dir.path().join("none").exists());
    }

    #[test]
    fn there_is_a_bound_to_them() {
        let mut inputs: Vec<String> = (0..MAX_INPUTS).map(|n| n.to_string()).collect();
        push(&mut inputs, "new");
        assert_eq!(
            (inputs.len(), inputs[0].as_str(), inputs[MAX_INPUTS - 1].as_str()),
            (MAX_INPUTS, "1", "new")
        );
        push(&mut inputs, &"x".repeat(MAX_BYTES - 4));
        assert_eq!(inputs.len(), 2, "the last short one and the long one");
        push(&mut inputs, &"x".repeat(MAX_BYTES + 1));
        assert!(inputs.is_empty());
    }
}
