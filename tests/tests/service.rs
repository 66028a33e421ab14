//! What a service manager hears of the server, hands to it and has on disk for it.

mod activation;
mod installation;
mod package;

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixDatagram},
};

use crate::harness::{Server, Setup, Signal, chat, eventually, signal};

/// Where systemd would listen.
struct Manager(UnixDatagram);

impl Manager {
    /// The lines that are there.
    fn heard(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let mut lines = Vec::new();
        while let Ok(n) = self.0.recv(&mut buffer) {
            lines.extend(String::from_utf8_lossy(&buffer[..n]).lines().map(ToOwned::to_owned));
        }
        lines
    }

    /// Waits until a line is said that `is_so` wants; answers all until then.
    async fn hears(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        eventually(what, || {
            lines.extend(self.heard());
            std::future::ready(lines.iter().any(|line| is_so(line)).then_some(()))
        })
        .await;
        lines
    }
}

#[tokio::test]
async fn a_service_manager_hears_of_the_start_the_state_every_sign_of_life_and_the_end() {
    let setup = Setup::new();
    let path = setup.path("notify.sock");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_nonblocking(true).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let mut server = Server::start_in(setup.write_config(), &[], &environment).await;

    let begin = manager.hears("it serves", |line| line == "READY=1").await;
    assert!(begin.iter().all(|line| line != "STOPPING=1"), "{begin:?}");
    server.http.ask(&chat("count from 1 to 3")).await;
    let idle = format!("STATUS=serving on {}; 1 model up, 0 requests", server.listen);
    manager.hears("its state", |line| line == idle).await;
    manager.hears("a sign of life", |line| line == "WATCHDOG=1").await;

    signal(server.pid(), Signal::SIGTERM);
    manager.hears("the end", |line| line == "STOPPING=1").await;
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn the_journal_gets_a_priority_with_each_line_and_no_time() {
    let setup = Setup::new();
    // What a test's server writes to, and so what its journal is.
    let journal = fs::File::create(setup.path("output")).unwrap().metadata().unwrap();
    let stream = format!("{}:{}", journal.dev(), journal.ino());
    let server = Server::start_in(setup.write_config(), &[], &[("JOURNAL_STREAM", &stream)]).await;
    let listening = format!("<6>impetus_supervisor::server::greeting: listening on http://{}", server.listen);
    eventually("it says where", || {
        std::future::ready(server.output().lines().any(|line| line == listening).then_some(()))
    })
    .await;
    for line in server.output().lines() {
        let has_priority = ["<3>", "<4>", "<6>", "<7>"].iter().any(|priority| line.starts_with(priority));
        assert!(has_priority && !line.contains('\u{1b}'), "{line}");
    }
}
