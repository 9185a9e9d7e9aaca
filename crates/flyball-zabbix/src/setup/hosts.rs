//! The host group, and a host for each service. A host without flyball's tag is never changed. Of a
//! tagged host only flyball's macros, link, group and tag are changed, and its proxy where one is
//! configured.

use serde_json::{Value, json};

use super::applier::{Applier, list, text};
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
const DESCRIPTION: &str = "A service that flyball scales. Created by `flyball zabbix provision`.";

/// Creates the host group if needed; an existing group of that name works too.
pub(super) async fn build_group(applier: &mut Applier<'_>) -> Result<Option<String>, ZabbixError> {
    let ask = json!({ "filter": { "name": [NAME] }, "output": ["groupid"] });
    let found = applier.api.list("hostgroup.get", ask).await?;
    if let Some(group) = found.first() {
        return Ok(Some(text(group, "groupid").to_owned()));
    }
    let params = json!({ "name": NAME, "uuid": GROUP_UUID });
    let call = ("hostgroup.create", "groupids");
    applier.make(("host group", NAME), Vec::new(), call, params).await
}

/// Makes and updates the hosts.
pub(super) async fn build(
    applier: &mut Applier<'_>,
    setup: &Setup,
    belongs: &Belongs<'_>,
) -> Result<(), ZabbixError> {
    let found = find(applier, setup).await?;
    for host in &setup.hosts {
        match found.iter().find(|there| text(there, "host") == host.host) {
            Some(there) => update(applier, host, there, belongs).await?,
            None => make(applier, host, belongs).await?,
        }
    }
    Ok(())
}

/// The hosts of `setup` that are there; all of them are ours.
pub(super) async fn find(applier: &Applier<'_>, setup: &Setup) -> Result<Vec<Value>, ZabbixError> {
    let names: Vec<&str> = setup.hosts.iter().map(|host| host.host.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let output = [&["hostid", "host", "status"], host_fields(applier.api.version())].concat();
    let mut ask = json!({
        "filter": { "host": names }, "output": output, "selectTags": "extend",
        "selectMacros": ["hostmacroid", "macro", "value"], "selectParentTemplates": ["templateid"],
    });
    let groups = groups_key(applier);
    ask[groups.0] = json!(["groupid"]);
    let found = applier.api.list("host.get", ask).await?;
    if let Some(foreign) = found.iter().find(|there| !is_ours(setup, there)) {
        let name = text(foreign, "host").to_owned();
        return Err(ZabbixError::Taken { what: "a host", name });
    }
    // Hosts and templates share their names.
    let ask = json!({ "filter": { "host": names }, "output": ["host"] });
    match applier.api.list("template.get", ask).await?.first() {
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
fn groups_key(applier: &Applier<'_>) -> (&'static str, &'static str) {
    if applier.api.version().has_template_groups() {
        ("selectHostGroups", "hostgroups")
    } else {
        ("selectGroups", "groups")
    }
}

async fn make(
    applier: &mut Applier<'_>,
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
        assign(applier.api.version(), &mut params, belongs.proxy);
        details.push(format!("monitored by {}", belongs.proxies.monitor_of(&params)));
    }
    let call = ("host.create", "hostids");
    applier.make(("host", &host.host), details, call, params).await.map(drop)
}

async fn update(
    applier: &mut Applier<'_>,
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
    let groups = ids(there, groups_key(applier).1, "groupid");
    if group.is_none_or(|id| !groups.contains(&id)) {
        details.push(format!("in host group {NAME}"));
        params["groups"] = with(&groups, group, "groupid");
    }
    details.extend(take_over(applier, there, belongs, &mut params));
    let (changes, calls) = macro_changes(host, there);
    details.extend(changes);
    if details.is_empty() {
        return Ok(());
    }
    let name = ("host", host.host.as_str());
    applier.change(Verb::Update, name, details, ("host.update", params)).await?;
    for (method, params) in calls {
        applier.also(method, params).await?;
    }
    Ok(())
}

/// Has the host monitored by the proxy that is set, if it is not; a proxy that was set manually
/// stays where none is set, since `trapper` may well be that one.
fn take_over(
    applier: &mut Applier<'_>,
    there: &Value,
    belongs: &Belongs<'_>,
    params: &mut Value,
) -> Option<String> {
    let (name, version) = (text(there, "host"), applier.api.version());
    if text(there, "status") == "1" {
        applier.note(format!(
            "host {name} is disabled in Zabbix, which then accepts no values for it"
        ));
    }
    let now = belongs.proxies.monitor_of(there);
    match (belongs.proxy, belongs.proxies.of(there)) {
        (Some(_), _) if !is_monitored_by(version, there, belongs.proxy) => {
            assign(version, params, belongs.proxy);
            Some(format!("monitored by {} instead of {now}", belongs.proxies.monitor_of(params)))
        }
        (None, Some(proxy)) => {
            applier.note(format!(
                "host {name} is monitored by {now}, which must be what `trapper` is: set proxy = \"{proxy}\" under [zabbix]"
            ));
            None
        }
        _ => None,
    }
}

/// The calls that bring flyball's own macros into line, and what they are in words.
fn macro_changes(host: &HostSetup, there: &Value) -> (Vec<String>, Vec<(&'static str, Value)>) {
    let (mut changes, mut calls) = (Vec::new(), Vec::new());
    for (name, value) in host.thresholds.macros() {
        match list(there, "macros").iter().find(|found| text(found, "macro") == name) {
            Some(found) if text(found, "value") == value => {}
            Some(found) => {
                changes.push(format!("{name}: {} -> {value}", text(found, "value")));
                let id = text(found, "hostmacroid");
                calls.push(("usermacro.update", json!({ "hostmacroid": id, "value": value })));
            }
            None => {
                changes.push(format!("{name}: {value}"));
                let hostid = text(there, "hostid");
                let params = json!({ "hostid": hostid, "macro": name, "value": value });
                calls.push(("usermacro.create", params));
            }
        }
    }
    (changes, calls)
}

fn ids<'a>(there: &'a Value, key: &str, id: &str) -> Vec<&'a str> {
    list(there, key).iter().map(|entry| text(entry, id)).collect()
}

/// What there is and one more, as the API wants it.
fn with(there: &[&str], more: Option<&str>, id: &str) -> Value {
    let all = there.iter().copied().chain(more);
    all.map(|value| json!({ id: value })).collect()
}
