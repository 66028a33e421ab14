//! What a preset may be called.

use impetus_proto::Error;

/// The tag that a name has where it has none.
const LATEST: &str = ":latest";

/// The longest name, in bytes.
const MAX_BYTES: usize = 200;

/// A name without the tag that it would have anyway.
pub(in crate::dialect::ollama) fn bare(name: &str) -> &str {
    let name = name.trim();
    name.len().checked_sub(LATEST.len()).and_then(|at| name.split_at_checked(at)).map_or(
        name,
        |(bare, tag)| {
            if tag.eq_ignore_ascii_case(LATEST) { bare } else { name }
        },
    )
}

/// Refuses a name that no preset can have: folders, a name, a tag.
pub(in crate::dialect::ollama) fn check(field: &str, name: &str) -> Result<(), Error> {
    let (path, tag) = name.split_once(':').map_or((name, None), |(path, tag)| (path, Some(tag)));
    let is_fine = name.len() <= MAX_BYTES && path.split('/').all(is_word) && tag.is_none_or(is_word);
    if is_fine {
        return Ok(());
    }
    let shown: String = name.chars().take(MAX_BYTES).collect();
    let message = format!(
        "{shown:?} cannot be the name of a model: letters, digits, '.', '_' and '-', with '/' between parts and one tag \
         behind ':', at most {MAX_BYTES} bytes"
    );
    Err(Error::invalid(field, message))
}

fn is_word(part: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(is_fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_tag_is_no_part_of_a_name() {
        let check = |name: &str, expected: &str| assert_eq!(bare(name), expected);
        check("mario", "mario");
        check("mario:latest", "mario");
        check(" mario:LATEST ", "mario");
        check("mario:7b", "mario:7b");
        check(":latest", "");
        check("ä:latest", "ä");
        check("äääääääää", "äääääääää");
        check("latest", "latest");
    }

    #[test]
    fn a_name_is_plain() {
        let names = |name: &str, is_fine: bool| assert_eq!(check("model", name).is_ok(), is_fine, "{name:?}");
        names("mario", true);
        names("me/mario:7b-q4_K_M", true);
        names("registry.example/me/mario", true);
        names("", false);
        names("a:", false);
        names("a:b:c", false);
        names(":a", false);
        names("/a", false);
        names("a//b", false);
        names("../a", false);
        names("a b", false);
        names("a\n", false);
        names("-a", false);
        names("é", false);
        names(&"x".repeat(200), true);
        names(&"x".repeat(201), false);
    }
}
