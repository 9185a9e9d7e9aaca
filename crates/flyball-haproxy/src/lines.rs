//! The lines that are allowed in the backend that flyball writes. One list of directives that
//! belong in a backend and read and run nothing on disk. Anything else is refused, even if a later
//! HAProxy knows it (docs/design/015).

mod expressions;

use std::net::SocketAddr;

use expressions::{objection, objection_in_condition, objection_in_format, objection_in_patterns};

use crate::error::HaproxyError;
use crate::words::words;

/// A real backend has a few dozen.
const LINES_MAX: usize = 500;

/// How the words behind a directive are looked at.
#[derive(Clone, Copy, Debug)]
enum Rest {
    /// Numbers, names and texts: none of them means a file.
    Plain,
    /// The second word is one of these; further ones are plain.
    OneOf(&'static [&'static str]),
    /// The second word is an action of this list; formats and conditions follow.
    Action(&'static [&'static str]),
    /// Formats and conditions; words with parentheses are expressions.
    Expressions,
    /// A name, an expression, and what it is compared with.
    Acl,
    /// `NAME IP:PORT` and options of a server.
    Server,
    /// Options of a server.
    ServerOptions,
    /// Only to where the operator's own configuration logs already.
    Log,
}

/// The list. Left out on purpose: whatever opens a section, `errorfile(s)`, `http-error` and
/// `load-server-state-from-file` (files), `external-check` (a program), `filter` (SPOE, traces),
/// `use-fcgi-app`, `stats` (a page with buttons), `source`, `dispatch`, `email-alert` and
/// `log` to another place (traffic to elsewhere), `server-template` (flyball's own, as `template`).
const DIRECTIVES: &[(&str, Rest)] = &[
    ("acl", Rest::Acl),
    ("balance", Rest::Expressions),
    ("compression", Rest::Plain),
    ("cookie", Rest::Plain),
    ("default-server", Rest::ServerOptions),
    ("description", Rest::Plain),
    ("force-persist", Rest::Expressions),
    ("fullconn", Rest::Plain),
    ("hash-balance-factor", Rest::Plain),
    ("hash-type", Rest::Plain),
    ("http-after-response", Rest::Action(ACTIONS)),
    ("http-check", Rest::Action(CHECKS)),
    ("http-request", Rest::Action(ACTIONS)),
    ("http-response", Rest::Action(ACTIONS)),
    ("http-reuse", Rest::Plain),
    ("http-send-name-header", Rest::Plain),
    ("ignore-persist", Rest::Expressions),
    ("log", Rest::Log),
    ("max-keep-alive-queue", Rest::Plain),
    ("mode", Rest::OneOf(&["http", "tcp"])),
    ("option", Rest::OneOf(OPTIONS)),
    ("redirect", Rest::Expressions),
    ("retries", Rest::Plain),
    ("retry-on", Rest::Plain),
    ("server", Rest::Server),
    ("srvtcpka-cnt", Rest::Plain),
    ("srvtcpka-idle", Rest::Plain),
    ("srvtcpka-intvl", Rest::Plain),
    ("stick", Rest::Expressions),
    ("stick-table", Rest::Plain),
    ("tcp-check", Rest::Action(CHECKS)),
    ("timeout", Rest::Plain),
];

const OPTIONS: &[&str] = &[
    "abortonclose",
    "accept-invalid-http-response",
    "allbackups",
    "checkcache",
    "forwardfor",
    "h1-case-adjust-bogus-server",
    "http-buffer-request",
    "http-keep-alive",
    "http-no-delay",
    "http-pretend-keepalive",
    "http-restrict-req-hdr-names",
    "http-server-close",
    "httpchk",
    "httpclose",
    "idle-close-on-response",
    "independent-streams",
    "ldap-check",
    "log-health-checks",
    "mysql-check",
    "nolinger",
    "originalto",
    "persist",
    "pgsql-check",
    "prefer-last-server",
    "redis-check",
    "redispatch",
    "smtpchk",
    "splice-auto",
    "splice-request",
    "splice-response",
    "srvtcpka",
    "ssl-hello-chk",
    "tcp-check",
    "tcp-smart-connect",
    "tcpka",
];

const ACTIONS: &[&str] = &[
    "add-header",
    "allow",
    "del-header",
    "deny",
    "disable-l7-retry",
    "early-hint",
    "normalize-uri",
    "redirect",
    "reject",
    "replace-header",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "replace-value",
    "return",
    "set-header",
    "set-log-level",
    "set-method",
    "set-nice",
    "set-path",
    "set-pathq",
    "set-priority-class",
    "set-priority-offset",
    "set-query",
    "set-status",
    "set-timeout",
    "set-uri",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "strict-mode",
    "tarpit",
    "unset-var",
    "wait-for-body",
];

const CHECKS: &[&str] = &[
    "comment",
    "connect",
    "disable-on-404",
    "expect",
    "send",
    "send-binary",
    "send-lf",
    "send-state",
];

/// Words that have an action take its answer from a file.
const FILES: [&str; 5] = ["file", "lf-file", "errorfile", "errorfiles", "default-errorfiles"];

/// Options of a server, and how many words each takes.
const SERVER_OPTIONS: &[(&str, usize)] = &[
    ("alpn", 1),
    ("backup", 0),
    ("check", 0),
    ("check-alpn", 1),
    ("check-send-proxy", 0),
    ("check-ssl", 0),
    ("cookie", 1),
    ("disabled", 0),
    ("downinter", 1),
    ("enabled", 0),
    ("error-limit", 1),
    ("fall", 1),
    ("fastinter", 1),
    ("inter", 1),
    ("max-reuse", 1),
    ("maxconn", 1),
    ("maxqueue", 1),
    ("minconn", 1),
    ("no-check", 0),
    ("non-stick", 0),
    ("observe", 1),
    ("on-error", 1),
    ("on-marked-down", 1),
    ("on-marked-up", 1),
    ("pool-low-conn", 1),
    ("pool-max-conn", 1),
    ("pool-purge-delay", 1),
    ("port", 1),
    ("proto", 1),
    ("rise", 1),
    ("send-proxy", 0),
    ("send-proxy-v2", 0),
    ("slowstart", 1),
    ("ssl", 0),
    ("tcp-ut", 1),
    ("verify", 1),
    ("weight", 1),
    ("ws", 1),
];

/// Refuses the first of `lines` that may not stand in the file.
pub(crate) fn verify(lines: &str) -> Result<(), HaproxyError> {
    if lines.lines().count() > LINES_MAX {
        let why = format!("there are more than {LINES_MAX} lines");
        return Err(HaproxyError::Line { line: String::new(), why });
    }
    let refused = |line: &str| Some((line.to_owned(), line_objection(line)?));
    match lines.lines().find_map(refused) {
        None => Ok(()),
        Some((line, why)) => {
            let line: String = line.chars().take(80).flat_map(char::escape_debug).collect();
            Err(HaproxyError::Line { line, why })
        }
    }
}

/// Why `line` may not stand in the file.
fn line_objection(line: &str) -> Option<String> {
    let words = words(line);
    if let Some(flaw) = words.flaw {
        return Some(flaw.why().to_owned());
    }
    let words = words.all;
    let negated = matches!(words.first().map(String::as_str), Some("no" | "default"));
    let words = if negated { &words[1..] } else { &words[..] };
    let (first, rest) = words.split_first()?;
    let Some((_, kind)) = DIRECTIVES.iter().find(|(name, _)| name == first) else {
        return Some(format!("`{first}` is not one of the allowed directives"));
    };
    let negatable = ["option", "log"].contains(&first.as_str());
    if negated && !negatable {
        return Some(format!("`no` cannot be used with `{first}`"));
    }
    let objection = rest_objection(*kind, rest, negated)?;
    Some(format!("`{first}` with {objection} is not allowed"))
}

fn rest_objection(kind: Rest, rest: &[String], negated: bool) -> Option<String> {
    match kind {
        Rest::Plain => None,
        Rest::OneOf(list) => not_listed(list, rest),
        Rest::Action(list) => not_listed(list, rest).or_else(|| action_objection(rest)),
        Rest::Expressions => format_objection(rest).or_else(|| expression_objection(rest)),
        Rest::Acl => acl_objection(rest),
        Rest::Server => server_objection(rest),
        Rest::ServerOptions => option_objection(rest),
        Rest::Log if negated && rest.is_empty() => None,
        Rest::Log if rest == ["global"] => None,
        Rest::Log => Some("anything but `global`".to_owned()),
    }
}

fn not_listed(list: &[&str], rest: &[String]) -> Option<String> {
    let second = rest.first().map_or("", String::as_str);
    // `set-var(txn.x)` is the action `set-var`.
    let name = second.split('(').next().unwrap_or_default();
    (!list.contains(&name)).then(|| format!("`{second}`"))
}

fn action_objection(rest: &[String]) -> Option<String> {
    if let Some(word) = rest.iter().find(|word| FILES.contains(&word.as_str())) {
        return Some(format!("`{word}`"));
    }
    let action = rest.first().map_or("", String::as_str);
    let assigned = rest.get(1).filter(|_| action.starts_with("set-var("));
    assigned.and_then(|expression| objection(expression)).or_else(|| format_objection(rest))
}

fn format_objection(rest: &[String]) -> Option<String> {
    rest.iter().find_map(|word| objection_in_format(word)).or_else(|| objection_in_condition(rest))
}

/// Of words that are no format: `balance hdr(host)`, `balance hash src`, `stick on src,lower`.
fn expression_objection(rest: &[String]) -> Option<String> {
    let behind =
        |word: &str| ["hash", "on", "match", "store-request", "store-response"].contains(&word);
    let outside = rest.iter().take_while(|word| !["if", "unless"].contains(&word.as_str()));
    let mut expects = false;
    for word in outside {
        let is_expression = expects || word.contains('(');
        expects = behind(word);
        // `balance rdp-cookie(name)` and `hdr(name)` are methods, not expressions.
        let is_method = word.starts_with("rdp-cookie");
        if is_expression
            && !is_method
            && let Some(why) = objection(word)
        {
            return Some(why);
        }
    }
    None
}

fn acl_objection(rest: &[String]) -> Option<String> {
    let expression = rest.get(1).map_or("", String::as_str);
    let patterns: Vec<&String> = rest.iter().skip(2).collect();
    objection(expression).or_else(|| objection_in_patterns(&patterns))
}

/// HAProxy would take variables out of an address, and sockets, descriptors and files for one.
fn server_objection(rest: &[String]) -> Option<String> {
    let address = rest.get(1).map_or("", String::as_str);
    if address.parse::<SocketAddr>().is_err() {
        return Some(format!("`{address}` instead of IP:PORT"));
    }
    option_objection(rest.get(2..).unwrap_or_default())
}

fn option_objection(options: &[String]) -> Option<String> {
    let mut rest = options.iter();
    while let Some(word) = rest.next() {
        let Some((name, takes)) = SERVER_OPTIONS.iter().find(|(name, _)| name == word) else {
            return Some(format!("`{word}`"));
        };
        let values: Vec<&String> = rest.by_ref().take(*takes).collect();
        // Whom a server is verified by is in a file.
        if *name == "verify" && values != ["none"] {
            return Some("`verify` by a file".to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests;
