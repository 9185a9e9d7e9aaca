//! What lets Zabbix call flyball: a media type, an action, and a user whom the action tells.
//!
//! Decides what of it is missing or differs. Does not know what flyball makes of a call.
//! Invariant: these exist only where a webhook is wanted, under one name that nobody else would
//! choose; the token is in no detail that is told.

use serde_json::{Value, json};

use super::workshop::{Workshop, list, text};
use super::{TAG, Verb, WEBHOOK_NAME, Webhook};
use crate::error::ZabbixError;

/// What Zabbix runs for each event.
const SCRIPT: &str = include_str!("../../data/webhook.js");
const USER: &str = "flyball-webhook";
const DESCRIPTION: &str =
    "Tells flyball that a trigger fired or recovered. Made by `flyball zabbix provision`.";

/// What the action is made of.
struct Parts {
    media: Option<String>,
    user: Option<String>,
}

/// Makes and updates all of it, or removes it where no webhook is wanted.
pub(super) async fn build(
    workshop: &mut Workshop<'_>,
    wanted: Option<&Webhook>,
    group: Option<&str>,
) -> Result<(), ZabbixError> {
    let Some(wanted) = wanted else { return remove(workshop).await };
    let media = media_type(workshop, wanted).await?;
    let users = user_group(workshop, group).await?;
    let user = user(workshop, wanted, users.as_deref(), media.as_deref()).await?;
    action(workshop, group, &Parts { media, user }).await
}

/// Removes all of it that is there.
pub(super) async fn remove(workshop: &mut Workshop<'_>) -> Result<(), ZabbixError> {
    for (what, method, id, name) in [
        ("action", "action", "actionid", json!({ "name": [WEBHOOK_NAME] })),
        ("user", "user", "userid", json!({ "username": [USER] })),
        ("user group", "usergroup", "usrgrpid", json!({ "name": [WEBHOOK_NAME] })),
        ("media type", "mediatype", "mediatypeid", json!({ "name": [WEBHOOK_NAME] })),
    ] {
        let ask = json!({ "filter": name, "output": [id] });
        let found = workshop.api.list(&format!("{method}.get"), ask).await?;
        if let Some(found) = found.first() {
            let call = format!("{method}.delete");
            let name = if what == "user" { USER } else { WEBHOOK_NAME };
            let params = json!([text(found, id)]);
            workshop.change(Verb::Remove, (what, name), Vec::new(), (&call, params)).await?;
        }
    }
    Ok(())
}

async fn media_type(
    workshop: &mut Workshop<'_>,
    wanted: &Webhook,
) -> Result<Option<String>, ZabbixError> {
    let token = wanted.token.as_ref().map(|token| token.reveal()).unwrap_or_default();
    let parameters: Vec<_> = [
        ("event", "{EVENT.ID}-{EVENT.VALUE}"),
        ("service", "{EVENT.TAGS.flyball}"),
        ("token", token),
        ("url", "{ALERT.SENDTO}"),
    ]
    .map(|(name, value)| json!({ "name": name, "value": value }))
    .into();
    let template = |recovery: u8| {
        json!({ "eventsource": "0", "recovery": recovery.to_string(),
            "subject": "{EVENT.NAME}", "message": "{EVENT.NAME}" })
    };
    let mut params = json!({
        "name": WEBHOOK_NAME, "type": "4", "script": SCRIPT, "timeout": "5s", "maxattempts": "10",
        "attempt_interval": "2s", "description": DESCRIPTION, "parameters": parameters,
        "message_templates": [template(0), template(1)],
    });
    let ask = json!({ "filter": { "name": [WEBHOOK_NAME] }, "output": "extend" });
    let found = workshop.api.list("mediatype.get", ask).await?;
    let name = ("media type", WEBHOOK_NAME);
    let Some(there) = found.first() else {
        return workshop.make(name, Vec::new(), ("mediatype.create", "mediatypeids"), params).await;
    };
    let mut details = Vec::new();
    for key in ["script", "timeout", "maxattempts", "attempt_interval", "description"] {
        if text(there, key).replace('\r', "") != text(&params, key) {
            details.push(key.to_owned());
        }
    }
    if pairs(there) != pairs(&params) {
        details.push("parameters".to_owned());
    }
    let id = text(there, "mediatypeid").to_owned();
    if !details.is_empty() {
        params["mediatypeid"] = id.as_str().into();
        workshop.change(Verb::Update, name, details, ("mediatype.update", params)).await?;
    }
    Ok(Some(id))
}

fn pairs(media: &Value) -> Vec<(&str, &str)> {
    let pair = |entry| (text(entry, "name"), text(entry, "value"));
    let mut pairs: Vec<_> = list(media, "parameters").iter().map(pair).collect();
    pairs.sort_unstable();
    pairs
}

/// A group that may read the services' hosts and nothing else, and log in nowhere.
async fn user_group(
    workshop: &mut Workshop<'_>,
    group: Option<&str>,
) -> Result<Option<String>, ZabbixError> {
    let new = workshop.api.version().has_template_groups();
    let rights = if new { "hostgroup_rights" } else { "rights" };
    let mut params = json!({ "name": WEBHOOK_NAME, "gui_access": 3 });
    params[rights] = json!([{ "id": group, "permission": 2 }]);
    let mut ask = json!({ "filter": { "name": [WEBHOOK_NAME] }, "output": ["usrgrpid"] });
    ask[if new { "selectHostGroupRights" } else { "selectRights" }] = "extend".into();
    let found = workshop.api.list("usergroup.get", ask).await?;
    let name = ("user group", WEBHOOK_NAME);
    let Some(there) = found.first() else {
        return workshop.make(name, Vec::new(), ("usergroup.create", "usrgrpids"), params).await;
    };
    let id = text(there, "usrgrpid").to_owned();
    let reads = |right: &Value| Some(text(right, "id")) == group;
    if !list(there, rights).iter().any(reads) {
        params["usrgrpid"] = id.as_str().into();
        let details = vec!["rights".to_owned()];
        workshop.change(Verb::Update, name, details, ("usergroup.update", params)).await?;
    }
    Ok(Some(id))
}

/// Whom the action tells: Zabbix calls nobody but its users.
async fn user(
    workshop: &mut Workshop<'_>,
    wanted: &Webhook,
    users: Option<&str>,
    media: Option<&str>,
) -> Result<Option<String>, ZabbixError> {
    let medias = json!([{
        "mediatypeid": media, "sendto": wanted.url, "active": 0, "severity": 63,
        "period": "1-7,00:00-24:00",
    }]);
    let ask = json!({
        "filter": { "username": [USER] }, "output": ["userid"],
        "selectMedias": ["mediatypeid", "sendto"],
    });
    let found = workshop.api.list("user.get", ask).await?;
    let name = ("user", USER);
    let Some(there) = found.first() else {
        let roles = json!({ "filter": { "type": 1 }, "output": ["roleid"], "limit": 1 });
        let roles = workshop.api.list("role.get", roles).await?;
        let params = json!({
            "username": USER, "surname": "made by flyball zabbix provision",
            "passwd": password()?, "roleid": roles.first().map(|role| text(role, "roleid")),
            "usrgrps": [{ "usrgrpid": users }], "medias": medias,
        });
        return workshop.make(name, Vec::new(), ("user.create", "userids"), params).await;
    };
    let id = text(there, "userid").to_owned();
    let tells = |found: &Value| {
        Some(text(found, "mediatypeid")) == media && text(found, "sendto") == wanted.url
    };
    if !list(there, "medias").iter().any(tells) {
        let details = vec![format!("sends to {}", wanted.url)];
        let params = json!({ "userid": id, "medias": medias });
        workshop.change(Verb::Update, name, details, ("user.update", params)).await?;
    }
    Ok(Some(id))
}

/// Nobody is told it: nobody logs in as this user.
fn password() -> Result<String, ZabbixError> {
    use std::io::Read as _;
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(
        |error| ZabbixError::Call { method: "/dev/urandom".to_owned(), message: error.to_string() },
    )?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn action(
    workshop: &mut Workshop<'_>,
    group: Option<&str>,
    parts: &Parts,
) -> Result<(), ZabbixError> {
    let tagged = |value| json!({ "conditiontype": "26", "operator": "0", "value": value, "value2": "scale" });
    let in_group = json!({ "conditiontype": "0", "operator": "0", "value": group });
    let operation = json!({
        "operationtype": "0", "opmessage": { "default_msg": "1", "mediatypeid": parts.media },
        "opmessage_usr": [{ "userid": parts.user }],
    });
    let mut first = operation.clone();
    for (key, value) in [("esc_period", "0"), ("esc_step_from", "1"), ("esc_step_to", "0")] {
        first[key] = value.into();
    }
    // Evaluated by kind: of one kind any will do.
    let mut params = json!({
        "name": WEBHOOK_NAME, "esc_period": "60s", "pause_suppressed": "0",
        "notify_if_canceled": "0", "operations": [first], "recovery_operations": [operation],
        "filter": { "evaltype": "0", "conditions": [in_group, tagged("out"), tagged("in")] },
    });
    let ask = json!({
        "filter": { "name": [WEBHOOK_NAME] }, "output": ["actionid"], "selectFilter": "extend",
        "selectOperations": "extend", "selectRecoveryOperations": "extend",
    });
    let found = workshop.api.list("action.get", ask).await?;
    let name = ("action", WEBHOOK_NAME);
    let Some(there) = found.first() else {
        params["eventsource"] = "0".into();
        let details = vec![format!("on triggers with the tag scale, of hosts with the tag {TAG}")];
        return workshop
            .make(name, details, ("action.create", "actionids"), params)
            .await
            .map(drop);
    };
    if gist(there) != gist(&params) {
        params["actionid"] = text(there, "actionid").into();
        let details = vec!["conditions or operations".to_owned()];
        workshop.change(Verb::Update, name, details, ("action.update", params)).await?;
    }
    Ok(())
}

/// What an action is about: its conditions, and whom it tells by what.
fn gist(action: &Value) -> (Vec<[&str; 3]>, Vec<[&str; 2]>) {
    let filter = action.get("filter").unwrap_or(&Value::Null);
    let condition = |c| ["conditiontype", "value", "value2"].map(|key| text(c, key));
    let mut conditions: Vec<_> = list(filter, "conditions").iter().map(condition).collect();
    conditions.sort_unstable();
    let operations = ["operations", "recovery_operations"];
    let told = operations.iter().flat_map(|key| list(action, key)).map(|operation| {
        let media = operation.get("opmessage").map(|message| text(message, "mediatypeid"));
        let user = list(operation, "opmessage_usr").first().map(|user| text(user, "userid"));
        [media.unwrap_or_default(), user.unwrap_or_default()]
    });
    (conditions, told.collect())
}
