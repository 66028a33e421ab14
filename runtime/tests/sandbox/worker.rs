//! A started worker, and the folder that it is in.

use std::{
    fs::{self, File},
    io::Write,
    net::TcpListener,
    os::{
        fd::AsFd,
        unix::{
            fs::symlink,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use impetus_proto::{
    channel, endpoint,
    launch::{
        LogSpec, PrefixSpec, Report, SandboxSpec, Serving, Standby, StandbySpec, ToWorker, WorkerSpec,
        report, to_worker,
    },
    passing,
    worker::{
        DescribeRequest, GenerateRequest, Stopping, generate_event::Event, generate_request::Input,
        worker_client::WorkerClient,
    },
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    AS_WORKER,
    attempts::{ATTEMPTS, Attempt},
    probe::{TCP_PORT, THREADS},
};

/// A worker that has its model, and those whom it should not reach.
pub(crate) struct Worker {
    /// In force while it serves.
    pub(crate) level: String,
    outcomes: Vec<String>,
    child: Child,
    dir: TempDir,
    _channel: UnixStream,
    _listeners: (TcpListener, UnixListener),
}

impl Worker {
    /// Starts one and gives it its model, and a file for prefixes if there is one.
    pub(crate) fn start(sandbox: bool, prefixes: Option<&File>) -> Self {
        let dir = furnished();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(dir.path().join("run/open")).unwrap();
        let (mut channel, theirs) = UnixStream::pair().unwrap();
        let child = spawn(theirs);
        let runtime_dir = dir.path().join("run").to_string_lossy().into_owned();
        let log = Some(LogSpec { level: "warn".into(), format: "text".into() });
        let sandbox = Some(SandboxSpec { enabled: sandbox, runtime_dir });
        tell(
            &mut channel,
            to_worker::Message::Standby(StandbySpec { log, sandbox, threads: 2, ..StandbySpec::default() }),
        );
        let report::Message::Standby(Standby { sandbox: at_first, .. }) = hear(&mut channel) else {
            panic!("no standby")
        };
        let port = tcp.local_addr().unwrap().port();
        let place = ToWorker { message: Some(to_worker::Message::Place(spec(dir.path(), port))) };
        let file: Vec<_> = prefixes.iter().map(|file| file.as_fd()).collect();
        passing::write(&channel, &place, &file).unwrap();
        let report::Message::Serving(Serving { description, sandbox: level, .. }) = hear(&mut channel) else {
            panic!("not serving")
        };
        assert!(level.starts_with(&at_first), "{at_first:?} is kept in {level:?}");
        let outcomes = description.unwrap().devices;
        Self { level, outcomes, child, dir, _channel: channel, _listeners: (tcp, unix) }
    }

    /// Compares every outcome in every thread.
    pub(crate) fn check(&self, expected: impl Fn(&Attempt) -> &'static str) {
        let all = THREADS.iter().flat_map(|thread| ATTEMPTS.iter().map(move |attempt| (thread, attempt)));
        let wrong: Vec<String> = all
            .clone()
            .zip(&self.outcomes)
            .filter(|((_, attempt), outcome)| expected(attempt) != outcome.as_str())
            .map(|((thread, attempt), outcome)| {
                format!("{thread}: {}: {outcome} instead of {}", attempt.name, expected(attempt))
            })
            .collect();
        assert_eq!(self.outcomes.len(), all.count());
        assert!(wrong.is_empty(), "{}:\n{}", self.level, wrong.join("\n"));
    }

    /// Somebody connects, and is answered.
    pub(crate) fn serves(&self) {
        let uri = format!("unix://{}", self.dir.path().join("run/worker.sock").display());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let described = runtime.block_on(async {
            let channel = endpoint::connect(&uri, Duration::from_secs(10)).await.unwrap();
            WorkerClient::new(channel).describe(DescribeRequest::default()).await.unwrap()
        });
        assert_eq!(described.into_inner().model, "probed");
    }

    /// Somebody asks for a token after `prompt`; how many tokens of it need not be computed.
    pub(crate) fn answers(&self, prompt: &str) -> u32 {
        let uri = format!("unix://{}", self.dir.path().join("run/worker.sock").display());
        let request = GenerateRequest {
            model: "probed".into(),
            input: Some(Input::Text(prompt.to_owned())),
            stopping: Some(Stopping { max_tokens: Some(1), ..Stopping::default() }),
            ..GenerateRequest::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = endpoint::connect(&uri, Duration::from_secs(10)).await.unwrap();
            let mut events = WorkerClient::new(channel).generate(request).await.unwrap().into_inner();
            while let Some(event) = events.message().await.unwrap() {
                if let Some(Event::Finished(finished)) = event.event {
                    return finished.usage.unwrap().cached_tokens;
                }
            }
            panic!("no end")
        })
    }

    /// It drains, and ends well.
    pub(crate) fn ends_when_asked(mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this kernel has landlock in use.
pub(crate) fn has_landlock() -> bool {
    // SAFETY: without a ruleset the call answers its version and touches no memory.
    let version = unsafe {
        nix::libc::syscall(nix::libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, 1_u32)
    };
    version > 0
}

/// A folder with two models, links and a place for sockets.
fn furnished() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["run", "hub/model", "hub/blobs", "hub/other"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    for file in ["hub/model/weights", "hub/blobs/1", "hub/blobs/2", "hub/other/weights", "secret"] {
        fs::write(at(file), "weights").unwrap();
    }
    for thread in THREADS {
        fs::write(at("run").join(thread), "").unwrap();
    }
    symlink("../blobs/1", at("hub/model/linked")).unwrap();
    symlink("../../secret", at("hub/model/escape")).unwrap();
    dir
}

fn spec(dir: &Path, tcp_port: u16) -> WorkerSpec {
    let text = |name: &str| dir.join(name).to_string_lossy().into_owned();
    WorkerSpec {
        model: "probed".into(),
        path: text("hub/model"),
        root: text("hub"),
        socket: text("run/worker.sock"),
        slots: 1,
        options: [(TCP_PORT.to_owned(), tcp_port.to_string())].into(),
        prefixes: Some(PrefixSpec {
            ram_bytes: 1 << 20,
            file_bytes: 1 << 20,
            fingerprint: b"probe".to_vec(),
        }),
        ..WorkerSpec::default()
    }
}

/// This program as a worker: a shell puts its standard input where the channel belongs.
#[allow(clippy::disallowed_methods)] // the supervisor's way to start a process is not this crate's
fn spawn(channel: UnixStream) -> Child {
    Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(std::env::current_exe().unwrap())
        .arg(AS_WORKER)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(channel)))
        .spawn()
        .unwrap()
}

fn tell(channel: &mut UnixStream, message: to_worker::Message) {
    channel::write(channel, &ToWorker { message: Some(message) }).unwrap();
    channel.flush().unwrap();
}

/// The next report that is no tick and no progress.
fn hear(channel: &mut UnixStream) -> report::Message {
    loop {
        let report: Report = channel::read(channel).unwrap().expect("the worker is alive");
        match report.message.unwrap() {
            report::Message::Tick(_) | report::Message::Progress(_) => {}
            message => return message,
        }
    }
}
