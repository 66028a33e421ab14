//! What a scenario did and found, and the table of them all.

use std::fmt::Write;

use super::load::Tally;

/// Requests of one kind that are told in full.
const EXAMPLES: usize = 4;

/// One row of the table.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The scenario.
    pub name: &'static str,
    /// Requests that were sent.
    pub requests: usize,
    /// Kills, stops, swaps and the like.
    pub faults: usize,
    /// Requests that did not get the answer that they should have.
    pub failed: usize,
    /// Answers in which something is missing or comes twice.
    pub gaps: usize,
    /// Answers whose text differs in another way from the one without faults.
    pub differing: usize,
    /// What else was measured.
    pub notes: Vec<String>,
    /// What is not as it must be; none is good.
    pub complaints: Vec<String>,
}

impl Report {
    /// A scenario that found nothing so far.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Counts what a load met.
    pub(super) fn count(&mut self, tally: &Tally) {
        self.requests += tally.requests;
        self.failed += tally.failed.len();
        self.gaps += tally.gaps.len();
        self.differing += tally.differing.len();
        for (kind, found) in
            [("failed", &tally.failed), ("with a gap", &tally.gaps), ("with another text", &tally.differing)]
        {
            let examples = found.iter().take(EXAMPLES);
            self.complaints.extend(examples.map(|what| format!("{}: {kind}: {what}", self.name)));
            if let Some(more) = found.len().checked_sub(EXAMPLES + 1) {
                self.complaints.push(format!("{}: {} more {kind}", self.name, more + 1));
            }
        }
    }

    /// Complains unless `holds`.
    pub(super) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let complaint = format!("{}: {}", self.name, what());
            // Once is enough of what goes wrong every time.
            if !self.complaints.contains(&complaint) {
                self.complaints.push(complaint);
            }
        }
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// In a word.
    pub fn verdict(&self) -> &'static str {
        if self.complaints.is_empty() { "good" } else { "BAD" }
    }
}

/// All rows, in Markdown.
pub(super) fn table(reports: &[Report]) -> String {
    let mut out = String::from(
        "| scenario | requests | faults | failed | gaps | other text | |\n|---|--:|--:|--:|--:|--:|---|\n",
    );
    for report in reports {
        let Report { name, requests, faults, failed, gaps, differing, notes, .. } = report;
        let notes = notes.join("; ");
        writeln!(out, "| {name} | {requests} | {faults} | {failed} | {gaps} | {differing} | {notes} |")
            .expect("writing to a String cannot fail");
    }
    out
}
