//! Children here are threads or sleeping shells of this process, which listen as real children do.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    process::{Child, Command},
    time::Duration,
};

use impetus_proto::{
    launch::{Adopt, Adopted, AdoptionSpec, Report, Tick, WorkerSpec, report},
    passing,
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::*;
use crate::{
    attribution::{ExitCause, Hang, Intent},
    logs::{LogSettings, Logs, Source},
    process::{Happening, Process},
};

/// A child of the former supervisor: a process to be recognised by, and a thread that answers for it.
struct Orphan {
    process: Child,
    spec: AdoptionSpec,
}

struct Scene {
    dir: TempDir,
    records: Records,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let records = Records { dir: dir.path().into(), grace: Duration::from_secs(15) };
        Self { dir, records }
    }

    #[allow(clippy::disallowed_methods)] // it stands for a process that another supervisor started
    fn orphan(&self, name: &str, kind: Kind) -> Orphan {
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        let kept = self.records.keep(name, process.id(), kind).unwrap();
        Orphan { process, spec: self.records.spec(&kept) }
    }

    fn worker(&self, name: &str) -> Orphan {
        self.orphan(name, Kind::Worker { id: name.into(), format: "gguf".into() })
    }

    fn take_over(&self) -> Inheritance {
        take_over(self.dir.path(), &[], |format| format == "gguf")
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap);
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Orphan {
    /// Answers its next supervisor as `answer` says.
    fn answers(&self, answer: impl FnOnce(&UnixStream, Adopt) + Send + 'static) {
        let listener = UnixListener::bind(&self.spec.socket).unwrap();
        thread::spawn(move || {
            let (channel, _) = listener.accept().unwrap();
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            let (adopt, outputs) = passing::read_until::<Adopt>(&channel, deadline).unwrap().unwrap();
            let [mut stdout, mut stderr] =
                <[_; 2]>::try_from(outputs).map(|both| both.map(fs::File::from)).unwrap();
            stdout.write_all(b"out").unwrap();
            stderr.write_all(b"err").unwrap();
            drop((stdout, stderr));
            answer(&channel, adopt);
        });
    }

    fn answers_with(&self, adopted: Adopted) {
        let token = self.spec.token.clone();
        self.answers(move |channel, adopt| {
            assert_eq!(adopt.token, token);
            let report = Report { message: Some(report::Message::Adopted(adopted)) };
            passing::write(channel, &report, &[]).unwrap();
        });
    }

    fn has_ended(&mut self) -> bool {
        // An error means that it was waited for: as in a process that has replaced its supervisor, it is a child of this one.
        !matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn placed() -> Adopted {
    let spec = WorkerSpec { model: "m".into(), socket: "/run/gguf-3.sock".into(), ..WorkerSpec::default() };
    Adopted { spec: Some(spec), sandbox: "landlock".into(), ..Adopted::default() }
}

#[test]
fn a_worker_with_a_model_is_taken_over() {
    let scene = Scene::new();
    let mut orphan = scene.worker("gguf-3");
    orphan.answers_with(placed());
    let mut inheritance = scene.take_over();
    let [worker] = <[crate::worker::Adopted; 1]>::try_from(std::mem::take(&mut inheritance.workers)).unwrap();
    assert_eq!((worker.id.as_str(), worker.format.as_str()), ("gguf-3", "gguf"));
    assert_eq!((worker.spec, worker.sandbox.as_str()), (placed().spec.unwrap(), "landlock"));
    assert!(inheritance.ended.is_empty() && !orphan.has_ended());
    assert_eq!(scene.files(), ["gguf-3.child", "gguf-3.next"]);
    let texts = worker.process.outputs.map(|output| {
        let mut text = String::new();
        fs::File::from(output).read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(texts, ["out", "err"]);
}

#[test]
fn sockets_in_use_are_those_of_the_adopted() {
    let scene = Scene::new();
    let orphan = scene.worker("gguf-3");
    orphan.answers_with(placed());
    let expected = ["/run/gguf-3.sock".into(), scene.dir.path().join("gguf-3.next")];
    assert_eq!(scene.take_over().sockets(), HashSet::from(expected));
}

/// What cannot be taken over has ended when that is known, and nothing is left of it.
fn check_ended(scene: &Scene, mut orphan: Orphan, expected: &str) {
    let inheritance = scene.take_over();
    assert!(inheritance.workers.is_empty());
    let [(_, error)] = <[_; 1]>::try_from(inheritance.ended).unwrap();
    assert!(error.to_string().contains(expected), "{error}");
    assert!(orphan.has_ended(), "{expected}");
    assert_eq!(scene.files(), [] as [&str; 0], "{expected}");
}

#[test]
fn who_cannot_be_taken_over_is_ended() {
    let scene = Scene::new();
    let orphan = scene.worker("gguf-1");
    check_ended(&scene, orphan, "does not answer");

    let orphan = scene.worker("gguf-1");
    orphan.answers_with(Adopted::default());
    check_ended(&scene, orphan, "nothing in the configuration needs it");

    let orphan = scene.orphan("onnx-1", Kind::Worker { id: "onnx-1".into(), format: "onnx".into() });
    check_ended(&scene, orphan, "nothing in the configuration needs it");

    let orphan = scene.worker("gguf-1");
    orphan.answers(|channel, _| passing::write(channel, &Report::default(), &[]).unwrap());
    check_ended(&scene, orphan, "something else");

    let orphan = scene.worker("gguf-1");
    orphan.answers(|mut channel, _| channel.write_all(&[0xff; 64]).unwrap());
    check_ended(&scene, orphan, "does not answer");
}

#[test]
fn those_who_never_answer_are_waited_for_at_the_same_time() {
    let scene = Scene::new();
    let silent: Vec<Orphan> = (1..4).map(|n| scene.worker(&format!("gguf-{n}"))).collect();
    let _listeners: Vec<_> =
        silent.iter().map(|orphan| UnixListener::bind(&orphan.spec.socket).unwrap()).collect();
    let started = std::time::Instant::now();
    assert_eq!(scene.take_over().ended.len(), 3);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[test]
fn a_process_that_has_the_id_of_a_dead_child_is_left_alone() {
    let scene = Scene::new();
    let mut orphan = scene.worker("gguf-1");
    orphan.answers_with(placed());
    let path = scene.dir.path().join("gguf-1.child");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["started"] = (record["started"].as_u64().unwrap() - 1).into();
    fs::write(&path, record.to_string()).unwrap();
    let inheritance = scene.take_over();
    assert!(matches!(inheritance.ended.as_slice(), [(_, ClaimError::Gone)]), "{inheritance:?}");
    assert!(!orphan.has_ended());
    assert_eq!(scene.files(), [] as [&str; 0]);
}

/// Where a gateway listens, and what it calls that.
struct Doors {
    sockets: Vec<std::net::TcpListener>,
    names: Vec<String>,
}

impl Doors {
    fn new(names: &[&str]) -> Self {
        // One that names none has one.
        let sockets = (0..names.len().max(1)).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        Self { sockets: sockets.collect(), names: names.iter().map(ToString::to_string).collect() }
    }

    fn ports(&self) -> Vec<u16> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect()
    }
}

/// What is left by a gateway with these doors, or by one that does not hand them over, to who wants `entrances`, in which
/// `P0` and `P1` are its ports: the entrances whose sockets are kept, and whether the gateway is.
fn left(doors: Doors, gives: bool, entrances: &[(Entrance, &str)]) -> (Vec<Entrance>, bool) {
    let scene = Scene::new();
    let orphan = scene.orphan("gateway-1", Kind::Gateway { config: "{}".into() });
    let ports = doors.ports();
    let place = |text: &str| {
        let ports = ports.iter().enumerate();
        let text =
            ports.fold(text.to_owned(), |text, (n, port)| text.replace(&format!("P{n}"), &port.to_string()));
        text.parse().unwrap()
    };
    let wanted: Vec<_> = entrances.iter().map(|(entrance, text)| (*entrance, place(text))).collect();
    let adopted = Adopted { entrances: doors.names, ..Adopted::default() };
    let report = Report { message: Some(report::Message::Adopted(adopted)) };
    let sockets = doors.sockets;
    orphan.answers(move |channel, _| {
        let sockets: Vec<_> = sockets.iter().map(std::os::fd::AsFd::as_fd).collect();
        passing::write(channel, &report, if gives { &sockets } else { &[] }).unwrap();
    });
    let inheritance = take_over(scene.dir.path(), &wanted, |_| false);
    assert_eq!(inheritance.outdated.len(), usize::from(inheritance.gateway.is_none()));
    for listener in &inheritance.listeners {
        assert_eq!(listener.socket.local_addr().unwrap(), listener.address);
    }
    let kept = inheritance.listeners.iter().map(|listener| listener.entrance).collect();
    (kept, inheritance.gateway.is_some())
}

#[test]
fn a_gateway_hands_its_sockets_over_and_is_kept_if_its_own_entrance_is_the_configured_one() {
    use Entrance::{Gateway, Ollama};
    let check = |names: &[&str], wanted: &[(Entrance, &str)], kept: &[Entrance], is_kept: bool| {
        assert_eq!(left(Doors::new(names), true, wanted), (kept.to_vec(), is_kept), "{names:?} {wanted:?}");
    };
    for names in [&[][..], &["gateway"]] {
        check(names, &[(Gateway, "127.0.0.1:0")], &[Gateway], true);
        check(names, &[(Gateway, "127.0.0.1:P0")], &[Gateway], true);
        check(names, &[(Gateway, "127.0.0.2:P0")], &[], false);
        check(names, &[(Gateway, "127.0.0.1:1")], &[], false);
        check(names, &[(Gateway, "127.0.0.1:P0"), (Ollama, "127.0.0.1:2")], &[Gateway], true);
    }
    let both = &["gateway", "ollama"][..];
    check(both, &[(Gateway, "127.0.0.1:P0"), (Ollama, "127.0.0.1:P1")], &[Gateway, Ollama], true);
    check(both, &[(Gateway, "127.0.0.1:P0")], &[Gateway], true);
    check(both, &[(Gateway, "127.0.0.1:P1"), (Ollama, "127.0.0.1:P0")], &[], false);
    // The socket is there all the same: nobody could listen beside it.
    check(both, &[(Gateway, "127.0.0.1:1"), (Ollama, "127.0.0.1:P1")], &[Ollama], false);
    check(&["gateway", "strange"], &[(Gateway, "127.0.0.1:0"), (Ollama, "127.0.0.1:0")], &[Gateway], true);
    let silent = left(Doors::new(&["gateway"]), false, &[(Gateway, "127.0.0.1:0")]);
    assert_eq!(silent, (Vec::new(), false));
}

/// The worker `gguf-1`, taken over, with its log; it says `last` and then nothing.
fn adopted(scene: &Scene, last: Report) -> (Orphan, Process, Source) {
    let orphan = scene.worker("gguf-1");
    orphan.answers(move |mut channel, _| {
        let report = Report { message: Some(report::Message::Adopted(placed())) };
        passing::write(channel, &report, &[]).unwrap();
        passing::write(channel, &last, &[]).unwrap();
        // Until its supervisor is gone.
        let _ = channel.read(&mut [0]);
    });
    let rotation = impetus_telemetry::Rotation::Never;
    let settings = LogSettings { dir: scene.dir.path().join("logs"), rotation, keep: 1 };
    let source = Logs::start(settings).unwrap().source("gguf-1", None);
    let worker = scene.take_over().workers.remove(0);
    let process = Process::adopt(worker.process, source.clone()).unwrap();
    (orphan, process, source)
}

fn tick() -> Report {
    Report { message: Some(report::Message::Tick(Tick { steps: 7, ..Tick::default() })) }
}

#[tokio::test]
async fn an_adopted_process_is_heard_and_its_end_is_noticed() {
    let scene = Scene::new();
    let (mut orphan, mut process, source) = adopted(&scene, tick());
    assert!(process.is_adopted());
    assert_eq!(process.pid(), orphan.process.id());
    let Happening::Report(heard) = process.next().await else { panic!("it says something") };
    assert_eq!(heard, tick());
    process.terminate();
    let ended = process.ended().await;
    assert_eq!(ended.and_then(|status| status.signal()), Some(Signal::SIGTERM as i32));
    assert_eq!(process.ended().await, ended, "it is known from then on");
    let cause = process.finish(Intent::None, None, Duration::ZERO).await;
    assert!(matches!(cause, ExitCause::Signalled { .. }), "{cause}");
    assert!(orphan.has_ended());
    let mut said = source.last(2, 0);
    said.sort();
    assert_eq!(said, ["err", "out"]);
    assert!(!scene.files().iter().any(|name| name.starts_with("gguf-1")), "{:?}", scene.files());
}

#[tokio::test]
async fn an_adopted_process_that_goes_on_is_made_to_end() {
    let scene = Scene::new();
    let (mut orphan, process, _source) = adopted(&scene, tick());
    let cause = process.finish(Intent::Silent(Duration::from_secs(3)), None, Duration::ZERO).await;
    assert_eq!(cause, ExitCause::Hung { what: Hang::Report, after: Duration::from_secs(3) });
    assert!(orphan.has_ended());
}

#[tokio::test]
async fn an_adopted_process_does_not_outlive_its_handle() {
    let scene = Scene::new();
    let (mut orphan, process, _source) = adopted(&scene, tick());
    drop(process);
    orphan.process.wait().unwrap();
    assert!(orphan.has_ended());
}
