//! HTTP written by hand, for clients that do not behave.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::wait::PATIENCE;

pub(crate) struct RawConnection(TcpStream);

impl RawConnection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    /// A connection of a client that has hardly any room for what it is sent.
    pub(crate) async fn open_narrow(address: SocketAddr) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect(address).await.map(Self)
    }

    /// Sends a chat or a completion.
    pub(crate) async fn send_post(&mut self, path: &str, body: &str) {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        self.send(&(head + body)).await;
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// A GET that asks for the connection to be closed after its answer.
    pub(crate) async fn send_get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
    }

    /// Everything until the server closes the connection.
    pub(crate) async fn read_to_end(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        timeout(PATIENCE, self.0.read_to_string(&mut text)).await.expect("the server ends the connection")?;
        Ok(text)
    }
}
