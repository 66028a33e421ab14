//! One generation in progress: its tokens, what decides the next one, and where its events go.

use std::{
    mem::discriminant,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    engine::TokenId,
    output::{Output, Part, part},
    sampling::{Sampled, Sampler, grammar::Constraint},
    scheduler::{
        chooser::{Choice, Chooser, Due},
        echo::Echo,
        event::{Ending, Event, FinishReason, Said, Timings, Usage},
        guess::{Guesser, Share},
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
    /// Absent while it is lent.
    chooser: Option<Box<Chooser>>,
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
        let (mut chooser, mut output) = (Chooser::new(params.sampler, params.constraint), params.output);
        debug_assert!(!prompt.is_empty(), "a prompt has a token");
        chooser.observe_prompt(&prompt);
        let prompt_tokens = prompt.len();
        let mut tokens = prompt;
        let mut stopped = None;
        // A sampler that remembers logits sees the resumed tokens with their rows.
        let waits_for_rows = chooser.remembers_logits() && !resume.is_empty();
        let echo = prompt_scores.filter(|_| resume.is_empty()).map(|top| Echo::new(top, &tokens));
        for token in resume {
            tokens.push(token);
            if !waits_for_rows {
                chooser.accept(token);
            }
            stopped = output.push(token).stopped.map(FinishReason::from).or_else(|| ended(&chooser, token));
            if stopped.is_some() {
                break;
            }
        }
        if !waits_for_rows && stopped.is_none() {
            chooser.replay(&tokens[prompt_tokens..]);
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
            chooser: Some(Box::new(chooser)),
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

    /// The sequence got a slot that holds the first `held` of its tokens; how long it waited, where it is its first one.
    pub(super) fn admitted(&mut self, now: Instant, held: u32) -> Option<Duration> {
        if self.admitted.is_some() {
            return None;
        }
        self.admitted = Some(now);
        self.cached_tokens = held.min(self.prompt_tokens as u32);
        Some(now.saturating_duration_since(self.submitted))
    }

    /// How many tokens may be guessed behind the last one, `room` at most.
    pub(super) fn guess_room(&self, room: usize, context_tokens: u32) -> usize {
        if self.echo.is_some() {
            return 0;
        }
        // Each token may need an event of its own, and what fails behind them as well.
        let room = room.min(self.events.capacity().saturating_sub(2));
        // The last token of all is sampled, and nothing comes behind it.
        room.min(self.longest(context_tokens).saturating_sub(self.tokens.len() + 1))
    }

    /// Looks up at most `room` tokens that come behind the last one; how many.
    pub(super) fn guess(&mut self, room: usize, share: &Share, context_tokens: u32) -> usize {
        if room == 0 {
            return 0;
        }
        let longest = self.longest(context_tokens);
        let guesser =
            self.guesser.get_or_insert_with(|| Guesser::new(share.lookup(), longest).drafting(share.draft()));
        guesser.guess(&self.tokens, room.min(share.lookup())).len()
    }

    /// How many tokens a draft model may guess where nothing was looked up, `room` at most.
    pub(super) fn wish(&mut self, room: usize) -> usize {
        self.guesser.as_mut().map_or(0, |guesser| guesser.wish(room))
    }

    /// A draft model guesses that `token` comes next.
    pub(super) fn push_guess(&mut self, token: TokenId) {
        if let Some(guesser) = &mut self.guesser {
            guesser.push(token);
        }
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

    /// So many tokens of the last guess came true; whether it was a draft model's.
    pub(super) fn learn(&mut self, n_true: usize) -> bool {
        self.guesser.as_mut().is_some_and(|guesser| guesser.learn(n_true))
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
            self.chooser().follow(logits, index, token);
        }
    }

    /// The place that the next token is due at; none where the sequence is over without one.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        self.say_prompt();
        if let Some(reason) = self.stopped.clone() {
            self.finish(reason, now);
            return None;
        }
        self.first_token.get_or_insert(now);
        Some(Due { index: self.completion_tokens(), forced: self.output.forced() })
    }

    /// What chooses its tokens.
    pub(super) fn chooser(&mut self) -> &mut Chooser {
        self.chooser.as_mut().expect("it is lent while tokens are chosen and at no other time")
    }

    /// Whether choosing its tokens is worth another thread's while.
    pub(super) fn is_costly(&self) -> bool {
        self.chooser.as_ref().is_some_and(|chooser| chooser.is_costly())
    }

    /// Lends what chooses its tokens to another thread, where that is worth its while.
    pub(super) fn lend_chooser(&mut self) -> Option<Box<Chooser>> {
        self.chooser.take_if(|chooser| chooser.is_costly())
    }

    /// Takes back what was lent.
    pub(super) fn give_back(&mut self, chooser: Box<Chooser>) {
        self.chooser = Some(chooser);
    }

    /// Takes what was chosen, to be told with the other tokens of the step; whether the sequence is over.
    pub(super) fn take(&mut self, choice: Choice, context_tokens: u32, now: Instant) -> bool {
        match choice {
            Ok(sampled) => self.take_token(sampled, context_tokens, now),
            Err(error) => {
                self.fail(&error.to_string());
                true
            }
        }
    }

    fn take_token(&mut self, sampled: Sampled, context_tokens: u32, now: Instant) -> bool {
        let Sampled { token, score } = sampled;
        let index = self.completion_tokens();
        self.tokens.push(token);
        self.first_row = self.tokens.len() - 1;
        self.chooser().accept(token);
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
        let stopped = step.stopped.map(FinishReason::from).or_else(|| ended(self.chooser(), token));
        let stopped = stopped.or_else(|| {
            let at_limit = self.max_tokens.is_some_and(|limit| self.completion_tokens() >= limit);
            (at_limit || self.tokens.len() >= context_tokens as usize).then_some(FinishReason::Length)
        });
        if stopped.is_none() {
            self.chooser().go_on(token);
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

fn ended(chooser: &Chooser, token: TokenId) -> Option<FinishReason> {
    chooser.is_end(token).then_some(FinishReason::End)
}
