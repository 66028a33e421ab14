//! Framing of the channel that a child inherits: each message behind its length, as protobuf's length-delimited
//! form. Blocking, because it is spoken before a child has a runtime and from threads of its own.

use std::io::{self, Read, Write};

use prost::Message;

/// The descriptor number under which every child finds its channel.
pub const CHANNEL_FD: i32 = 3;

/// The longest frame either side accepts, in bytes.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// Writes one message.
pub fn write<M: Message>(channel: &mut impl Write, message: &M) -> io::Result<()> {
    channel.write_all(&message.encode_length_delimited_to_vec())?;
    channel.flush()
}

/// Reads one message; `None` at the end of the channel.
pub fn read<M: Message + Default>(channel: &mut impl Read) -> io::Result<Option<M>> {
    let Some(length) = read_length(channel)? else { return Ok(None) };
    let mut frame = vec![0; length];
    channel.read_exact(&mut frame)?;
    M::decode(frame.as_slice()).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn read_length(channel: &mut impl Read) -> io::Result<Option<usize>> {
    let mut length = 0usize;
    for shift in (0..28).step_by(7) {
        let mut byte = [0u8];
        match channel.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && shift == 0 => return Ok(None),
            Err(error) => return Err(error),
        }
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            if length > MAX_FRAME_BYTES {
                break;
            }
            return Ok(Some(length));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame is longer than {MAX_FRAME_BYTES} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Progress, WorkerSpec};

    #[test]
    fn messages_follow_each_other_until_the_end() {
        let mut bytes = Vec::new();
        let spec = WorkerSpec { model: "m".repeat(300), slots: 4, ..WorkerSpec::default() };
        write(&mut bytes, &spec).unwrap();
        write(&mut bytes, &WorkerSpec::default()).unwrap();
        let mut reader = bytes.as_slice();
        assert_eq!(read::<WorkerSpec>(&mut reader).unwrap(), Some(spec));
        assert_eq!(read::<WorkerSpec>(&mut reader).unwrap(), Some(WorkerSpec::default()));
        assert_eq!(read::<WorkerSpec>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_lying_length_is_an_error_not_an_allocation() {
        for bytes in [&[0xff, 0xff, 0xff, 0x7f][..], &[0xff; 16], &[0x05, 1]] {
            assert!(read::<Progress>(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }
}
