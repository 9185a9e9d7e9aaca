//! Errors between flyball and Zabbix. None contains a token.

use flyball_net::TlsError;

/// Why Zabbix could not be asked, or did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ZabbixError {
    /// A setting that could never work.
    #[error("{setting} is \"{value}\", but must be {want}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        want: &'static str,
    },
    /// A file with certificates or a key that is of no use.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// Nothing answers there.
    #[error("cannot reach Zabbix at {at}: {why}")]
    Unreachable {
        /// Address or URL.
        at: String,
        /// What the system said.
        why: String,
    },
    /// The connection stands, but no whole answer came in time.
    #[error("Zabbix at {at} did not answer within {limit_ms} ms")]
    Silent {
        /// Address or URL.
        at: String,
        /// The deadline, in milliseconds.
        limit_ms: u64,
    },
    /// The answer ends before its end.
    #[error("the answer of {at} was cut off: {why}")]
    CutOff {
        /// Address or URL.
        at: String,
        /// Where.
        why: String,
    },
    /// The answer is none of a Zabbix server's.
    #[error("{at} does not speak Zabbix's protocol: {why}")]
    NotZabbix {
        /// Address or URL.
        at: String,
        /// What it said instead.
        why: String,
    },
    /// More is announced than any honest answer has.
    #[error("{at} announces an answer of {bytes} bytes, at most {bytes_max} are read")]
    TooLong {
        /// Address or URL.
        at: String,
        /// What was announced, or the first length beyond the bound.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// The trapper understood nothing of what it was sent.
    #[error("Zabbix at {at} refused the values: {info}")]
    Refused {
        /// Address.
        at: String,
        /// Its words.
        info: String,
    },
    /// The web server refused, not Zabbix.
    #[error("{url} answers with HTTP status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// A page for people instead of JSON.
    #[error("{url} answers with something other than JSON: \"{start}\"")]
    NotJson {
        /// The URL.
        url: String,
        /// How the answer begins.
        start: String,
    },
    /// JSON, but no answer of Zabbix's API.
    #[error("{url} is not a Zabbix API: {why}")]
    NotApi {
        /// The URL.
        url: String,
        /// What is missing.
        why: String,
    },
    /// A Zabbix that flyball cannot work with.
    #[error("Zabbix {version} at {url} is too old: 6.0 is the oldest supported version")]
    TooOld {
        /// Its version.
        version: String,
        /// The URL.
        url: String,
    },
    /// The token is wrong, expired or disabled.
    #[error("Zabbix at {url} does not accept the token ({message})")]
    Token {
        /// The URL.
        url: String,
        /// Zabbix's words.
        message: String,
    },
    /// The token's user may not do this.
    #[error("the token's user may not call {method}: {message}")]
    Rights {
        /// The API's method.
        method: String,
        /// Zabbix's words.
        message: String,
    },
    /// Zabbix's own database is away.
    #[error("Zabbix at {url} has no database: {message}")]
    NoDatabase {
        /// The URL.
        url: String,
        /// Zabbix's words.
        message: String,
    },
    /// Zabbix refused a call for another reason.
    #[error("{method} failed: {message}")]
    Call {
        /// The API's method.
        method: String,
        /// Zabbix's words.
        message: String,
    },
    /// The proxy that the hosts shall be monitored by does not exist.
    #[error("Zabbix at {url} has no proxy \"{name}\"")]
    NoProxy {
        /// The URL.
        url: String,
        /// What it was called.
        name: String,
        /// The proxies that there are.
        known: Vec<String>,
    },
    /// Something of the name that flyball needs was not created by flyball.
    #[error("Zabbix has {what} \"{name}\" that flyball did not create; it was not touched")]
    Taken {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
}

impl ZabbixError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Setting { .. } | Self::Call { .. } => return None,
            Self::Certificate(_) => "it must be PEM, as openssl writes it",
            Self::Unreachable { .. } => {
                "is it running, and are trapper (port 10051) and api (the web frontend) under [zabbix] right?"
            }
            Self::Silent { .. } => {
                "it may be overloaded, or something else listens there; `trapper` is the server's port, not an agent's"
            }
            Self::CutOff { .. } => "it may be restarting: try again",
            Self::NotZabbix { .. } => {
                "`trapper` is the port of zabbix_server or zabbix_proxy, usually 10051; a server that wants TLS hangs up like this, too"
            }
            Self::TooLong { .. } => "something other than Zabbix listens there",
            Self::Refused { .. } => "this server may run a version that flyball does not know",
            Self::Status { status: 412, .. } => {
                "a proxy in front of Zabbix removes the header content-type: let it pass"
            }
            Self::Status { status: 401 | 403, .. } => {
                "the web server requires its own password or forbids this address"
            }
            Self::Status { status: 301..=308, .. } => {
                "use the address that it redirects to, such as https:// instead of http://"
            }
            Self::Status { status: 404, .. } | Self::NotJson { .. } | Self::NotApi { .. } => {
                "`api` is the frontend's address with /api_jsonrpc.php at its end, often http://HOST/zabbix/api_jsonrpc.php"
            }
            Self::Status { .. } => "the web server's log says more",
            Self::TooOld { .. } => "update Zabbix; its 5.x versions have no API tokens that last",
            Self::Token { .. } => {
                "create a token under Users > API tokens (6.0: Administration > General > API \
                 tokens) and put it into token_file"
            }
            Self::Rights { .. } => {
                "`flyball zabbix provision` and `remove` need a token of a Super admin; running needs read rights on the host group Flyball"
            }
            Self::NoProxy { known, .. } if known.is_empty() => {
                "it has no proxies at all: create it there first, or remove `proxy` if `trapper` \
                 is the server"
            }
            Self::NoProxy { known, .. } => {
                return Some(format!("`proxy` is one of its names there: {}", known.join(", ")));
            }
            Self::NoDatabase { .. } => "wait until it is back",
            Self::Taken { what: "a host", .. } => {
                "rename it, or set host_prefix under [zabbix] so that flyball's hosts get other \
                 names"
            }
            Self::Taken { .. } => "rename it or delete it, if it is not needed",
        };
        Some(hint.to_owned())
    }

    /// Whether it may go away by itself: worth another try later, and a reason to hold meanwhile.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Silent { .. }
                | Self::CutOff { .. }
                | Self::NoDatabase { .. }
                | Self::Status { status: 500..=599, .. }
        )
    }
}

/// The beginning of an answer, for a message: one line of 80 characters at most.
pub(crate) fn start_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(400)]);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
