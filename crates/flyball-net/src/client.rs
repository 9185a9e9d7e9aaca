//! One HTTP/1 connection to another program. Dropping it closes it. Nothing is requested twice, and
//! the callers set the deadlines, because one of theirs covers more than one exchange.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, USER_AGENT};
use hyper::http::request;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use crate::Stream;

/// How much of an answer's head is read.
#[derive(Clone, Copy, Debug)]
pub struct HeaderLimits {
    /// All headers together.
    pub bytes: usize,
    /// Their number.
    pub count: usize,
}

impl Default for HeaderLimits {
    /// More than any honest server sends.
    fn default() -> Self {
        Self { bytes: 408 << 10, count: 100 }
    }
}

/// Why there is no whole answer. The messages are those of the cause.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be sent as it is.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// The connection ended before the answer began, or the answer is not HTTP.
    #[error("{0}")]
    NoAnswer(#[from] hyper::Error),
    /// The answer began and broke off.
    #[error("{0}")]
    CutOff(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// More than the caller reads.
    #[error("length limit exceeded")]
    TooLong {
        /// What was announced, or the first length beyond the bound.
        bytes: u64,
    },
}

/// A connection that takes one request after another.
#[derive(Debug)]
pub struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl HttpConnection {
    /// Begins to speak HTTP on `stream`.
    ///
    /// # Errors
    /// [`HttpError::NoAnswer`].
    pub async fn open(
        stream: impl Stream + 'static,
        limits: HeaderLimits,
    ) -> Result<Self, HttpError> {
        // One type, so that HTTP is compiled once.
        let stream: Box<dyn Stream> = Box::new(stream);
        let mut builder = Builder::new();
        builder.max_buf_size(limits.bytes).max_headers(limits.count);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            // The request under way, if there is one, fails with the same error.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another program broke off");
            }
        });
        Ok(Self { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Whether the other end has closed it.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until it takes the next request.
    ///
    /// # Errors
    /// The other end has closed it: [`HttpError::NoAnswer`].
    pub async fn ready(&mut self) -> Result<(), HttpError> {
        Ok(self.sender.ready().await?)
    }

    /// Sends `request`; gives the answer's head, and its body as it comes.
    ///
    /// # Errors
    /// [`HttpError::NoAnswer`].
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpError> {
        Ok(self.sender.send_request(request).await?)
    }

    /// Sends `request`; gives the whole answer, of which the body has at most `bytes_max`.
    ///
    /// # Errors
    /// Any but [`HttpError::Request`].
    pub async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = self.send(request).await?.into_parts();
        Ok(Response::from_parts(head, whole(body, bytes_max).await?))
    }
}

/// All of a body, if it has at most `bytes_max`. One that announces more is not read.
///
/// # Errors
/// [`HttpError::CutOff`] or [`HttpError::TooLong`].
pub async fn whole(body: Incoming, bytes_max: usize) -> Result<Bytes, HttpError> {
    let announced = body.size_hint().lower();
    if announced > bytes_max as u64 {
        return Err(HttpError::TooLong { bytes: announced });
    }
    let read = Limited::new(body, bytes_max).collect().await;
    let read = read.map_err(|error| match error.is::<LengthLimitError>() {
        true => HttpError::TooLong { bytes: bytes_max as u64 + 1 },
        false => HttpError::CutOff(error),
    })?;
    Ok(read.to_bytes())
}

/// The beginning of a request for `path` of `host`, as flyball names itself.
pub fn request(method: Method, host: &str, path: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("flyball/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What becomes of a question that is answered with `said`, where at most 8 bytes are read.
    async fn asked(said: &str) -> Result<Bytes, HttpError> {
        let (own, mut other) = tokio::io::duplex(1024);
        let said = said.to_owned();
        tokio::spawn(async move {
            let _asked = other.read(&mut [0; 1024]).await;
            let _told = other.write_all(said.as_bytes()).await;
        });
        let limits = HeaderLimits { bytes: 16 << 10, count: 2 };
        let mut connection = HttpConnection::open(own, limits).await?;
        let question = request(Method::GET, "here", "/").body(Full::default())?;
        connection.ask(question, 8).await.map(Response::into_body)
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bounds() {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
        let whole = asked(&format!("{head}content-length: 8\r\n\r\n12345678")).await;
        assert_eq!(whole.unwrap(), "12345678");
        let announced = asked(&format!("{head}content-length: 70\r\n\r\n")).await;
        assert!(matches!(announced, Err(HttpError::TooLong { bytes: 70 })), "{announced:?}");
        let longer = asked(&format!("{chunked}9\r\n123456789\r\n0\r\n\r\n")).await;
        assert!(matches!(longer, Err(HttpError::TooLong { bytes: 9 })), "{longer:?}");
        let short = asked(&format!("{head}content-length: 8\r\n\r\n123")).await;
        assert!(matches!(short, Err(HttpError::CutOff(_))), "{short:?}");
        let headers = asked(&format!("{head}a: 1\r\nb: 2\r\nc: 3\r\n\r\n")).await;
        assert!(matches!(headers, Err(HttpError::NoAnswer(_))), "{headers:?}");
        assert!(matches!(asked("").await, Err(HttpError::NoAnswer(_))));
    }
}
