//! Whether a Modelfile is about files of this machine. The gateway reads the rest of it.

use std::{
    env,
    path::{Path, PathBuf},
};

/// What stands around texts that go beyond a line; the longer one first.
const QUOTES: [&str; 2] = ["\"\"\"", "\""];

/// The path behind FROM, where that is one; relative ones begin at `folder`.
pub(super) fn path(modelfile: &str, folder: &Path) -> Option<PathBuf> {
    let from = from(modelfile)?;
    if let Some(rest) = from.strip_prefix("~/") {
        return Some(PathBuf::from(env::var_os("HOME")?).join(rest));
    }
    let is_path = from.starts_with(['/', '.']) || from.to_ascii_lowercase().ends_with(".gguf");
    is_path.then(|| folder.join(from))
}

/// What is behind FROM. Lines within a text in quotes are none of the Modelfile's.
fn from(modelfile: &str) -> Option<String> {
    let mut lines = modelfile.trim_start_matches('\u{feff}').lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let value = value(word, rest.trim_start());
        let quote = QUOTES.into_iter().find(|quote| value.starts_with(quote));
        let Some((quote, begun)) = quote.and_then(|quote| Some((quote, value.strip_prefix(quote)?))) else {
            if word.eq_ignore_ascii_case("from") {
                return Some(value.to_owned());
            }
            continue;
        };
        if let Some(whole) = begun.strip_suffix(quote) {
            if word.eq_ignore_ascii_case("from") {
                return Some(whole.to_owned());
            }
            continue;
        }
        lines.find(|line| line.trim_end().ends_with(quote))?;
    }
    None
}

/// The value of an instruction, which for some is behind a second word.
fn value<'a>(word: &str, rest: &'a str) -> &'a str {
    let is_second = ["message", "parameter"].iter().any(|known| word.eq_ignore_ascii_case(known));
    match rest.split_once([' ', '\t']) {
        Some((_, value)) if is_second => value.trim_start(),
        _ if is_second || word.starts_with('#') => "",
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_where_it_is_meant() {
        let check = |modelfile: &str, expected: Option<&str>| {
            let found = path(modelfile, Path::new("/m"));
            assert_eq!(found.as_deref().and_then(Path::to_str), expected, "{modelfile:?}");
        };
        check("", None);
        check("FROM tiny", None);
        check("FROM owner/tiny:Q4_0", None);
        check("FROM ./w/tiny.gguf", Some("/m/./w/tiny.gguf"));
        check("FROM tiny.GGUF", Some("/m/tiny.GGUF"));
        check("FROM .", Some("/m/."));
        check("# FROM ./a\n\u{9}from  /w/tiny.gguf  \n", Some("/w/tiny.gguf"));
        check("\u{feff}FROM \"/w/a b.gguf\"", Some("/w/a b.gguf"));
        check("SYSTEM \"\"\"\nFROM ./no\n\"\"\"\nFROM ./yes", Some("/m/./yes"));
        check("SYSTEM \"\nFROM ./no\n\"\nFROM ./yes", Some("/m/./yes"));
        check("MESSAGE user \"\"\"\nFROM ./no\"\"\"\nFROM ./yes", Some("/m/./yes"));
        check("MESSAGE user \"one\"\nPARAMETER stop \"\"\"x\"\"\"\nFROM ./yes", Some("/m/./yes"));
        check("# it's \"\nFROM ./yes", Some("/m/./yes"));
        check("SYSTEM \"\"\"never ends\nFROM ./no", None);
    }
}
