//! `supervisorctl upgrade`

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use impetus_proto::upgrade::{BeginRequest, Outcome, WaitRequest, upgrades_client::UpgradesClient};
use tonic::{Code, Status, transport::Channel};

use super::{Server, connect, failure::Failure, print};

/// How long there may be nobody to ask.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder of the new programs; that of the running ones without it.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let binaries = arguments.binaries.map(std::path::absolute).transpose()?.unwrap_or_default();
    let request = BeginRequest { id: rand::random(), binaries: binaries.to_string_lossy().into_owned() };
    let id = request.id;
    match client(server).await?.begin(request).await {
        // The supervisor that was asked is gone, as it should be.
        Err(status) if is_lost(&status) => {}
        Err(status) => return Err(status.into()),
        Ok(_) => {}
    }
    let outcome = outcome(server, id).await?;
    print(&text(&outcome))?;
    let is_whole = outcome.failure.is_empty() && outcome.parts.iter().all(|part| part.failure.is_empty());
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn client(server: &Server) -> Result<UpgradesClient<Channel>, Failure> {
    Ok(UpgradesClient::new(connect::channel(server).await?))
}

/// Asks for the outcome until there is somebody who knows it.
async fn outcome(server: &Server, id: u64) -> Result<Outcome, Failure> {
    let mut heard = Instant::now();
    loop {
        let failure = match client(server).await {
            Ok(mut client) => {
                heard = Instant::now();
                match client.wait(WaitRequest { id }).await {
                    Ok(outcome) => return Ok(outcome.into_inner()),
                    Err(status) if is_lost(&status) => Failure::from(status),
                    Err(status) => return Err(status.into()),
                }
            }
            Err(failure) => failure,
        };
        if heard.elapsed() > PATIENCE {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the connection ended, rather than that somebody answered.
fn is_lost(status: &Status) -> bool {
    status.details().is_empty() && status.code() != Code::Unimplemented
}

fn text(outcome: &Outcome) -> String {
    let Outcome { former, version, failure, parts } = outcome;
    if !failure.is_empty() {
        return format!("supervisor {version} goes on; the new one was there and gave up: {failure}\n");
    }
    let parts = parts.iter().map(|part| match part.failure.as_str() {
        "" => format!("{} is replaced\n", part.name),
        failure => format!("{} goes on as it was: {failure}\n", part.name),
    });
    std::iter::once(format!("supervisor {former} \u{2192} {version}\n")).chain(parts).collect()
}

#[cfg(test)]
mod tests {
    use impetus_proto::upgrade::Part;

    use super::*;

    #[test]
    fn every_process_is_told_with_what_became_of_it() {
        let part = |name: &str, failure: &str| Part { name: name.into(), failure: failure.into() };
        let parts = vec![part("gateway", ""), part("tiny", "its worker hung")];
        let outcome =
            Outcome { former: "1.0.0".into(), version: "1.1.0".into(), failure: String::new(), parts };
        let expected =
            "supervisor 1.0.0 \u{2192} 1.1.0\ngateway is replaced\ntiny goes on as it was: its worker hung\n";
        assert_eq!(text(&outcome), expected);
        let outcome = Outcome { version: "1.0.0".into(), failure: "no room".into(), ..outcome };
        assert_eq!(text(&outcome), "supervisor 1.0.0 goes on; the new one was there and gave up: no room\n");
    }
}
