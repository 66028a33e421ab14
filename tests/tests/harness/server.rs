//! A running server.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use impetus_proto::supervisor::{StatusReply, WorkerStatus};
use impetus_tests::process::{command, processes_in, signal, supervisor_of};
use tempfile::TempDir;

use super::{control::Control, http::Http, setup::Setup, wait::eventually};
use nix::sys::signal::Signal;

/// The bundled model's name.
pub(crate) const MODEL: &str = "impetus-tiny";

/// The bundled model in each format.
pub(crate) const BUNDLED: [&str; 3] = [MODEL, "impetus-tiny-safetensors", "impetus-tiny-onnx"];

/// How long a server may take to stop when a test is over, and how long after a second SIGTERM.
const STOP: Duration = Duration::from_secs(3);

/// Sockets as a service manager holds them, with what it calls them: none, one or two.
pub(crate) type Held = Vec<(&'static str, OwnedFd)>;

pub(crate) struct Server {
    dir: TempDir,
    sets: Vec<String>,
    /// What its supervisors find from descriptor 3 on, as a service manager passes it.
    activated: Held,
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) http: Http,
    pub(crate) control: Control,
}

impl Server {
    /// The bundled model's server with nothing special.
    pub(crate) async fn plain() -> Self {
        Setup::new().start().await
    }

    /// Starts the server whose `impetus.toml` is in `dir` and waits until its gateway serves.
    pub(crate) async fn start(dir: TempDir, sets: &[String]) -> Self {
        Self::start_in(dir, sets, &[]).await
    }

    /// The same, with more in the supervisor's environment.
    pub(crate) async fn start_in(dir: TempDir, sets: &[String], environment: &[(&str, &str)]) -> Self {
        let child = spawn(command_for(dir.path(), sets, environment), dir.path(), &[]);
        Self::of(dir, sets, Vec::new(), child).await
    }

    /// Starts it as a service manager does that listens on these sockets already.
    pub(crate) async fn start_activated(dir: TempDir, sets: &[String], sockets: Held) -> Self {
        let child = spawn(command_for(dir.path(), sets, &[]), dir.path(), &sockets);
        Self::of(dir, sets, sockets, child).await
    }

    /// Starts it with a disk of so many bytes of its own at `folder` of its folder, which other processes find in `/proc`;
    /// absent where this system lets nobody mount one.
    pub(crate) async fn start_on_disk(
        dir: TempDir,
        sets: &[String],
        folder: &str,
        bytes: u64,
    ) -> Option<Self> {
        fs::create_dir_all(dir.path().join(folder)).expect("the folder is the test's");
        let probe = on_disk(&command(Path::new("/bin/true"), dir.path()), folder, bytes).status();
        if !probe.is_ok_and(|status| status.success()) {
            eprintln!("no disk can be mounted here: nothing is tested");
            return None;
        }
        let child = spawn(on_disk(&command_for(dir.path(), sets, &[]), folder, bytes), dir.path(), &[]);
        Some(Self::of(dir, sets, Vec::new(), child).await)
    }

    async fn of(dir: TempDir, sets: &[String], activated: Held, mut child: Child) -> Self {
        let (listen, control) = serving(dir.path(), &mut child).await;
        Self { dir, sets: sets.to_vec(), activated, child, listen, http: Http::new(listen), control }
    }

    /// Kills the supervisor, and nothing else.
    pub(crate) async fn kill_supervisor(&mut self) {
        signal(self.pid(), Signal::SIGKILL);
        self.ended().await;
    }

    /// Starts another supervisor in the place of one that has ended, with `sets` besides, and waits until a gateway
    /// serves.
    pub(crate) async fn start_again(&mut self, sets: &[&str]) {
        self.sets.extend(sets.iter().map(ToString::to_string));
        let command = command_for(self.dir.path(), &self.sets, &[]);
        self.child = spawn(command, self.dir.path(), &self.activated);
        (self.listen, self.control) = serving(self.dir.path(), &mut self.child).await;
        self.http = Http::new(self.listen);
    }

    /// A server that listens everywhere is spoken to on this machine.
    pub(crate) fn reach_by_loopback(&mut self) {
        self.listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        self.http = Http::new(self.listen);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A path in the server's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) async fn status(&self) -> StatusReply {
        self.control.status().await.expect("the supervisor answers")
    }

    pub(crate) async fn gateway_pid(&self) -> u32 {
        self.status().await.gateway.expect("a status has the gateway").pid
    }

    /// The status of the worker that serves `model`, if there is one.
    pub(crate) async fn find_worker(&self, model: &str) -> Option<WorkerStatus> {
        self.status().await.workers.into_iter().find(|worker| worker.model == model && worker.role.is_empty())
    }

    /// The status of the worker that serves the bundled model.
    pub(crate) async fn worker(&self) -> WorkerStatus {
        self.find_worker(MODEL).await.expect("the model is loaded")
    }

    /// Waits until the bundled model's worker is as `is_so` wants it.
    pub(crate) async fn worker_when(
        &self,
        what: &str,
        is_so: impl Fn(&WorkerStatus) -> bool,
    ) -> WorkerStatus {
        eventually(what, || async { self.find_worker(MODEL).await.filter(|worker| is_so(worker)) }).await
    }

    /// What the supervisor has written to its standard output and error.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(output_path(self.dir.path())).unwrap_or_default()
    }

    /// Waits for the supervisor's end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the server ends", || std::future::ready(child.try_wait().unwrap())).await
    }

    /// Waits until no process of this server runs.
    pub(crate) async fn nothing_is_left(&self) {
        eventually("no process is left", || async { processes_in(self.dir.path()).is_empty().then_some(()) })
            .await;
    }

    /// Whether it ended within the time for that.
    fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal(self.child.id(), Signal::SIGTERM);
        let mut has_ended = self.ends_within(STOP);
        if !has_ended {
            // A request of this test may still run: it has seen what it wanted to see.
            signal(self.child.id(), Signal::SIGTERM);
            has_ended = self.ends_within(STOP);
        }
        let left = processes_in(self.dir.path());
        for (pid, _) in &left {
            signal(*pid, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's output:\n{}", self.output());
            return;
        }
        assert!(has_ended, "the server does not end; its output:\n{}", self.output());
        assert!(left.is_empty(), "these processes outlive their server: {left:?}");
    }
}

fn output_path(dir: &Path) -> PathBuf {
    dir.join("output")
}

/// Waits until the gateway of the server in `dir` serves; where, and the way to its supervisor.
async fn serving(dir: &Path, child: &mut Child) -> (SocketAddr, Control) {
    let (runtime_dir, output) = (dir.join("run"), output_path(dir));
    let listen = eventually("the server is ready", || {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?}: {}", fs::read_to_string(&output).unwrap());
        let runtime_dir = runtime_dir.clone();
        async move {
            let gateway = Control::connect(&runtime_dir).await?.status().await?.gateway?;
            (gateway.state == "ready").then(|| gateway.listen.parse().unwrap())
        }
    })
    .await;
    (listen, Control::connect(&runtime_dir).await.expect("it answered a moment ago"))
}

/// How the supervisor of the server in `dir` is started.
pub(crate) fn command_for(dir: &Path, sets: &[String], environment: &[(&str, &str)]) -> Command {
    let mut command = command(&supervisor_of(dir), dir);
    command.envs(environment.iter().copied()).arg("--config").arg(dir.join("impetus.toml"));
    for setting in sets {
        command.args(["--set", setting]);
    }
    command
}

/// The same program with `sockets` from descriptor 3 on, and told of them. Only the program itself knows its process id, so
/// a shell says it and becomes the program; its standard input is the first socket, and its standard error the second.
pub(crate) fn activated(program: &Command, sockets: &[(&str, OwnedFd)]) -> Command {
    const ONE: &str = r#"export LISTEN_PID=$$; exec "$@" 3<&0 </dev/null"#;
    const TWO: &str = r#"export LISTEN_PID=$$; exec "$@" 3<&0 4<&2 </dev/null 2>&1"#;
    let home = program.get_current_dir().expect("a command has a home");
    let mut command = command(Path::new("/bin/sh"), home);
    let script = if sockets.len() == 1 { ONE } else { TWO };
    command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    let socket =
        |n: usize| sockets.get(n).map(|(_, socket)| socket.try_clone().expect("there are descriptors left"));
    command.stdin(socket(0).expect("there is one"));
    if let Some(second) = socket(1) {
        command.stderr(second);
    }
    command
}

/// The same program in namespaces of its own, where a disk of so many bytes is at `folder` of its home.
fn on_disk(program: &Command, folder: &str, bytes: u64) -> Command {
    const SHELL: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let home = program.get_current_dir().expect("a command has a home");
    let mut command = command(Path::new("unshare"), home);
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SHELL, "sh"]);
    command.args([&bytes.to_string(), folder]).arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

fn spawn(mut command: Command, dir: &Path, sockets: &[(&str, OwnedFd)]) -> Child {
    let output = File::options().create(true).append(true).open(output_path(dir)).unwrap();
    command.stderr(output.try_clone().unwrap());
    let mut command = if sockets.is_empty() { command } else { activated(&command, sockets) };
    if sockets.len() == 1 {
        command.stderr(output.try_clone().unwrap());
    }
    command.stdout(output).spawn().expect("the supervisor can be started")
}
