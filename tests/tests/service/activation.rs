//! The service manager listens, and the server serves.

use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use serde_json::Value;

use crate::harness::{
    Http, Output, RawConnection, Server, Setup, Signal, activated, chat, command_for, signal,
};

/// A socket as a service manager holds it, and where it listens.
fn held() -> (OwnedFd, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket.into(), address)
}

/// A connection with a chat on it, which ends with its answer.
async fn asked(address: SocketAddr) -> RawConnection {
    let body = chat("count from 1 to 3").to_string();
    let length = body.len();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json";
    let mut connection = RawConnection::open(address).await.expect("the connection is not refused");
    connection.send(&format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    connection
}

async fn answer(mut connection: RawConnection) -> String {
    let text = connection.read_to_end().await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn requests_that_came_before_the_server_and_while_it_starts_again_are_answered() {
    let (socket, address) = held();
    let early = asked(address).await;
    let mut server =
        Server::start_activated(Setup::new().write_config(), &[], vec![("gateway", socket)]).await;
    assert_eq!(server.listen, address);
    let expected = answer(early).await;
    assert_eq!(server.http.ask(&chat("count from 1 to 3")).await.text, expected);
    let gateway = server.gateway_pid().await;
    let environment = fs::read(format!("/proc/{gateway}/environ")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&environment).contains("LISTEN_"), "it is not the gateway's to know");

    signal(server.pid(), Signal::SIGTERM);
    assert!(server.ended().await.success());
    let waiting = [asked(address).await, asked(address).await];
    server.start_again(&[]).await;
    assert_eq!(server.listen, address);
    for connection in waiting {
        assert_eq!(answer(connection).await, expected);
    }
}

#[tokio::test]
async fn a_gateway_that_outlived_its_supervisor_serves_on_the_socket_that_the_next_one_is_passed() {
    let (socket, address) = held();
    let mut server =
        Server::start_activated(Setup::new().write_config(), &[], vec![("gateway", socket)]).await;
    let gateway = server.gateway_pid().await;
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    assert_eq!((server.gateway_pid().await, server.listen), (gateway, address));
    answer(asked(address).await).await;
}

#[tokio::test]
async fn a_reload_does_not_leave_the_service_managers_socket_without_a_gateway() {
    let (socket, address) = held();
    let server = Server::start_activated(Setup::new().write_config(), &[], vec![("gateway", socket)]).await;
    let path = server.path("impetus.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("127.0.0.1:0", "127.0.0.2:0")).unwrap();
    let refused = server.ctl(&["reload"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("nothing has changed: gateway.listen: the service manager"), "{refused:?}");
    answer(asked(address).await).await;
}

/// How a supervisor ends that is passed `socket` under this name and listens on `listen`.
async fn refused((name, socket): (&str, OwnedFd), listen: &str) -> Output {
    let dir = Setup::new().write_config();
    let sets = [format!("gateway.listen={listen}")];
    let mut command = activated(&command_for(dir.path(), &sets, &[]), &[(name, socket)]);
    let ended = tokio::task::spawn_blocking(move || command.output().expect("a shell can be started"));
    ended.await.unwrap().into()
}

#[tokio::test]
async fn what_the_gateway_cannot_serve_on_is_refused_by_name() {
    let check = async |name: &str, socket: OwnedFd, listen: &str, expected: &str| {
        let output = refused((name, socket), listen).await;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.err.contains(expected), "{expected}: {output:?}");
    };
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap().into();
    let expected = "supervisor: descriptor 3 (gateway), which the service manager passes for the gateway, is a socket for \
                    datagrams";
    check("gateway", datagrams, "127.0.0.1:0", expected).await;
    let file = fs::File::open("/dev/null").unwrap().into();
    check("gateway", file, "127.0.0.1:0", "is no socket; the socket unit needs one ListenStream=").await;
    let (socket, address) = held();
    let expected = format!("listens on {address}, and gateway.listen is 127.0.0.1:1; make both the same");
    check("gateway", socket, "127.0.0.1:1", &expected).await;
    let (socket, address) = held();
    let expected = format!("listens on {address}, and gateway.listen is 0.0.0.0:{}", address.port());
    check("gateway", socket, &format!("0.0.0.0:{}", address.port()), &expected).await;
    let (socket, address) = held();
    let expected = format!("listens on {address}, and gateway.ollama_listen is not set; make both the same");
    check("ollama", socket, "127.0.0.1:0", &expected).await;
}

#[tokio::test]
async fn each_entrance_is_served_on_the_socket_of_its_name() {
    let ((own, address), (ollama, elsewhere)) = (held(), held());
    let dir = Setup::new().write_config();
    let path = dir.path().join("impetus.toml");
    let config = fs::read_to_string(&path).unwrap();
    let setting = "ollama_listen = \"127.0.0.1:0\"";
    fs::write(&path, config.replace("[gateway]", &format!("[gateway]\n{setting}"))).unwrap();
    let sockets = vec![("ollama", ollama), ("gateway", own)];
    let mut server = Server::start_activated(dir, &[], sockets).await;
    for _ in 0..2 {
        let gateway = server.status().await.gateway.unwrap();
        let listen: Vec<&str> = gateway.entrances.iter().map(|entrance| entrance.listen.as_str()).collect();
        assert_eq!(listen, [address.to_string(), elsewhere.to_string()]);
        let root = Http::new(elsewhere).get("/").await;
        assert_eq!(root.text().await.unwrap(), "Ollama is running");
        // Connections wait while there is no server.
        signal(server.pid(), Signal::SIGTERM);
        assert!(server.ended().await.success());
        let waiting = [asked(address).await, asked(elsewhere).await];
        server.start_again(&[]).await;
        for connection in waiting {
            answer(connection).await;
        }
    }
    fs::write(&path, config).unwrap();
    let refused = server.ctl(&["reload"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("gateway.ollama_listen: the service manager listens"), "{refused:?}");
}
