//! Turns a pipe into lines. A child may write without end, without line ends or without sense: lines are cut at
//! a length, control characters are escaped, and what comes faster than a rate is counted instead of kept. Reading
//! goes on all the while, since a full pipe would stop the child.

use std::{borrow::Cow, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, sleep},
};

use super::Source;

/// The longest line, in bytes; the rest of it becomes further lines.
const MAX_LINE_BYTES: usize = 16 << 10;
/// Bytes that may come at once.
const BURST_BYTES: u64 = 4 << 20;
/// Bytes kept per second over time.
const RATE_BYTES_PER_S: u64 = 512 << 10;
/// How often the count of dropped bytes is told.
const TELL_AFTER: Duration = Duration::from_secs(1);
const BUFFER_BYTES: usize = 64 << 10;
/// The pause after each buffer that is dropped: it makes a flood cost its worker time instead of us.
const BREATH: Duration = Duration::from_millis(1);

/// Reads `pipe` to its end, unless it is `over` before. Whether it came to the end.
pub(super) async fn run(
    mut pipe: impl AsyncRead + Unpin,
    source: Source,
    over: impl Future<Output = ()>,
) -> bool {
    let mut over = std::pin::pin!(over);
    let mut is_whole = true;
    let mut buffer = vec![0; 4096];
    let mut cutter = Cutter::default();
    let mut allowance = Allowance::new(Instant::now());
    loop {
        // A pipe that fails is as good as one that ended: the process' end is noticed elsewhere.
        let read = tokio::select! {
            biased;
            () = &mut over => {
                is_whole = false;
                break;
            }
            read = pipe.read(&mut buffer) => read,
        };
        let n_read = match read {
            Ok(0) | Err(_) => break,
            Ok(n_read) => n_read,
        };
        let now = Instant::now();
        if let Some(n_dropped) = allowance.untold(now) {
            source.line(&dropped(n_dropped));
        }
        if allowance.take(n_read as u64, now) {
            cutter.feed(buffer.get(..n_read).unwrap_or_default(), |line| source.line(&line));
        } else {
            cutter.forget();
            sleep(BREATH).await;
        }
        if n_read == buffer.len() && n_read < BUFFER_BYTES {
            buffer.resize(BUFFER_BYTES, 0);
        }
    }
    cutter.finish(|line| source.line(&line));
    if allowance.n_dropped > 0 {
        source.line(&dropped(allowance.n_dropped));
    }
    is_whole
}

fn dropped(n_bytes: u64) -> String {
    format!(
        "impetus: {n_bytes} bytes of output dropped, it came faster than {RATE_BYTES_PER_S} bytes a second"
    )
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
struct Cutter {
    partial: Vec<u8>,
    skip_to_line_end: bool,
}

impl Cutter {
    fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Cow<'_, str>)) {
        while !bytes.is_empty() {
            let room = MAX_LINE_BYTES - self.partial.len();
            let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            let line_end = window.iter().position(|byte| *byte == b'\n');
            let n_taken = line_end.unwrap_or(window.len());
            let (taken, rest) = bytes.split_at(n_taken);
            self.partial.extend_from_slice(taken);
            bytes = if line_end.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
            if line_end.is_some() || self.partial.len() == MAX_LINE_BYTES {
                self.emit(line_end.is_some(), &mut emit);
            }
        }
    }

    /// What was dropped ended in the middle of a line, whose rest is of no use.
    fn forget(&mut self) {
        self.partial.clear();
        self.skip_to_line_end = true;
    }

    fn finish(mut self, mut emit: impl FnMut(Cow<'_, str>)) {
        if !self.partial.is_empty() {
            self.emit(true, &mut emit);
        }
    }

    fn emit(&mut self, at_line_end: bool, emit: &mut impl FnMut(Cow<'_, str>)) {
        let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        if !self.skip_to_line_end && !line.is_empty() {
            emit(impetus_telemetry::escape(line));
        }
        self.skip_to_line_end &= !at_line_end;
        self.partial.clear();
    }
}

/// A token bucket over bytes.
#[derive(Debug)]
struct Allowance {
    left: u64,
    refilled: Instant,
    n_dropped: u64,
    told: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: BURST_BYTES, refilled: now, n_dropped: 0, told: now }
    }

    fn take(&mut self, n_bytes: u64, now: Instant) -> bool {
        let elapsed_ms = u64::try_from((now - self.refilled).as_millis()).unwrap_or(u64::MAX);
        let refill = elapsed_ms.saturating_mul(RATE_BYTES_PER_S) / 1000;
        if refill > 0 {
            self.left = self.left.saturating_add(refill).min(BURST_BYTES);
            self.refilled = now;
        }
        let fits = n_bytes <= self.left;
        if fits {
            self.left -= n_bytes;
        } else {
            self.n_dropped += n_bytes;
        }
        fits
    }

    fn untold(&mut self, now: Instant) -> Option<u64> {
        if self.n_dropped == 0 || now - self.told < TELL_AFTER {
            return None;
        }
        self.told = now;
        Some(std::mem::take(&mut self.n_dropped))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut cutter = Cutter::default();
        for piece in pieces {
            cutter.feed(piece, |line| lines.push(line.into_owned()));
        }
        cutter.finish(|line| lines.push(line.into_owned()));
        lines
    }

    #[test]
    fn lines() {
        let check = |pieces: &[&[u8]], expected: &[&str]| assert_eq!(cut(pieces), expected, "{pieces:?}");
        check(&[b"one\ntwo\r\n", b"th", b"ree"], &["one", "two", "three"]);
        check(&[b"\n\n \n"], &[" "]);
        check(&[b"\x1b[2Jgone"], &["\\u{1b}[2Jgone"]);
        check(&[], &[]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let lines = cut(&[&vec![b'x'; 2 * MAX_LINE_BYTES + 5]]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE_BYTES, MAX_LINE_BYTES, 5]);
    }

    #[test]
    fn after_a_gap_the_torn_line_is_left_out() {
        let mut lines = Vec::new();
        let mut cutter = Cutter::default();
        cutter.feed(b"a\nlost", |line| lines.push(line.into_owned()));
        cutter.forget();
        cutter.feed(b"torn\nb\n", |line| lines.push(line.into_owned()));
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn a_flood_is_bounded_and_counted() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let mut n_kept = 0;
        // 100 MB a second for ten seconds, in pieces of 64 KiB.
        for piece in 0..15_000u64 {
            let now = start + Duration::from_micros(piece * 655);
            n_kept += if allowance.take(65_536, now) { 65_536 } else { 0 };
        }
        assert!(n_kept <= BURST_BYTES + 10 * RATE_BYTES_PER_S, "{n_kept}");
        assert_eq!(n_kept + allowance.n_dropped, 15_000 * 65_536);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(0usize..300, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(cut(&pieces), cut(&[&bytes]));
        }
    }
}
