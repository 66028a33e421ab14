//! Messages that bring open files with them (SCM_RIGHTS): the descriptors travel with the first byte of the frame.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    time::Instant,
};

use nix::{
    cmsg_space,
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
};
use prost::Message;

use crate::channel;

/// The most descriptors that come with one message.
pub const MAX_PASSED: usize = 8;

/// Reads that end at a time if there is one, however slowly bytes arrive.
struct Until<'a> {
    channel: &'a UnixStream,
    deadline: Option<Instant>,
}

impl Until<'_> {
    fn arm(&self) -> io::Result<()> {
        let Some(deadline) = self.deadline else { return Ok(()) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.channel.set_read_timeout(Some(left))
    }

    /// The first byte of a frame with the descriptors that it brings; `None` at the end of the channel.
    fn first(&self) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
        loop {
            self.arm()?;
            match receive_byte(self.channel) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received,
            }
        }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        self.channel.read(buffer)
    }
}

/// Writes one message with `descriptors`, at most [`MAX_PASSED`], which stay open here.
pub fn write<M: Message>(
    mut channel: &UnixStream,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let frame = message.encode_length_delimited_to_vec();
    let sent = begin(channel.as_fd(), &frame, descriptors)?;
    channel.write_all(frame.get(sent..).unwrap_or_default())
}

/// Writes the beginning of a frame with `descriptors`, at most [`MAX_PASSED`], and says how many of its bytes that were:
/// at least one. The rest is written without them. For channels that do not block, too.
pub fn begin(channel: BorrowedFd<'_>, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
    loop {
        let flags = MsgFlags::empty();
        match sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(frame)], control, flags, None) {
            Err(Errno::EINTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Reads one message and the descriptors that came with it, which `exec` closes; `None` at the end of the channel. What
/// follows the message is left unread.
pub fn read<M: Message + Default>(channel: &UnixStream) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    receive(Until { channel, deadline: None })
}

/// The same, until `deadline` at the latest. Reads have no timeout afterwards.
pub fn read_until<M: Message + Default>(
    channel: &UnixStream,
    deadline: Instant,
) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let received = receive(Until { channel, deadline: Some(deadline) })?;
    channel.set_read_timeout(None)?;
    Ok(received)
}

fn receive<M: Message + Default>(mut until: Until<'_>) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let Some((first, descriptors)) = until.first()? else { return Ok(None) };
    let message = channel::read(&mut [first].as_slice().chain(&mut until))?;
    Ok(message.map(|message| (message, descriptors)))
}

fn receive_byte(channel: &UnixStream) -> io::Result<Option<(u8, Vec<OwnedFd>)>> {
    let mut byte = [0u8];
    let mut space = cmsg_space!([RawFd; MAX_PASSED]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just opened these numbers for this process, and nothing else knows them.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    for descriptor in &descriptors {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((message.bytes > 0).then_some((byte[0], descriptors)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::launch::{Adopt, Progress};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn descriptors_come_with_their_message_and_the_next_is_left() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let adopt = Adopt { token: "t".repeat(300) };
        write(&ours, &adopt, &[writer.as_fd(), writer.as_fd()]).unwrap();
        write(&ours, &Progress { fraction: 0.5 }, &[]).unwrap();
        drop((ours, writer));

        let (got, descriptors) = read_until::<Adopt>(&theirs, soon()).unwrap().unwrap();
        assert_eq!((got, descriptors.len()), (adopt, 2));
        for descriptor in descriptors {
            std::fs::File::from(descriptor).write_all(b"x").unwrap();
        }
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert_eq!(written, "xx");

        let (progress, descriptors) = read::<Progress>(&theirs).unwrap().unwrap();
        assert_eq!((progress.fraction, descriptors.len()), (0.5, 0));
        assert!(read::<Progress>(&theirs).unwrap().is_none());
    }

    #[test]
    fn who_sends_byte_by_byte_gets_no_more_time() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&ours).write_all(&[200, 1]).unwrap();
        let error = read_until::<Adopt>(&theirs, Instant::now() + Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        assert!(read_until::<Adopt>(&theirs, Instant::now()).is_err(), "a deadline that is over");
    }
}
