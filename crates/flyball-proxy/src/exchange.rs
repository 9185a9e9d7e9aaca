//! One request, from its arrival to the head of its answer. A request that a replica may have acted
//! on is resent only if it is safe and has no body. Every request gets exactly one answer, unless
//! its client is gone.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use flyball_core::observation::is_failure;
use hyper::body::{Body as _, Incoming};
use hyper::ext::on_informational;
use hyper::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, Response, StatusCode, Version};
use tokio::time::{timeout, timeout_at};

use crate::answer::{Answer, First};
use crate::arrival::Arrival;
use crate::eject::Failure;
use crate::expect::{Permission, PermissionSignal};
use crate::headers;
use crate::held;
use crate::ignored::Ignored;
use crate::in_flight::{Ending, InFlight};
use crate::rejection::Rejection;
use crate::server::{Connection, Server};
use crate::settings::span;
use crate::shared::{Client, Phase, Shared, reached};
use crate::tunnel;
use crate::upload::{Progress, Upload, is_malformed};
use crate::upstreams::{Admission, Permit, Ticket, Upstreams, Wait};

/// How often one request is sent again after a replica broke the connection. Replicas die one at
/// a time; a request that breaks four of them is the likelier cause.
const REPEATS_MAX: u32 = 3;
/// How often one request tries to connect. Enough to walk past a row of dead servers and to sit
/// out their restart for ten seconds; the wait limit ends it earlier where that is shorter.
const CONNECTS_MAX: u32 = 32;
/// How often a waiting request with an unread body looks for its client. Without a body the client's
/// leaving is seen at once.
const HELD_LOOK: Duration = Duration::from_millis(100);

/// So long the head of an answer waits for the first chunk, which commonly comes with it: a stream
/// of events that begins later loses no noticeable time.
const FIRST_PIECE: Duration = Duration::from_millis(5);

/// What a request is known by while it looks for a replica.
struct Exchange {
    client: Arc<Client>,
    arrived: Instant,
    /// The protocol to upgrade to, and the client's connection to do it with.
    upgrade: Option<(HeaderValue, hyper::upgrade::OnUpgrade)>,
    progress: Option<Progress>,
    arrival: Arrival,
    /// Where it neither wakes the service nor keeps it awake.
    ignored: Option<Ignored>,
    /// What the client waits for before it sends the body, if it does.
    signal: Option<PermissionSignal>,
    /// Whether the client takes interim answers.
    takes_interim: bool,
    connects: u32,
    repeats: u32,
}

/// What became of sending a request.
enum Sent {
    Answered(Response<Incoming>),
    /// It certainly did not reach the replica; here it is again.
    Unsent(Request<Upload>),
    /// It may have reached the replica.
    Lost(Rejection),
}

/// Answers one request, which is for the service of `client`, or for none.
pub(crate) async fn answer(
    client: Result<Arc<Client>, Rejection>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let client = match client {
        Ok(client) => client,
        Err(nobody) => return Ok(Answer::rejection(nobody)),
    };
    let is_ignored = client.shared.ignore.has(&request);
    let arrival = Arrival::new(&client.shared.meter, !is_ignored);
    let answered = match Exchange::begin(&client, request, arrival.clone()) {
        // It would wait, and wake the service.
        Ok(_) if is_ignored && client.shared.upstreams.is_empty() => Err(Rejection::Asleep),
        Ok((mut exchange, request)) => {
            exchange.ignored = is_ignored.then(|| Ignored::new(&client.shared.meter.ignored));
            exchange.run(request).await
        }
        Err(reason) => Err(reason),
    };
    Ok(answered.unwrap_or_else(|reason| {
        tracing::debug!(%reason, "request refused");
        if reason.is_load() {
            arrival.count();
        }
        client.shared.meter.refused(reason);
        held::rejection(&client.shared, reason)
    }))
}

impl Exchange {
    fn begin(
        client: &Arc<Client>,
        mut request: Request<Incoming>,
        arrival: Arrival,
    ) -> Result<(Self, Request<Upload>), Rejection> {
        let arrived = Instant::now();
        let takes_interim = request.version() == Version::HTTP_11;
        let protocol =
            headers::forward(&mut request, &client.peer).map_err(|_| Rejection::BadRequest)?;
        let upgrade = protocol.map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        let (head, body) = request.into_parts();
        let expects = expects_continue(&head.headers);
        let stall_limit = span(client.shared.settings.stall_limit_ms);
        let (upload, progress) = Upload::new(body, stall_limit, expects, arrival.clone());
        if progress.is_none() {
            arrival.count();
        }
        let (client, signal) = (Arc::clone(client), upload.signal());
        let exchange = Self {
            client,
            arrived,
            upgrade,
            progress,
            arrival,
            ignored: None,
            signal,
            takes_interim,
            connects: 0,
            repeats: 0,
        };
        Ok((exchange, Request::from_parts(head, upload)))
    }

    async fn run(mut self, mut request: Request<Upload>) -> Result<Response<Answer>, Rejection> {
        let Shared { upstreams, settings, .. } = &*self.client.shared;
        if settings.page && held::wants_page(&request) && upstreams.is_asleep() {
            upstreams.visit();
            return Err(Rejection::Starting);
        }
        let mut permit = match upstreams.admit() {
            Admission::Admitted(permit) => permit,
            Admission::Waiting(wait) => {
                Box::pin(self.wait(wait, &mut request, Rejection::WaitLimit)).await?
            }
            Admission::Full => return Err(Rejection::QueueFull),
        };
        loop {
            let mut connection;
            (permit, connection) = self.connect(permit, &mut request).await?;
            let copy = self.copy_if_repeatable(&request);
            let request_now = self.hear_interim(with_host(request, &permit.server));
            let lost = match self.send(&mut connection, request_now).await {
                Sent::Answered(response) => return self.finish(response, permit, connection).await,
                Sent::Unsent(unsent) => {
                    request = unsent;
                    Rejection::ConnectionBroken
                }
                Sent::Lost(reason) => {
                    if let Some(failure) = reason.failure() {
                        self.client.shared.upstreams.failed(&permit.server, failure);
                    }
                    request =
                        copy.filter(|_| reason == Rejection::ConnectionBroken).ok_or(reason)?;
                    reason
                }
            };
            self.repeats += 1;
            if self.repeats > REPEATS_MAX {
                return Err(lost);
            }
            permit = Box::pin(self.readmit(permit, &mut request, lost)).await?;
        }
    }

    /// A connection to the permit's server, or to another one if that cannot be had.
    async fn connect(
        &mut self,
        mut permit: Permit,
        request: &mut Request<Upload>,
    ) -> Result<(Permit, Connection), Rejection> {
        let settings = &self.client.shared.settings;
        // What was kept beside a connection that broke is likely broken too.
        if self.repeats == 0
            && let Some(connection) = permit.server.take_idle(span(settings.idle_limit_ms))
        {
            return Ok((permit, connection));
        }
        loop {
            let limit = span(self.client.shared.settings.connect_limit_ms);
            let error = match permit.server.connect(limit).await {
                Ok(connection) => {
                    self.client.shared.upstreams.connected(&permit.server);
                    return Ok((permit, connection));
                }
                Err(error) => error,
            };
            tracing::debug!(replica = %permit.server.replica, address = %permit.server.address, %error,
                "cannot connect to a replica");
            self.client.shared.upstreams.connect_failed(&permit.server);
            self.connects += 1;
            if self.connects >= CONNECTS_MAX {
                return Err(Rejection::ConnectFailed);
            }
            permit = Box::pin(self.readmit(permit, request, Rejection::ConnectFailed)).await?;
        }
    }

    /// Gives `permit` up for one on another server if there is one.
    async fn readmit(
        &self,
        permit: Permit,
        request: &mut Request<Upload>,
        lost: Rejection,
    ) -> Result<Permit, Rejection> {
        let (ticket, key): (Ticket, u64) = (permit.ticket, permit.server.key);
        // Before the search: kept during a wait, it would hold a place that this request has no use
        // for.
        drop(permit);
        match self.client.shared.upstreams.readmit(ticket, key) {
            Admission::Admitted(permit) => Ok(permit),
            Admission::Waiting(wait) => self.wait(wait, request, lost).await,
            Admission::Full => Err(lost),
        }
    }

    async fn wait(
        &self,
        mut wait: Wait,
        request: &mut Request<Upload>,
        give_up: Rejection,
    ) -> Result<Permit, Rejection> {
        let deadline = self.arrived + span(self.client.shared.settings.wait_limit_ms);
        let called = timeout_at(deadline.into(), async {
            if self.progress.is_none() {
                wait.counts();
                return wait.permit().await;
            }
            let _holding = self.client.held.hold();
            tokio::select! {
                called = wait.permit() => return called,
                () = poll_fn(|cx| request.body_mut().poll_ahead(cx)) => wait.counts(),
            }
            loop {
                // Waking up is what makes the connection look whether its client is still there.
                if let Ok(called) = timeout(HELD_LOOK, wait.permit()).await {
                    return called;
                }
            }
        });
        let mut phase = self.client.phase.clone();
        tokio::select! {
            called = called => called.ok().flatten().ok_or(give_up),
            // Who stops starts nothing more.
            () = reached(&mut phase, Phase::Finishing),
                if self.client.shared.upstreams.is_asleep() => Err(give_up),
        }
    }

    fn copy_if_repeatable(&self, request: &Request<Upload>) -> Option<Request<Upload>> {
        let repeatable =
            self.progress.is_none() && self.upgrade.is_none() && request.method().is_safe();
        repeatable.then(|| {
            let mut copy = Request::new(Upload::empty());
            *copy.method_mut() = request.method().clone();
            *copy.uri_mut() = request.uri().clone();
            *copy.headers_mut() = request.headers().clone();
            copy
        })
    }

    /// Has interim answers of the replica forwarded, and lets the body go if it waits for a 100.
    fn hear_interim(&self, mut request: Request<Upload>) -> Request<Upload> {
        let interim = self.takes_interim.then(|| self.client.interim.clone());
        let signal = self.signal.clone();
        on_informational(&mut request, move |answer| match (answer.status(), &interim, &signal) {
            (StatusCode::CONTINUE, _, Some(signal)) => signal.give(Permission::Granted),
            (StatusCode::CONTINUE, _, None) | (_, None, _) => {}
            (status, Some(interim), _) => interim.push(status, answer.headers()),
        });
        request
    }

    async fn send(&self, connection: &mut Connection, request: Request<Upload>) -> Sent {
        if self.takes_interim {
            // hyper polls this in the task of the client's connection, which is the one to wake.
            let wakes = |cx: &mut Context<'_>| {
                self.client.interim.wakes(cx.waker());
                Poll::Ready(())
            };
            poll_fn(wakes).await;
        }
        let limit = span(self.client.shared.settings.answer_limit_ms);
        // One future over all deadlines: dropping it would cancel the request.
        let mut sending = pin!(connection.sender().try_send_request(request));
        let mut deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline.into(), sending.as_mut()).await {
                Ok(Ok(response)) => return Sent::Answered(response),
                Ok(Err(mut error)) => {
                    let unsent = error.take_message();
                    return unsent
                        .map_or_else(|| Sent::Lost(reason_for(error.error())), Sent::Unsent);
                }
                Err(_) => match self.next_deadline(limit) {
                    Some(later) if later > deadline => deadline = later,
                    _ => return Sent::Lost(Rejection::AnswerLimit),
                },
            }
        }
    }

    /// The limit counts from the last piece of the body.
    fn next_deadline(&self, limit: Duration) -> Option<Instant> {
        self.progress.as_ref().map(|progress| progress.last() + limit)
    }

    async fn finish(
        self,
        mut response: Response<Incoming>,
        permit: Permit,
        connection: Connection,
    ) -> Result<Response<Answer>, Rejection> {
        let unwanted = self.signal.as_ref().is_some_and(PermissionSignal::is_body_unwanted);
        self.arrival.count();
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upgrade = self.upgrade.filter(|_| switched);
        let begun = begin_answer(&mut response, upgrade.as_ref().map(|(protocol, _)| protocol));
        let first = match begun.await {
            Ok(first) => first,
            Err(reason) => {
                let failure = reason.failure().unwrap_or(Failure::Garbled);
                self.client.shared.upstreams.failed(&permit.server, failure);
                return Err(reason);
            }
        };
        if unwanted {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let quiet_limit = span(self.client.shared.settings.quiet_limit_ms);
        let status = response.status();
        judge(&self.client.shared.upstreams, &permit, status);
        let phase = self.client.phase.clone();
        let ending = if unwanted { Ending::Cut } else { Ending::Keep };
        let mut flight = InFlight::new(self.client, permit, connection, self.arrived, ending);
        flight.judge(status);
        flight.ignored = self.ignored;
        let Some((_, client)) = upgrade else {
            return Ok(response.map(|body| Answer::replica(body, first, flight, quiet_limit)));
        };
        let replica = hyper::upgrade::on(&mut response);
        tokio::spawn(tunnel::carry(client, replica, flight, quiet_limit, phase));
        Ok(response.map(|_| Answer::empty()))
    }
}

/// Makes the head of an answer fit for the client. With a chunked body, also sees whether that begins
/// as one, if it does so soon: a bad first chunk shows that this is no HTTP answer.
async fn begin_answer(
    response: &mut Response<Incoming>,
    upgraded: Option<&HeaderValue>,
) -> Result<First, Rejection> {
    let chunked = response.headers().contains_key(TRANSFER_ENCODING);
    headers::give_back(response, upgraded).map_err(|_| Rejection::BadAnswer)?;
    if !chunked {
        return Ok(First::Unseen);
    }
    let piece = poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx));
    match Box::pin(timeout(FIRST_PIECE, piece)).await {
        Err(_) => Ok(First::Unseen),
        Ok(None) => Ok(First::End),
        Ok(Some(Ok(frame))) => Ok(First::Piece(Box::new(frame))),
        Ok(Some(Err(error))) if is_malformed(&error) => Err(Rejection::BadAnswer),
        Ok(Some(Err(_))) => Err(Rejection::ConnectionBroken),
    }
}

/// Whether a client holds the body back until it is asked for it.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Records what an answer shows about its server.
fn judge(upstreams: &Arc<Upstreams>, permit: &Permit, status: StatusCode) {
    if is_failure(status.as_u16()) {
        upstreams.failed(&permit.server, Failure::Status(status));
    } else {
        upstreams.did_well(permit);
    }
}

/// HTTP/1.0 clients may leave `Host` out, HTTP/1.1 replicas may not miss it.
fn with_host(mut request: Request<Upload>, server: &Server) -> Request<Upload> {
    if !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(&server.address.to_string())
    {
        request.headers_mut().insert(HOST, host);
    }
    request
}

fn reason_for(error: &hyper::Error) -> Rejection {
    if error.is_user() {
        // The one thing of ours that hyper runs here is the body, read from the client.
        if is_malformed(error) { Rejection::BadRequest } else { Rejection::UploadBroken }
    } else if error.is_parse() {
        Rejection::BadAnswer
    } else {
        Rejection::ConnectionBroken
    }
}
