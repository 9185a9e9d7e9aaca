//! Checks of the HAProxy process and its version.

use crate::error::HaproxyError;
use crate::finding::{Edit, Finding};
use crate::settings::HaproxySettings;
use crate::stat::Snapshot;

/// Template servers that are proposed where there are none.
const TEMPLATE_SERVERS: u32 = 20;

pub(super) fn look_at(
    settings: &HaproxySettings,
    snapshot: &Snapshot,
    title: &str,
) -> Vec<Finding> {
    let process = &snapshot.process;
    let version = &process.version;
    let mut findings = vec![match (&settings.template_servers, process.takes_servers()) {
        (None, false) => too_old(settings, snapshot, title),
        (None, true) => Finding::well(format!("HAProxy {version} accepts servers at run time")),
        (Some(_), false) => Finding::well(format!("HAProxy {version}, with template servers")),
        (Some(_), true) => {
            Finding::advice(format!("HAProxy {version}, with template servers"), Vec::new())
                .with_hint("remove `template`: this version accepts servers at run time")
        }
    }];
    if process.siblings > 1 {
        let what = format!("HAProxy runs as {} processes with separate counters", process.siblings);
        let section = "global".to_owned();
        let (old, line) = ("nbproc".to_owned(), "nbproc 1".to_owned());
        findings.push(Finding::wrong(what, vec![Edit::Replace { section, old, line }]));
    }
    findings
}

fn too_old(settings: &HaproxySettings, snapshot: &Snapshot, title: &str) -> Finding {
    let version = snapshot.process.version.clone();
    let options = settings.server_options.line(snapshot.backend.mode);
    let line = format!("server-template fb {TEMPLATE_SERVERS} 127.0.0.1:1 {options} disabled");
    let section = title.to_owned();
    let value = format!("{{ prefix = \"fb\", count = {TEMPLATE_SERVERS} }}");
    Finding::wrong(
        HaproxyError::TooOld { version }.to_string(),
        vec![Edit::Add { section, line }, Edit::Flyball { key: "haproxy.template", value }],
    )
}
