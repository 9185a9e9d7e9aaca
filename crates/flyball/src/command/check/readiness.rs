//! Describes how replicas are probed, because the defaults appear in no file.

use flyball_config::{Ready, Service, show_duration};

use crate::finding::Finding;

pub(super) fn look_at(service: &Service) -> Finding {
    let (ready, hint) = match &service.ready {
        Ready::Http { path, any_but_failure: true } => (
            format!(
                "by default a replica is ready once GET {path} gets any HTTP response except a \
                 server error: a replica that answers 5xx to everything would only fail requests"
            ),
            Some(
                "configure the replica's own health check: ready = { http = \"/healthz\" \
                  }"
                .to_owned(),
            ),
        ),
        Ready::Http { path, .. } => (
            format!("a replica is ready once GET {path} is answered with a status below 400"),
            None,
        ),
        Ready::Tcp => ("a replica is ready once it accepts a connection".to_owned(), None),
    };
    let text = format!("{ready}; {}", liveness(service));
    Finding { key: format!("services.{}.ready", service.name), ok: true, text, hint }
}

fn liveness(service: &Service) -> String {
    let sick_after = show_duration(service.policy.timing.sick_after_ms);
    match service.liveness_ms {
        0 => "it is not probed again (liveness = \"0s\")".to_owned(),
        pace => format!(
            "it is probed again every {}, and replaced when it has been sick for {sick_after}",
            show_duration(pace)
        ),
    }
}
