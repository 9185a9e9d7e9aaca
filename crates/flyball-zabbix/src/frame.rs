//! Zabbix's frames. An announced length is checked before anything is read or unpacked. A frame is
//! `ZBXD`, one byte of flags, the length, a second number (0, or the length before compression) and
//! the data. Both numbers are little endian and have 4 bytes, or 8 with flag 4.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

const MAGIC: &[u8; 4] = b"ZBXD";
const BASIC: u8 = 0x01;
const COMPRESSED: u8 = 0x02;
const LARGE: u8 = 0x04;

/// Magic and flags.
pub(crate) const PREFIX_LEN: usize = 5;
/// Below this compression costs more bytes than it spares.
const COMPRESS_FROM: usize = 256;

/// What is wrong with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadFrame {
    /// It is none.
    Magic,
    /// It has unknown flags.
    Flags(u8),
    /// It announces more than the bound.
    TooLong(u64),
    /// Its compressed data cannot be unpacked, or not to the length that it announces.
    Packed,
}

/// The first bytes of a frame: what else is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    flags: u8,
}

/// The whole head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    compressed: bool,
    /// Bytes of data that follow; within the bound.
    pub(crate) len: usize,
    plain_len: usize,
}

/// `data` in a frame, compressed if that pays.
pub(crate) fn wrap(data: &[u8]) -> Vec<u8> {
    let packed = (data.len() >= COMPRESS_FROM).then(|| pack(data)).flatten();
    let (flags, body, plain_len) = match &packed {
        Some(packed) => (BASIC | COMPRESSED, packed.as_slice(), data.len()),
        None => (BASIC, data, 0),
    };
    let mut frame = Vec::with_capacity(body.len() + 13);
    frame.extend_from_slice(MAGIC);
    frame.push(flags);
    for number in [body.len(), plain_len] {
        // What flyball sends is bounded to a few MiB.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        frame.extend_from_slice(&number.to_le_bytes());
    }
    frame.extend_from_slice(body);
    frame
}

fn pack(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < data.len())
}

impl Prefix {
    /// Reads magic and flags.
    pub(crate) fn read(bytes: [u8; PREFIX_LEN]) -> Result<Self, BadFrame> {
        let [a, b, c, d, flags] = bytes;
        if [a, b, c, d] != *MAGIC {
            return Err(BadFrame::Magic);
        }
        let known = flags & BASIC != 0 && flags & !(BASIC | COMPRESSED | LARGE) == 0;
        if known { Ok(Self { flags }) } else { Err(BadFrame::Flags(flags)) }
    }

    /// Bytes of the two numbers that follow.
    pub(crate) fn numbers_len(self) -> usize {
        if self.flags & LARGE != 0 { 16 } else { 8 }
    }

    /// Reads the two numbers, which are [`Self::numbers_len`] bytes, and holds them to `len_max`.
    pub(crate) fn head(self, numbers: &[u8], len_max: usize) -> Result<Head, BadFrame> {
        let (len, plain_len) = numbers.split_at(numbers.len() / 2);
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let bounded =
            |n: u64| usize::try_from(n).ok().filter(|n| *n <= len_max).ok_or(BadFrame::TooLong(n));
        let compressed = self.flags & COMPRESSED != 0;
        let len = bounded(number(len))?;
        let plain_len = if compressed { bounded(number(plain_len))? } else { len };
        Ok(Head { compressed, len, plain_len })
    }
}

impl Head {
    /// The message in the frame's `data`.
    pub(crate) fn unwrap(self, data: Vec<u8>) -> Result<Vec<u8>, BadFrame> {
        if !self.compressed {
            return Ok(data);
        }
        let mut plain = Vec::with_capacity(self.plain_len);
        // One byte more than announced, so that a longer one is noticed and not unpacked whole.
        let limit = self.plain_len as u64 + 1;
        let read = ZlibDecoder::new(data.as_slice()).take(limit).read_to_end(&mut plain);
        let whole = read.is_ok() && plain.len() == self.plain_len;
        if whole { Ok(plain) } else { Err(BadFrame::Packed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frame: &[u8], len_max: usize) -> Result<Vec<u8>, BadFrame> {
        let prefix = Prefix::read(frame[..5].try_into().unwrap())?;
        let end = 5 + prefix.numbers_len();
        let head = prefix.head(&frame[5..end], len_max)?;
        head.unwrap(frame[end..end + head.len].to_vec())
    }

    #[test]
    fn a_short_message_is_wrapped_as_it_is() {
        let frame = wrap(b"{}");
        assert_eq!(frame, b"ZBXD\x01\x02\0\0\0\0\0\0\0{}");
        assert_eq!(read(&frame, 100).unwrap(), b"{}");
    }

    #[test]
    fn a_long_message_is_compressed_and_comes_back_whole() {
        let message = b"flyball.cpu[web-1]".repeat(1_000);
        let frame = wrap(&message);
        assert_eq!(frame[4], 3);
        assert!(frame.len() < message.len() / 10);
        assert_eq!(read(&frame, message.len()).unwrap(), message);
    }

    #[test]
    fn lengths_of_eight_bytes_are_read_and_16_gib_are_refused_unread() {
        let mut frame = b"ZBXD\x05\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0{}".to_vec();
        assert_eq!(read(&frame, 100).unwrap(), b"{}");
        frame[5..13].copy_from_slice(&(16_u64 << 30).to_le_bytes());
        assert_eq!(read(&frame, 1 << 20), Err(BadFrame::TooLong(16 << 30)));
    }

    #[test]
    fn rubbish_is_told_apart() {
        assert_eq!(Prefix::read(*b"HTTP/"), Err(BadFrame::Magic));
        assert_eq!(Prefix::read(*b"ZBXD\x11"), Err(BadFrame::Flags(0x11)));
        let mut frame = wrap(&[b'x'; 1_000]);
        assert_eq!(read(&frame, 999), Err(BadFrame::TooLong(1_000)));
        frame[9] ^= 1;
        assert_eq!(read(&frame, 2_000), Err(BadFrame::Packed));
    }
}
