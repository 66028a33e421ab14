//! A second address that the same is served on: it goes the way of the first one, whatever becomes of the processes.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use impetus_tests::process::install;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    chat::counted,
    harness::{
        Http, Output, RawConnection, Server, Setup, Signal, chat, command, eventually, is_alive, program,
        signal,
    },
};

/// The setting under which the system chooses a port.
const ANY: &str = "gateway.ollama_listen='127.0.0.1:0'";

/// Where the gateway listens for Ollama's clients, if it does.
async fn ollama(server: &Server) -> Option<SocketAddr> {
    let gateway = server.status().await.gateway.unwrap();
    let found = gateway.entrances.into_iter().find(|entrance| entrance.name == "ollama")?;
    Some(found.listen.parse().unwrap())
}

async fn start() -> (Server, SocketAddr) {
    let server = Setup::new().set(ANY).set("supervisor.orphan_grace_s=60").start().await;
    let listen = ollama(&server).await.expect("it is configured");
    (server, listen)
}

/// Has `listen` answer as an entrance for Ollama's clients, and as the server's own.
async fn check_serves(listen: SocketAddr) {
    check_answers(listen).await;
    assert_eq!(Http::new(listen).ask(&chat("count from 1 to 3")).await.text, counted(3));
}

/// The same of what takes no worker.
async fn check_answers(listen: SocketAddr) {
    let http = Http::new(listen);
    let root = http.get("/").await;
    assert_eq!((root.status().as_u16(), root.text().await.unwrap().as_str()), (200, "Ollama is running"));
    assert_eq!(http.request(Method::HEAD, "/").send().await.unwrap().status(), 200);
}

/// Changes the setting in the server's file and has it take that up.
async fn reload(server: &Server, former: &str, new: &str) -> Output {
    let path = server.path("impetus.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains(former), "{former} is not in\n{config}");
    fs::write(&path, config.replacen(former, new, 1)).unwrap();
    server.ctl(&["reload"]).await
}

async fn is_closed(listen: SocketAddr) {
    let refused = || async { RawConnection::open(listen).await.is_err().then_some(()) };
    eventually("nobody is let in there any more", refused).await;
}

#[tokio::test]
async fn both_addresses_serve_the_same_and_are_said() {
    let (server, listen) = start().await;
    assert!(listen.ip().is_loopback() && listen != server.listen);
    check_serves(listen).await;
    assert_eq!(server.http.ask(&chat("count from 1 to 3")).await.text, counted(3));
    let page = server.http.get("/").await;
    assert_eq!(
        page.headers()["content-type"],
        "text/html; charset=utf-8",
        "the dashboard is at the other one"
    );
    let strange = Http::new(listen).request(Method::GET, "/").header("host", "elsewhere.example");
    assert_eq!(strange.send().await.unwrap().status(), 403, "the same names as at the other one");

    let shown = server.ctl(&["status"]).await.out;
    let expected = format!("gateway ready on http://{} and http://{listen} (ollama), pid ", server.listen);
    assert!(shown.contains(&expected), "{expected}: {shown}");
    let status = server.ctl(&["status", "--json"]).await.json();
    assert_eq!(
        status["gateway"]["entrances"],
        json!([
            {"name": "gateway", "listen": server.listen, "url": format!("http://{}", server.listen)},
            {"name": "ollama", "listen": listen, "url": format!("http://{listen}")},
        ])
    );
    let report = server.ctl(&["doctor", "--json"]).await.json();
    let find = |check: &&Value| check["what"] == "gateway.ollama_listen";
    let finding = report["checks"].as_array().unwrap().iter().find(find).expect("it is looked at");
    assert_eq!(
        (&finding["verdict"], &finding["seen"]),
        (&json!("ok"), &json!(format!("the gateway on {listen} is ready")))
    );
}

#[tokio::test]
async fn a_busy_port_is_explained_before_anything_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let dir = Setup::new().write_config();
    let listen = format!("gateway.ollama_listen='{address}'");
    let mut supervisor = command(&program("supervisor"), dir.path());
    supervisor.args(["--config", "impetus.toml", "--set", &listen]);
    let refused: Output =
        tokio::task::spawn_blocking(move || supervisor.output().unwrap()).await.unwrap().into();
    assert_eq!(refused.code, 1, "{refused:?}");
    for expected in
        [&format!("{address} is in use"), "systemctl stop ollama", "set gateway.ollama_listen", "OLLAMA_HOST"]
    {
        assert!(refused.err.contains(expected), "{expected}: {refused:?}");
    }
    let mut doctor = command(&program("supervisorctl"), dir.path());
    fs::write(dir.path().join("other.toml"), format!("gateway.ollama_listen = '{address}'\n")).unwrap();
    doctor.args(["--config", "other.toml", "doctor"]);
    let seen: Output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap().into();
    assert!(seen.out.contains(&format!("{address} is taken")), "{seen:?}");
    assert!(seen.out.contains("systemctl stop ollama"), "{seen:?}");
}

#[tokio::test]
async fn a_reload_adds_moves_and_removes_it_under_streams() {
    let server = Setup::new().set("supervisor.orphan_grace_s=60").start().await;
    assert_eq!(ollama(&server).await, None);
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let listen = "listen = \"127.0.0.1:0\"";
    let with = |address: &str| format!("{listen}\nollama_listen = \"{address}\"");
    let refused = reload(&server, listen, &with(&address.to_string())).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("nothing has changed") && refused.err.contains("is in use"), "{refused:?}");
    assert_eq!(ollama(&server).await, None);
    assert_eq!(server.http.get("/health").await.status(), 200);

    let (own, gateway) = (server.listen, server.gateway_pid().await);
    let added = reload(&server, &with(&address.to_string()), &with("127.0.0.1:0")).await;
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.out.contains("gateway.ollama_listen"), "{added:?}");
    let first = ollama(&server).await.expect("it is there");
    assert_ne!(server.gateway_pid().await, gateway, "another gateway");
    check_serves(first).await;

    let mut stream = Http::new(first).stream(&chat("count from 1 to 100")).await;
    let mut text = stream.read_texts(2).await;
    let moved = reload(&server, &with("127.0.0.1:0"), &with("127.0.0.2:0")).await;
    assert_eq!(moved.code, 0, "{moved:?}");
    let second = ollama(&server).await.expect("it is elsewhere");
    assert_eq!(second.ip().to_string(), "127.0.0.2");
    check_serves(second).await;
    is_closed(first).await;
    text += &stream.whole().await.text;
    assert_eq!(text, counted(100), "what had begun there is finished");

    let removed = reload(&server, &with("127.0.0.2:0"), listen).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    assert_eq!(ollama(&server).await, None);
    is_closed(second).await;
    let status = server.status().await.gateway.unwrap();
    assert_eq!(status.listen.parse(), Ok(own), "the server's own stays where it was");
    assert_eq!(server.http.get("/health").await.status(), 200);
}

#[tokio::test]
async fn no_connection_is_refused_while_the_gateway_is_killed() {
    let (server, listen) = start().await;
    let killed = server.gateway_pid().await;
    signal(killed, Signal::SIGKILL);
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(RawConnection::open(listen).await.expect("nobody is refused"));
    }
    eventually("the gateway is dead", || async { (!is_alive(killed)).then_some(()) }).await;
    let mut connection = RawConnection::open(listen).await.expect("nobody is refused");
    connection.send_get("/").await;
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Ollama is running"), "{answer}");
    assert_eq!(ollama(&server).await, Some(listen));
}

#[tokio::test]
async fn it_outlives_its_supervisor_and_goes_over_to_the_next_one() {
    let (mut server, listen) = start().await;
    let gateway = server.gateway_pid().await;
    server.kill_supervisor().await;
    check_answers(listen).await;
    server.start_again(&[]).await;
    assert_eq!((server.gateway_pid().await, ollama(&server).await), (gateway, Some(listen)));
    check_serves(listen).await;
    // The same socket for another gateway, and for one whose own entrance is elsewhere.
    assert_eq!(server.ctl(&["restart", "gateway"]).await.code, 0);
    check_serves(listen).await;
    server.kill_supervisor().await;
    server.start_again(&["gateway.listen='127.0.0.2:0'", &format!("gateway.ollama_listen='{listen}'")]).await;
    assert_eq!((server.listen.ip().to_string().as_str(), ollama(&server).await), ("127.0.0.2", Some(listen)));
    check_serves(listen).await;
}

#[tokio::test]
async fn an_upgrade_keeps_it_open() {
    let server = Setup::new().set(ANY).installed().start().await;
    let listen = ollama(&server).await.unwrap();
    let other = server.path("other/bin");
    install(&other).unwrap();
    let knocking = tokio::spawn(async move {
        let mut turns = tokio::time::interval(Duration::from_millis(2));
        loop {
            turns.tick().await;
            drop(RawConnection::open(listen).await.expect("nobody is refused"));
        }
    });
    let upgraded = server.ctl(&["upgrade", "--binaries", other.to_str().unwrap()]).await;
    knocking.abort();
    assert!(knocking.await.unwrap_err().is_cancelled(), "a connection was refused");
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    assert_eq!(ollama(&server).await, Some(listen));
    check_serves(listen).await;
}
