//! Penalties for tokens that occurred already, counted as the windows slide, so that a step costs what the
//! windows hold and not what the sequence has become.

use std::collections::{HashMap, VecDeque};

use super::SamplingParams;
use crate::engine::TokenId;

/// The window of the repetition penalty when the request names none.
const REPETITION_WINDOW: usize = 64;

/// The penalties of one sequence and what they have seen.
#[derive(Debug)]
pub(super) struct Penalties {
    repetition: f32,
    frequency: f32,
    presence: f32,
    /// Prompt and completion, for the repetition penalty.
    text: Window,
    /// The completion alone, for the other two.
    completion: Window,
}

/// The last tokens of a text and how often each occurs among them.
#[derive(Debug)]
struct Window {
    limit: usize,
    tokens: VecDeque<TokenId>,
    counts: HashMap<TokenId, u32>,
}

impl Penalties {
    pub(super) fn new(params: &SamplingParams) -> Self {
        let repetition = params.repetition_penalty.unwrap_or(1.0);
        let (frequency, presence) = (params.frequency_penalty, params.presence_penalty);
        let last = params.penalty_last_tokens.map(|n| n as usize);
        // A penalty that is off remembers nothing.
        let off = (repetition - 1.0).abs() < f32::EPSILON;
        let text = if off { 0 } else { last.unwrap_or(REPETITION_WINDOW) };
        let completion = if frequency == 0.0 && presence == 0.0 { 0 } else { last.unwrap_or(usize::MAX) };
        Self { repetition, frequency, presence, text: Window::new(text), completion: Window::new(completion) }
    }

    pub(super) fn observe_prompt(&mut self, prompt: &[TokenId]) {
        let seen = prompt.len().min(self.text.limit);
        for &token in &prompt[prompt.len() - seen..] {
            self.text.push(token);
        }
    }

    pub(super) fn accept(&mut self, token: TokenId) {
        self.text.push(token);
        self.completion.push(token);
    }

    /// Repetition as in CTRL (Keskar et al. 2019, section 4.1), for negative logits multiplied instead of divided
    /// so that it always makes a token less probable; frequency and presence as OpenAI defines them.
    pub(super) fn apply(&self, logits: &mut [f32]) {
        for token in self.text.counts.keys() {
            if let Some(logit) = logits.get_mut(token.0 as usize) {
                *logit = if *logit > 0.0 { *logit / self.repetition } else { *logit * self.repetition };
            }
        }
        for (token, &count) in &self.completion.counts {
            if let Some(logit) = logits.get_mut(token.0 as usize) {
                *logit -= self.frequency * count as f32 + self.presence;
            }
        }
    }
}

impl Window {
    fn new(limit: usize) -> Self {
        Self { limit, tokens: VecDeque::new(), counts: HashMap::new() }
    }

    fn push(&mut self, token: TokenId) {
        if self.limit == 0 {
            return;
        }
        if self.tokens.len() == self.limit
            && let Some(oldest) = self.tokens.pop_front()
        {
            self.forget(oldest);
        }
        self.tokens.push_back(token);
        *self.counts.entry(token).or_insert(0) += 1;
    }

    fn forget(&mut self, token: TokenId) {
        if let Some(count) = self.counts.get_mut(&token) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&token);
            }
        }
    }
}
