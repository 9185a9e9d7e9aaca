//! The host group, and a host for each service.
//!
//! Decides what a host lacks. Invariant: a host without flyball's tag is not touched, and of a host
//! with it only flyball's own macros, link, group and tag are, and who monitors it where that is set.

use serde_json::{Value, json};

use super::workshop::{Workshop, list, text};
use super::{HostSetup, NAME, Setup, TAG, Verb};
use crate::error::ZabbixError;
use crate::proxies::{Proxies, assign, host_fields, is_monitored_by};

/// What a host belongs to, by its id. Group and template are `None` where they are not there yet.
pub(super) struct Belongs<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) template: Option<&'a str>,
    /// The proxy that shall monitor it, if that is set.
    pub(super) proxy: Option<&'a str>,
    pub(super) proxies: &'a Proxies,
}

/// What marks the host group as ours.
pub(super) const GROUP_UUID: &str = "6c6e3a52d0f84b0f9a4d3b7f0b1c5a60";
const DESCRIPTION: &str =
    "A service that flyball keeps the right size. Made by `flyball zabbix provision`.";

/// Makes the host group if need be; a group of that name that somebody else made will do.
pub(super) async fn build_group(
    workshop: &mut Workshop<'_>,
) -> Result<Option<String>, ZabbixError> {
    let ask = json!({ "filter": { "name": [NAME] }, "output": ["groupid"] });
    let found = workshop.api.list("hostgroup.get", ask).await?;
    if let Some(group) = found.first() {
        return Ok(Some(text(group, "groupid").to_owned()));
    }
    let params = json!({ "name": NAME, "uuid": GROUP_UUID });
    let call = ("hostgroup.create", "groupids");
    workshop.make(("host group", NAME), Vec::new(), call, params).await
}

/// Makes and updates the hosts.
pub(super) async fn build(
    workshop: &mut Workshop<'_>,
    setup: &Setup,
    belongs: &Belongs<'_>,
) -> Result<(), ZabbixError> {
    let found = find(workshop, setup).await?;
    for host in &setup.hosts {
        match found.iter().find(|there| text(there, "host") == host.host) {
            Some(there) => update(workshop, host, there, belongs).await?,
            None => make(workshop, host, belongs).await?,
        }
    }
    Ok(())
}

/// The hosts of `setup` that are there; all of them are ours.
pub(super) async fn find(
    workshop: &Workshop<'_>,
    setup: &Setup,
) -> Result<Vec<Value>, ZabbixError> {
    let names: Vec<&str> = setup.hosts.iter().map(|host| host.host.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let output = [&["hostid", "host", "status"], host_fields(workshop.api.version())].concat();
    let mut ask = json!({
        "filter": { "host": names }, "output": output, "selectTags": "extend",
        "selectMacros": ["hostmacroid", "macro", "value"], "selectParentTemplates": ["templateid"],
    });
    let groups = groups_key(workshop);
    ask[groups.0] = json!(["groupid"]);
    let found = workshop.api.list("host.get", ask).await?;
    if let Some(foreign) = found.iter().find(|there| !is_ours(setup, there)) {
        let name = text(foreign, "host").to_owned();
        return Err(ZabbixError::Taken { what: "a host", name });
    }
    // Hosts and templates share their names.
    let ask = json!({ "filter": { "host": names }, "output": ["host"] });
    match workshop.api.list("template.get", ask).await?.first() {
        Some(template) => {
            let name = text(template, "host").to_owned();
            Err(ZabbixError::Taken { what: "a template", name })
        }
        None => Ok(found),
    }
}

fn is_ours(setup: &Setup, there: &Value) -> bool {
    let wanted = setup.hosts.iter().find(|host| host.host == text(there, "host"));
    wanted.is_some_and(|host| has_tag(there, &host.service))
}

fn has_tag(there: &Value, service: &str) -> bool {
    let ours = |tag: &Value| text(tag, "tag") == TAG && text(tag, "value") == service;
    list(there, "tags").iter().any(ours)
}

/// How a host's groups are asked for, and where they are in the answer.
fn groups_key(workshop: &Workshop<'_>) -> (&'static str, &'static str) {
    if workshop.api.version().has_template_groups() {
        ("selectHostGroups", "hostgroups")
    } else {
        ("selectGroups", "groups")
    }
}

async fn make(
    workshop: &mut Workshop<'_>,
    host: &HostSetup,
    belongs: &Belongs<'_>,
) -> Result<(), ZabbixError> {
    let macros = host.thresholds.macros();
    let mut details: Vec<String> =
        macros.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let pairs: Vec<_> =
        macros.iter().map(|(name, value)| json!({ "macro": name, "value": value })).collect();
    let (group, template) = (belongs.group, belongs.template);
    let mut params = json!({
        "host": host.host, "description": DESCRIPTION, "macros": pairs,
        "groups": [{ "groupid": group }], "templates": [{ "templateid": template }],
        "tags": [{ "tag": TAG, "value": host.service }],
    });
    if belongs.proxy.is_some() {
        assign(workshop.api.version(), &mut params, belongs.proxy);
        details.push(format!("monitored by {}", belongs.proxies.monitor_of(&params)));
    }
    let call = ("host.create", "hostids");
    workshop.make(("host", &host.host), details, call, params).await.map(drop)
}

async fn update(
    workshop: &mut Workshop<'_>,
    host: &HostSetup,
    there: &Value,
    belongs: &Belongs<'_>,
) -> Result<(), ZabbixError> {
    let (group, template) = (belongs.group, belongs.template);
    let mut details = Vec::new();
    let mut params = json!({ "hostid": text(there, "hostid") });
    let links = ids(there, "parentTemplates", "templateid");
    if template.is_none_or(|id| !links.contains(&id)) {
        details.push(format!("linked to template {NAME}"));
        params["templates"] = with(&links, template, "templateid");
    }
    let groups = ids(there, groups_key(workshop).1, "groupid");
    if group.is_none_or(|id| !groups.contains(&id)) {
        details.push(format!("in host group {NAME}"));
        params["groups"] = with(&groups, group, "groupid");
    }
    details.extend(take_over(workshop, there, belongs, &mut params));
    let (told, calls) = macro_changes(host, there);
    details.extend(told);
    if details.is_empty() {
        return Ok(());
    }
    let name = ("host", host.host.as_str());
    workshop.change(Verb::Update, name, details, ("host.update", params)).await?;
    for (method, params) in calls {
        workshop.also(method, params).await?;
    }
    Ok(())
}

/// Has the host monitored by the proxy that is set, if it is not; a proxy that somebody gave it stays
/// where none is set, since `trapper` may well be that one.
fn take_over(
    workshop: &mut Workshop<'_>,
    there: &Value,
    belongs: &Belongs<'_>,
    params: &mut Value,
) -> Option<String> {
    let (name, version) = (text(there, "host"), workshop.api.version());
    if text(there, "status") == "1" {
        workshop
            .note(format!("host {name} is disabled in Zabbix, which then takes no values for it"));
    }
    let now = belongs.proxies.monitor_of(there);
    match (belongs.proxy, belongs.proxies.of(there)) {
        (Some(_), _) if !is_monitored_by(version, there, belongs.proxy) => {
            assign(version, params, belongs.proxy);
            Some(format!("monitored by {} instead of {now}", belongs.proxies.monitor_of(params)))
        }
        (None, Some(proxy)) => {
            workshop.note(format!(
                "host {name} is monitored by {now}, which must be what `trapper` is: set proxy = \"{proxy}\" under [zabbix]"
            ));
            None
        }
        _ => None,
    }
}

/// The calls that bring flyball's own macros into line, and what they are in words.
fn macro_changes(host: &HostSetup, there: &Value) -> (Vec<String>, Vec<(&'static str, Value)>) {
    let (mut told, mut calls) = (Vec::new(), Vec::new());
    for (name, value) in host.thresholds.macros() {
        match list(there, "macros").iter().find(|found| text(found, "macro") == name) {
            Some(found) if text(found, "value") == value => {}
            Some(found) => {
                told.push(format!("{name}: {} -> {value}", text(found, "value")));
                let id = text(found, "hostmacroid");
                calls.push(("usermacro.update", json!({ "hostmacroid": id, "value": value })));
            }
            None => {
                told.push(format!("{name}: {value}"));
                let hostid = text(there, "hostid");
                let params = json!({ "hostid": hostid, "macro": name, "value": value });
                calls.push(("usermacro.create", params));
            }
        }
    }
    (told, calls)
}

fn ids<'a>(there: &'a Value, key: &str, id: &str) -> Vec<&'a str> {
    list(there, key).iter().map(|entry| text(entry, id)).collect()
}

/// What there is and one more, as the API wants it.
fn with(there: &[&str], more: Option<&str>, id: &str) -> Value {
    let all = there.iter().copied().chain(more);
    all.map(|value| json!({ id: value })).collect()
}
