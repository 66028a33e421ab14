//! The gateway's tie to its supervisor, and to the next one.

use std::{
    io,
    net::TcpListener,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::Weak,
    thread,
};

use impetus_proto::{
    adoption::Adoption,
    channel,
    launch::{Adopted, LogLevel, Report, ToWorker, report, to_worker},
    passing,
};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Follows `channel` on a thread of its own, where it may be told to log other than at `level`, and goes over to the next
/// supervisor when it ends; that one is given the
/// listening socket while `listener` lives. What is returned resolves when there is no supervisor any more and none
/// has come within the grace.
pub(super) fn spawn(
    channel: UnixStream,
    adoption: Option<Adoption>,
    listener: Weak<TcpListener>,
    level: String,
) -> io::Result<oneshot::Receiver<()>> {
    let (alive, ended) = oneshot::channel();
    let follow = move || {
        let _alive: oneshot::Sender<()> = alive;
        follow(channel, adoption.as_ref(), &listener, &level);
    };
    thread::Builder::new().name("lifeline".into()).spawn(follow)?;
    Ok(ended)
}

fn follow(
    mut channel: UnixStream,
    adoption: Option<&Adoption>,
    listener: &Weak<TcpListener>,
    configured: &str,
) {
    loop {
        while let Ok(Some(ToWorker { message })) = channel::read(&mut channel) {
            if let Some(to_worker::Message::LogLevel(LogLevel { level })) = message {
                set_level(if level.is_empty() { configured } else { &level });
            }
        }
        set_level(configured);
        let Some(next) = adoption.and_then(Adoption::wait) else { return };
        match answer(&next, listener) {
            Ok(()) => info!("adopted by another supervisor"),
            Err(error) => warn!(%error, "another supervisor came and went"),
        }
        channel = next;
    }
}

fn set_level(level: &str) {
    if let Err(error) = impetus_telemetry::set_level(level) {
        warn!(%error, "the log level stays as it is");
    }
}

fn answer(channel: &UnixStream, listener: &Weak<TcpListener>) -> io::Result<()> {
    let report = Report { message: Some(report::Message::Adopted(Adopted::default())) };
    let listener = listener.upgrade();
    let descriptors: Vec<_> = listener.iter().map(|listener| listener.as_fd()).collect();
    passing::write(channel, &report, &descriptors)
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::BorrowedFd,
        sync::Arc,
        time::{Duration, Instant},
    };

    use impetus_proto::launch::{Adopt, AdoptionSpec};

    use super::*;

    /// Becomes the gateway's next supervisor, and answers with the channel and the number of sockets it was given.
    fn adopt(socket: &str) -> (UnixStream, usize) {
        let channel = UnixStream::connect(socket).unwrap();
        // The gateway is this very process: its outputs are replaced by themselves.
        let outputs = (io::stdout(), io::stderr());
        let outputs: [BorrowedFd<'_>; 2] = [outputs.0.as_fd(), outputs.1.as_fd()];
        passing::write(&channel, &Adopt { token: "t".into() }, &outputs).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let (report, sockets) = passing::read_until::<Report>(&channel, deadline).unwrap().unwrap();
        assert!(matches!(report.message, Some(report::Message::Adopted(_))), "{report:?}");
        (channel, sockets.len())
    }

    #[tokio::test]
    async fn supervisors_follow_each_other_until_none_comes() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gateway.next").to_string_lossy().into_owned();
        let listen = |grace_s| {
            let spec = AdoptionSpec { socket: socket.clone(), token: "t".into(), grace_s };
            Some(Adoption::listen(&spec).unwrap())
        };
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let (first, channel) = UnixStream::pair().unwrap();
        let mut ended = spawn(channel, listen(60), Arc::downgrade(&listener), "info".into()).unwrap();
        drop(first);
        let (second, n_sockets) = adopt(&socket);
        assert_eq!(n_sockets, 1);
        drop((second, listener));
        let (_third, n_sockets) = adopt(&socket);
        assert_eq!(n_sockets, 0, "one that drains has given its socket up");
        assert!(ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));

        let (first, channel) = UnixStream::pair().unwrap();
        let ended = spawn(channel, listen(0), Weak::new(), "info".into()).unwrap();
        drop(first);
        assert!(ended.await.is_err(), "the thread has ended");
    }
}
