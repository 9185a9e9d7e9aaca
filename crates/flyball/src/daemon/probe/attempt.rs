//! One probe and the sentence that describes its outcome. It always ends within its limit.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::observation::is_failure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http;

/// An attempt that takes longer says that the replica is not ready.
pub(crate) const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);
/// The first byte of what a TLS server answers when it is spoken to in plain text: an alert.
const TLS_ALERT: u8 = 0x15;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A connection was accepted, which is all that was asked for.
    Connected,
    /// An HTTP answer with this status.
    Answered(u16),
    /// Nothing listens there.
    Refused,
    /// No answer within [`ATTEMPT_LIMIT`].
    TimedOut,
    /// The connection was reset.
    Reset,
    /// The connection was closed before an answer.
    Closed,
    /// It speaks TLS, and was asked in plain HTTP.
    Tls,
    /// What came back is not HTTP.
    NotHttp,
    /// Anything else, with the error's own message.
    Failed(String),
}

impl Outcome {
    /// Whether the replica itself said something, be it a refusal.
    pub(crate) fn is_an_answer(&self) -> bool {
        matches!(self, Self::Answered(_))
    }
}

/// What is asked at which address, for the beginning of a sentence.
pub(crate) struct Question<'a> {
    pub(crate) ready: &'a Ready,
    pub(crate) address: SocketAddr,
}

impl Question<'_> {
    /// Asks once.
    pub(crate) async fn ask(&self) -> Outcome {
        let asked = async {
            match self.ready {
                Ready::Tcp => match TcpStream::connect(self.address).await {
                    Ok(_) => Outcome::Connected,
                    Err(error) => of_error(&error),
                },
                Ready::Http { path, .. } => self.get(path).await,
            }
        };
        timeout(ATTEMPT_LIMIT, asked).await.unwrap_or(Outcome::TimedOut)
    }

    async fn get(&self, path: &str) -> Outcome {
        match http::get(self.address, path).await {
            // As nginx and Go answer: with an error of HTTP's that says so.
            Ok(answer) if answer.status() == 400 && names_https(answer.body()) => Outcome::Tls,
            Ok(answer) => Outcome::Answered(answer.status().as_u16()),
            Err(error) => match of_error(error.as_ref()) {
                unclear @ (Outcome::NotHttp | Outcome::Closed) => {
                    listen_closely(self.address).await.unwrap_or(unclear)
                }
                outcome => outcome,
            },
        }
    }

    /// Whether a replica with this outcome is ready. Where any answer but a failure will do, the one
    /// that asks for TLS will, too: the balancer may well speak it.
    pub(crate) fn is_met_by(&self, outcome: &Outcome) -> bool {
        match (self.ready, outcome) {
            (Ready::Tcp, Outcome::Connected) => true,
            (Ready::Http { any_but_failure: true, .. }, Outcome::Answered(status)) => {
                !is_failure(*status)
            }
            (Ready::Http { .. }, Outcome::Answered(status)) => *status < 400,
            (Ready::Http { any_but_failure, .. }, Outcome::Tls) => *any_but_failure,
            _ => false,
        }
    }
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ready {
            Ready::Tcp => write!(f, "a TCP connection to {}", self.address),
            Ready::Http { path, .. } => write!(f, "GET {path} at {}", self.address),
        }
    }
}

impl fmt::Display for Outcome {
    /// What stands behind a [`Question`]: " answers 404", ": connection refused".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str(" is accepted"),
            Self::Answered(status) => write!(f, " answers {status}"),
            Self::Refused => f.write_str(": connection refused, nothing listens there"),
            Self::TimedOut => write!(f, ": no answer within {} s", ATTEMPT_LIMIT.as_secs()),
            Self::Reset => f.write_str(": connection reset"),
            Self::Closed => f.write_str(": connection closed without an answer"),
            Self::Tls => f.write_str(": it speaks TLS, not plain HTTP"),
            Self::NotHttp => f.write_str(": the answer is not HTTP"),
            Self::Failed(why) => write!(f, ": {why}"),
        }
    }
}

fn names_https(body: &[u8]) -> bool {
    body.windows(5).any(|word| word.eq_ignore_ascii_case(b"https"))
}

/// The most events of an error and what it came from: what the system says, then what HTTP says.
fn of_error(error: &(dyn Error + 'static)) -> Outcome {
    let told = first_of(error, of_io).or_else(|| first_of(error, of_http));
    told.unwrap_or_else(|| Outcome::Failed(error.to_string()))
}

fn first_of(
    error: &(dyn Error + 'static),
    of: impl Fn(&(dyn Error + 'static)) -> Option<Outcome>,
) -> Option<Outcome> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(outcome) = of(cause) {
            return Some(outcome);
        }
        next = cause.source();
    }
    None
}

fn of_io(cause: &(dyn Error + 'static)) -> Option<Outcome> {
    match cause.downcast_ref::<std::io::Error>()?.kind() {
        ErrorKind::ConnectionRefused => Some(Outcome::Refused),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Some(Outcome::Reset),
        ErrorKind::TimedOut => Some(Outcome::TimedOut),
        ErrorKind::UnexpectedEof => Some(Outcome::Closed),
        _ => None,
    }
}

fn of_http(cause: &(dyn Error + 'static)) -> Option<Outcome> {
    let cause = cause.downcast_ref::<hyper::Error>()?;
    if cause.is_parse() {
        return Some(Outcome::NotHttp);
    }
    let cut_off = cause.is_incomplete_message() || cause.is_canceled();
    cut_off.then_some(Outcome::Closed)
}

/// What `address` really answers to plain text, where HTTP does not tell: an alert of TLS, or a
/// connection that is reset. `None` where it is neither.
async fn listen_closely(address: SocketAddr) -> Option<Outcome> {
    let first = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        stream.read_u8().await
    };
    match first.await {
        Ok(TLS_ALERT) => Some(Outcome::Tls),
        Ok(_) => None,
        Err(error) => of_io(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::net::TcpListener;

    use super::*;

    fn health() -> Ready {
        Ready::Http { path: "/healthz".to_owned(), any_but_failure: false }
    }

    /// The question and what comes of it, as a sentence, where each connection is served by `serve`.
    async fn said<F>(ready: &Ready, serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                serve(stream).await;
            }
        });
        let question = Question { ready, address };
        let outcome = question.ask().await;
        assert!(!question.is_met_by(&outcome), "{outcome:?}");
        format!("{question}{outcome}").replace(&address.to_string(), "HERE")
    }

    async fn answer(mut stream: TcpStream, bytes: &[u8]) {
        let _asked = stream.read(&mut [0; 1024]).await;
        let _gone = stream.write_all(bytes).await;
    }

    #[tokio::test]
    async fn whatever_keeps_a_replica_from_being_ready_has_a_sentence() {
        let ready = health();
        let head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let told = said(&ready, |stream| answer(stream, head)).await;
        assert_eq!(told, "GET /healthz at HERE answers 404");
        let told = said(&ready, |stream| answer(stream, b"")).await;
        assert_eq!(told, "GET /healthz at HERE: connection closed without an answer");
        let told = said(&ready, |stream| answer(stream, b"SSH-2.0-OpenSSH_9.2\r\n")).await;
        assert_eq!(told, "GET /healthz at HERE: the answer is not HTTP");
        let alert = b"\x15\x03\x01\x00\x02\x02\x46";
        let told = said(&ready, |stream| answer(stream, alert)).await;
        assert_eq!(told, "GET /healthz at HERE: it speaks TLS, not plain HTTP");
        let https =
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.";
        let told = said(&ready, |stream| answer(stream, https)).await;
        assert_eq!(told, "GET /healthz at HERE: it speaks TLS, not plain HTTP");
        let told = said(&ready, |stream| async move {
            // Closed with bytes unread: the system resets the connection.
            stream.readable().await.unwrap();
        });
        assert_eq!(told.await, "GET /healthz at HERE: connection reset");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_closed_port_are_told_apart() {
        let ready = health();
        let told = said(&ready, |stream| async move {
            let _open = stream;
            std::future::pending().await
        })
        .await;
        assert_eq!(told, "GET /healthz at HERE: no answer within 2 s");
        for (ready, asked) in [(health(), "GET /healthz at"), (Ready::Tcp, "a TCP connection to")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(listener);
            let question = Question { ready: &ready, address };
            let outcome = question.ask().await;
            let told = format!("{question}{outcome}");
            let wanted = format!("{asked} {address}: connection refused, nothing listens there");
            assert_eq!(told, wanted);
        }
    }

    #[test]
    fn any_answer_but_a_failure_will_do_where_no_path_is_named() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let any = Ready::Http { path: "/".to_owned(), any_but_failure: true };
        let met = |ready: &Ready, outcome| Question { ready, address }.is_met_by(&outcome);
        assert!(met(&any, Outcome::Answered(404)) && met(&any, Outcome::Tls));
        assert!(!met(&any, Outcome::Answered(500)));
        assert!(met(&health(), Outcome::Answered(204)) && !met(&health(), Outcome::Answered(404)));
        assert!(met(&Ready::Tcp, Outcome::Connected) && !met(&Ready::Tcp, Outcome::Refused));
    }
}
