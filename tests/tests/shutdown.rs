//! How a server goes: it lets requests finish, takes no new ones, and leaves nothing.

use std::io::ErrorKind;

use serde_json::json;

use crate::{
    crash::endless,
    harness::{Event, RawConnection, Server, Signal, eventually, processes_in, signal},
};

async fn until_refused(server: &Server) {
    eventually("new connections are refused", || async {
        let refused = RawConnection::open(server.listen).await.err()?;
        (refused.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sigterm_lets_a_stream_finish_and_refuses_new_connections() {
    let mut server = Server::plain().await;
    let mut body = endless();
    body["max_tokens"] = json!(1500);
    let mut stream = server.http.stream(&body).await;
    stream.read_texts(1).await;
    signal(server.pid(), Signal::SIGTERM);
    until_refused(&server).await;
    let answer = stream.whole().await;
    assert_eq!((answer.finish_reason.as_str(), &answer.usage["completion_tokens"]), ("length", &json!(1500)));
    assert_eq!(server.ended().await.code(), Some(0));
    assert_eq!(processes_in(&server.path("")), []);
    assert!(!server.path("run/supervisor.sock").exists());
}

#[tokio::test]
async fn a_second_signal_hurries() {
    let mut server = Server::plain().await;
    let mut stream = server.http.stream(&endless()).await;
    stream.read_texts(1).await;
    let worker = server.worker().await.pid;
    // It would never finish what it has.
    signal(worker, Signal::SIGSTOP);
    signal(server.pid(), Signal::SIGTERM);
    until_refused(&server).await;
    signal(server.pid(), Signal::SIGTERM);
    assert_eq!(server.ended().await.code(), Some(0));
    assert_eq!(processes_in(&server.path("")), []);
}

#[tokio::test]
async fn an_interrupt_ends_an_idle_server() {
    let mut server = Server::plain().await;
    signal(server.pid(), Signal::SIGINT);
    assert_eq!(server.ended().await.code(), Some(0));
    assert_eq!(processes_in(&server.path("")), []);
}

#[tokio::test]
async fn unloading_waits_for_what_runs() {
    let server = Server::plain().await;
    let mut body = endless();
    body["max_tokens"] = json!(700);
    let mut stream = server.http.stream(&body).await;
    stream.read_texts(1).await;
    let (rest, unloaded) = tokio::join!(stream.rest(), server.ctl(&["unload", "impetus-tiny"]));
    assert_eq!(rest.last(), Some(&Event::Done));
    assert_eq!((unloaded.code, unloaded.out.as_str()), (0, "impetus-tiny is unloaded\n"));
    assert!(server.find_worker("impetus-tiny").await.is_none_or(|worker| worker.pid == 0));
}
