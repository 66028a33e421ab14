//! A process that does one thing and ends: told once what to do, it says on its channel how that goes.

use std::future::Future;

use impetus_proto::Error;
use prost::Message;
use tokio::net::UnixStream;

use crate::{
    channel,
    launch::{Launch, Launched, Launcher},
    logs::Source,
};

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It did what it was told.
    Done(T),
    /// It says why it could not.
    Failed(Error),
    /// Without a last word, for this reason.
    Died(String),
}

/// What a report of a job means.
#[derive(Debug)]
pub(crate) enum Word<T> {
    /// There is more to come.
    More,
    /// It was the last one.
    Last(Result<T, Error>),
}

/// Starts a process, has it do what `spec` says and logs for it; `hear` gets what it says meanwhile. When `stop` comes, it
/// is ended, and has ended when this returns; it is ended, too, when this is dropped.
pub(crate) async fn run<R: Message + Default, T>(
    launcher: &Launcher,
    launch: Launch,
    source: &Source,
    spec: &impl Message,
    hear: impl FnMut(R) -> Word<T>,
    stop: impl Future<Output = ()>,
) -> Outcome<T> {
    let Launched { mut child, channel, stdout, stderr } = match launcher.launch(launch) {
        Ok(launched) => launched,
        Err(error) => return Outcome::Failed(Error::internal(error.to_string())),
    };
    source.capture(stdout);
    source.capture(stderr);
    let ended = tokio::select! {
        ended = converse(channel, spec, hear) => ended,
        () = stop => {
            // An error means that it has ended already.
            let _ = child.kill().await;
            return Outcome::Died("nobody waits for it any more".into());
        }
    };
    if let Some(outcome) = ended {
        return outcome;
    }
    let status = child.wait().await;
    Outcome::Died(status.map_or_else(|error| error.to_string(), |status| status.to_string()))
}

/// `None`: it ended without a last word.
async fn converse<R: Message + Default, T>(
    channel: UnixStream,
    spec: &impl Message,
    mut hear: impl FnMut(R) -> Word<T>,
) -> Option<Outcome<T>> {
    let (mut reports, mut writer) = channel::split(channel);
    if let Err(error) = writer.send(spec).await {
        return Some(Outcome::Died(format!("it ended before it was told what to do: {error}")));
    }
    loop {
        match reports.next::<R>().await {
            Ok(Some(report)) => match hear(report) {
                Word::More => {}
                Word::Last(Ok(done)) => return Some(Outcome::Done(done)),
                Word::Last(Err(error)) => return Some(Outcome::Failed(error)),
            },
            Ok(None) | Err(_) => return None,
        }
    }
}
