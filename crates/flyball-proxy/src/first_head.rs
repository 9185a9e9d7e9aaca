//! Waits for the complete head of a client's first request before it gets buffers. Until then the
//! bytes stay in the kernel, so a client that never completes a request costs next to nothing.

use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::task::{Context, Poll, ready};

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

/// Returns once `stream` holds a whole head, more than `HEAD_MAX` or its end.
pub(crate) async fn arrives<const HEAD_MAX: usize>(stream: &TcpStream) -> Result<()> {
    poll_fn(|cx| poll_head::<HEAD_MAX>(stream, cx)).await
}

fn poll_head<const HEAD_MAX: usize>(stream: &TcpStream, cx: &mut Context<'_>) -> Poll<Result<()>> {
    let mut bytes = [0; HEAD_MAX];
    let mut before = None;
    loop {
        let mut seen = ReadBuf::new(&mut bytes);
        let count = ready!(stream.poll_peek(cx, &mut seen))?;
        // No more than before although there is news: the client has closed its side.
        let closed = count == 0 || before == Some(count);
        if closed || count == HEAD_MAX || ends_a_head(seen.filled()) {
            return Poll::Ready(Ok(()));
        }
        before = Some(count);
        // What is there will not do, so it is no news any more; what came in meanwhile is.
        let old = || Err::<(), _>(Error::from(ErrorKind::WouldBlock));
        let _would_block = stream.try_io(Interest::READABLE, old);
    }
}

/// Whether an empty line is among `bytes`.
fn ends_a_head(bytes: &[u8]) -> bool {
    let ends = |at: usize| matches!(bytes[at..], [b'\n', b'\n', ..] | [b'\n', b'\r', b'\n', ..]);
    (0..bytes.len()).any(ends)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_head_has_arrived_with_its_empty_line_however_it_is_cut() {
        for pieces in [&["GET / HTTP/1.1\r\n", "a: b\r", "\n\r", "\n"][..], &["GET /\n", "\n"]] {
            let (mut client, stream) = pair().await;
            for piece in pieces {
                assert!(timeout(SOON, arrives::<1000>(&stream)).await.is_err(), "{piece:?}");
                client.write_all(piece.as_bytes()).await.unwrap();
            }
            timeout(SOON * 100, arrives::<1000>(&stream)).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_too_long_or_over_is_waited_for_no_longer() {
        let (mut client, stream) = pair().await;
        client.write_all(&[b'x'; 99]).await.unwrap();
        assert!(timeout(SOON, arrives::<100>(&stream)).await.is_err());
        client.write_all(b"x").await.unwrap();
        timeout(SOON * 100, arrives::<100>(&stream)).await.unwrap().unwrap();
        for sent in ["", "GET / HT"] {
            let (mut client, stream) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            timeout(SOON * 100, arrives::<100>(&stream)).await.unwrap().unwrap();
        }
    }
}
