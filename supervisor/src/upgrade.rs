//! From one supervisor to the next in the same process. The new program is tried as a child first (`trial`); then this
//! one executes it, and what is open goes over (`carry`): the locks, the control socket, the pipes of the children. The
//! children wait for their next supervisor as they do when one is killed. One that does not come up executes its
//! predecessor again.

mod carry;
mod probe;
mod trial;
mod way_back;

use std::path::PathBuf;

use impetus_proto::{Code, Error, upgrade::Outcome};
use tokio::sync::{mpsc, oneshot, watch};

pub use carry::{Handover, Resumed, hear_signals};
pub use probe::probe;
pub(crate) use probe::{first_word, trial_of};
pub use trial::{Tried, supervisor as try_supervisor};
pub use way_back::WayBack;

/// The hidden first argument that makes a supervisor say whether it could serve.
pub const PROBE_ARGUMENT: &str = "__probe";

/// The order to replace this supervisor.
#[derive(Debug)]
pub struct Go {
    /// Which upgrade it is.
    pub id: u64,
    /// The program.
    pub program: PathBuf,
    /// Told when it is not to be.
    pub refused: oneshot::Sender<Error>,
}

/// How the last upgrade stands, and the way to another one.
#[derive(Debug)]
pub struct Upgrades {
    orders: mpsc::Sender<Go>,
    last: watch::Sender<Option<Standing>>,
}

/// An upgrade.
#[derive(Debug, Clone)]
struct Standing {
    id: u64,
    /// Absent while it is under way.
    outcome: Option<Outcome>,
}

impl Upgrades {
    /// `resumed` is what this supervisor was executed for, if it was.
    pub fn new(resumed: Option<u64>) -> (Self, mpsc::Receiver<Go>) {
        let (orders, given) = mpsc::channel(1);
        let last = watch::Sender::new(resumed.map(|id| Standing { id, outcome: None }));
        (Self { orders, last }, given)
    }

    /// There is one at a time.
    pub fn begin(&self, id: u64) -> Result<(), Error> {
        let is_free = self.last.send_if_modified(|last| {
            let is_free = last.as_ref().is_none_or(|standing| standing.outcome.is_some());
            if is_free {
                *last = Some(Standing { id, outcome: None });
            }
            is_free
        });
        let busy = || Error::new(Code::Conflict, "another upgrade is under way; wait for its end");
        is_free.then_some(()).ok_or_else(busy)
    }

    /// Nothing came of the one that was begun last.
    pub fn give_up(&self) {
        self.last.send_replace(None);
    }

    /// The one that was begun last is over.
    pub fn finish(&self, outcome: Outcome) {
        self.last.send_modify(|last| {
            if let Some(standing) = last {
                standing.outcome = Some(outcome);
            }
        });
    }

    /// Has this supervisor replaced. Answers only with an error.
    pub async fn go(&self, id: u64, program: PathBuf) -> Error {
        let (refused, answer) = oneshot::channel();
        let gone = || Error::new(Code::Unavailable, "the server is stopping");
        if self.orders.send(Go { id, program, refused }).await.is_err() {
            return gone();
        }
        answer.await.unwrap_or_else(|_| gone())
    }

    /// Waits for the end of this upgrade.
    pub async fn outcome(&self, id: u64) -> Result<Outcome, Error> {
        let mut last = self.last.subscribe();
        let is_over = |last: &Option<Standing>| {
            last.as_ref().is_none_or(|standing| standing.id != id || standing.outcome.is_some())
        };
        // The sender is this object's own.
        let standing = last.wait_for(is_over).await.ok().and_then(|last| last.clone());
        let outcome = standing.filter(|standing| standing.id == id).and_then(|standing| standing.outcome);
        outcome.ok_or_else(|| {
            let message = "this supervisor knows nothing of that upgrade: it was started by itself, not by the one \
                           before; look at its log";
            Error::new(Code::NotFound, message)
        })
    }
}
