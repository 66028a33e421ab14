//! The page on all settings, made of the example file: its comments, keys and defaults. A test holds the example to the
//! settings that there are, and another one the page to this.

use std::fmt::Write;

use toml::Value;

use crate::starts_only;

const EXAMPLE: &str = include_str!("../impetus.example.toml");

const HEAD: &str = "\
# Configuration

<!-- Made by `supervisor --print-config-reference`; a test compares. The texts are those of config/impetus.example.toml. -->

Settings come from, each winning over those before it: the defaults, the configuration file (`supervisor --config FILE`, or
`$XDG_CONFIG_HOME/impetus/config.toml`, or `~/.config/impetus/config.toml`), environment variables
(`IMPETUS_LOG__LEVEL=debug`) and arguments (`--set log.level=debug`). The values of the last two are TOML; what is none is a
string. `supervisor --print-config` shows what holds and where each value comes from. A setting that does not exist, or a
value that it does not take, is refused with its place and what was probably meant.

Relative paths are relative to the file that names them, else to the working directory; `~/` is the home folder.

`supervisorctl reload`, or SIGHUP, reads all sources again; a configuration that cannot be used changes nothing. The column
*reload* says what it does with a changed value:

- **yes**: it is in force when `reload` answers. For `gateway`, `auth`, `responses` and `telemetry` another gateway takes over
  while the present one finishes its requests. For `workers` and `model` the workers that the change is about are replaced, each by
  a successor that is ready before it takes over, where both fit into memory. The rest changes nothing but itself.
- **restart**: it counts from the supervisor's next start on; `reload` says so.

Names that end in `_s` are seconds, `_ms` milliseconds, `_bytes` bytes, `_tokens` tokens. A *size* is a number with a unit, such
as `\"512MiB\"` or `\"1.5GB\"`. A dash stands where there is no default, or where the text says what it is.
";

/// What stands before and about one key of the example.
struct Entry {
    key: String,
    default: Value,
    text: String,
    is_example: bool,
}

/// A header of the example with the keys that stand below it.
struct Section {
    header: String,
    text: String,
    entries: Vec<Entry>,
}

/// What the example says of one setting.
#[derive(Debug)]
pub(crate) struct Described {
    /// `gateway.max_queue`; in a list, the key within an entry.
    pub(crate) key: String,
    /// The list whose entries have it.
    pub(crate) list: Option<&'static str>,
    /// Plain text.
    pub(crate) text: String,
    /// Its type, for people.
    pub(crate) kind: &'static str,
}

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for said in sections() {
        section(&mut page, said);
    }
    page
}

/// Every setting but those of keys. One that has no text of its own shares that of the setting before, or of the same
/// setting of another format.
pub(crate) fn described() -> Vec<Described> {
    let mut described: Vec<Described> = Vec::new();
    for Section { header, entries, .. } in sections() {
        let name = header.trim_matches(['[', ']']).to_owned();
        let list = header.starts_with("[[").then_some("model").filter(|list| *list == name);
        if header.starts_with("[[") && list.is_none() {
            continue;
        }
        for Entry { key, default, text, .. } in entries {
            let like = described
                .iter()
                .rev()
                .find(|said| name.starts_with("workers.") && said.key.rsplit('.').next() == Some(&key));
            let text = match (like.or(described.last()), text.is_empty()) {
                (Some(like), true) => like.text.clone(),
                _ => plain(&text),
            };
            let kind = kind(&name, &key, &default);
            let key = if list.is_some() { key } else { format!("{name}.{key}") };
            described.push(Described { key, list, text, kind });
        }
    }
    described
}

/// The example, section by section.
fn sections() -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let setting = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        match setting.unwrap_or(line) {
            "" => text.clear(),
            line if line.starts_with('[') => {
                let (header, text) = (line.to_owned(), std::mem::take(&mut text));
                sections.push(Section { header, text, entries: Vec::new() });
            }
            line if line.starts_with('#') => {
                add(&mut text, line.trim_start_matches('#'));
            }
            line => {
                let table: toml::Table = line.parse().expect("a test reads the example as TOML");
                let (key, default) = table.into_iter().next().expect("a line of the example is one setting");
                let said = std::mem::take(&mut text);
                let section = sections.last_mut().expect("the example begins with a section");
                let is_example = is_example(&said, &key, &section.header);
                section.entries.push(Entry { is_example, key, default, text: said });
            }
        }
    }
    sections
}

/// Whether the example's value is no default: the text says what holds without one.
fn is_example(text: &str, key: &str, header: &str) -> bool {
    let is_list = header.starts_with("[[");
    let shares_its_text = ["name", "key_sha256", "tokens_per_minute", "step_stretch", "draft_tokens"];
    let is_private_key = key == "key" && header == "[gateway.tls]";
    text.contains("Default:") || is_list && shares_its_text.contains(&key) || is_private_key
}

fn section(page: &mut String, section: Section) {
    let Section { header, text, entries } = section;
    let (name, is_list) = match header.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
        Some(name) => (name, true),
        None => (header.trim_matches(['[', ']']), false),
    };
    let head =
        "| key | type | default | reload | what it does | environment variable |\n|---|---|---|---|---|---|";
    let text = if text.is_empty() { text } else { format!("{text}\n\n") };
    write!(page, "\n## `{header}`\n\n{text}{head}\n").expect("writing to a String cannot fail");
    for Entry { key, default, text, is_example } in entries {
        let full = format!("{name}.{key}");
        let value = default;
        let default = if is_example { "–".to_owned() } else { format!("`{value}`") };
        let variable = if is_list { String::new() } else { variable(&full) };
        let reload = if starts_only(&full) { "restart" } else { "yes" };
        let kind = kind(name, &key, &value);
        let text = if text.is_empty() { "As above.".into() } else { finished(text, &value) };
        writeln!(page, "| `{key}` | {kind} | {default} | {reload} | {text} | {variable} |")
            .expect("writing to a String cannot fail");
    }
}

/// Goes on with another line of a comment. The options of a format are a list, which is indented.
fn add(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push_str(if line.starts_with("   ") { "<br>" } else { " " });
    }
    text.push_str(&marked(line.trim()));
}

/// Plain text as Markdown shows it.
fn marked(text: &str) -> String {
    text.replace('<', "&lt;").replace('*', "\\*").replace('|', "\\|")
}

/// The same without marks.
fn plain(text: &str) -> String {
    text.replace("<br>", "\n").replace("&lt;", "<").replace("\\*", "*").replace("\\|", "|")
}

/// The text of a setting; what it says of the default may be the line below it.
fn finished(text: String, value: &Value) -> String {
    if text.ends_with("or else this:") {
        format!("{text} `{}`", value.as_str().unwrap_or_default())
    } else {
        text
    }
}

fn variable(key: &str) -> String {
    format!("`IMPETUS_{}`", key.to_uppercase().replace('.', "__"))
}

/// The type of a setting, for people.
fn kind(section: &str, key: &str, value: &Value) -> &'static str {
    match (section, key, value) {
        ("budget", "ram" | "gpu", _) => "size or `auto`",
        (_, "ram" | "file" | "disk" | "memory" | "max_bytes" | "ram_reserve" | "gpu_reserve", _) => "size",
        (_, "slots", _) => "integer or `auto`",
        (_, _, Value::String(_) | Value::Datetime(_)) => "text",
        (_, _, Value::Integer(_)) => "integer",
        (_, _, Value::Float(_)) => "number",
        (_, _, Value::Boolean(_)) => "`true` or `false`",
        (_, _, Value::Array(_)) => "list of texts",
        (_, _, Value::Table(_)) => "table of texts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_that_of_this_example() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == reference(),
            "write it again: supervisor --print-config-reference > docs/configuration.md"
        );
    }

    #[test]
    fn every_setting_has_a_line() {
        let page = reference();
        let n_settings = EXAMPLE.lines().filter(is_setting).count();
        let n_lines = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(n_lines, n_settings);
        let check = |line: &str| assert!(page.contains(line), "{line} is not in\n{page}");
        check("| `listen` | text | `\"127.0.0.1:8080\"` | yes |");
        check("| `level` | text | `\"info\"` | restart |");
        check("| `slots` | integer or `auto` | `\"auto\"` | yes |");
        check(
            "| `max_header_bytes` | integer | `65536` | yes | As above. | `IMPETUS_GATEWAY__MAX_HEADER_BYTES` |",
        );
        check("| `key` | text | – | yes | As above. | `IMPETUS_GATEWAY__TLS__KEY` |");
    }

    fn is_setting(line: &&str) -> bool {
        line.starts_with('#')
            && line.contains(" = ")
            && line[1..].starts_with(|c: char| c.is_ascii_lowercase())
    }
}
