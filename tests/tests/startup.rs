//! What keeps a server from starting is said at once, with what to do about it.

use std::{net::TcpListener, path::Path, time::Instant};

use crate::harness::{Output, Server, Setup, command, program};

/// Runs a supervisor that is expected to end by itself.
async fn supervisor(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(&program("supervisor"), dir);
    command.args(arguments).envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

#[tokio::test]
async fn a_second_supervisor_is_refused_at_once_and_told_by_whom() {
    let server = Server::plain().await;
    let begun = Instant::now();
    let second = supervisor(&server.path(""), &["--config", "impetus.toml"], &[]).await;
    assert!(begun.elapsed().as_millis() < 1000, "{:?}", begun.elapsed());
    assert_eq!(second.code, 1);
    assert!(second.err.contains(&format!("another supervisor (pid {})", server.pid())), "{}", second.err);
    assert!(second.err.contains("supervisor.state_dir"), "{}", second.err);
    assert_eq!(server.http.get("/health").await.status(), 200, "the first one does not mind");
}

#[tokio::test]
async fn a_busy_port_is_reported_with_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let dir = Setup::new().write_config();
    let listen = format!("gateway.listen={address}");
    let output = supervisor(dir.path(), &["--config", "impetus.toml", "--set", &listen], &[]).await;
    assert_eq!(output.code, 1);
    assert!(output.err.contains(&format!("{address} is in use")), "{}", output.err);
    if cfg!(target_os = "linux") {
        assert!(output.err.contains(&format!("(pid {})", std::process::id())), "{}", output.err);
    }
}

#[tokio::test]
async fn the_configuration_is_printed_with_its_sources() {
    let dir = Setup::new().write_config();
    let arguments = ["--config", "impetus.toml", "--print-config", "--set", "log.level=debug"];
    let variables = [("IMPETUS_GATEWAY__KEEP_ALIVE_S", "3")];
    let output = supervisor(dir.path(), &arguments, &variables).await;
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    let check = |setting: &str, source: &str| {
        let line = output.out.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("no {setting} in\n{}", output.out));
        let (_, comment) = line.split_once("  # ").unwrap();
        assert!(comment.contains(source), "{line}");
    };
    check("gateway.listen = \"127.0.0.1:0\"", "impetus.toml:3");
    check("gateway.keep_alive_s = 3", "IMPETUS_GATEWAY__KEEP_ALIVE_S");
    check("log.level = \"debug\"", "--set log.level");
    check("gateway.max_body_bytes = 33554432", "default");
    check("workers.gguf.threads = 1", "impetus.toml");
}

#[tokio::test]
async fn a_wrong_configuration_is_told_what_is_wrong_and_where() {
    let dir = Setup::new().write_config();
    let check = async |arguments: &[&str], variables: &[(&str, &str)], words: &[&str]| {
        let output = supervisor(dir.path(), arguments, variables).await;
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{arguments:?}: {}", output.err);
        for word in words {
            assert!(output.err.contains(word), "{word:?} is not in {:?}", output.err);
        }
    };
    let with_file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        ["--config".to_owned(), name.to_owned()]
    };
    let file = with_file("typo.toml", "[gateway]\nlissen = \"127.0.0.1:1\"\n");
    check(&file.each_ref().map(String::as_str), &[], &["typo.toml:2", "gateway.lissen", "gateway.listen?"])
        .await;
    let file = with_file("type.toml", "\n[workers.gguf]\nslots = \"four\"\n");
    let words = ["type.toml:3", "workers.gguf.slots", "\"four\"", "whole number"];
    check(&file.each_ref().map(String::as_str), &[], &words).await;
    let file = with_file("syntax.toml", "[gateway\n");
    check(&file.each_ref().map(String::as_str), &[], &["syntax.toml:1:", "not valid TOML"]).await;
    check(&["--config", "nowhere.toml"], &[], &["nowhere.toml", "cannot read"]).await;
    let good = ["--config", "impetus.toml"];
    let listen = [("IMPETUS_GATEWAY__LISTEN", "everywhere")];
    check(&good, &listen, &["IMPETUS_GATEWAY__LISTEN", "everywhere", "127.0.0.1:8080"]).await;
    let set = ["--config", "impetus.toml", "--set", "log.rotation=yearly"];
    check(&set, &[], &["log.rotation", "yearly", "minutely, hourly, daily or never"]).await;
    let set = ["--config", "impetus.toml", "--set", "nonsense"];
    check(&set, &[], &["nonsense", "section.key=value"]).await;
    let worker = ["--config", "impetus.toml", "--set", "workers.mine.patterns=[\"*.mine\"]"];
    check(&worker, &[], &["workers.mine.command"]).await;
}
