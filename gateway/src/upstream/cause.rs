//! Why a worker was lost, in as many words as a metric can have.

use super::lease::End;

/// Why a request had to go to another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The process crashed.
    Crash,
    /// It was replaced because it hung or was silent.
    Hang,
    /// It ran out of memory.
    Memory,
    /// Somebody else ended it.
    Outside,
    /// It was told to stop, or takes nothing new because it will be.
    Drain,
    /// It lives, as far as the supervisor knows, but its connection broke.
    Connection,
    /// What it said was no answer.
    Protocol,
}

impl Cause {
    /// The supervisor's sentence about an end, sorted. Words that are not known here count as a crash where a request
    /// may have brought it about, and as an order where not.
    pub(super) fn of(end: &End) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| end.cause.contains(word));
        if says(&["hung"]) {
            Self::Hang
        } else if says(&["memory", "by the kernel", "at its own limit"]) {
            Self::Memory
        } else if end.may_be_request {
            if says(&["broke the protocol"]) { Self::Protocol } else { Self::Crash }
        } else if says(&["killed by", "unknown reason"]) {
            Self::Outside
        } else {
            Self::Drain
        }
    }

    /// The cause as a label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Memory => "memory",
            Self::Outside => "outside",
            Self::Drain => "drain",
            Self::Connection => "connection",
            Self::Protocol => "protocol",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisors_sentences_are_sorted() {
        let check = |cause: &str, may_be_request: bool, expected: Cause| {
            let end = End { cause: cause.to_owned(), may_be_request };
            assert_eq!(Cause::of(&end), expected, "{cause}");
        };
        check("killed by SIGSEGV", true, Cause::Crash);
        check("exited with code 4; it last said: boom", true, Cause::Crash);
        check("hung: it had work and made no step for 5 s", true, Cause::Hang);
        check("hung: it gave no sign of life for 3 s", false, Cause::Hang);
        check("killed by SIGKILL, probably by the kernel because memory ran out", true, Cause::Memory);
        check("killed by the kernel at 512 MiB (limit 512 MiB)", true, Cause::Memory);
        check("broke the protocol: a message of 9 GiB", true, Cause::Protocol);
        check("killed by SIGKILL", false, Cause::Outside);
        check("ended for an unknown reason", false, Cause::Outside);
        check("stopped on request", false, Cause::Drain);
        check("", false, Cause::Drain);
    }
}
