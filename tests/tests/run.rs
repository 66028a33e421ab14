//! `supervisorctl run`: answers through pipes, and chats in a terminal.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use serde_json::{Value, json};

use crate::{
    chat::counted,
    harness::{Output, Server, Setup, Signal, Terminal, command, eventually, program},
};

const MODEL: &str = "impetus-tiny";

/// A chat with the bundled model, at its first prompt.
async fn chat(server: &Server, options: &[&str]) -> Terminal {
    let mut terminal = server.ctl_in_terminal(&[&["run", MODEL, "--temperature", "0"], options].concat());
    terminal.shows("/help lists the commands").await;
    terminal.shows(">>> ").await;
    terminal
}

/// Types a line, and waits until `answer` and the next prompt are there.
async fn say(terminal: &mut Terminal, line: &str, answer: &str) {
    terminal.keys(&format!("{line}\r"));
    terminal.shows(answer).await;
    terminal.shows(">>> ").await;
}

/// Runs it with `input` coming through a pipe.
async fn piped(server: &Server, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut command = command(&program("supervisorctl"), &server.path("."));
    command.arg("--config").arg(server.path("impetus.toml")).arg("run").args(arguments);
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap().into()
}

#[tokio::test]
async fn one_answer_goes_through_pipes() {
    let server = Server::plain().await;
    let check = async |arguments: &[&str], input: &str, expected: &str| {
        let output = piped(&server, &[&[MODEL, "--temperature", "0"], arguments].concat(), &[], input).await;
        assert_eq!((output.code, output.out.as_str()), (0, expected), "{arguments:?}: {output:?}");
        output.err
    };
    check(&["count from 1 to 20"], "", &format!("{}\n", counted(20))).await;
    check(&["count", "from", "1", "to", "5"], "", "1, 2, 3, 4, 5\n").await;
    check(&[], "count from 1 to 5\n", "1, 2, 3, 4, 5\n").await;
    check(&["--stop", ", 4", "count from 1 to 20"], "", "1, 2, 3\n").await;
    check(&["Repeat after me: first line"], "second line\n", "first line\n\nsecond line\n").await;
    let told = check(&["--verbose", "--max-tokens", "4", "count from 1 to 20"], "", "1, 2\n").await;
    assert!(told.starts_with("prompt: ") && told.contains("answer: 4 tokens"), "{told}");
    let schema = r#"{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"],"additionalProperties":false}"#;
    let arguments = [
        MODEL,
        "--temperature",
        "0",
        &format!("--json={schema}"),
        "Give me a person named Ada aged 36 as JSON.",
    ];
    let output = piped(&server, &arguments, &[], "").await;
    let answer: Value =
        serde_json::from_str(&output.out).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(answer["age"].is_i64(), "{answer}");
}

#[tokio::test]
async fn the_exit_code_says_what_went_wrong() {
    let server = Server::plain().await;
    let check = async |arguments: &[&str], input: &str, code: i32, expected: &str| {
        let output = piped(&server, arguments, &[], input).await;
        assert_eq!((output.code, output.out.as_str()), (code, ""), "{arguments:?}: {output:?}");
        assert!(output.err.contains(expected), "{output:?}");
    };
    check(&["nobody", "hello"], "", 4, "nobody").await;
    check(&[MODEL], "", 1, "nothing to say").await;
    check(&[MODEL, "--temperature", "hot", "hello"], "", 1, "expected a number").await;
    check(&[MODEL, "--temperature", "9", "hello"], "", 1, "temperature").await;
    check(&[MODEL, "--json={", "hello"], "", 1, "not JSON").await;
    check(&[MODEL, "--key-file", "none", "hello"], "", 1, "cannot read the key in none").await;
}

#[tokio::test]
async fn a_key_comes_from_the_environment_or_a_file() {
    let server = Server::plain().await;
    let key = server.ctl(&["key", "add", "me"]).await.out.trim().to_owned();
    let asked = ["impetus-tiny", "--temperature", "0", "count from 1 to 3"];
    let refused = eventually("keys are asked for", || async {
        let output = piped(&server, &asked, &[], "").await;
        (output.code == 1).then_some(output)
    })
    .await;
    assert!(refused.err.contains("401") && refused.err.contains("IMPETUS_API_KEY"), "{refused:?}");
    let told = piped(&server, &asked, &[("IMPETUS_API_KEY", &key)], "").await;
    assert_eq!((told.code, told.out.as_str()), (0, "1, 2, 3\n"), "{told:?}");
    fs::write(server.path("key"), format!("{key}\n")).unwrap();
    let read = piped(&server, &[&asked[..], &["--key-file", "key"]].concat(), &[], "").await;
    assert_eq!((read.code, read.out.as_str()), (0, "1, 2, 3\n"), "{read:?}");
}

#[tokio::test]
async fn a_chat_streams_answers_remembers_and_ends_with_ctrl_d() {
    let server = Server::plain().await;
    let mut terminal = chat(&server, &[]).await;
    say(&mut terminal, "count from 1 to 20", &format!("{}\r\n", counted(20))).await;
    say(&mut terminal, "/clear", "forgotten").await;
    say(&mut terminal, "My name is Ada.", "\r\n").await;
    say(&mut terminal, "What is my name?", "Your name is Ada.").await;

    // Of several lines, in both ways; only the answer has them behind each other.
    let lines = "first line\r\nsecond line\r\n";
    say(&mut terminal, "/clear", "forgotten").await;
    terminal.keys("\"\"\"\r");
    terminal.shows("... ").await;
    terminal.keys("Repeat after me: first line\r");
    terminal.shows("... ").await;
    terminal.keys("second line\r");
    terminal.shows("... ").await;
    say(&mut terminal, "\"\"\"", lines).await;
    say(&mut terminal, "/clear", "forgotten").await;
    terminal.keys("Repeat after me: first line\\\r");
    terminal.shows("... ").await;
    say(&mut terminal, "second line", lines).await;

    // Ctrl-C drops what was typed, and nothing else.
    terminal.keys("\"\"\"\r");
    terminal.shows("... ").await;
    terminal.keys("\x03");
    terminal.shows(">>> ").await;
    terminal.keys("nonsense\x03");
    terminal.shows("/bye ends the chat").await;
    terminal.shows(">>> ").await;
    say(&mut terminal, "count from 1 to 5", "1, 2, 3, 4, 5\r\n").await;
    terminal.keys("\x04");
    assert_eq!(terminal.ended().await.code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_stops_an_answer_and_not_the_chat() {
    let server = Setup::new().with_fake("slow", "step_ms = 20").start().await;
    let mut terminal = server.ctl_in_terminal(&["run", "slow"]);
    terminal.shows(">>> ").await;
    terminal.keys("hello\r");
    let busy = async |expected: bool| {
        eventually(if expected { "it generates" } else { "it has been cancelled" }, || async {
            let worker = server.find_worker("slow").await?;
            let is_so = if expected { worker.completion_tokens > 5 } else { worker.slots_busy == 0 };
            is_so.then_some(worker.completion_tokens)
        })
        .await
    };
    busy(true).await;
    terminal.keys("\x03");
    terminal.shows("stopped").await;
    terminal.shows(">>> ").await;
    assert!(busy(false).await < 500, "the rest was generated for nobody");
    say(&mut terminal, "/show", "questions with answers: 1").await;
    say(&mut terminal, "/set max_tokens 3", "max_tokens = 3").await;
    say(&mut terminal, "/retry", "ends here for its length").await;
    terminal.keys("/bye\r");
    assert_eq!(terminal.ended().await.code(), Some(0));
}

#[tokio::test]
async fn commands_steer_a_chat() {
    let server = Setup::new().with_copy("twin.gguf").start().await;
    let mut terminal = chat(&server, &["--no-history"]).await;
    say(&mut terminal, "/help", "/undo").await;
    say(&mut terminal, "/nonsense", "there is no command /nonsense").await;
    say(&mut terminal, "/retry", "nothing was asked yet").await;
    say(&mut terminal, "/set seed 7", "seed = 7").await;
    say(&mut terminal, "/set sead 7", "no parameter \"sead\"").await;
    say(&mut terminal, "/system Be brief.", "hold from now on").await;
    say(&mut terminal, "/show", "instructions: Be brief.").await;
    say(&mut terminal, "/system", "no instructions").await;
    say(&mut terminal, "count from 1 to 5", "1, 2, 3, 4, 5\r\n").await;
    say(&mut terminal, "/stats", "answer: ").await;
    say(&mut terminal, "/retry", "1, 2, 3, 4, 5\r\n").await;
    say(&mut terminal, "/save chat.json", "saved in chat.json").await;
    say(&mut terminal, "/undo", "forgotten: count from 1 to 5").await;
    say(&mut terminal, "/undo", "nothing was asked yet").await;
    say(&mut terminal, "/load chat.json", "1 questions with answers").await;
    say(&mut terminal, "/load impetus.toml", "is no saved conversation").await;
    say(&mut terminal, "/save impetus.toml", "name another file").await;
    say(&mut terminal, "/model nobody", "nobody").await;
    say(&mut terminal, "/model twin", "going on with twin").await;
    say(&mut terminal, "count from 1 to 3", "1, 2, 3\r\n").await;
    terminal.keys("/bye\r");
    assert_eq!(terminal.ended().await.code(), Some(0));
    let saved: Value = serde_json::from_slice(&fs::read(server.path("chat.json")).unwrap()).unwrap();
    let messages = json!([{"role": "user", "content": "count from 1 to 5"}, {"role": "assistant", "content": counted(5)}]);
    assert_eq!((&saved["model"], &saved["messages"]), (&json!(MODEL), &messages));
    assert_eq!(saved["settings"], json!({"seed": 7, "temperature": 0.0}));
    assert!(server.find_worker("twin").await.is_some());
    assert!(!server.path("state/inputs.json").exists(), "nothing was to be kept");
}

#[tokio::test]
async fn what_was_typed_is_there_in_the_next_chat() {
    let server = Server::plain().await;
    let mut first = chat(&server, &[]).await;
    say(&mut first, "count from 1 to 5", "1, 2, 3, 4, 5\r\n").await;
    first.keys("\x04");
    assert_eq!(first.ended().await.code(), Some(0));
    let mode = fs::metadata(server.path("state/inputs.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut second = chat(&server, &[]).await;
    second.keys("\x1b[A");
    second.shows("count from 1 to 5").await;
    say(&mut second, "", "1, 2, 3, 4, 5\r\n").await;
    // A terminal that is closed, or a service that is stopped, ends it as well.
    second.signal(Signal::SIGTERM);
    assert_eq!(second.ended().await.code(), Some(143));
}
