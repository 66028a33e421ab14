//! Prompts that ask a model to fill a hole in a text.
//!
//! The prompt is `prefix-token prefix suffix-token suffix middle-token`, behind which the filling follows; models with
//! Mistral's tokens were trained on `suffix-token suffix prefix-token prefix` instead. Further files stand before it,
//! each behind the model's file separator and its name, the most relevant one last, as in
//! [Qwen2.5-Coder](https://arxiv.org/abs/2409.12186); a model without such a token sees their names between dashes.
//! Names of control tokens in any of the texts are text.
//!
//! What does not fit is left out from the far ends: the least relevant files first, whole; then, if prefix and suffix
//! alone are too long, the prefix's beginning and the suffix's end, so that a quarter of the room is the suffix's and
//! the rest is the prefix's, or what the other one leaves. The continuation is never cut.

mod tokens;

use impetus_proto::worker::{Infill, InfillFile};

pub use tokens::InfillTokens;

use crate::engine::{TokenId, TokenizeError, Vocabulary};

/// What stands for names that nobody told.
const REPOSITORY: &str = "repository\n";
const CURRENT_FILE: &str = "current\n";

/// A prompt being put together.
struct Assembly<'a> {
    tokens: &'a InfillTokens,
    vocabulary: &'a dyn Vocabulary,
    /// Tokens that there is still room for.
    room: usize,
}

impl InfillTokens {
    /// The prompt that asks to fill the hole in `infill`, of `room` tokens at most unless the continuation alone takes
    /// more. Takes as long as `room` is large.
    pub fn prompt(
        &self,
        infill: &Infill,
        vocabulary: &dyn Vocabulary,
        room: usize,
    ) -> Result<Vec<TokenId>, TokenizeError> {
        let begin = vocabulary.encode("", true)?;
        let continuation = vocabulary.encode_bare(&infill.continuation, false)?;
        let fixed = begin.len() + 2 + usize::from(self.middle.is_some()) + continuation.len();
        let mut assembly = Assembly { tokens: self, vocabulary, room: room.saturating_sub(fixed) };
        let (prefix, suffix) = assembly.around(&infill.prefix, &infill.suffix)?;
        let files = assembly.files(&infill.files)?;

        let mut prompt = begin;
        prompt.extend(files);
        let before = std::iter::once(self.prefix).chain(prefix);
        let behind = std::iter::once(self.suffix).chain(suffix);
        if self.is_suffix_first {
            prompt.extend(behind.chain(before));
        } else {
            prompt.extend(before.chain(behind));
        }
        prompt.extend(self.middle);
        prompt.extend(continuation);
        Ok(prompt)
    }
}

impl Assembly<'_> {
    /// The ends of prefix and suffix that are next to the hole.
    fn around(&mut self, prefix: &str, suffix: &str) -> Result<(Vec<TokenId>, Vec<TokenId>), TokenizeError> {
        // More bytes than that are more tokens than there is room for.
        let most_bytes = self.room.saturating_mul(self.vocabulary.longest_piece_bytes());
        let mut prefix = self.vocabulary.encode_bare(last_bytes(prefix, most_bytes), false)?;
        let mut suffix = self.vocabulary.encode_bare(first_bytes(suffix, most_bytes), false)?;
        let for_suffix = (self.room / 4).max(self.room.saturating_sub(prefix.len()));
        suffix.truncate(for_suffix);
        let for_prefix = self.room - suffix.len();
        prefix.drain(..prefix.len().saturating_sub(for_prefix));
        self.room -= prefix.len() + suffix.len();
        Ok((prefix, suffix))
    }

    /// As many of the files as there is room for, the most relevant ones.
    fn files(&mut self, files: &[InfillFile]) -> Result<Vec<TokenId>, TokenizeError> {
        let mut taken = Vec::new();
        let (head, foot) = (self.head()?, self.foot()?);
        let mut room = self.room.saturating_sub(head.len() + foot.len());
        for file in files.iter().rev() {
            if file.text.len() / self.vocabulary.longest_piece_bytes().max(1) > room {
                break;
            }
            let tokens = self.file(file)?;
            let Some(left) = room.checked_sub(tokens.len()) else { break };
            room = left;
            taken.push(tokens);
        }
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let taken = taken.into_iter().rev().flatten();
        Ok(head.into_iter().chain(taken).chain(foot).collect())
    }

    /// What stands before all files.
    fn head(&self) -> Result<Vec<TokenId>, TokenizeError> {
        match self.tokens.repository {
            Some(repository) => self.headed(repository, REPOSITORY),
            None => Ok(Vec::new()),
        }
    }

    /// What stands between the files and the text with the hole, which is a file as well.
    fn foot(&self) -> Result<Vec<TokenId>, TokenizeError> {
        match self.tokens.file {
            Some(file) => self.headed(file, CURRENT_FILE),
            None => self.vocabulary.encode_bare("\n\n", false),
        }
    }

    fn file(&self, file: &InfillFile) -> Result<Vec<TokenId>, TokenizeError> {
        let mut tokens = match self.tokens.file {
            Some(separator) => self.headed(separator, &format!("{}\n", file.name))?,
            None => self.vocabulary.encode_bare(&format!("\n\n--- {} ---\n\n", file.name), false)?,
        };
        tokens.extend(self.vocabulary.encode_bare(&file.text, false)?);
        Ok(tokens)
    }

    fn headed(&self, token: TokenId, name: &str) -> Result<Vec<TokenId>, TokenizeError> {
        let name = self.vocabulary.encode_bare(name, false)?;
        Ok(std::iter::once(token).chain(name).collect())
    }
}

/// The last characters of `text` that have `count` bytes at most.
fn last_bytes(text: &str, count: usize) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(count));
    text.get(start..).unwrap_or_default()
}

/// The first characters of `text` that have `count` bytes at most.
fn first_bytes(text: &str, count: usize) -> &str {
    text.get(..text.floor_char_boundary(count)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::InfillPart;

    /// A vocabulary of bytes behind which the tokens with these names stand.
    struct Named(Vec<u8>, Vec<&'static str>);

    impl Named {
        fn new(names: &[&'static str]) -> Self {
            Self((0..=255).collect(), names.to_vec())
        }
    }

    impl Vocabulary for Named {
        fn size(&self) -> u32 {
            256 + self.1.len() as u32
        }
        fn piece(&self, token: TokenId) -> &[u8] {
            let idx = token.0 as usize;
            self.0.get(idx..=idx).unwrap_or_default()
        }
        fn control_name(&self, token: TokenId) -> Option<&str> {
            self.1.get((token.0 as usize).checked_sub(256)?).copied()
        }
        fn is_end(&self, _: TokenId) -> bool {
            false
        }
        fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
            let begin = self.1.iter().position(|name| *name == "<s>").map(|idx| TokenId(256 + idx as u32));
            Ok(begin.into_iter().chain(self.encode_bare(text, special)?).collect())
        }
        fn encode_bare(&self, text: &str, _: bool) -> Result<Vec<TokenId>, TokenizeError> {
            Ok(text.bytes().map(|byte| TokenId(byte.into())).collect())
        }
        fn infill_token(&self, part: InfillPart) -> Option<TokenId> {
            let named = self.1.first() == Some(&"(by the file)");
            (named && part != InfillPart::Pad).then_some(TokenId(257 + part as u32))
        }
        fn begin_text(&self) -> &'static str {
            ""
        }
        fn end_text(&self) -> &'static str {
            ""
        }
        fn longest_piece_bytes(&self) -> usize {
            1
        }
    }

    const QWEN: &[&str] = &[
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
    ];

    fn file(name: &str, text: &str) -> InfillFile {
        InfillFile { name: name.to_owned(), text: text.to_owned() }
    }

    fn prompt(names: &[&'static str], infill: &Infill, room: usize) -> String {
        let vocabulary = Named::new(names);
        let tokens = InfillTokens::of(&vocabulary).expect("the names are known");
        let prompt = tokens.prompt(infill, &vocabulary, room).unwrap();
        let spelled = prompt.iter().map(|&token| match vocabulary.control_name(token) {
            Some(name) => name.to_owned(),
            None => String::from_utf8_lossy(vocabulary.piece(token)).into_owned(),
        });
        spelled.collect()
    }

    #[test]
    fn each_family_is_asked_as_it_was_trained() {
        let hole = Infill {
            prefix: "def f(<s>".to_owned(),
            suffix: "return".to_owned(),
            continuation: "a".to_owned(),
            ..Infill::default()
        };
        let check = |names: &[&'static str], expected: &str| assert_eq!(prompt(names, &hole, 99), expected);
        check(QWEN, "<|fim_prefix|>def f(<s><|fim_suffix|>return<|fim_middle|>a");
        check(
            &["<s>", "<fim_middle>", "<fim_prefix>", "<fim_suffix>"],
            "<s><fim_prefix>def f(<s><fim_suffix>return<fim_middle>a",
        );
        check(
            &["\u{2581}<PRE>", "\u{2581}<MID>", "\u{2581}<SUF>"],
            "\u{2581}<PRE>def f(<s>\u{2581}<SUF>return\u{2581}<MID>a",
        );
        check(&["[MIDDLE]", "[PREFIX]", "[SUFFIX]", "<s>"], "<s>[SUFFIX]return[PREFIX]def f(<s>a");
        check(&["(by the file)", "pre", "suf", "mid"], "predef f(<s>sufreturnmida");
    }

    #[test]
    fn a_model_without_such_tokens_is_none() {
        let check = |names: &[&'static str], expected: bool| {
            assert_eq!(InfillTokens::of(&Named::new(names)).is_some(), expected, "{names:?}");
        };
        check(&[], false);
        check(&["<|fim_prefix|>", "<|fim_suffix|>"], false);
        check(&["<|fim_prefix|>", "<fim_suffix>", "<fim_middle>"], false);
        check(QWEN, true);
    }

    #[test]
    fn further_files_come_before_as_far_as_there_is_room() {
        let hole = Infill {
            prefix: "(".to_owned(),
            suffix: ")".to_owned(),
            files: vec![file("a", "AAAA"), file("b", "BBBB")],
            ..Infill::default()
        };
        let check = |names: &[&'static str], room: usize, expected: &str| {
            assert_eq!(prompt(names, &hole, room), expected, "in {room}");
        };
        let both = "<|repo_name|>repository\n<|file_sep|>a\nAAAA<|file_sep|>b\nBBBB<|file_sep|>current\n";
        let one = "<|repo_name|>repository\n<|file_sep|>b\nBBBB<|file_sep|>current\n";
        let hole = "<|fim_prefix|>(<|fim_suffix|>)<|fim_middle|>";
        check(QWEN, 5 + 12 + 9 + 14, &format!("{both}{hole}"));
        check(QWEN, 5 + 12 + 9 + 13, &format!("{one}{hole}"));
        check(QWEN, 5 + 12 + 9 + 6, hole);
        let plain = ["<PRE>", "<SUF>", "<MID>"];
        check(&plain, 99, "\n\n--- a ---\n\nAAAA\n\n--- b ---\n\nBBBB\n\n<PRE>(<SUF>)<MID>");
    }

    #[test]
    fn long_texts_keep_what_is_next_to_the_hole() {
        let check = |prefix: &str, suffix: &str, room: usize, expected: &str| {
            let hole = Infill { prefix: prefix.to_owned(), suffix: suffix.to_owned(), ..Infill::default() };
            let plain = ["<PRE>", "<SUF>", "<MID>"];
            assert_eq!(prompt(&plain, &hole, room), expected, "{prefix} {suffix} in {room}");
        };
        check("01234567", "89abcdef", 3 + 16, "<PRE>01234567<SUF>89abcdef<MID>");
        check("01234567", "89abcdef", 3 + 8, "<PRE>234567<SUF>89<MID>");
        check("01", "89abcdef", 3 + 8, "<PRE>01<SUF>89abcd<MID>");
        check("01234567", "8", 3 + 8, "<PRE>1234567<SUF>8<MID>");
        check("01234567", "89", 3, "<PRE><SUF><MID>");
        check("01234567", "89", 0, "<PRE><SUF><MID>");
        // Characters are whole where bytes are counted.
        assert_eq!((last_bytes("a\u{20ac}b", 3), first_bytes("a\u{20ac}b", 3)), ("b", "a"));
    }
}
