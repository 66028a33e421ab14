//! How far a process is confined, for people: "landlock 7, seccomp"; what is missing stands in parentheses.

use std::fmt;

/// The means in force, and what could not be had.
#[derive(Debug, Default)]
pub(super) struct Level {
    means: Vec<String>,
    lacks: Vec<String>,
}

impl Level {
    /// Adds a means that is in force.
    pub(super) fn has(&mut self, means: impl Into<String>) {
        self.means.push(means.into());
    }

    /// Adds what could not be had, and why.
    pub(super) fn lack(&mut self, reason: impl fmt::Display) {
        self.lacks.push(reason.to_string());
    }

    /// Writes down what could not be had.
    pub(super) fn warn(&self) {
        for lack in &self.lacks {
            tracing::warn!(lack, "the sandbox is weaker than it could be");
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.means.as_slice() {
            [] => f.write_str("none")?,
            means => f.write_str(&means.join(", "))?,
        }
        match self.lacks.as_slice() {
            [] => Ok(()),
            lacks => write!(f, " ({})", lacks.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_names_what_is_in_force_and_what_is_missing() {
        let check = |means: &[&str], lacks: &[&str], expected: &str| {
            let mut level = Level::default();
            for means in means {
                level.has(*means);
            }
            for lack in lacks {
                level.lack(lack);
            }
            assert_eq!(level.to_string(), expected);
        };
        check(&["landlock 7", "seccomp"], &[], "landlock 7, seccomp");
        check(&["seccomp"], &["landlock: not in this kernel"], "seccomp (landlock: not in this kernel)");
        check(&[], &["a", "b"], "none (a; b)");
        check(&[], &[], "none");
    }
}
