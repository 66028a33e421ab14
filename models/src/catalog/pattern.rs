//! File name patterns with `*`.

use super::FormatPattern;

/// The format whose pattern fits a file name, the first in their order.
pub(super) fn format_of<'a>(patterns: &'a [FormatPattern], file_name: &str) -> Option<&'a str> {
    patterns
        .iter()
        .find(|format| format.patterns.iter().any(|pattern| fits(pattern, file_name)))
        .map(|format| format.format.as_str())
}

/// Whether `name` is `pattern` with any characters for each `*`. Taking the first place that each piece fits is
/// enough, so the work is at most the product of both lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let Some((start, pieces)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(start) else { return false };
    let (middle, end) = pieces.rsplit_once('*').unwrap_or(("", pieces));
    for piece in middle.split('*') {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        fn check(pattern: &str, name: &str, expected: bool) {
            assert_eq!(fits(pattern, name), expected, "{pattern:?} {name:?}");
        }
        check("*.onnx", "model.onnx", true);
        check("*.onnx", "MODEL.ONNX", true);
        check("*.onnx", "model.onnx.bak", false);
        check("*.onnx", ".onnx", true);
        check("model.bin", "model.bin", true);
        check("model.bin", "xmodel.bin", false);
        check("ggml-*-v*.bin", "ggml-a-b-v3.bin", true);
        check("ggml-*-v*.bin", "ggml-a.bin", false);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("*", "", true);
        check("**", "anything", true);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b*", "xxbxxaxx", false);
        check("*ab", "aab", true);
        check("", "", true);
        check("", "a", false);
    }

    #[test]
    fn the_first_format_wins() {
        let format = |format: &str, pattern: &str| FormatPattern {
            format: format.to_owned(),
            patterns: vec![pattern.to_owned()],
        };
        let patterns = [format("echo", "*.echo"), format("all", "*")];
        assert_eq!(format_of(&patterns, "x.echo"), Some("echo"));
        assert_eq!(format_of(&patterns, "x.txt"), Some("all"));
        assert_eq!(format_of(&patterns[..1], "x.txt"), None);
    }
}
