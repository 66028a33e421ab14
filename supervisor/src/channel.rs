//! The supervisor's end of a child's channel: the framing of `impetus_proto::channel`, without blocking.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use impetus_proto::passing;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// The longest frame accepted from a child, in bytes.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// Bytes of a length that can still be within bounds.
const MAX_LENGTH_BYTES: usize = 4;

/// Both directions, split.
pub fn split(channel: UnixStream) -> (Reader, Writer) {
    let (reader, writer) = channel.into_split();
    (Reader { inner: reader, buffer: Vec::new() }, Writer { inner: writer })
}

/// Messages from a child.
#[derive(Debug)]
pub struct Reader<R = OwnedReadHalf> {
    inner: R,
    buffer: Vec<u8>,
}

/// Messages to a child.
#[derive(Debug)]
pub struct Writer {
    inner: OwnedWriteHalf,
}

impl<R: tokio::io::AsyncRead + Unpin> Reader<R> {
    /// The next message; `None` at the end. May be dropped and called again without loss.
    pub async fn next<M: Message + Default>(&mut self) -> io::Result<Option<M>> {
        loop {
            if let Some(message) = take(&mut self.buffer)? {
                return Ok(Some(message));
            }
            if self.inner.read_buf(&mut self.buffer).await? == 0 {
                let is_clean = self.buffer.is_empty();
                return if is_clean { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

impl Writer {
    /// Sends one message.
    pub async fn send<M: Message>(&mut self, message: &M) -> io::Result<()> {
        self.inner.write_all(&message.encode_length_delimited_to_vec()).await
    }

    /// Sends one message, and `descriptor` with its first byte.
    pub async fn send_with<M: Message>(&mut self, message: &M, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let frame = message.encode_length_delimited_to_vec();
        let channel: &UnixStream = self.inner.as_ref();
        let begin = || passing::begin(channel.as_fd(), &frame, &[descriptor]);
        let sent = channel.async_io(Interest::WRITABLE, begin).await?;
        self.inner.write_all(frame.get(sent..).unwrap_or_default()).await
    }
}

/// Takes one whole message off the front of `buffer`, if it is there.
fn take<M: Message + Default>(buffer: &mut Vec<u8>) -> io::Result<Option<M>> {
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let Some(end) = buffer.iter().take(MAX_LENGTH_BYTES).position(|byte| byte & 0x80 == 0) else {
        let is_too_long = buffer.len() >= MAX_LENGTH_BYTES;
        return if is_too_long { Err(invalid("a frame's length has no end".into())) } else { Ok(None) };
    };
    let mut front = buffer.as_slice();
    let length = prost::decode_length_delimiter(&mut front).map_err(|error| invalid(error.to_string()))?;
    if length > MAX_FRAME_BYTES {
        return Err(invalid(format!("a frame of {length} bytes is longer than {MAX_FRAME_BYTES}")));
    }
    let Some(frame) = front.get(..length) else { return Ok(None) };
    let message = M::decode(frame).map_err(|error| invalid(error.to_string()))?;
    buffer.drain(..end + 1 + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use impetus_proto::launch::WorkerSpec;

    use super::*;

    async fn read_all(bytes: &[u8]) -> io::Result<Vec<WorkerSpec>> {
        let mut reader = Reader { inner: bytes, buffer: Vec::new() };
        let mut all = Vec::new();
        while let Some(spec) = reader.next().await? {
            all.push(spec);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn messages_are_taken_one_by_one() {
        let long = WorkerSpec { model: "m".repeat(70_000), ..WorkerSpec::default() };
        let specs = [long, WorkerSpec { slots: 3, ..WorkerSpec::default() }, WorkerSpec::default()];
        let bytes: Vec<u8> = specs.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        assert_eq!(read_all(&bytes).await.unwrap(), specs);
        assert!(read_all(&bytes[..bytes.len() - 2]).await.is_err(), "a torn frame");
    }

    #[tokio::test]
    async fn a_file_comes_with_its_message() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_reader, mut writer) = split(ours);
        let theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        // More than the socket takes at once.
        let long = WorkerSpec { model: "m".repeat(900_000), ..WorkerSpec::default() };
        let receiving = std::thread::spawn(move || {
            [passing::read::<WorkerSpec>(&theirs), passing::read::<WorkerSpec>(&theirs)].map(|got| {
                let (spec, descriptors) = got.unwrap().unwrap();
                (
                    spec,
                    descriptors
                        .into_iter()
                        .map(std::fs::File::from)
                        .map(io::read_to_string)
                        .collect::<Vec<_>>(),
                )
            })
        });
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"kept").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        writer.send_with(&long, file.as_fd()).await.unwrap();
        writer.send(&WorkerSpec::default()).await.unwrap();
        let [(first, files), (second, no_files)] = receiving.join().unwrap();
        assert_eq!((first, second), (long, WorkerSpec::default()));
        assert_eq!(files.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["kept"]);
        assert!(no_files.is_empty());
    }

    #[tokio::test]
    async fn garbage_is_an_error_not_an_allocation() {
        for bytes in [&[0xff; 4][..], &[0xff, 0xff, 0xff, 0x7f], &[0x02, 0xff, 0xff]] {
            assert!(read_all(bytes).await.is_err(), "{bytes:?}");
        }
    }
}
