use std::{
    io::{Read, Write},
    thread,
};

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn child(dir: &Path, grace_s: u32) -> Adoption {
    let socket = dir.join("child.next").to_string_lossy().into_owned();
    Adoption::listen(&AdoptionSpec { socket, token: TOKEN.into(), grace_s }).unwrap()
}

/// Connects to the child and says `token` with the ends of `n_outputs` pipes.
fn visit(dir: &Path, token: &str, n_outputs: usize) -> (UnixStream, Vec<io::PipeReader>) {
    let stream = UnixStream::connect(dir.join("child.next")).unwrap();
    let (readers, writers): (Vec<_>, Vec<_>) = (0..n_outputs).map(|_| io::pipe().unwrap()).unzip();
    let descriptors: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
    passing::write(&stream, &Adopt { token: token.into() }, &descriptors).unwrap();
    (stream, readers)
}

fn is_shown_out(mut stream: UnixStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn only_who_knows_the_token_and_brings_outputs_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let child = child(dir.path(), 60);
    // They all wait already, as a supervisor may that comes before the end of its predecessor is noticed.
    let mut strangers: Vec<_> = [("", 2), ("0123456789abcdef0123456789abcdee", 2), (TOKEN, 1), (TOKEN, 3)]
        .into_iter()
        .map(|(token, n_outputs)| visit(dir.path(), token, n_outputs).0)
        .collect();
    let mut garbage = UnixStream::connect(dir.path().join("child.next")).unwrap();
    garbage.write_all(&[0xff; 64]).unwrap();
    strangers.push(garbage);
    let (mut supervisor, mut outputs) = visit(dir.path(), TOKEN, 2);

    let (mut channel, descriptors) = child.meet().expect("the last one is let in");
    assert!(strangers.into_iter().all(is_shown_out));
    channel.write_all(b"hello").unwrap();
    let mut said = [0; 5];
    supervisor.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
    for (descriptor, expected) in descriptors.into_iter().zip(["out", "err"]) {
        std::fs::File::from(descriptor).write_all(expected.as_bytes()).unwrap();
        let mut text = String::new();
        outputs.remove(0).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
}

#[test]
fn who_is_silent_keeps_others_waiting_for_a_moment_only() {
    let dir = tempfile::tempdir().unwrap();
    let child = child(dir.path(), 60);
    let _silent = UnixStream::connect(dir.path().join("child.next")).unwrap();
    let _supervisor = visit(dir.path(), TOKEN, 2);
    assert!(child.meet().is_some());
}

#[test]
fn nobody_comes() {
    let dir = tempfile::tempdir().unwrap();
    let child = child(dir.path(), 0);
    assert!(child.meet().is_none());
    let socket = dir.path().join("child.next");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(child);
    assert!(!socket.exists());
}

#[test]
fn it_can_be_met_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let child = child(dir.path(), 60);
    let child = thread::spawn(move || (child.meet().is_some(), child.meet().is_some()));
    let first = visit(dir.path(), TOKEN, 2);
    drop(first);
    let _second = visit(dir.path(), TOKEN, 2);
    assert_eq!(child.join().unwrap(), (true, true));
}

#[test]
fn a_child_without_a_token_listens_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("child.next").to_string_lossy().into_owned();
    let error = Adoption::listen(&AdoptionSpec { socket, token: String::new(), grace_s: 1 }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
