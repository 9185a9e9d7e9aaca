//! RecordIO, the framing of a master's event stream: a decimal length, a line feed, the record.

use bytes::{Buf as _, Bytes, BytesMut};

/// The offers of some thousand agents, at 2 kB each, come in one record.
const RECORD_MAX: usize = 32 << 20;
/// Digits of that, and then some.
const HEAD_MAX: usize = 12;

/// Bytes on their way to becoming records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    buffer: BytesMut,
    /// Length of the record under way.
    length: Option<usize>,
}

impl Records {
    /// Takes what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record that is complete, if one is.
    ///
    /// # Errors
    /// What is wrong with the stream, which is then of no more use.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, String> {
        let length = match self.length {
            Some(length) => length,
            None => {
                let Some(end) = self.buffer.iter().take(HEAD_MAX).position(|b| *b == b'\n') else {
                    let head = self.buffer.get(..HEAD_MAX);
                    return head.map_or(Ok(None), |head| Err(no_length(head)));
                };
                let head = self.buffer.split_to(end);
                self.buffer.advance(1);
                let text = std::str::from_utf8(&head).unwrap_or_default();
                let length = text.parse::<usize>().map_err(|_| no_length(&head))?;
                if length > RECORD_MAX {
                    return Err(format!("a record of {length} bytes, more than {RECORD_MAX}"));
                }
                *self.length.insert(length)
            }
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

fn no_length(head: &[u8]) -> String {
    format!("{:?} is not a record length", String::from_utf8_lossy(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(records: &mut Records) -> Vec<String> {
        let next = || records.next().unwrap();
        let text = |record: Bytes| String::from_utf8(record.to_vec()).unwrap();
        std::iter::from_fn(next).map(text).collect()
    }

    #[test]
    fn records_are_the_same_however_they_are_cut() {
        let bytes = b"5\nabcde0\n11\n{\"a\":\"\n1\n\"}";
        let mut whole = Records::default();
        whole.push(bytes);
        let expected = all(&mut whole);
        assert_eq!(expected, ["abcde", "", "{\"a\":\"\n1\n\"}"]);
        let mut single = Records::default();
        let mut found = Vec::new();
        for byte in bytes {
            single.push(&[*byte]);
            found.extend(all(&mut single));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn garbage_and_lengths_beyond_the_bound_end_the_stream() {
        for bad in ["HTTP/1.1 400 Bad Request", "-1\n", "\n", "99999999999\n", "12x\n"] {
            let mut records = Records::default();
            records.push(bad.as_bytes());
            assert!(records.next().is_err(), "{bad}");
        }
    }
}
