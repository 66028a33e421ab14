//! One generation in progress: its tokens, what decides the next one, and where its events go.

use std::{mem::discriminant, sync::Arc, time::Instant};

use tokio::sync::mpsc;

use crate::{
    engine::TokenId,
    output::{Output, Part, part},
    sampling::{Sampled, Sampler, grammar::Constraint},
    scheduler::{
        echo::Echo,
        event::{Ending, Event, FinishReason, Said, Timings, Usage},
        guess::Guesser,
    },
};

/// What a sequence is made of.
pub struct SequenceParams {
    /// Whose it is: it is computed from what a slot holds of the same owner's alone.
    pub owner: Arc<str>,
    /// Who has more is admitted before those with less.
    pub priority: i32,
    /// The prompt; at least one token, and fewer than a slot holds.
    pub prompt: Vec<TokenId>,
    /// Tokens of the completion that a former worker generated; replayed, not emitted.
    pub resume: Vec<TokenId>,
    /// Tokens of the completion at most, the resumed ones counted; absent: as many as the slot holds.
    pub max_tokens: Option<u32>,
    /// Say how probable each token of the prompt is, with so many alternatives. Not said again to who has tokens of the
    /// completion already.
    pub prompt_scores: Option<u32>,
    /// Decides the next token.
    pub sampler: Sampler,
    /// What the output has to be; absent: anything.
    pub constraint: Option<Constraint>,
    /// Makes text of tokens and sees stops.
    pub output: Output,
    /// Where events go; room for two at least. A full channel pauses the sequence, a closed one cancels it.
    pub events: mpsc::Sender<Event>,
    /// When it was submitted.
    pub submitted: Instant,
}

/// A generation in progress.
pub struct Sequence {
    owner: Arc<str>,
    priority: i32,
    /// Prompt and completion, one behind the other.
    tokens: Vec<TokenId>,
    prompt_tokens: usize,
    max_tokens: Option<u32>,
    sampler: Sampler,
    constraint: Option<Constraint>,
    output: Output,
    events: mpsc::Sender<Event>,
    stopped: Option<FinishReason>,
    /// Absent until the first guess.
    guesser: Option<Guesser>,
    /// What came of the step so far.
    said: Said,
    /// Scores of the prompt that are still to be said.
    echo: Option<Echo>,
    /// The first place whose row of logits is needed: the last token's, or one of a token that is known already.
    first_row: usize,
    cached_tokens: u32,
    submitted: Instant,
    admitted: Option<Instant>,
    first_token: Option<Instant>,
}

impl Sequence {
    /// Takes the prompt in and replays what is resumed: sampler and output see the tokens, the reader does not.
    pub fn new(params: SequenceParams) -> Self {
        let SequenceParams {
            owner,
            priority,
            prompt,
            resume,
            max_tokens,
            prompt_scores,
            events,
            submitted,
            ..
        } = params;
        let (mut sampler, mut constraint, mut output) = (params.sampler, params.constraint, params.output);
        debug_assert!(!prompt.is_empty(), "a prompt has a token");
        sampler.observe_prompt(&prompt);
        let prompt_tokens = prompt.len();
        let mut tokens = prompt;
        let mut stopped = None;
        // A sampler that remembers logits sees the resumed tokens with their rows.
        let waits_for_rows = sampler.remembers_logits() && !resume.is_empty();
        let echo = prompt_scores.filter(|_| resume.is_empty()).map(|top| Echo::new(top, &tokens));
        for token in resume {
            tokens.push(token);
            if !waits_for_rows {
                sampler.accept(token);
            }
            stopped = output
                .push(token)
                .stopped
                .map(FinishReason::from)
                .or_else(|| ended(constraint.as_ref(), token));
            if stopped.is_some() {
                break;
            }
        }
        if let Some(constraint) = constraint.as_mut().filter(|_| !waits_for_rows && stopped.is_none()) {
            // A failure shows at the first token that is sampled.
            drop(constraint.replay(&tokens[prompt_tokens..]));
        }
        if stopped.is_none() && max_tokens.is_some_and(|limit| tokens.len() - prompt_tokens >= limit as usize)
        {
            stopped = Some(FinishReason::Length);
        }
        let first_row = match &echo {
            Some(_) => 0,
            None if waits_for_rows => prompt_tokens - 1,
            None => tokens.len() - 1,
        };
        Self {
            owner,
            priority,
            echo,
            first_row,
            tokens,
            prompt_tokens,
            max_tokens,
            sampler,
            constraint,
            output,
            events,
            stopped,
            guesser: None,
            said: Said::default(),
            cached_tokens: 0,
            submitted,
            admitted: None,
            first_token: None,
        }
    }

    pub(super) fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    pub(super) fn priority(&self) -> i32 {
        self.priority
    }

    pub(super) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    pub(super) fn completion_tokens(&self) -> u32 {
        (self.tokens.len() - self.prompt_tokens) as u32
    }

    pub(super) fn submitted(&self) -> Instant {
        self.submitted
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    pub(super) fn has_reader_room(&self) -> bool {
        // The last row of a prompt may bring its scores and a token.
        self.events.capacity() > usize::from(self.echo.is_some())
    }

    /// The first place whose row of logits is needed.
    pub(super) fn first_row(&self) -> usize {
        self.first_row
    }

    /// The reason, when there is nothing to compute: the replay ended the sequence or filled a slot of
    /// `context_tokens`, or the prompt alone was asked for.
    pub(super) fn ended(&self, context_tokens: u32) -> Option<FinishReason> {
        let is_full = self.tokens.len() >= context_tokens as usize;
        let stopped = self.stopped.clone().or(is_full.then_some(FinishReason::Length));
        stopped.filter(|_| self.echo.is_none())
    }

    /// The sequence got a slot that holds the first `held` of its tokens.
    pub(super) fn admitted(&mut self, now: Instant, held: u32) {
        if self.admitted.is_none() {
            self.admitted = Some(now);
            self.cached_tokens = held.min(self.prompt_tokens as u32);
        }
    }

    /// Guesses at most `room` tokens, and never more than `most`, that come behind the last one; how many.
    pub(super) fn guess(&mut self, room: usize, most: usize, context_tokens: u32) -> usize {
        if self.echo.is_some() {
            return 0;
        }
        // Each token may need an event of its own, and what fails behind them as well.
        let room = room.min(self.events.capacity().saturating_sub(2));
        let longest = self.longest(context_tokens);
        // The last token of all is sampled, and nothing comes behind it.
        let room = room.min(longest.saturating_sub(self.tokens.len() + 1));
        if room == 0 {
            return 0;
        }
        let guesser = self.guesser.get_or_insert_with(|| Guesser::new(most, longest));
        guesser.guess(&self.tokens, room).len()
    }

    /// Only the first `n` tokens of the last guess are computed.
    pub(super) fn shorten_guess(&mut self, n: usize) {
        if let Some(guesser) = &mut self.guesser {
            guesser.shorten(n);
        }
    }

    /// The last guess.
    pub(super) fn guessed(&self) -> &[TokenId] {
        self.guesser.as_ref().map_or(&[], Guesser::last)
    }

    /// So many tokens of the last guess came true.
    pub(super) fn learn(&mut self, n_true: usize) {
        if let Some(guesser) = &mut self.guesser {
            guesser.learn(n_true);
        }
    }

    /// Makes room for all tokens that it may have, before it decodes; how many.
    pub(super) fn reserve(&mut self, context_tokens: u32) -> usize {
        let longest = self.longest(context_tokens);
        self.tokens.reserve(longest.saturating_sub(self.tokens.len()));
        longest
    }

    /// Takes the row of logits behind the token at `place`, whose next one is known.
    pub(super) fn take_known(&mut self, logits: &mut [f32], place: usize) {
        debug_assert_eq!(place, self.first_row, "rows come in order, each once");
        self.first_row = place + 1;
        let token = self.tokens[place + 1];
        if place + 1 < self.prompt_tokens {
            if let Some(echo) = &mut self.echo {
                echo.push(logits, token);
            }
            self.say_prompt();
        } else {
            let index = (place + 1 - self.prompt_tokens) as u32;
            self.sampler.prepare(logits, index);
            // A grammar that cannot be followed shows at the next token that is sampled.
            if let Some(constraint) = &mut self.constraint {
                drop(constraint.mask(logits));
                constraint.accept(token);
            }
            self.sampler.impose(logits, index, token);
            self.sampler.accept(token);
        }
    }

    /// Samples the next token from its logits, to be told with the others of the step; whether the sequence is over.
    pub(super) fn sample(&mut self, logits: &mut [f32], context_tokens: u32, now: Instant) -> bool {
        self.say_prompt();
        if let Some(reason) = self.stopped.clone() {
            self.finish(reason, now);
            return true;
        }
        self.first_token.get_or_insert(now);
        let index = self.completion_tokens();
        self.sampler.prepare(logits, index);
        if let Some(Err(error)) = self.constraint.as_mut().map(|constraint| constraint.mask(logits)) {
            self.fail(&error.to_string());
            return true;
        }
        // A grammar goes before the end of a thought, which may not be allowed within a character.
        let is_allowed = |token: &TokenId| logits.get(token.0 as usize) > Some(&f32::NEG_INFINITY);
        let sampled = match self.output.forced().filter(is_allowed) {
            Some(token) => Ok(self.sampler.impose(logits, index, token)),
            None => self.sampler.choose(logits, index),
        };
        match sampled {
            Ok(sampled) => self.take(sampled, context_tokens, now),
            Err(error) => {
                self.fail(&error.to_string());
                true
            }
        }
    }

    /// Takes a sampled token in; whether it was the last one.
    fn take(&mut self, sampled: Sampled, context_tokens: u32, now: Instant) -> bool {
        let Sampled { token, score } = sampled;
        let index = self.completion_tokens();
        self.tokens.push(token);
        self.first_row = self.tokens.len() - 1;
        self.sampler.accept(token);
        let was_reasoning = self.output.is_reasoning();
        let step = self.output.push(token);
        // Scores are of what their event says: of thought, of text or of a call.
        let differs = |said: &Part, part: &Part| discriminant(said) != discriminant(part);
        let is_another = self.said.parts.last().zip(step.parts.first()).is_some_and(|(a, b)| differs(a, b));
        if score.is_some() && is_another {
            self.tell();
        }
        if self.said.tokens.is_empty() {
            self.said.index = index;
        }
        let stopped = step.stopped.map(FinishReason::from).or_else(|| ended(self.constraint.as_ref(), token));
        let stopped = stopped.or_else(|| {
            let at_limit = self.max_tokens.is_some_and(|limit| self.completion_tokens() >= limit);
            (at_limit || self.tokens.len() >= context_tokens as usize).then_some(FinishReason::Length)
        });
        if let Some(constraint) = self.constraint.as_mut().filter(|_| stopped.is_none()) {
            constraint.accept(token);
        }
        self.said.tokens.push(token);
        part::join(&mut self.said.parts, step.parts);
        let is_scored = score.is_some();
        self.said.scores.extend(score);
        self.said.ending = stopped.map(|reason| Box::new(self.ending(reason, now)));
        let is_last = self.said.ending.is_some();
        if is_scored && self.output.is_reasoning() != was_reasoning {
            self.tell();
        }
        is_last
    }

    /// Tells the reader what came of the step.
    pub(super) fn tell(&mut self) {
        if !self.said.tokens.is_empty() {
            let said = std::mem::take(&mut self.said);
            self.send(Event::Tokens(said));
        }
    }

    /// Tells the reader that the sequence was over before it began.
    pub(super) fn finish(&mut self, reason: FinishReason, now: Instant) {
        let ending = self.ending(reason, now);
        self.send(Event::Over { index: self.completion_tokens(), ending });
    }

    /// Tells the reader that the sequence cannot go on.
    pub(super) fn fail(&mut self, reason: &str) {
        self.tell();
        self.send(Event::Failed(reason.to_owned()));
    }

    /// Tokens that the sequence may have in the end, in a slot of `context_tokens`.
    fn longest(&self, context_tokens: u32) -> usize {
        let limit = self.max_tokens.map_or(usize::MAX, |limit| self.prompt_tokens + limit as usize);
        limit.min(context_tokens as usize)
    }

    fn say_prompt(&mut self) {
        if let Some(scores) = Echo::whole(&mut self.echo) {
            self.send(Event::Prompt(scores));
        }
    }

    fn ending(&mut self, reason: FinishReason, now: Instant) -> Ending {
        let admitted = self.admitted.unwrap_or(now);
        let first_token = self.first_token.unwrap_or(now);
        let rest = self.output.finish();
        Ending {
            reason,
            rest,
            called: self.output.has_called(),
            usage: Usage {
                prompt_tokens: self.prompt_tokens as u32,
                cached_tokens: self.cached_tokens,
                completion_tokens: self.completion_tokens(),
                reasoning_tokens: self.output.reasoning_tokens(),
            },
            timings: Timings {
                queue: admitted.saturating_duration_since(self.submitted),
                prefill: first_token.saturating_duration_since(admitted),
                decode: now.saturating_duration_since(first_token),
            },
        }
    }

    /// A sequence is only scheduled while its channel has room, so the one thing that can go wrong is that the
    /// reader is gone, which the next tick sees.
    fn send(&self, event: Event) {
        drop(self.events.try_send(event));
    }
}

/// Under a grammar an end token ends the output whatever else was asked for: it is allowed where nothing else is.
fn ended(constraint: Option<&Constraint>, token: TokenId) -> Option<FinishReason> {
    constraint.filter(|constraint| constraint.is_end(token)).map(|_| FinishReason::End)
}
