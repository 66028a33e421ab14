//! How probable the tokens of a prompt are, gathered row by row as the prompt is computed.

use crate::{engine::TokenId, sampling::Score};

/// The scores of one prompt. The rows that they were read from are not kept.
#[derive(Debug)]
pub(super) struct Echo {
    top: u32,
    prompt_tokens: usize,
    scores: Vec<(TokenId, Score)>,
}

impl Echo {
    /// Scores with `top` alternatives each of a prompt that is not computed yet. Its first token has none before it:
    /// its score says nothing.
    pub(super) fn new(top: u32, prompt: &[TokenId]) -> Self {
        let scores = prompt.first().map(|&token| (token, Score::default()));
        Self { top, prompt_tokens: prompt.len(), scores: scores.into_iter().collect() }
    }

    /// Takes the row before `token`, the one behind those scored so far. It is the model's own: neither bias nor
    /// penalties apply to what the model has not said.
    pub(super) fn push(&mut self, logits: &[f32], token: TokenId) {
        self.scores.push((token, Score::of(logits, token, self.top)));
    }

    /// All scores, once they are there.
    pub(super) fn whole(echo: &mut Option<Self>) -> Option<Vec<(TokenId, Score)>> {
        echo.take_if(|echo| echo.scores.len() == echo.prompt_tokens).map(|echo| echo.scores)
    }
}
