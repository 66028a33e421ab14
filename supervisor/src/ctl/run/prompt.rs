//! What is said when it does not come from a chat: an argument, what comes through a pipe or from a file, or both.

use std::{
    io::{self, IsTerminal, Read},
    os::fd::AsFd,
};

use nix::sys::stat::{SFlag, fstat};

use super::error::RunError;

/// The most that is read, in bytes; the gateway takes no larger request unless it is told to.
const MAX_BYTES: u64 = 32 << 20;

/// The prompt that there is without a chat.
pub(super) fn read(words: &[String]) -> Result<Option<String>, RunError> {
    let given = words.join(" ");
    let input = io::stdin();
    let piped = match (given.is_empty(), input.is_terminal()) {
        (true, true) => return Ok(None),
        (false, _) if !carries(&input) => String::new(),
        _ => text(input.lock())?,
    };
    let prompt = joined(&given, &piped);
    if prompt.trim().is_empty() { Err(RunError::Nothing) } else { Ok(Some(prompt)) }
}

/// Whether somebody has put something there: a pipe or a file, not a device.
fn carries(input: &impl AsFd) -> bool {
    let kind = fstat(input).map(|status| SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT);
    kind.is_ok_and(|kind| [SFlag::S_IFIFO, SFlag::S_IFREG, SFlag::S_IFSOCK].contains(&kind))
}

fn text(input: impl Read) -> Result<String, RunError> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(RunError::Input)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(RunError::TooMuch(MAX_BYTES));
    }
    String::from_utf8(bytes).map_err(|_| RunError::NotText)
}

/// The argument says what to do with what was piped.
fn joined(given: &str, piped: &str) -> String {
    match (given, piped.trim_end()) {
        ("", piped) => piped.to_owned(),
        (given, "") => given.to_owned(),
        (given, piped) => format!("{given}\n\n{piped}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_goes_before_what_is_piped() {
        let check = |given: &str, piped: &str, expected: &str| assert_eq!(joined(given, piped), expected);
        check("sum up", "", "sum up");
        check("", "text\n", "text");
        check("sum up", "a\nb\n", "sum up\n\na\nb");
        check("", " \n", "");
    }

    #[test]
    fn input_is_bounded_text() {
        assert_eq!(text("ü\n".as_bytes()).unwrap(), "ü\n");
        assert!(matches!(text([0xff_u8].as_slice()), Err(RunError::NotText)));
        assert!(matches!(text(io::repeat(b'x')), Err(RunError::TooMuch(_))));
    }
}
