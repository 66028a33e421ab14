//! Up to where a client has been told what happened: the id of each event, from which a later stream goes on.

use std::fmt;

use impetus_proto::event::{Event, EventBatch};

/// The last event and the last sample that were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The event's number; 0: none yet.
    number: u64,
    /// Its time; before the first, the time from which on they are told.
    unix_ms: u64,
    /// The end of the sample, in seconds since 1970.
    sample_s: u64,
    /// The next events are those of another stream than the last one's.
    is_interrupted: bool,
}

/// Events that cannot be told any more, as many as this; none: nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap(pub(super) Option<u64>);

impl Cursor {
    /// Before the events since then, behind that sample.
    pub(super) fn begin(unix_ms: u64, sample_s: u64) -> Self {
        Self { number: 0, unix_ms, sample_s, is_interrupted: true }
    }

    /// The place that an id tells; what is no id of ours tells none.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut numbers = id.split('-').map(|number| number.parse().ok());
        let (number, unix_ms, sample_s) = (numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(Self { number, unix_ms, sample_s, is_interrupted: true })
    }

    /// Events from then on are to be asked for, the last one that was told among them.
    pub(super) fn since_unix_ms(&self) -> u64 {
        self.unix_ms
    }

    pub(super) fn sample_s(&self) -> u64 {
        self.sample_s
    }

    /// The supervisor has to be asked anew, and may be another one.
    pub(super) fn interrupted(&mut self) {
        self.is_interrupted = true;
    }

    /// What is new in a batch, and what is missing before it.
    pub(super) fn take(&mut self, batch: EventBatch) -> (Option<Gap>, Vec<Event>) {
        let EventBatch { missed, events } = batch;
        let missed = (missed > 0).then_some(Gap(Some(missed)));
        if !std::mem::take(&mut self.is_interrupted) || self.number == 0 {
            return (missed, events);
        }
        // Asked for from its time on, the last one is among them if it is still remembered by who told it.
        if let Some(place) = events.iter().position(|event| self.is_at(event)) {
            return (missed, events.into_iter().skip(place + 1).collect());
        }
        let gap = match events.first() {
            Some(first) if first.number > self.number => {
                let n_between = first.number - self.number - 1;
                (n_between > 0).then_some(Gap(Some(n_between)))
            }
            // Numbers begin anew with a supervisor that knows of none before.
            Some(_) => Some(Gap(None)),
            None => None,
        };
        (gap.or(missed), events)
    }

    /// The event is told.
    pub(super) fn pass(&mut self, event: &Event) {
        (self.number, self.unix_ms) = (event.number, event.unix_ms);
    }

    /// The sample is told.
    pub(super) fn pass_sample(&mut self, unix_s: u64) {
        self.sample_s = unix_s;
    }

    fn is_at(&self, event: &Event) -> bool {
        (event.number, event.unix_ms) == (self.number, self.unix_ms)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.number, self.unix_ms, self.sample_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(missed: u64, events: &[(u64, u64)]) -> EventBatch {
        let event = |&(number, unix_ms)| Event { number, unix_ms, ..Event::default() };
        EventBatch { missed, events: events.iter().map(event).collect() }
    }

    #[test]
    fn a_stream_goes_on_behind_the_last_event_and_says_what_is_missing() {
        let check = |id: &str, batch: EventBatch, gap: Option<Option<u64>>, numbers: &[u64]| {
            let mut cursor = Cursor::parse(id).unwrap();
            let (told, events) = cursor.take(batch);
            assert_eq!(told.map(|Gap(missed)| missed), gap, "{id}");
            assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), numbers, "{id}");
        };
        check("3-30-0", batch(0, &[(3, 30), (4, 30), (5, 31)]), None, &[4, 5]);
        check("3-30-0", batch(0, &[(2, 30), (3, 30), (4, 31)]), None, &[4]);
        check("3-30-0", batch(0, &[(3, 30)]), None, &[]);
        check("3-30-0", batch(0, &[(4, 31)]), None, &[4]);
        check("3-30-0", batch(0, &[(9, 90)]), Some(Some(5)), &[9]);
        check("3-30-0", batch(0, &[(1, 40), (2, 41)]), Some(None), &[1, 2]);
        check("3-30-0", batch(0, &[(3, 40)]), Some(None), &[3]);
        check("0-30-0", batch(0, &[(7, 40)]), None, &[7]);
        let mut cursor = Cursor::parse("3-30-0").unwrap();
        cursor.take(batch(0, &[(3, 30)]));
        assert_eq!(cursor.take(batch(2, &[(6, 60)])).0, Some(Gap(Some(2))), "while it is followed");
    }

    #[test]
    fn an_id_tells_its_place() {
        let mut cursor = Cursor::begin(5, 6);
        assert_eq!(cursor.to_string(), "0-5-6");
        cursor.pass(&batch(0, &[(3, 30)]).events[0]);
        cursor.pass_sample(31);
        assert_eq!(cursor.to_string(), "3-30-31");
        assert_eq!(Cursor::parse("3-30-31"), Some(cursor));
        for strange in ["", "1", "1-2", "1-2-3-4", "a-b-c", "-1-2-3"] {
            assert_eq!(Cursor::parse(strange), None, "{strange}");
        }
    }
}
