//! Removes what `provision` created.
//!
//! Nothing without flyball's mark is removed, and nothing that a host of another flyball uses.

use serde_json::{Value, json};

use super::applier::{Applier, list, text};
use super::{Change, Mode, NAME, Outcome, Setup, Verb, hosts, template, webhook};
use crate::api::Api;
use crate::error::ZabbixError;
use crate::replica_hosts;

/// Removes the hosts of `setup`, and what all services share once no other host uses it.
///
/// # Errors
/// Zabbix cannot be asked or refuses, or a host is not ours.
pub async fn remove(
    api: &Api,
    setup: &Setup,
    mode: Mode,
    progress: &mut (dyn FnMut(&Change) + Send),
) -> Result<Outcome, ZabbixError> {
    let mut applier = Applier::new(api, mode, progress);
    let mut found = hosts::find(&applier, setup).await?;
    let services: Vec<&str> = setup.hosts.iter().map(|host| host.host.as_str()).collect();
    found.extend(replica_hosts::find(api, &services).await?);
    for host in &found {
        let call = ("host.delete", json!([text(host, "hostid")]));
        applier.change(Verb::Remove, ("host", text(host, "host")), Vec::new(), call).await?;
    }
    let gone: Vec<&str> = found.iter().map(|host| text(host, "hostid")).collect();
    let templates = template::find(&applier).await?;
    let users = users_of_templates(&applier, &templates, &gone).await?;
    if !users.is_empty() {
        let users = users.join(", ");
        applier.note(format!("what all services share stays, because others use it: {users}"));
        return Ok(applier.outcome());
    }
    webhook::remove(&mut applier).await?;
    for (name, id) in &templates {
        let call = ("template.delete", json!([id]));
        applier.change(Verb::Remove, ("template", name), Vec::new(), call).await?;
    }
    let of_templates =
        if api.version().has_template_groups() { "templategroup" } else { "hostgroup" };
    group(&mut applier, of_templates, "template group", template::GROUP, &gone).await?;
    group(&mut applier, "hostgroup", "host group", (NAME, hosts::GROUP_UUID), &gone).await?;
    Ok(applier.outcome())
}

/// The names of the hosts that are linked to one of `templates`, other than `gone`.
async fn users_of_templates(
    applier: &Applier<'_>,
    templates: &[(&str, String)],
    gone: &[&str],
) -> Result<Vec<String>, ZabbixError> {
    if templates.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&String> = templates.iter().map(|(_, id)| id).collect();
    let ask = json!({ "templateids": ids, "output": ["hostid", "host"] });
    let linked = applier.api.list("host.get", ask).await?;
    let others = linked.iter().filter(|host| !gone.contains(&text(host, "hostid")));
    Ok(others.map(|host| text(host, "host").to_owned()).collect())
}

/// Removes a group that is ours and that nothing is left in.
async fn group(
    applier: &mut Applier<'_>,
    object: &str,
    what: &'static str,
    (name, uuid): (&str, &str),
    gone: &[&str],
) -> Result<(), ZabbixError> {
    let mut ask = json!({
        "filter": { "name": [name] }, "output": ["groupid", "uuid"],
        "selectTemplates": ["templateid", "host"],
    });
    if object == "hostgroup" {
        ask["selectHosts"] = json!(["hostid"]);
        if applier.api.version().has_template_groups() {
            // Groups of hosts hold no templates there, and must not be asked for them.
            ask.as_object_mut().map(|ask| ask.remove("selectTemplates"));
        }
    }
    let found = applier.api.list(&format!("{object}.get"), ask).await?;
    let Some(group) = found.first() else { return Ok(()) };
    let host = |host: &Value| !gone.contains(&text(host, "hostid"));
    let ours = template::OURS.map(|(name, _)| name);
    let used = list(group, "hosts").iter().any(host)
        || list(group, "templates").iter().any(|template| !ours.contains(&text(template, "host")));
    if text(group, "uuid") != uuid {
        applier.note(format!("{what} {name} stays: it is not flyball's"));
    } else if used {
        applier.note(format!("{what} {name} stays: something else is in it"));
    } else {
        let call = format!("{object}.delete");
        let params = json!([text(group, "groupid")]);
        applier.change(Verb::Remove, (what, name), Vec::new(), (&call, params)).await?;
    }
    Ok(())
}
