//! Becoming the supervisor of one child.

use std::{
    io,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use impetus_config::Entrance;
use impetus_proto::{
    launch::{Adopt, Adopted, Report, report},
    passing,
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::record::Kept;
use crate::gateway::Listener;

/// How long a child may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a child may take to end when it is killed. The kernel needs that long only to give back a lot of memory.
const END: Duration = Duration::from_secs(2);

/// How often one that is killed is looked at.
const PERIOD: Duration = Duration::from_millis(5);

/// A child whose supervisor this process has become.
#[derive(Debug)]
pub struct Claimed {
    /// Where it is written down.
    pub kept: Kept,
    /// Its channel.
    pub channel: UnixStream,
    /// What it writes to its standard output and error from now on.
    pub outputs: [OwnedFd; 2],
    /// What it says it is.
    pub(super) told: Adopted,
    /// What it handed over.
    descriptors: Vec<OwnedFd>,
}

/// A child could not be taken over, and does not run any more.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The process is gone; its id may be that of another one now.
    #[error("it has ended")]
    Gone,
    /// Nobody has a use for it.
    #[error("nothing in the configuration needs it")]
    Unwanted,
    /// It did not answer in time, or not as it should.
    #[error("it does not answer: {0}")]
    Io(#[from] io::Error),
    /// It answered something else.
    #[error("it answers with something else than what it is")]
    Strange,
}

/// Takes over the child, or ends it.
pub(super) fn claim(kept: Kept) -> Result<Claimed, ClaimError> {
    match introduce(&kept) {
        Ok((channel, outputs, told, descriptors)) => {
            Ok(Claimed { kept, channel, outputs, told, descriptors })
        }
        Err(error) => {
            end(kept);
            Err(error)
        }
    }
}

/// Ends the child if it runs, and forgets it.
pub(super) fn end(kept: Kept) {
    let (identity, is_alive) = (kept.record().identity, kept.record().is_alive());
    if is_alive {
        identity.kill();
        let deadline = Instant::now() + END;
        while identity.is_alive() && Instant::now() < deadline {
            thread::sleep(PERIOD);
        }
    }
    // One that is a child of this process leaves nothing behind.
    let _ = identity.fate();
    kept.remove();
}

impl Claimed {
    /// The socket on which it waits for its next supervisor.
    pub fn socket(&self) -> &Path {
        &self.kept.record().socket
    }

    /// The sockets that it listens on, as far as it gave any.
    pub(super) fn take_listeners(&mut self) -> Vec<Listener> {
        let names = self.told.entrances.iter().map(|name| Entrance::named(name));
        // A gateway that names none is from the time when there was one.
        let entrances = names.chain(self.told.entrances.is_empty().then_some(Some(Entrance::Gateway)));
        let listener = |(entrance, descriptor): (Option<Entrance>, OwnedFd)| {
            Listener::of(entrance?, TcpListener::from(descriptor)).ok()
        };
        entrances.zip(self.descriptors.drain(..)).filter_map(listener).collect()
    }

    /// Ends it.
    pub(super) fn end(self) {
        end(self.kept);
    }
}

type Introduction = (UnixStream, [OwnedFd; 2], Adopted, Vec<OwnedFd>);

fn introduce(kept: &Kept) -> Result<Introduction, ClaimError> {
    let record = kept.record();
    if !record.is_alive() {
        return Err(ClaimError::Gone);
    }
    let channel = connect(&record.socket)?;
    let ((stdout, child_stdout), (stderr, child_stderr)) = (io::pipe()?, io::pipe()?);
    let adopt = Adopt { token: record.token.clone() };
    passing::write(&channel, &adopt, &[child_stdout.as_fd(), child_stderr.as_fd()])?;
    drop((child_stdout, child_stderr));
    let answer = passing::read_until::<Report>(&channel, Instant::now() + ANSWER)?;
    let Some((Report { message: Some(report::Message::Adopted(told)) }, descriptors)) = answer else {
        return Err(ClaimError::Strange);
    };
    Ok((channel, [stdout.into(), stderr.into()], told, descriptors))
}

/// Connects without waiting for a place in the queue of one that accepts nobody.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}
