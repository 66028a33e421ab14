//! How a child process outlives its supervisor. From its start it listens on a socket of its own. Once its channel has
//! ended, a new supervisor that connects there and knows the child's token becomes its supervisor: the connection
//! becomes the channel, and the two descriptors that come with it the child's standard output and error. Until then
//! nobody is heard: as long as its supervisor lives, a child cannot be taken from it.

use std::{
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{dup2_stderr, dup2_stdout},
};

use crate::{
    launch::{Adopt, AdoptionSpec},
    passing,
};

/// How long one that connects may take to say who it is. Others wait meanwhile.
const INTRODUCTION: Duration = Duration::from_millis(500);

/// The pause after a connection could not be accepted, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a child waits for its next supervisor.
#[derive(Debug)]
pub struct Adoption {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
    token: String,
    grace: Duration,
}

impl Adoption {
    /// Listens as `spec` says, in place of a stale socket, for processes of this user and of root. To be called before
    /// the process gives up the right to open sockets.
    pub fn listen(spec: &AdoptionSpec) -> io::Result<Self> {
        let path = PathBuf::from(&spec.socket);
        if spec.token.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty token would let anybody in"));
        }
        remove(&path)?;
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&path)?.uid();
        listener.set_nonblocking(true)?;
        let grace = Duration::from_secs(spec.grace_s.into());
        Ok(Self { listener, path, owner, token: spec.token.clone(), grace })
    }

    /// How long this process goes on without a supervisor.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Waits for the next supervisor, and answers with the new channel, on which that one expects a
    /// [`Report`](crate::launch::Report) of being adopted; `None` when none came within the grace. To be called when
    /// the channel has ended. Standard output and error are replaced before it returns.
    pub fn wait(&self) -> Option<UnixStream> {
        let (channel, [stdout, stderr]) = self.meet()?;
        // These fail only when the process lacks the descriptors to replace, and then it logs nowhere already.
        let _ = dup2_stdout(stdout);
        let _ = dup2_stderr(stderr);
        Some(channel)
    }

    fn meet(&self) -> Option<(UnixStream, [OwnedFd; 2])> {
        let deadline = Instant::now() + self.grace;
        loop {
            let visitor = self.accept(deadline)?;
            // A stranger is shown out, and the wait goes on.
            if let Ok(Some(outputs)) = self.introduce(&visitor, deadline) {
                return Some((visitor, outputs));
            }
        }
    }

    /// The next connection.
    fn accept(&self, deadline: Instant) -> Option<UnixStream> {
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            // Rounded up, so that the last turn does not spin.
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            match self.listener.accept() {
                Ok((visitor, _)) => return Some(visitor),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => std::thread::sleep(ACCEPT_PAUSE),
            }
        }
    }

    /// The standard output and error that the visitor brings, if it is who it should be.
    fn introduce(&self, visitor: &UnixStream, deadline: Instant) -> io::Result<Option<[OwnedFd; 2]>> {
        // On some systems what is accepted is as its listener is.
        visitor.set_nonblocking(false)?;
        let uid = peer_uid(visitor)?;
        if uid != self.owner && uid != 0 {
            return Ok(None);
        }
        let until = deadline.min(Instant::now() + INTRODUCTION);
        let Some((adopt, descriptors)) = passing::read_until::<Adopt>(visitor, until)? else {
            return Ok(None);
        };
        Ok(<[OwnedFd; 2]>::try_from(descriptors).ok().filter(|_| is_same(&adopt.token, &self.token)))
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        // What is left after a SIGKILL is removed by the next supervisor.
        let _ = remove(&self.path);
    }
}

/// The user behind the other end.
#[cfg(target_os = "linux")]
fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    Ok(getsockopt(stream, PeerCredentials)?.uid())
}

/// The user behind the other end.
#[cfg(not(target_os = "linux"))]
fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::unistd::getpeereid(stream)?.0.as_raw())
}

/// Compares in a time that does not depend on where they differ.
fn is_same(said: &str, token: &str) -> bool {
    let difference = said.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    said.len() == token.len() && difference == 0
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
