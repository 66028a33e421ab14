use std::os::unix::net::{UnixListener, UnixStream};

use socket2::{Domain, Socket, Type};

use super::{variables::descriptors, *};

#[test]
fn the_variables_are_for_the_process_that_they_name() {
    let check = |variables: [&str; 3], expected: Result<&[&str], &str>| {
        let [pid, count, names] =
            variables.map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()));
        let told = descriptors(7, pid, count, names.as_deref());
        let shown =
            |(entrance, descriptor): (Entrance, Descriptor)| format!("{}: {descriptor}", entrance.name());
        let told = told.map(|found| found.into_iter().map(shown).collect::<Vec<_>>());
        match (told.map_err(|error| error.to_string()), expected) {
            (Ok(told), Ok(expected)) => assert_eq!(told, expected, "{variables:?}"),
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{variables:?}: {told}"),
            (told, _) => panic!("{variables:?}: {told:?}"),
        }
    };
    check(["7", "1", ""], Ok(&["gateway: descriptor 3"]));
    check(["7", "1", "impetus.socket"], Ok(&["gateway: descriptor 3 (impetus.socket)"]));
    check(["7", "1", "ollama"], Ok(&["ollama: descriptor 3 (ollama)"]));
    check(
        ["7", "2", "ollama:gateway"],
        Ok(&["ollama: descriptor 3 (ollama)", "gateway: descriptor 4 (gateway)"]),
    );
    check(["7", "0", ""], Ok(&[]));
    check(["8", "1", ""], Ok(&[]));
    check(["", "1", ""], Ok(&[]));
    check(["7", "", ""], Ok(&[]));
    check(["seven", "1", ""], Ok(&[]));
    check(["7", "2", "gateway:b"], Err("passes 2 sockets, and descriptor 4 (b) is called neither"));
    check(["7", "2", "gateway"], Err("passes 2 sockets, and descriptor 4 is called neither"));
    check(["7", "many", ""], Err("LISTEN_FDS=\"many\" is not a number"));
    check(["7", "-1", ""], Err("LISTEN_FDS=\"-1\" is not a number"));
}

#[test]
fn only_a_tcp_socket_that_listens_is_served_on() {
    let check = |passed: OwnedFd, expected: Option<&str>| {
        let told = listener(Entrance::Gateway, passed).map(|_| ()).map_err(|fault| fault.to_string());
        assert_eq!(told.err().as_deref(), expected);
    };
    let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    check(TcpListener::bind("127.0.0.1:0").unwrap().into(), None);
    check(TcpListener::bind("[::1]:0").unwrap().into(), None);
    check(tcp().into(), Some("is a socket that does not listen"));
    check(UnixStream::pair().unwrap().0.into(), Some("is a socket that does not listen"));
    check(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into(), Some("is a socket for datagrams"));
    check(std::fs::File::open("/dev/null").unwrap().into(), Some("is no socket"));
    let dir = tempfile::tempdir().unwrap();
    check(UnixListener::bind(dir.path().join("s")).unwrap().into(), Some("is no TCP socket"));
}

#[test]
fn what_is_served_on_is_not_left_to_children() {
    let passed = TcpListener::bind("127.0.0.1:0").unwrap().into();
    let listener = listener(Entrance::Gateway, passed).unwrap();
    let flags = fcntl(listener.socket.as_fd(), FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
}
