//! `supervisorctl top`: the server live. What changes is shown at once, what only grows once a second.

mod frame;
mod screen;
mod speed;
mod view;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use impetus_proto::supervisor::{
    StatusReply, StatusRequest, WatchRequest, supervisor_client::SupervisorClient,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Streaming, transport::Channel};

use self::{
    screen::Screen,
    view::{Goes, View},
};
use super::{
    Server,
    connect::connect,
    failure::Failure,
    print,
    signals::{Ends, exit_code},
};

/// How often counters are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Between the two answers of which one frame shows the difference. Workers say twice a second what they have counted.
const APART: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints one frame, with the speeds of two seconds, and ends.
    #[arg(long)]
    once: bool,
}

/// A server that answers, and tells of changes.
struct Source {
    client: SupervisorClient<Channel>,
    changes: Streaming<StatusReply>,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.once {
        return once(server).await;
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let source = Source::open(server).await?;
    live(server, source).await
}

async fn once(server: &Server) -> Result<ExitCode, Failure> {
    let mut client = connect(server).await?;
    let mut view = View::default();
    for wait in [APART, Duration::ZERO] {
        let reply = client.status(StatusRequest {}).await?.into_inner();
        view.take_in(reply, Instant::now());
        sleep(wait).await;
    }
    print(&frame::whole(&view))?;
    Ok(ExitCode::SUCCESS)
}

async fn live(server: &Server, source: Source) -> Result<ExitCode, Failure> {
    let mut ends = Ends::listen()?;
    let mut interrupts = signal(SignalKind::interrupt())?;
    let (mut screen, mut keys) = (Screen::open()?, EventStream::new());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut view, mut source) = (View::default(), Some(source));
    loop {
        tokio::select! {
            biased;
            number = ends.recv() => return Ok(exit_code(number)),
            _ = interrupts.recv() => return Ok(exit_code(SignalKind::interrupt().as_raw_value())),
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if view.press(key) == Goes::Away => return Ok(ExitCode::SUCCESS),
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(ExitCode::SUCCESS),
            },
            reply = changed(&mut source) => match reply {
                Some(reply) => view.take_in(reply, Instant::now()),
                None => source = None,
            },
            _ = ticks.tick() => match timeout(TICK, asked(server, &mut source)).await.ok().flatten() {
                Some(reply) => view.take_in(reply, Instant::now()),
                None => view.lose(),
            },
        }
        screen.draw(&view)?;
    }
}

impl Source {
    async fn open(server: &Server) -> Result<Self, Failure> {
        let mut client = connect(server).await?;
        let changes = client.watch(WatchRequest {}).await?.into_inner();
        Ok(Self { client, changes })
    }
}

/// The state of now, of another server where there is none any more.
async fn asked(server: &Server, source: &mut Option<Source>) -> Option<StatusReply> {
    if source.is_none() {
        *source = Source::open(server).await.ok();
    }
    Some(source.as_mut()?.client.status(StatusRequest {}).await.ok()?.into_inner())
}

/// The next state; none when the server is gone. Without one nothing comes until there is another.
async fn changed(source: &mut Option<Source>) -> Option<StatusReply> {
    match source {
        Some(source) => source.changes.message().await.ok().flatten(),
        None => std::future::pending().await,
    }
}
