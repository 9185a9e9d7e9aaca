//! Random Zabbix frames. Parsing never panics, never reads or unpacks beyond the bound, returns
//! wrapped data unchanged, and shows bounded errors that cannot forge a log line.

use crate::frame::{BadFrame, PREFIX_LEN, Prefix, wrap};
use crate::peer::Peer;
use crate::sender::Sender;
use crate::version::Version;

/// Bytes of a message at most.
const LEN_MAX: usize = 4_096;

/// Bytes that came over a connection, and the same as a message to be sent.
pub fn frames(data: &[u8]) {
    if let Ok(message) = unwrap(data, LEN_MAX) {
        assert!(message.len() <= LEN_MAX, "{} bytes", message.len());
        answer(&message);
    }
    answer(data);
    let framed = wrap(data);
    assert_eq!(unwrap(&framed, data.len()).as_deref(), Ok(data));
    if let Some(version) = std::str::from_utf8(data).ok().and_then(Version::parse) {
        assert!(!version.to_string().is_empty());
    }
}

/// The message in a frame, read as the sender does; one that is cut off is none.
fn unwrap(frame: &[u8], len_max: usize) -> Result<Vec<u8>, BadFrame> {
    let (start, rest) = frame.split_first_chunk::<PREFIX_LEN>().ok_or(BadFrame::Magic)?;
    let prefix = Prefix::read(*start)?;
    let (numbers, rest) =
        rest.split_at_checked(prefix.numbers_len()).ok_or(BadFrame::TooLong(0))?;
    let head = prefix.head(numbers, len_max)?;
    assert!(head.len <= len_max, "{} bytes are waited for", head.len);
    let data = rest.get(..head.len).ok_or(BadFrame::TooLong(0))?;
    head.unwrap(data.to_vec())
}

fn answer(message: &[u8]) {
    let peer = Peer { host: "127.0.0.1".to_owned(), port: 10_051 };
    let Ok(sender) = Sender::new(peer, None) else { return };
    if let Err(error) = sender.read_counts(message) {
        let text = error.to_string();
        assert!(text.len() <= 4_096, "{text}");
        assert!(!text.contains(char::is_control), "what was answered is shown raw: {text:?}");
    }
}
