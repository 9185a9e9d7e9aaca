//! Maps the daemon's error answers, and those of proxies in front of it, to errors.
//!
//! The text is all there is to go by: the status is 500 for nearly everything.

use std::io;
use std::time::Duration;

use bollard::errors::Error as Answer;
use flyball_engine::text::{is_html, one_line};

use crate::DockerError;

impl DockerError {
    pub(crate) fn silent(what: impl Into<String>, limit: Duration) -> Self {
        Self::Silent { what: what.into(), limit_s: limit.as_secs() }
    }

    /// What `answer` to the request to do `what` means.
    pub(crate) fn of(host: &str, what: &str, answer: &Answer) -> Self {
        match answer {
            Answer::DockerResponseServerError { status_code, message } => {
                Self::of_proxy(host, what, *status_code, message)
                    .unwrap_or_else(|| Self::refused(what, *status_code, message))
            }
            Answer::DockerStreamError { error } => Self::refused(what, 500, error),
            Answer::SocketNotFoundError(path) => {
                Self::NotRunning { host: host.into(), why: format!("there is no {path}") }
            }
            Answer::UnsupportedURISchemeError { .. } => Self::Address { host: host.into() },
            Answer::RequestTimeoutError => Self::silent(what, Duration::from_secs(120)),
            other => Self::unreachable(host, what, other),
        }
    }

    /// What a proxy in front of the daemon means, which does not let a request pass. The daemon
    /// itself never answers with a page.
    pub(crate) fn of_proxy(host: &str, what: &str, status: u16, message: &str) -> Option<Self> {
        let forbids = matches!(status, 401 | 403) && is_html(message);
        forbids.then(|| Self::NotAllowed {
            host: host.to_owned(),
            what: what.to_owned(),
            why: one_line(message),
        })
    }

    fn unreachable(host: &str, what: &str, answer: &Answer) -> Self {
        match io_cause(answer) {
            Some(cause) => Self::of_io(host, what, cause),
            None => Self::Broken { what: what.into(), why: deepest(answer) },
        }
    }

    /// What the failure of a connection to the daemon means.
    pub(crate) fn of_io(host: &str, what: &str, cause: &io::Error) -> Self {
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        match cause.kind() {
            PermissionDenied => Self::Permission { host: host.into() },
            ConnectionRefused | NotFound => {
                Self::NotRunning { host: host.into(), why: one_line(&cause.to_string()) }
            }
            _ => Self::Broken { what: what.into(), why: one_line(&cause.to_string()) },
        }
    }

    fn refused(what: &str, status: u16, message: &str) -> Self {
        let why = one_line(message);
        let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
        if says(&["no space left on device", "disk quota exceeded"]) {
            Self::NoSpace { what: what.into(), why }
        } else if let Some(name) = quoted_after(&why, "container name ") {
            Self::NameTaken { name: name.trim_start_matches('/').to_owned() }
        } else if let Some(image) = why.split_once("No such image: ").map(|(_, image)| image) {
            Self::ImageNotFound { image: image.trim_end_matches(" (tag: latest)").to_owned() }
        } else if says(&["port is already allocated", "ports are allocated", "Ports are not avail"])
            || says(&["address already in use", "failed to bind host port"])
        {
            Self::NoPort { why }
        } else if let Some(network) = network_in(&why) {
            Self::NetworkNotFound { network }
        } else if says(&["Range of CPUs is from"]) {
            Self::CpusRefused { why }
        } else if says(&["executable file not found", "exec: ", "No command specified"]) {
            Self::Command { why }
        } else {
            Self::Refused { what: what.into(), status, why }
        }
    }

    /// What a failed pull of `image` means.
    pub(crate) fn of_pull(self, image: &str) -> Self {
        let (Self::Refused { why, .. } | Self::ImageNotFound { image: why }) = self else {
            return self;
        };
        let (image, says) =
            (image.to_owned(), |words: &[&str]| words.iter().any(|w| why.contains(w)));
        if says(&REFUSALS) {
            Self::RegistryRefused { image, why }
        } else if says(&["dial tcp", "no such host", "i/o timeout", "TLS", "connection", "EOF"]) {
            Self::RegistryUnreachable { image, why }
        } else if says(&["manifest unknown", "not found", "does not exist", "HTTP 404"]) {
            Self::ImageNotFound { image }
        } else {
            Self::PullFailed { image, why }
        }
    }
}

/// What registries answer to clients that are not logged in or may not pull the image.
const REFUSALS: [&str; 6] = [
    "no basic auth credentials",
    "authentication required",
    "unauthorized",
    "access denied",
    "access to the resource is denied",
    "docker login",
];

fn io_cause(answer: &Answer) -> Option<&io::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(answer);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

pub(crate) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    one_line(&last.to_string())
}

fn quoted_after(text: &str, words: &str) -> Option<String> {
    let (_, rest) = text.split_once(words)?;
    Some(rest.strip_prefix('"')?.split_once('"')?.0.to_owned())
}

fn network_in(why: &str) -> Option<String> {
    let rest = why.split_once("network ")?.1;
    let name =
        rest.strip_suffix(" not found").or_else(|| rest.split_once(" not found").map(|r| r.0));
    name.filter(|name| !name.contains(' ')).map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use flyball_engine::Hint as _;

    use super::*;

    fn meaning(message: &str) -> DockerError {
        let message = message.to_owned();
        let answer = Answer::DockerResponseServerError { status_code: 500, message };
        DockerError::of("unix:///d.sock", "start web-1", &answer)
    }

    #[test]
    fn what_the_daemon_says_is_told_apart() {
        let taken = "Conflict. The container name \"/web-1\" is already in use by container \
                     \"4a\". You have to remove (or rename) that container";
        assert_eq!(meaning(taken), DockerError::NameTaken { name: "web-1".into() });
        let image = DockerError::ImageNotFound { image: "none:1".into() };
        assert_eq!(meaning("No such image: none:1"), image);
        let network = DockerError::NetworkNotFound { network: "blue".into() };
        assert_eq!(meaning("network blue not found"), network);
        assert!(matches!(
            meaning("driver failed: Bind for 127.0.0.1:80 failed: port is already allocated"),
            DockerError::NoPort { .. }
        ));
        assert!(matches!(
            meaning("mkdir /var/lib/docker: no space left on device"),
            DockerError::NoSpace { .. }
        ));
        assert!(matches!(
            meaning("Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
            DockerError::CpusRefused { .. }
        ));
        assert!(matches!(meaning("something new"), DockerError::Refused { status: 500, .. }));
    }

    #[test]
    fn an_image_that_is_not_there_and_a_registry_that_is_not_are_two_things() {
        let pull = |why: &str| meaning(why).of_pull("r.example/web:1");
        let refused = "Get \"http://r.example/v2/\": dial tcp 127.0.0.1:1: connect: refused";
        assert!(matches!(pull(refused), DockerError::RegistryUnreachable { .. }));
        assert!(matches!(pull("manifest unknown"), DockerError::ImageNotFound { .. }));
        let full = pull("toomanyrequests: You have reached your pull rate limit");
        assert!(
            matches!(&full, DockerError::PullFailed { .. })
                && full.to_string().contains("rate limit")
        );
    }

    #[test]
    fn a_registry_that_wants_a_login_is_said_in_the_daemons_words() {
        for why in [
            "Head \"https://r.example/v2/web/manifests/1\": no basic auth credentials",
            "pull access denied for web, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied",
            "unauthorized: authentication required",
        ] {
            let error = meaning(why).of_pull("r.example/web:1");
            assert!(error.to_string().ends_with(why), "{error}");
            assert!(error.hint().unwrap().contains("docker login"), "{error}");
        }
    }

    #[test]
    fn a_page_of_a_socket_proxy_is_told_as_text_with_what_to_allow() {
        let message = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative \
                       rules.\n</body></html>\n";
        let answer = |status_code| {
            let message = message.to_owned();
            let answer = Answer::DockerResponseServerError { status_code, message };
            DockerError::of("tcp://127.0.0.1:2375", "list containers", &answer)
        };
        let forbidden = answer(403);
        assert_eq!(
            forbidden.to_string(),
            "docker at tcp://127.0.0.1:2375 does not allow flyball to list containers: 403 Forbidden \
             Request forbidden by administrative rules."
        );
        assert!(forbidden.hint().unwrap().contains("CONTAINERS"));
        assert!(!answer(502).to_string().contains('<'), "{}", answer(502));
    }

    #[test]
    fn hints_say_what_to_do() {
        let error = DockerError::Permission { host: "unix:///var/run/docker.sock".into() };
        assert!(error.hint().unwrap().contains("usermod -aG docker"));
        assert_eq!(meaning("something new").hint(), None);
    }
}
