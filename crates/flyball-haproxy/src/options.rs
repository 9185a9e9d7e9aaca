//! The server options that a service may set. One list for the file and for run time: `add server`
//! of every HAProxy since 2.6 accepts what passes, and nothing that passes can end a command or a
//! line.

use crate::error::HaproxyError;

/// One keyword of a `server` line.
struct Keyword {
    name: &'static str,
    /// Words that follow it.
    arguments: usize,
}

const fn keyword(name: &'static str, arguments: usize) -> Keyword {
    Keyword { name, arguments }
}

/// What HAProxy 2.6 and later take at run time and in a file. Those that read a file (`ca-file`,
/// `crl-file`, `crt`) work at run time only where HAProxy has read it for something else before.
const KEYWORDS: [Keyword; 62] = [
    keyword("addr", 1),
    keyword("agent-addr", 1),
    keyword("agent-check", 0),
    keyword("agent-inter", 1),
    keyword("agent-port", 1),
    keyword("agent-send", 1),
    keyword("allow-0rtt", 0),
    keyword("alpn", 1),
    keyword("ca-file", 1),
    keyword("check", 0),
    keyword("check-alpn", 1),
    keyword("check-proto", 1),
    keyword("check-send-proxy", 0),
    keyword("check-sni", 1),
    keyword("check-ssl", 0),
    keyword("ciphers", 1),
    keyword("ciphersuites", 1),
    keyword("crl-file", 1),
    keyword("crt", 1),
    keyword("downinter", 1),
    keyword("error-limit", 1),
    keyword("fall", 1),
    keyword("fastinter", 1),
    keyword("force-tlsv10", 0),
    keyword("force-tlsv11", 0),
    keyword("force-tlsv12", 0),
    keyword("force-tlsv13", 0),
    keyword("inter", 1),
    keyword("maxqueue", 1),
    keyword("minconn", 1),
    keyword("no-ssl-reuse", 0),
    keyword("no-sslv3", 0),
    keyword("no-tls-tickets", 0),
    keyword("no-tlsv10", 0),
    keyword("no-tlsv11", 0),
    keyword("no-tlsv12", 0),
    keyword("no-tlsv13", 0),
    keyword("npn", 1),
    keyword("observe", 1),
    keyword("on-error", 1),
    keyword("on-marked-down", 1),
    keyword("on-marked-up", 1),
    keyword("pool-low-conn", 1),
    keyword("pool-max-conn", 1),
    keyword("pool-purge-delay", 1),
    keyword("port", 1),
    keyword("proto", 1),
    keyword("proxy-v2-options", 1),
    keyword("rise", 1),
    keyword("send-proxy", 0),
    keyword("send-proxy-v2", 0),
    keyword("slowstart", 1),
    keyword("sni", 1),
    keyword("source", 1),
    keyword("ssl", 0),
    keyword("ssl-max-ver", 1),
    keyword("ssl-min-ver", 1),
    keyword("tfo", 0),
    keyword("tls-tickets", 0),
    keyword("verify", 1),
    keyword("verifyhost", 1),
    keyword("ws", 1),
];

/// Keywords that users may try here, and what to do instead.
const ELSEWHERE: [(&str, &str); 13] = [
    ("backup", "a replica is not a backup server: remove it"),
    ("cookie", "servers added at run time have no cookie: remove it"),
    ("disabled", "flyball decides when a server gets requests: remove it"),
    ("enabled", "flyball decides when a server gets requests: remove it"),
    ("id", "flyball picks an unused one: remove it"),
    ("init-addr", "flyball sets addresses, not names: remove it"),
    ("maxconn", "set `slots` of the service"),
    ("no-check", "set `check` to false"),
    ("resolve-prefer", "flyball sets addresses, not names: remove it"),
    ("resolvers", "flyball sets addresses, not names: remove it"),
    ("track", "a replica does not track another server: remove it"),
    ("weight", "flyball gives every replica the same one: remove it"),
    ("send-proxy-v2-ssl", "HAProxy accepts it only in a file: use send-proxy-v2"),
];

/// Words that say how a server is checked: useless without `check` or `observe`.
pub(crate) const ABOUT_CHECKS: [&str; 14] = [
    "check",
    "check-alpn",
    "check-proto",
    "check-send-proxy",
    "check-sni",
    "check-ssl",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "inter",
    "observe",
    "on-error",
    "rise",
];

/// Keywords with their arguments, as far as they are known; an unknown one is by itself.
pub(crate) fn split(words: &str) -> Vec<Vec<&str>> {
    let mut parts: Vec<Vec<&str>> = Vec::new();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let arguments = KEYWORDS.iter().find(|k| k.name == word).map_or_else(
            // What follows a word that is not known here cannot be told from a keyword.
            || usize::from(matches!(word, "maxconn" | "weight" | "cookie" | "resolvers" | "id")),
            |known| known.arguments,
        );
        parts.push(std::iter::once(word).chain(words.by_ref().take(arguments)).collect());
    }
    parts
}

/// Whether the keyword `name` is among `words`.
pub(crate) fn has(words: &str, name: &str) -> bool {
    split(words).iter().any(|part| part.first() == Some(&name))
}

/// Whether `name` may be among the words.
pub(crate) fn is_known(name: &str) -> bool {
    KEYWORDS.iter().any(|known| known.name == name)
}

/// Refuses what HAProxy would not take at run time, what flyball says itself, and what could end a
/// command.
pub(crate) fn verify(words: &str) -> Result<(), HaproxyError> {
    let wrong = |word: &str, why: &str| HaproxyError::Option {
        word: word.escape_debug().to_string(),
        why: why.to_owned(),
    };
    // The file would take a quoted word and run time would not: what stands for itself in both.
    let plain = |c: char| c.is_ascii_graphic() && !"\"'\\;#$`".contains(c);
    if let Some(word) = words.split_whitespace().find(|word| !word.chars().all(plain)) {
        return Err(wrong(word, "use no quotes, ;, #, $ and \\ in it"));
    }
    for part in split(words) {
        let [name, given @ ..] = &part[..] else { continue };
        match KEYWORDS.iter().find(|known| known.name == *name) {
            Some(known) if known.arguments == given.len() => {}
            Some(_) => return Err(wrong(name, "write its value after it")),
            None => {
                let other = ELSEWHERE.iter().find(|(word, _)| word == name);
                let why = other.map_or("remove it", |(_, why)| *why);
                return Err(wrong(name, why));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use flyball_engine::Hint as _;

    use super::*;

    #[test]
    fn words_that_a_server_may_have_pass() {
        for words in [
            "",
            "ssl verify none",
            "ssl verify required ca-file /etc/ssl/ca.pem sni str(web.example) alpn h2,http/1.1",
            "send-proxy-v2 proto h2 check inter 5s",
            "  ssl   verify  none ",
        ] {
            assert!(verify(words).is_ok(), "{words}");
        }
    }

    #[test]
    fn words_that_end_a_command_or_that_nobody_takes_are_refused() {
        for (words, word) in [
            ("ssl;shutdown sessions server web/a", "ssl;shutdown"),
            ("ssl \"verify none\"", "\\\"verify"),
            ("sni $HOME", "$HOME"),
            ("verify", "verify"),
            ("ssl verify none weight 5", "weight"),
            ("cookie a", "cookie"),
            ("teleport", "teleport"),
            ("ssl none", "none"),
            ("verify n\u{f6}ne", "n\u{f6}ne"),
        ] {
            let said = verify(words).unwrap_err().to_string();
            assert!(said.contains(&format!("`{word}`")), "{words}: {said}");
        }
        let hint = verify("maxconn 5").unwrap_err().hint().unwrap();
        assert_eq!(hint, "set `slots` of the service");
    }

    #[test]
    fn the_list_is_sorted_so_that_a_word_is_found_by_eye() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_keyword_is_not_taken_for_the_value_of_another() {
        assert!(has("sni check check", "check") && !has("sni check", "check"));
        assert_eq!(
            split("a b ssl verify none"),
            [vec!["a"], vec!["b"], vec!["ssl"], vec!["verify", "none"]]
        );
    }
}
