//! Taking over the children of a supervisor that was killed. They go on serving for a grace period in which a new one
//! may become theirs: it finds their records in the runtime folder, makes sure that each is the process it was, and
//! connects to its socket. What cannot be taken over is ended, so that there is never a process without a supervisor.

mod claim;
mod identity;
mod record;

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

use impetus_config::Entrance;

pub use claim::{ClaimError, Claimed};
pub use identity::{Fate, Identity};
pub use record::{Kept, Kind, Record, Records};

use crate::{
    gateway::Listener,
    worker::{Adopted, WorkerId},
};

/// What a former supervisor has left.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Workers that have their model.
    pub workers: Vec<Adopted>,
    /// The gateway that listens where the configuration says.
    pub gateway: Option<ClaimedGateway>,
    /// The sockets of gateways that are where the configuration says, one for an entrance.
    pub listeners: Vec<Listener>,
    /// Gateways that are to finish what they have begun.
    pub outdated: Vec<Claimed>,
    /// What could not be taken over, and why. It does not run any more.
    pub ended: Vec<(Kind, ClaimError)>,
}

/// A gateway that accepts connections.
#[derive(Debug)]
pub struct ClaimedGateway {
    /// Its process.
    pub process: Claimed,
    /// The configuration that it was given.
    pub config: String,
}

/// Takes over the children recorded in `dir`: workers of the formats that `serves` knows, and the gateway if its own
/// entrance is where `entrances` say. Ends the others. Only for who holds the lock on the folder; blocks for
/// some seconds where children do not answer.
pub fn take_over(
    dir: &Path,
    entrances: &[(Entrance, SocketAddr)],
    serves: impl Fn(&str) -> bool,
) -> Inheritance {
    let wanted = |kind: &Kind| match kind {
        Kind::Worker { format, .. } => serves(format),
        Kind::Gateway { .. } => true,
    };
    let (claims, unwanted): (Vec<Kept>, Vec<Kept>) =
        record::read_all(dir).into_iter().partition(|kept| wanted(&kept.record().child));
    let mut inheritance = Inheritance::default();
    for kept in unwanted {
        inheritance.ended.push((kept.record().child.clone(), ClaimError::Unwanted));
        claim::end(kept);
    }
    // Side by side: one that does not answer must not use up the grace of the others.
    let claims: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = claims
            .into_iter()
            .map(|kept| scope.spawn(move || (kept.record().child.clone(), claim::claim(kept))))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    for (kind, claimed) in claims {
        match claimed {
            Ok(claimed) => inheritance.add(kind, claimed, entrances),
            Err(error) => inheritance.ended.push((kind, error)),
        }
    }
    inheritance
}

impl Inheritance {
    /// The sockets in the runtime folder that are in use.
    pub fn sockets(&self) -> HashSet<PathBuf> {
        let workers = self.workers.iter();
        let serving = workers.clone().map(|worker| PathBuf::from(&worker.spec.socket));
        let gateways = self.gateway.iter().map(|gateway| &gateway.process).chain(&self.outdated);
        let waiting =
            workers.map(|worker| &worker.process).chain(gateways).map(|process| process.socket().to_owned());
        serving.chain(waiting).collect()
    }

    /// The processes that were taken over.
    pub fn pids(&self) -> HashSet<u32> {
        let gateways = self.gateway.iter().map(|gateway| &gateway.process).chain(&self.outdated);
        let processes = self.workers.iter().map(|worker| &worker.process).chain(gateways);
        processes.map(|process| process.kept.record().identity.pid).collect()
    }

    fn add(&mut self, kind: Kind, process: Claimed, entrances: &[(Entrance, SocketAddr)]) {
        match kind {
            Kind::Worker { id, format } => self.add_worker(id, format, process),
            Kind::Gateway { config } => self.add_gateway(config, process, entrances),
        }
    }

    fn add_worker(&mut self, id: String, format: String, mut process: Claimed) {
        let told = std::mem::take(&mut process.told);
        if let Some((spec, id)) = told.spec.zip(WorkerId::parse(&format, &id)) {
            let (description, sandbox) = (told.description, told.sandbox);
            self.workers.push(Adopted { id, format, spec, description, sandbox, process });
        } else {
            self.ended.push((Kind::Worker { id, format }, ClaimError::Unwanted));
            process.end();
        }
    }

    fn add_gateway(&mut self, config: String, mut process: Claimed, entrances: &[(Entrance, SocketAddr)]) {
        let is_wanted = |listener: &Listener| {
            entrances.iter().any(|(entrance, at)| listener.entrance == *entrance && listener.is_at(*at))
        };
        let mut serves = false;
        // One that is not taken is where nobody is to connect any more.
        for listener in process.take_listeners().into_iter().filter(is_wanted) {
            if self.listeners.iter().all(|taken| taken.entrance != listener.entrance) {
                serves |= listener.entrance == Entrance::Gateway;
                self.listeners.push(listener);
            }
        }
        if serves {
            self.gateway = Some(ClaimedGateway { process, config });
        } else {
            self.outdated.push(process);
        }
    }
}

#[cfg(test)]
mod tests;
