//! What comes of a step: tokens are chosen from its rows, sequences take them, and what slots hold is booked.

use std::time::Instant;

use super::{
    Counters, Running, Scheduler, Sequence, Stage,
    chooser::{Choice, Chooser, Due},
    composition::Member,
    pool::Job,
};
use crate::engine::{Rows, TextEngine, TokenId, Want};

/// How far the rows of one chunk have been read.
pub(super) struct Reading {
    /// The place of the chunk's first token in its sequence.
    position: usize,
    next_row: usize,
    end_row: usize,
    /// Tokens of the chunk that the slot keeps: those that are the sequence's.
    n_kept: usize,
    is_over: bool,
    /// What came of the last row.
    choice: Option<Choice>,
}

/// A row that is lent to another thread, with what chooses from it.
pub(super) struct Row {
    /// Whose it is, by its place among the members.
    member: usize,
    index: usize,
    logits: Vec<f32>,
    chooser: Box<Chooser>,
    due: Due,
    choice: Option<Choice>,
}

impl Scheduler {
    /// Hands the rows of the step to their sequences, books what was computed, and ends the sequences that are over;
    /// answers how many guesses came true.
    ///
    /// In rounds of one row of each sequence, since whether a guess came true is known once the row before it is read.
    pub(super) fn accept(&mut self, engine: &mut dyn TextEngine, now: Instant) -> usize {
        self.begin_reading();
        let (mut begun, mut n_true) = (Instant::now(), 0);
        loop {
            let has_chosen = self.choose(now);
            let chosen = Instant::now();
            if has_chosen {
                self.take(now);
            } else {
                n_true = self.conclude(engine);
            }
            let taken = Instant::now();
            self.counters.spent(Stage::Sample, chosen - begun);
            self.counters.spent(Stage::Detokenize, taken - chosen);
            begun = taken;
            if !has_chosen {
                return n_true;
            }
        }
    }

    fn begin_reading(&mut self) {
        let Self { batch, members, running, readings, counters, .. } = self;
        readings.clear();
        let mut first_row = 0;
        for (chunk, member) in batch.chunks().iter().zip(members) {
            let n_tokens = batch.tokens(chunk).len();
            let n_rows = match chunk.want {
                Want::Nothing => 0,
                Want::Last => 1,
                Want::All => n_tokens,
            };
            if member.n_tokens > 1 || running[member.running].sequence.completion_tokens() == 0 {
                counters.prefilled(member.n_tokens as u64);
            }
            readings.push(Reading {
                position: chunk.position as usize,
                next_row: first_row,
                end_row: first_row + n_rows,
                n_kept: n_tokens - n_rows,
                is_over: false,
                choice: None,
            });
            first_row += n_rows;
        }
    }

    /// Chooses a token from the next row of every sequence that has one; whether any has.
    fn choose(&mut self, now: Instant) -> bool {
        let is_shared = self.pool.pays(self.n_costly(), self.limits.vocabulary);
        let Self { batch, members, running, readings, rows, lent, .. } = self;
        let mut has_chosen = false;
        for (nth, ((chunk, member), reading)) in batch.chunks().iter().zip(members).zip(readings).enumerate()
        {
            let sequence = &mut running[member.running].sequence;
            let Some(index) = reading.next(sequence, batch.tokens(chunk), rows) else { continue };
            let Some(due) = sequence.due(now) else {
                reading.is_over = true;
                continue;
            };
            has_chosen = true;
            if is_shared && let Some(chooser) = sequence.lend_chooser() {
                lent.push(Row { member: nth, index, logits: rows.lend(index), chooser, due, choice: None });
            } else {
                reading.choice = Some(sequence.chooser().choose(rows.row_mut(index), due));
            }
        }
        self.share();
        has_chosen
    }

    /// Has tokens chosen from the rows that are lent.
    fn share(&mut self) {
        self.pool.run(&mut self.lent);
        for Row { member, index, logits, chooser, choice, .. } in self.lent.drain(..) {
            self.running[self.members[member].running].sequence.give_back(chooser);
            self.rows.give_back(index, logits);
            self.readings[member].choice = choice;
        }
    }

    /// Members with a row to choose from that is worth another thread's while.
    fn n_costly(&self) -> usize {
        let is_costly = |(member, reading): &(&Member, &Reading)| {
            reading.next_row < reading.end_row && self.running[member.running].sequence.is_costly()
        };
        self.members.iter().zip(&self.readings).filter(is_costly).count()
    }

    /// Lets sequences take what was chosen for them.
    fn take(&mut self, now: Instant) {
        let Self { members, running, readings, counters, limits, .. } = self;
        for (member, reading) in members.iter().zip(readings) {
            if let Some(choice) = reading.choice.take() {
                counters.sampled();
                let sequence = &mut running[member.running].sequence;
                reading.is_over = sequence.take(choice, limits.context_tokens, now);
            }
        }
    }

    /// Tells readers what came of the step, and books what slots hold; answers how many guesses came true.
    fn conclude(&mut self, engine: &mut dyn TextEngine) -> usize {
        let (mut over, mut n_true) = (Vec::new(), 0);
        for ((chunk, member), reading) in self.batch.chunks().iter().zip(&self.members).zip(&self.readings) {
            let tokens = self.batch.tokens(chunk);
            let Running { sequence, slot } = &mut self.running[member.running];
            sequence.tell();
            if reading.is_over {
                over.push(member.running);
            }
            let n_kept = reading.n_kept;
            self.slots.extend(*slot, &tokens[..n_kept]);
            n_true += learn(sequence, member, n_kept, &self.counters);
            if n_kept < tokens.len() && engine.kv_truncate(*slot, self.slots.held(*slot) as u32).is_err() {
                engine.kv_clear(*slot);
                self.slots.forget(*slot);
                self.guesses.not_forgotten();
            }
        }
        self.counters.stepped();
        over.sort_unstable();
        for &member in over.iter().rev() {
            let Running { slot, .. } = self.running.remove(member);
            self.slots.release(slot);
            self.crowded = false;
            self.counters.finished();
        }
        n_true
    }
}

impl Job for Row {
    fn run(&mut self) {
        self.choice = Some(self.chooser.choose(&mut self.logits, self.due));
    }
}

impl Reading {
    /// The next row that a token is to be chosen from; those of tokens that are known are taken in on the way.
    fn next(&mut self, sequence: &mut Sequence, tokens: &[TokenId], rows: &mut Rows) -> Option<usize> {
        while self.next_row < self.end_row && !self.is_over {
            let place = self.position + self.n_kept;
            // A guess that did not come true has another token in its place.
            if sequence.tokens()[place] != tokens[self.n_kept] {
                return None;
            }
            let row = self.next_row;
            self.n_kept += 1;
            self.next_row += 1;
            if place + 1 == sequence.tokens().len() {
                return Some(row);
            }
            sequence.take_known(rows.row_mut(row), place);
        }
        None
    }
}

/// Has a sequence that guessed know what came of it: how many tokens came true.
fn learn(sequence: &mut Sequence, member: &Member, n_kept: usize, counters: &Counters) -> usize {
    if member.n_guessed == 0 {
        return 0;
    }
    let n_true = n_kept - member.n_tokens;
    let is_drafted = sequence.learn(n_true);
    counters.guessed(member.n_guessed, n_true, is_drafted);
    n_true
}
