//! Whether two models speak in the same tokens, so that one may guess for the other.

use super::Vocabulary;
use crate::engine::TokenId;

/// How many tokens one vocabulary may have more than the other: makers pad the rows of some sizes of a model and not of
/// others.
const MAX_PADDING: u32 = 128;

/// Why one model cannot guess for another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// One of the two is not for texts.
    #[error("only models that generate have drafts, and are ones")]
    Task,
    /// The vocabularies are of different sizes.
    #[error("it has {draft} tokens and the model has {model}")]
    Size {
        /// Tokens of the draft model.
        draft: u32,
        /// Tokens of the model.
        model: u32,
    },
    /// A token is another one, or ends the text in one of the two alone.
    #[error("token {} is not the same in both vocabularies", token.0)]
    Token {
        /// The first one.
        token: TokenId,
    },
}

/// Checks that what the two call by the same number is the same, and that they have the same tokens, padding apart.
pub fn check(draft: &dyn Vocabulary, model: &dyn Vocabulary) -> Result<(), Mismatch> {
    let (draft_size, model_size) = (draft.size(), model.size());
    if draft_size.abs_diff(model_size) > MAX_PADDING {
        return Err(Mismatch::Size { draft: draft_size, model: model_size });
    }
    let differs = |token: &TokenId| {
        let token = *token;
        draft.piece(token) != model.piece(token)
            || draft.control_name(token) != model.control_name(token)
            || draft.is_end(token) != model.is_end(token)
    };
    let first = (0..draft_size.min(model_size)).map(TokenId).find(differs);
    first.map_or(Ok(()), |token| Err(Mismatch::Token { token }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TokenizeError;

    struct Words(Vec<&'static str>);

    impl Vocabulary for Words {
        fn size(&self) -> u32 {
            self.0.len() as u32
        }

        fn piece(&self, token: TokenId) -> &[u8] {
            match self.0[token.0 as usize] {
                name if name.starts_with(['<', '!']) => b"",
                text => text.as_bytes(),
            }
        }

        fn control_name(&self, token: TokenId) -> Option<&str> {
            Some(self.0[token.0 as usize].trim_start_matches('!')).filter(|name| name.starts_with('<'))
        }

        fn is_end(&self, token: TokenId) -> bool {
            self.0[token.0 as usize].starts_with('!')
        }

        fn encode(&self, _: &str, _: bool) -> Result<Vec<TokenId>, TokenizeError> {
            Ok(Vec::new())
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

    #[test]
    fn kin_have_the_same_tokens() {
        let check = |draft: &[&'static str], model: &[&'static str], expected: Result<(), Mismatch>| {
            let words = |words: &[&'static str]| Words(words.to_vec());
            assert_eq!(super::check(&words(draft), &words(model)), expected, "{draft:?} {model:?}");
        };
        let differs = |token| Err(Mismatch::Token { token: TokenId(token) });
        check(&["a", "b", "!<end>"], &["a", "b", "!<end>"], Ok(()));
        check(&["a", "b", "<end>"], &["a", "b", "!<end>"], differs(2));
        check(&["a", "b", "<s>"], &["a", "b", "<t>"], differs(2));
        check(&["a", "c"], &["a", "b"], differs(1));
        // What one has more is padding, where it is not too much.
        check(&["a", "b"], &["a", "b", "c"], Ok(()));
        check(&["a", "b", "c"], &["a", "b"], Ok(()));
        check(&["a"; 10], &["a"; 138], Ok(()));
        check(&["a"; 10], &["a"; 139], Err(Mismatch::Size { draft: 10, model: 139 }));
        check(&["a"; 139], &["a"; 10], Err(Mismatch::Size { draft: 139, model: 10 }));
    }
}
