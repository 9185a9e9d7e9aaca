//! Random streams of a Mesos master and of Marathon. Parsing never panics, does not depend on how
//! the bytes were split, and keeps no more than it got. A malformed event is skipped or reported.

use bytes::Bytes;

use crate::event::Event;
use crate::marathon::events::{names_one, words_for};
use crate::marathon::lines::Lines;
use crate::records::Records;

/// What a master sends; the first byte says in pieces of which size it comes.
pub fn records(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let whole = read(rest, rest.len());
    let cut = read(rest, usize::from(*first) + 1);
    assert_eq!(whole, cut, "other records when cut");
    let (records, _) = whole;
    assert!(records.iter().map(Bytes::len).sum::<usize>() <= rest.len(), "bytes are made up");
    for record in records {
        if let Err(why) = Event::of(&record) {
            assert!(why.len() < 1_024 + record.len(), "{why}");
        }
    }
}

/// All records, and what is wrong with the stream in the end.
fn read(data: &[u8], piece: usize) -> (Vec<Bytes>, Option<String>) {
    let (mut reader, mut found) = (Records::default(), Vec::new());
    for piece in data.chunks(piece.max(1)) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(record)) => found.push(record),
                Ok(None) => break,
                Err(why) => return (found, Some(why)),
            }
        }
    }
    (found, None)
}

/// What Marathon sends; the first byte says in pieces of which size it comes.
pub fn events(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let whole = lines(rest, rest.len());
    assert_eq!(whole, lines(rest, usize::from(*first) + 1), "other lines when cut");
    let kept: usize = whole.iter().map(Bytes::len).sum();
    let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(kept, end, "bytes are lost or made up");
    let words = words_for("/shop/web");
    for line in whole.iter().filter(|line| names_one(line, &words)) {
        assert!(line.starts_with(b"data:"), "{line:?}");
    }
}

/// The complete lines of `data` that comes in pieces of `piece` bytes.
fn lines(data: &[u8], piece: usize) -> Vec<Bytes> {
    let (mut reader, mut found) = (Lines::default(), Vec::new());
    for piece in data.chunks(piece.max(1)) {
        reader.push(piece);
        while let Ok(Some(line)) = reader.next() {
            found.push(line);
        }
    }
    found
}
