//! Takes away what `provision` made.
//!
//! Decides what nobody needs any more. Invariant: nothing without flyball's mark is removed, and
//! nothing that a host of another flyball still uses.

use serde_json::{Value, json};

use super::workshop::{Workshop, list, text};
use super::{Change, Mode, NAME, Outcome, Setup, Verb, hosts, template, webhook};
use crate::api::Api;
use crate::error::ZabbixError;

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
    let mut workshop = Workshop::new(api, mode, progress);
    let found = hosts::find(&workshop, setup).await?;
    for host in &found {
        let call = ("host.delete", json!([text(host, "hostid")]));
        workshop.change(Verb::Remove, ("host", text(host, "host")), Vec::new(), call).await?;
    }
    let gone: Vec<&str> = found.iter().map(|host| text(host, "hostid")).collect();
    let users = users_of_template(&workshop, &gone).await?;
    if !users.is_empty() {
        let users = users.join(", ");
        workshop.note(format!("what all services share stays, since others use it: {users}"));
        return Ok(workshop.outcome());
    }
    webhook::remove(&mut workshop).await?;
    if let Some(id) = template::find(&workshop).await? {
        let call = ("template.delete", json!([id]));
        workshop.change(Verb::Remove, ("template", NAME), Vec::new(), call).await?;
    }
    let of_templates =
        if api.version().has_template_groups() { "templategroup" } else { "hostgroup" };
    group(&mut workshop, of_templates, "template group", template::GROUP, &gone).await?;
    group(&mut workshop, "hostgroup", "host group", (NAME, hosts::GROUP_UUID), &gone).await?;
    Ok(workshop.outcome())
}

/// The names of the hosts that are linked to the template, other than `gone`.
async fn users_of_template(
    workshop: &Workshop<'_>,
    gone: &[&str],
) -> Result<Vec<String>, ZabbixError> {
    let Some(template) = template::find(workshop).await? else { return Ok(Vec::new()) };
    let ask = json!({ "templateids": [template], "output": ["hostid", "host"] });
    let linked = workshop.api.list("host.get", ask).await?;
    let others = linked.iter().filter(|host| !gone.contains(&text(host, "hostid")));
    Ok(others.map(|host| text(host, "host").to_owned()).collect())
}

/// Removes a group that is ours and that nothing is left in.
async fn group(
    workshop: &mut Workshop<'_>,
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
        if workshop.api.version().has_template_groups() {
            // Groups of hosts hold no templates there, and must not be asked for them.
            ask.as_object_mut().map(|ask| ask.remove("selectTemplates"));
        }
    }
    let found = workshop.api.list(&format!("{object}.get"), ask).await?;
    let Some(group) = found.first() else { return Ok(()) };
    let host = |host: &Value| !gone.contains(&text(host, "hostid"));
    let used = list(group, "hosts").iter().any(host)
        || list(group, "templates").iter().any(|template| text(template, "host") != NAME);
    if text(group, "uuid") != uuid {
        workshop.note(format!("{what} {name} stays: it is not flyball's"));
    } else if used {
        workshop.note(format!("{what} {name} stays: something else is in it"));
    } else {
        let call = format!("{object}.delete");
        let params = json!([text(group, "groupid")]);
        workshop.change(Verb::Remove, (what, name), Vec::new(), (&call, params)).await?;
    }
    Ok(())
}
