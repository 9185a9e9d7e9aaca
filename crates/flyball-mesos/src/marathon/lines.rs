//! Splits an endless answer into lines of at most [`LINE_MAX`] bytes, scanning each byte once.

use bytes::{Bytes, BytesMut};

/// A deployment of a large group is reported with all of its apps.
const LINE_MAX: usize = 8 << 20;

/// Bytes on their way to becoming lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// This many of them are known to have no line feed.
    searched: usize,
}

impl Lines {
    /// Takes what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line that is complete, with its end, if one is.
    ///
    /// # Errors
    /// It has no end; the stream is then of no more use.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, String> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let length = end.map_or(self.buffer.len(), |end| self.searched + end);
        if length > LINE_MAX {
            return Err(format!("an event of more than {LINE_MAX} bytes"));
        }
        self.searched = if end.is_some() { 0 } else { length };
        Ok(end.map(|_| self.buffer.split_to(length + 1).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<Bytes> {
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let bytes = b"event: x\r\ndata: {}\r\n\r\n\nlast";
        let mut whole = Lines::default();
        whole.push(bytes);
        let expected = all(&mut whole);
        assert_eq!(expected, ["event: x\r\n", "data: {}\r\n", "\r\n", "\n"]);
        let (mut single, mut found) = (Lines::default(), Vec::new());
        for byte in bytes {
            single.push(&[*byte]);
            found.extend(all(&mut single));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_without_an_end_is_refused_however_it_is_cut() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MAX]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"x\n");
        assert!(lines.next().is_err());
    }
}
