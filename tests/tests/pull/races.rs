//! Pulls, uploads and people that are in each other's way.

use impetus_tests::process::signal;
use nix::sys::signal::Signal;
use reqwest::Method;

use super::*;
use crate::harness::{RawConnection, command, eventually, program};

/// How often one who goes away is followed by one who comes.
const N_TURNS: usize = 20;

impl Server {
    /// Somebody at a terminal, who follows a pull.
    fn follows(&self, arguments: &[&str]) -> std::process::Child {
        let mut command = command(&program("supervisorctl"), &self.path("."));
        command.arg("--config").arg(self.path("impetus.toml")).arg("pull").args(arguments);
        command.spawn().expect("supervisorctl can be started")
    }

    async fn pulls_by(&self, is_so: impl Fn(&serde_json::Value) -> bool) -> usize {
        let listed = self.ctl(&["pull", "--list", "--json"]).await.json();
        listed["pulls"].as_array().expect("it is a list").iter().filter(|pull| is_so(pull)).count()
    }
}

/// Ends somebody at a terminal, and waits for that.
async fn interrupt(mut child: std::process::Child) {
    signal(child.id(), Signal::SIGINT);
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_as_another_goes_away_goes_on() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let server = setup(&hub).start().await;
    for turn in 1..=N_TURNS {
        let bytes = (1 << 20) + 400_000 * turn as u64;
        hub.allow(Some(bytes));
        let child = server.follows(&["owner/tiny"]);
        eventually("it runs", || async {
            let is_running = |pull: &serde_json::Value| pull["state"] == "running";
            (server.pulls_by(is_running).await == 1).then_some(())
        })
        .await;
        interrupt(child).await;
    }
    hub.allow(None);
    server.pull(&["owner/tiny"]).await;
    assert_eq!(server.pulls_by(|_| true).await, 0);
    assert!(!server.has_staged());
    server.counts("tiny-Q8_0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_detached_later_outlives_its_server() {
    let hub = Hub::start().await;
    hub.put("owner/tiny", tiny());
    let mut server = setup(&hub).start().await;
    hub.allow(Some(4_000_000));
    let child = server.follows(&["owner/tiny"]);
    hub.until_served(4_000_000).await;
    server.pull(&["owner/tiny", "--detach"]).await;
    interrupt(child).await;
    assert_eq!(server.pulls_by(|pull| pull["state"] == "running").await, 1);
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    hub.allow(None);
    eventually("the model is here", || async {
        server.stored().await.iter().any(|name| name == "tiny-Q8_0").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_would_have_one_name_the_first_has_it() {
    let hub = Hub::start().await;
    hub.put("one/tiny", tiny());
    hub.put("other/tiny", tiny());
    // Neither takes all that is allowed.
    let server = setup(&hub).set("pull.connections=1").start().await;
    hub.allow(Some(1_500_000));
    server.pull(&["one/tiny", "--detach"]).await;
    let both = server.follows(&["other/tiny"]);
    eventually("both have begun", || async {
        (server.pulls_by(|pull| pull["state"] == "running").await == 2).then_some(())
    })
    .await;
    hub.allow(Some(8_000_000));
    // Both know by then that the name is free.
    eventually("both are on their way", || async {
        let has_begun = |pull: &serde_json::Value| pull["bytes"].as_u64() > Some(0);
        (server.pulls_by(has_begun).await == 2).then_some(())
    })
    .await;
    hub.allow(None);
    let output = tokio::task::spawn_blocking(move || both.wait_with_output().unwrap()).await.unwrap();
    eventually("neither is on its way", || async {
        (server.pulls_by(|pull| pull["state"] == "running").await == 0).then_some(())
    })
    .await;
    let listed = server.ctl(&["list", "--json"]).await.json();
    let sources: Vec<&str> =
        listed["models"].as_array().unwrap().iter().map(|model| model["source"].as_str().unwrap()).collect();
    assert_eq!(sources, [if output.status.success() { "hf:other/tiny" } else { "hf:one/tiny" }]);
    let failed: Vec<_> = server.ctl(&["pull", "--list", "--json"]).await.json()["pulls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pull| pull["detail"].as_str().unwrap().to_owned())
        .collect();
    assert!(failed.len() == 1 && failed[0].contains("is the name of a model of the store"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Setup::new().set("pull.reserve='0B'").start().await;
    let mut connection = RawConnection::open(server.listen).await.unwrap();
    let host = server.listen;
    let head = format!(
        "POST /admin/models?name=sent HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10000000\r\n\
         content-type: application/octet-stream\r\n\r\nGGUF"
    );
    connection.send(&head).await;
    eventually("it comes", || async { server.has_staged().then_some(()) }).await;
    drop(connection);
    eventually("it is given up", || async { (!server.has_staged()).then_some(()) }).await;
    // Its name is free still.
    let bytes = fs::read(bundled_model()).unwrap();
    let request = server.http.request(Method::POST, "/admin/models?name=sent").body(bytes);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_its_supervisor() {
    let mut server = Setup::new().set("pull.reserve='0B'").start().await;
    let bytes = fs::read(bundled_model()).unwrap();
    let (mut connection, rest) = (RawConnection::open(server.listen).await.unwrap(), bytes.len() / 2);
    let host = server.listen;
    let head = format!(
        "POST /admin/models?name=sent HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\
         content-type: application/octet-stream\r\nconnection: close\r\n\r\n",
        bytes.len()
    );
    connection.send(&head).await;
    connection.send_bytes(&bytes[..rest]).await;
    eventually("it comes", || async { server.has_staged().then_some(()) }).await;
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    connection.send_bytes(&bytes[rest..]).await;
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.stored().await, ["sent"]);
}
