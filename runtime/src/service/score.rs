//! Tokens and their scores as the protocol says them.

use impetus_proto::worker::{self, TokenLogprobs, TopLogprob};

use crate::{
    engine::{TokenId, Vocabulary},
    sampling::Score,
};

/// The prompt as the protocol says it: its text, and the score of each of its tokens.
pub(super) fn prompt(
    text: String,
    scores: &[(TokenId, Score)],
    vocabulary: &dyn Vocabulary,
) -> worker::Prompt {
    let logprobs = scores.iter().map(|(token, score)| logprobs(*token, score, vocabulary)).collect();
    worker::Prompt { text, logprobs }
}

/// The score of one token as the protocol says it.
pub(super) fn logprobs(token: TokenId, score: &Score, vocabulary: &dyn Vocabulary) -> TokenLogprobs {
    let top = |&(token, logprob): &(TokenId, f32)| TopLogprob {
        token: token.0,
        text: spelling(token, vocabulary).to_vec(),
        logprob,
    };
    TokenLogprobs {
        token: token.0,
        text: spelling(token, vocabulary).to_vec(),
        logprob: score.logprob,
        top: score.top.iter().map(top).collect(),
    }
}

/// The text of all tokens, control tokens by their names. Bytes that are no characters become U+FFFD.
pub(super) fn text(tokens: &[TokenId], vocabulary: &dyn Vocabulary) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|&token| spelling(token, vocabulary)).copied().collect();
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The bytes that a token stands for, or the name of one that stands for none.
pub(super) fn spelling(token: TokenId, vocabulary: &dyn Vocabulary) -> &[u8] {
    match vocabulary.piece(token) {
        [] => vocabulary.control_name(token).unwrap_or_default().as_bytes(),
        piece => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fake::ByteVocabulary;

    #[test]
    fn tokens_are_spelled_byte_by_byte() {
        let vocabulary = ByteVocabulary::default();
        let check = |tokens: &[u32], expected: &str| {
            let tokens: Vec<_> = tokens.iter().copied().map(TokenId).collect();
            assert_eq!(text(&tokens, &vocabulary), expected);
        };
        check(&[0xe2, 0x82, 0xac, 256, 0x61], "\u{20ac}a");
        check(&[0xe2, 0x61], "\u{fffd}a");
        let score = Score { logprob: -0.5, top: vec![(TokenId(0x82), -0.25)] };
        let prompt = prompt("x".to_owned(), &[(TokenId(0xe2), score)], &vocabulary);
        let top = TopLogprob { token: 0x82, text: vec![0x82], logprob: -0.25 };
        let expected = TokenLogprobs { token: 0xe2, text: vec![0xe2], logprob: -0.5, top: vec![top] };
        assert_eq!(prompt, worker::Prompt { text: "x".to_owned(), logprobs: vec![expected] });
    }
}
