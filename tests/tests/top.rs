//! `supervisorctl top`: live in a terminal, and as one frame.

use crate::{
    chat::counted,
    harness::{Server, Signal, Terminal, chat},
};

/// What leads back to the screen that was there before.
const FORMER_SCREEN: &str = "\x1b[?1049l";

async fn top(server: &Server) -> Terminal {
    let mut terminal = server.ctl_in_terminal(&["top"]);
    terminal.shows("\x1b[?1049h").await;
    terminal.shows("gateway ready on").await;
    terminal
}

#[tokio::test]
async fn it_is_live_and_leaves_the_terminal_as_it_was() {
    let mut server = Server::plain().await;
    let mut terminal = top(&server).await;
    terminal.shows("0 of 1 models loaded").await;
    assert_eq!(server.http.ask(&chat("count from 1 to 20")).await.text, counted(20));
    terminal.shows("1 of 1 models loaded").await;
    terminal.shows("impetus-tiny").await;
    terminal.keys("s");
    terminal.shows("s sorts (by model)").await;
    terminal.keys("\x1b[B");
    terminal.resize(200, 50);
    // Another size has another last line.
    terminal.shows("\x1b[50;1H").await;

    // A server that goes is waited for.
    server.kill_supervisor().await;
    terminal.shows("the server does not answer").await;
    server.start_again(&[]).await;
    terminal.shows("gateway ready on").await;
    terminal.keys("q");
    terminal.shows(FORMER_SCREEN).await;
    assert_eq!(terminal.ended().await.code(), Some(0));
}

#[tokio::test]
async fn every_way_out_restores_the_terminal() {
    let server = Server::plain().await;
    let mut interrupted = top(&server).await;
    interrupted.keys("\x03");
    interrupted.shows(FORMER_SCREEN).await;
    assert_eq!(interrupted.ended().await.code(), Some(0));
    for (number, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let mut terminal = top(&server).await;
        terminal.signal(number);
        terminal.shows(FORMER_SCREEN).await;
        assert_eq!(terminal.ended().await.code(), Some(code), "{number}");
    }
}

#[tokio::test]
async fn one_frame_is_for_scripts() {
    let server = Server::plain().await;
    server.http.ask(&chat("count from 1 to 20")).await;
    let output = server.ctl(&["top", "--once"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let lines: Vec<&str> = output.out.lines().collect();
    assert!(lines[0].starts_with("impetus 0.1.0, up "), "{output:?}");
    assert!(lines[1].ends_with("1 of 1 models loaded"), "{output:?}");
    let worker = lines.iter().find(|line| line.contains("impetus-tiny")).expect("the worker has a line");
    assert!(worker.contains("ready") && worker.contains("0/8") && !worker.contains('\x1b'), "{output:?}");
    let live = server.ctl(&["top"]).await;
    assert_eq!(live.code, 1);
    assert!(live.err.contains("--once"), "{live:?}");
}
