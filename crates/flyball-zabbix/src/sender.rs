//! The sender protocol: one packet of values, one connection, one answer with counts.
//!
//! Packets are bounded in values and bytes, answers in bytes and time.

use std::sync::Arc;
use std::time::Duration;

use flyball_net::{Tls, TlsSettings};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::error::{ZabbixError, start_of};
use crate::frame::{self, BadFrame, Prefix};
use crate::peer::Peer;
use crate::value::{Value, ValueTime};

/// Values in one packet at most: the server holds one of its few trappers for each packet, and
/// 1,000 take it 10 ms.
pub const PACKET_VALUES_MAX: usize = 1_000;
/// The longest answer that is read; an honest one has 120 bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// A server in the same building connects in a millisecond.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// 1,000 values are taken in 10 ms; a server that syncs its configuration makes callers wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What became of the values of a packet. Zabbix does not report which ones it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Taken, which says nothing of whether the item's type suits them.
    pub processed: u64,
    /// Of an unknown host or item, or of one that the server's cache does not have yet.
    pub failed: u64,
}

/// The way to a trapper.
#[derive(Clone, Debug)]
pub struct Sender {
    peer: Peer,
    tls: Option<Tls>,
    connect_limit: Duration,
    answer_limit: Duration,
    /// The proxy that it is the way to, by its name in Zabbix; `None`: to the server.
    proxy: Option<Arc<str>>,
}

impl Sender {
    /// A sender to `peer`, encrypted if `tls` is there.
    ///
    /// # Errors
    /// The files that `tls` names cannot be used.
    pub fn new(peer: Peer, tls: Option<&TlsSettings>) -> Result<Self, ZabbixError> {
        let tls = tls.map(Tls::open).transpose()?;
        let (connect_limit, answer_limit) = (CONNECT_LIMIT, ANSWER_LIMIT);
        Ok(Self { peer, tls, connect_limit, answer_limit, proxy: None })
    }

    /// The same, to a peer that is the zabbix_proxy of this name.
    #[must_use]
    pub fn with_proxy(self, name: &str) -> Self {
        Self { proxy: Some(name.into()), ..self }
    }

    /// Shorter deadlines, for peers that shall stay silent.
    #[must_use]
    pub fn with_limits(self, connect_limit: Duration, answer_limit: Duration) -> Self {
        Self { connect_limit, answer_limit, ..self }
    }

    /// Where it sends to.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The proxy that it sends to, if it is one.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Sends `values`, at most [`PACKET_VALUES_MAX`] of them; the rest is left out.
    ///
    /// # Errors
    /// No counts came back. Some, all or none of the values may have arrived; sent again with the
    /// same times they are not kept twice.
    pub async fn send(&self, values: &[Value]) -> Result<Counts, ZabbixError> {
        let values = &values[..values.len().min(PACKET_VALUES_MAX)];
        self.send_packet(&Packet { request: "sender data", data: values }).await
    }

    /// Sends the list of a host's replicas to its discovery rule.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_list(
        &self,
        host: &Arc<str>,
        key: &str,
        list: &str,
        at: ValueTime,
    ) -> Result<Counts, ZabbixError> {
        // Not a `Value`: those cut long texts.
        let entry = serde_json::json!({
            "host": &**host, "key": key, "value": list, "clock": at.clock, "ns": at.ns
        });
        self.send_packet(&Packet { request: "sender data", data: &[entry] }).await
    }

    async fn send_packet<T: Serialize>(
        &self,
        packet: &Packet<'_, T>,
    ) -> Result<Counts, ZabbixError> {
        let text = serde_json::to_vec(packet).map_err(|error| ZabbixError::Refused {
            at: self.peer.to_string(),
            info: error.to_string(),
        })?;
        let answer = self.exchange(&frame::wrap(&text)).await?;
        self.read_counts(&answer)
    }

    async fn exchange(&self, frame: &[u8]) -> Result<Vec<u8>, ZabbixError> {
        let (tls, limit) = (self.tls.as_ref(), self.connect_limit);
        let mut stream = self.peer.connect(&self.peer, tls, limit).await?;
        let exchange = async {
            stream.write_all(frame).await.map_err(|error| self.cut_off(error))?;
            stream.flush().await.map_err(|error| self.cut_off(error))?;
            let mut start = [0; frame::PREFIX_LEN];
            let mut filled = 0;
            while filled < start.len() {
                match stream.read(&mut start[filled..]).await {
                    Ok(0) if filled == 0 => {
                        return Err(self.not_zabbix("it closed the connection without an answer"));
                    }
                    Ok(0) => return Err(self.cut_off("in the frame's first bytes")),
                    Ok(more) => filled += more,
                    Err(error) => return Err(self.cut_off(error)),
                }
            }
            let prefix = Prefix::read(start).map_err(|bad| self.bad_frame(&bad, &start))?;
            let mut numbers = vec![0; prefix.numbers_len()];
            stream.read_exact(&mut numbers).await.map_err(|error| self.cut_off(error))?;
            let head = prefix.head(&numbers, ANSWER_MAX);
            let head = head.map_err(|bad| self.bad_frame(&bad, &start))?;
            let mut data = vec![0; head.len];
            stream.read_exact(&mut data).await.map_err(|error| self.cut_off(error))?;
            head.unwrap(data).map_err(|bad| self.bad_frame(&bad, &start))
        };
        let silent = |_| ZabbixError::Silent {
            at: self.peer.to_string(),
            limit_ms: u64::try_from(self.answer_limit.as_millis()).unwrap_or(u64::MAX),
        };
        timeout(self.answer_limit, exchange).await.map_err(silent)?
    }

    pub(crate) fn read_counts(&self, answer: &[u8]) -> Result<Counts, ZabbixError> {
        let odd = || self.not_zabbix(format!("\"{}\"", start_of(answer)));
        let json: Json = serde_json::from_slice(answer).map_err(|_| odd())?;
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        let info = text("info").unwrap_or_default();
        match text("response") {
            Some("success") => counts(info).ok_or_else(odd),
            Some("failed") => Err(ZabbixError::Refused {
                at: self.peer.to_string(),
                info: start_of(info.as_bytes()),
            }),
            _ => Err(odd()),
        }
    }

    fn cut_off(&self, why: impl ToString) -> ZabbixError {
        ZabbixError::CutOff { at: self.peer.to_string(), why: why.to_string() }
    }

    fn not_zabbix(&self, why: impl ToString) -> ZabbixError {
        ZabbixError::NotZabbix { at: self.peer.to_string(), why: why.to_string() }
    }

    fn bad_frame(&self, bad: &BadFrame, start: &[u8]) -> ZabbixError {
        match bad {
            BadFrame::Magic => {
                self.not_zabbix(format!("its answer begins with \"{}\"", start_of(start)))
            }
            BadFrame::Flags(flags) => self.not_zabbix(format!("unknown flags {flags:#04x}")),
            BadFrame::Packed => self.not_zabbix("the answer cannot be decompressed"),
            BadFrame::TooLong(bytes) => ZabbixError::TooLong {
                at: self.peer.to_string(),
                bytes: *bytes,
                bytes_max: ANSWER_MAX as u64,
            },
        }
    }
}

#[derive(Serialize)]
struct Packet<'a, T> {
    request: &'static str,
    data: &'a [T],
}

/// `processed: 1; failed: 2; total: 3; seconds spent: 0.000063`
fn counts(info: &str) -> Option<Counts> {
    let number = |name: &str| {
        let part = info.split(';').find_map(|part| part.trim().strip_prefix(name))?;
        part.strip_prefix(':')?.trim().parse().ok()
    };
    Some(Counts { processed: number("processed")?, failed: number("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_can_neither_begin_a_line_of_a_log_nor_fill_it() {
        let peer = Peer { host: "127.0.0.1".to_owned(), port: 10_051 };
        let info = format!("no\\n2026-01-01 ERROR {}", "x".repeat(60_000));
        let answer = format!(r#"{{"response":"failed","info":"{info}"}}"#);
        let said = Sender::new(peer, None).unwrap().read_counts(answer.as_bytes()).unwrap_err();
        let said = said.to_string();
        assert!(said.len() < 200 && !said.contains('\n'), "{said}");
    }

    #[test]
    fn counts_are_read_by_name() {
        let info = "processed: 1; failed: 2; total: 3; seconds spent: 12.000063";
        assert_eq!(counts(info), Some(Counts { processed: 1, failed: 2 }));
        assert_eq!(counts("processed: x; failed: 2"), None);
        assert_eq!(counts(""), None);
    }
}
