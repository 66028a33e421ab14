//! The gateway's tie to its supervisor, and to the next one.

use std::{
    io,
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

use super::Listener;

/// Follows `channel` on a thread of its own, where it may be told to log other than at `level`, and goes over to the next
/// supervisor when it ends; that one is given the
/// listening sockets while `listeners` live. What is returned resolves when there is no supervisor any more and none
/// has come within the grace.
pub(super) fn spawn(
    channel: UnixStream,
    adoption: Option<Adoption>,
    listeners: Weak<Vec<Listener>>,
    level: String,
) -> io::Result<oneshot::Receiver<()>> {
    let (alive, ended) = oneshot::channel();
    let follow = move || {
        let _alive: oneshot::Sender<()> = alive;
        follow(channel, adoption.as_ref(), &listeners, &level);
    };
    thread::Builder::new().name("lifeline".into()).spawn(follow)?;
    Ok(ended)
}

fn follow(
    mut channel: UnixStream,
    adoption: Option<&Adoption>,
    listeners: &Weak<Vec<Listener>>,
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
        match answer(&next, listeners) {
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

fn answer(channel: &UnixStream, listeners: &Weak<Vec<Listener>>) -> io::Result<()> {
    let listeners = listeners.upgrade();
    let listeners = || listeners.iter().flat_map(|listeners| listeners.iter());
    let entrances = listeners().map(|listener| listener.entrance.name().to_owned()).collect();
    let adopted = Adopted { entrances, ..Adopted::default() };
    let report = Report { message: Some(report::Message::Adopted(adopted)) };
    let descriptors: Vec<_> = listeners().map(|listener| listener.socket.as_fd()).collect();
    passing::write(channel, &report, &descriptors)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        os::fd::BorrowedFd,
        sync::Arc,
        time::{Duration, Instant},
    };

    use impetus_config::Entrance;
    use impetus_proto::launch::{Adopt, AdoptionSpec};

    use super::*;

    /// Becomes the gateway's next supervisor, and answers with the channel and what each socket that it was given is.
    fn adopt(socket: &str) -> (UnixStream, Vec<String>) {
        let channel = UnixStream::connect(socket).unwrap();
        // The gateway is this very process: its outputs are replaced by themselves.
        let outputs = (io::stdout(), io::stderr());
        let outputs: [BorrowedFd<'_>; 2] = [outputs.0.as_fd(), outputs.1.as_fd()];
        passing::write(&channel, &Adopt { token: "t".into() }, &outputs).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let (report, sockets) = passing::read_until::<Report>(&channel, deadline).unwrap().unwrap();
        let Some(report::Message::Adopted(adopted)) = report.message else { panic!("{report:?}") };
        assert_eq!(adopted.entrances.len(), sockets.len());
        (channel, adopted.entrances)
    }

    #[tokio::test]
    async fn supervisors_follow_each_other_until_none_comes() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("gateway.next").to_string_lossy().into_owned();
        let listen = |grace_s| {
            let spec = AdoptionSpec { socket: socket.clone(), token: "t".into(), grace_s };
            Some(Adoption::listen(&spec).unwrap())
        };
        let bound = |entrance| Listener { entrance, socket: TcpListener::bind("127.0.0.1:0").unwrap() };
        let listeners = Arc::new(Entrance::ALL.map(bound).into());
        let (first, channel) = UnixStream::pair().unwrap();
        let mut ended = spawn(channel, listen(60), Arc::downgrade(&listeners), "info".into()).unwrap();
        drop(first);
        let (second, entrances) = adopt(&socket);
        assert_eq!(entrances, ["gateway", "ollama"]);
        drop((second, listeners));
        let (_third, entrances) = adopt(&socket);
        assert!(entrances.is_empty(), "one that drains has given its sockets up");
        assert!(ended.try_recv() == Err(oneshot::error::TryRecvError::Empty));

        let (first, channel) = UnixStream::pair().unwrap();
        let ended = spawn(channel, listen(0), Weak::new(), "info".into()).unwrap();
        drop(first);
        assert!(ended.await.is_err(), "the thread has ended");
    }
}
