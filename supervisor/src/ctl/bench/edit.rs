//! The workload of an editor: a file that is to be written again with small changes.

use std::fmt::Write;

use super::prompt::Prompts;

/// Lines of a file, where the context holds as many.
pub(super) const LINES: u32 = 300;

/// Letters of a line, about.
const LINE_LETTERS: f64 = 40.0;

/// Letters of a word of the prompts by which tokens are counted, its blank included.
const WORD_LETTERS: f64 = 5.0;

const FIELDS: [&str; 8] = ["width", "height", "color", "border", "margin", "weight", "origin", "length"];

/// Lines whose tokens fit into `room_tokens`, where a word has so many tokens. Names and signs take more of them than
/// words do, twice as many at most.
pub(super) fn lines_within(room_tokens: u32, tokens_per_word: f64) -> u32 {
    let line_tokens = LINE_LETTERS / WORD_LETTERS * tokens_per_word * 2.0;
    ((f64::from(room_tokens) / line_tokens) as u32).min(LINES)
}

/// What a user says who wants a file of so many lines changed, behind a mark; the file is not like any other.
pub(super) fn request(prompts: &mut Prompts, lines: u32) -> String {
    let mark = prompts.mark();
    let mut text = format!(
        "\n\nWrite this file again with every `{mark}` renamed to `renamed`, and nothing else changed. Answer with the file \
         alone.\n\n"
    );
    for line in 0..lines {
        let field = FIELDS[prompts.choose(FIELDS.len() as u32) as usize];
        let number = prompts.choose(1000);
        // One line in ten has what is to change.
        let object = if line % 10 == 0 { mark.as_str() } else { "shape" };
        let _ = writeln!(text, "    {object}.set_{field}(row + {number});");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_lines_and_its_changes() {
        let mut prompts = Prompts::new();
        let text = request(&mut prompts, 40);
        assert_eq!(text.lines().filter(|line| line.ends_with(");")).count(), 40);
        assert_eq!(text.lines().filter(|line| line.starts_with("    shape.set_")).count(), 36);
        assert_ne!(text, request(&mut prompts, 40));
    }

    #[test]
    fn as_many_lines_as_fit() {
        assert_eq!(lines_within(100_000, 1.0), LINES);
        assert_eq!(lines_within(1600, 1.0), 100);
        assert_eq!(lines_within(1600, 4.0), 25);
        assert_eq!(lines_within(0, 1.0), 0);
    }
}
