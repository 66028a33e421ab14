//! Other programs for a server that serves: nobody notices, and what does not come up changes nothing.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use impetus_tests::fake::oracle::greedy;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::{
    chat::{counted, with},
    harness::{
        EventStream, INSTALLATION, RawConnection, Server, Setup, Signal, chat, eventually, install, program,
        signal, zombies_of,
    },
    logs::files,
};

/// Tokens of the long answers here, at 20 ms each.
const N_TOKENS: usize = 600;

fn long() -> Value {
    with(chat("hello"), &json!({"model": "slow", "max_tokens": N_TOKENS}))
}

async fn check_rest(begun: String, stream: EventStream) {
    let whole = greedy("user: hello\nassistant: ", N_TOKENS);
    let rest = stream.whole().await;
    assert_eq!((begun + &rest.text, rest.finish_reason.as_str()), (whole, "length"));
}

/// A server with programs of its own and a model that answers slowly.
async fn start() -> Server {
    let setup = Setup::new().with_fake("slow", "step_ms = 20").installed();
    setup.set("supervisor.orphan_grace_s=60").set("supervisor.load_timeout_s=8").start().await
}

/// The processes of the server: supervisor, gateway and the worker of the slow model.
async fn processes(server: &Server) -> (u32, u32, u32) {
    let status = server.status().await;
    let worker = server.find_worker("slow").await.expect("the model is loaded");
    (status.supervisor_pid, status.gateway.unwrap().pid, worker.pid)
}

fn executed_by(pid: u32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

/// Puts another program in the place of one, as an installation does.
fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// Counts connections that are refused, until it is dropped.
struct Knocking(tokio::task::JoinHandle<()>);

impl Knocking {
    fn on(server: &Server) -> Self {
        let (socket, listen) = (server.path("run/supervisor.sock"), server.listen);
        Self(tokio::spawn(async move {
            let mut turns = tokio::time::interval(Duration::from_millis(2));
            loop {
                turns.tick().await;
                UnixStream::connect(&socket).await.expect("the control socket lets in");
                drop(RawConnection::open(listen).await.expect("the gateway lets in"));
            }
        }))
    }

    async fn stop(self) {
        self.0.abort();
        let ended = self.0.await.unwrap_err();
        assert!(ended.is_cancelled(), "{ended}");
    }
}

#[tokio::test]
async fn programs_are_replaced_in_the_same_process_under_streams() {
    let server = start().await;
    let other = server.path("other/bin");
    install(&other).unwrap();
    for (arguments, folder) in [
        (vec!["upgrade"], server.path(INSTALLATION)),
        (vec!["upgrade", "--binaries", other.to_str().unwrap()], other.clone()),
    ] {
        let mut stream = server.http.stream(&long()).await;
        let text = stream.read_texts(5).await;
        let before = processes(&server).await;
        let knocking = Knocking::on(&server);
        let upgraded = server.ctl(&arguments).await;
        knocking.stop().await;
        let version = env!("CARGO_PKG_VERSION");
        let expected =
            format!("supervisor {version} \u{2192} {version}\ngateway is replaced\nslow is replaced\n");
        assert_eq!((upgraded.code, upgraded.out), (0, expected), "{}", upgraded.err);
        let after = processes(&server).await;
        assert_eq!((before.0, after.0), (server.pid(), server.pid()));
        assert!(before.1 != after.1 && before.2 != after.2, "{before:?} {after:?}");
        for (pid, name) in [(after.0, "supervisor"), (after.1, "gateway"), (after.2, "worker-fake")] {
            assert_eq!(executed_by(pid), folder.join(name));
        }
        check_rest(text, stream).await;
        eventually("nothing is left of former processes", || async {
            zombies_of(server.pid()).is_empty().then_some(())
        })
        .await;
    }
    // Signals are heard as before.
    fs::write(server.path("models/new.fake"), "fake\n").unwrap();
    signal(server.pid(), Signal::SIGHUP);
    eventually("the configuration is read again", || async {
        server.output().contains("configuration reloaded").then_some(())
    })
    .await;
    assert_eq!(server.http.ask(&chat("count from 1 to 5")).await.text, counted(5));
}

/// What is wrong with a program, and what is said of it.
const BROKEN: [(&str, &str); 3] = [
    ("#!/bin/sh\necho 'no such luck' >&2\nexit 1\n", "no such luck"),
    ("this is no program", "cannot execute"),
    ("#!/bin/sh\nsleep 1000\n", " s"),
];

async fn check_broken(name: &str) {
    let server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let text = stream.read_texts(5).await;
    let before = processes(&server).await;
    let path = server.path(INSTALLATION).join(name);
    for (bytes, said) in BROKEN {
        replace(&path, bytes);
        let upgraded = server.ctl(&["upgrade"]).await;
        assert_eq!(upgraded.code, 1, "{upgraded:?}");
        let expected = format!("supervisorctl: nothing has changed: {}", path.display());
        assert!(upgraded.err.starts_with(&expected) && upgraded.err.contains(said), "{upgraded:?}");
        assert_eq!(processes(&server).await, before);
    }
    check_rest(text, stream).await;
    // What is whole again is taken.
    replace(&path, fs::read(program(name)).unwrap());
    let upgraded = server.ctl(&["upgrade"]).await;
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    assert_ne!(processes(&server).await, before);
}

#[tokio::test]
async fn a_broken_supervisor_changes_nothing() {
    check_broken("supervisor").await;
}

#[tokio::test]
async fn a_broken_gateway_changes_nothing() {
    check_broken("gateway").await;
}

#[tokio::test]
async fn a_broken_worker_changes_nothing() {
    check_broken("worker-fake").await;
}

#[tokio::test]
async fn a_supervisor_that_does_not_come_up_gives_way_to_the_one_before() {
    let server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let text = stream.read_texts(5).await;
    let before = processes(&server).await;
    let installed = server.path(INSTALLATION).join("supervisor");
    let (real, former) = (program("supervisor"), fs::metadata(&installed).unwrap());
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = __probe ] && exec {0} \"$@\"\nexec {0} --set supervisor.nonsense=1 \"$@\"\n",
        real.display()
    );
    replace(&installed, script);
    let knocking = Knocking::on(&server);
    let upgraded = server.ctl(&["upgrade"]).await;
    knocking.stop().await;
    assert_eq!(upgraded.code, 1, "{upgraded:?}");
    assert!(upgraded.out.contains("goes on") && upgraded.out.contains("nonsense"), "{upgraded:?}");
    assert_eq!(processes(&server).await, before);
    // The file is gone, and its program runs.
    let running = fs::metadata(format!("/proc/{}/exe", server.pid())).unwrap();
    assert_eq!(ino(&running), ino(&former));
    check_rest(text, stream).await;

    replace(&installed, fs::read(real).unwrap());
    let upgraded = server.ctl(&["upgrade"]).await;
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    assert_eq!(executed_by(server.pid()), installed);
}

fn ino(file: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[tokio::test]
async fn a_worker_that_cannot_load_its_model_leaves_the_one_before() {
    let server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let text = stream.read_texts(5).await;
    let before = processes(&server).await;
    fs::write(server.path("models/slow.fake"), "fake\ncrash_on_load = abort\n").unwrap();
    let upgraded = server.ctl(&["upgrade"]).await;
    assert_eq!(upgraded.code, 1, "{upgraded:?}");
    assert!(upgraded.out.contains("\ngateway is replaced\nslow goes on as it was: "), "{upgraded:?}");
    let after = processes(&server).await;
    assert_eq!((after.0, after.2), (before.0, before.2));
    assert_ne!(after.1, before.1);
    check_rest(text, stream).await;
}

#[tokio::test]
async fn a_folder_that_only_a_restart_takes_up_is_refused() {
    let server = start().await;
    let config = fs::read_to_string(server.path("impetus.toml")).unwrap();
    fs::write(server.path("impetus.toml"), config.replace("\"state\"", "\"elsewhere\"")).unwrap();
    let upgraded = server.ctl(&["upgrade"]).await;
    assert_eq!(upgraded.code, 1, "{upgraded:?}");
    assert!(upgraded.err.contains("supervisor.state_dir has changed"), "{upgraded:?}");
    let nowhere = server.ctl(&["upgrade", "--binaries", "/nonexistent"]).await;
    assert!(nowhere.err.contains("there is no program /nonexistent/supervisor"), "{nowhere:?}");
    assert_eq!(server.status().await.supervisor_pid, server.pid());
}

#[tokio::test]
async fn no_line_of_a_log_is_lost() {
    let server = start().await;
    let upgrading = async {
        for _ in 0..2 {
            assert_eq!(server.ctl(&["upgrade"]).await.code, 0);
        }
    };
    let asking = async {
        let mut n_asked = 0;
        loop {
            let request = server.http.request(reqwest::Method::POST, "/v1/chat/completions");
            let request = request.header("x-request-id", format!("line-{n_asked}-end"));
            let answer = request.json(&with(long(), &json!({"max_tokens": 1}))).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            n_asked += 1;
            tokio::task::yield_now().await;
            if n_asked >= 20 && server.output().matches("upgraded").count() >= 2 {
                return n_asked;
            }
        }
    };
    let ((), n_asked) = tokio::join!(upgrading, asking);
    eventually("each request is in the log of the gateway", || async {
        let logs = files(&server);
        let log = logs.get("gateway").expect("the gateway logs");
        (0..n_asked).all(|n| log.contains(&format!("line-{n}-end"))).then_some(())
    })
    .await;
}
