//! Lets Zabbix call flyball: a media type, an action, and a user whom the action notifies. They
//! exist only where a webhook is configured. Every field whose default differs between versions, or
//! switches it off, is set explicitly.

use serde_json::json;

use super::applier::{Applier, text};
use super::thing::{self, Kind, Thing};
use super::{TAG, WEBHOOK_NAME, Webhook};
use crate::error::ZabbixError;

/// What Zabbix runs for each event.
const SCRIPT: &str = include_str!("../../data/webhook.js");
const USER: &str = "flyball-webhook";
const DESCRIPTION: &str =
    "Notifies flyball when a trigger fires or recovers. Created by `flyball zabbix provision`.";

const ACTION: Kind = Kind { what: "action", object: "action", id: "actionid", name: "name" };
const PERSON: Kind = Kind { what: "user", object: "user", id: "userid", name: "username" };
const USER_GROUP: Kind =
    Kind { what: "user group", object: "usergroup", id: "usrgrpid", name: "name" };
const MEDIA_TYPE: Kind =
    Kind { what: "media type", object: "mediatype", id: "mediatypeid", name: "name" };

/// Makes and updates all of it, or removes it where no webhook is wanted.
pub(super) async fn build(
    applier: &mut Applier<'_>,
    wanted: Option<&Webhook>,
    group: Option<&str>,
) -> Result<(), ZabbixError> {
    let Some(wanted) = wanted else { return remove(applier).await };
    let media = media_type(wanted).keep(applier).await?;
    let users = user_group(applier, group).keep(applier).await?;
    let roleid = role(applier).await?;
    let user = user(wanted, users.as_deref(), media.as_deref(), roleid)?.keep(applier).await?;
    action(applier, group, user.as_deref(), media.as_deref()).keep(applier).await.map(drop)
}

/// Removes all of it that is there.
pub(super) async fn remove(applier: &mut Applier<'_>) -> Result<(), ZabbixError> {
    thing::remove(applier, ACTION, WEBHOOK_NAME).await?;
    thing::remove(applier, PERSON, USER).await?;
    thing::remove(applier, USER_GROUP, WEBHOOK_NAME).await?;
    thing::remove(applier, MEDIA_TYPE, WEBHOOK_NAME).await
}

fn media_type(wanted: &Webhook) -> Thing<'static> {
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
    let wanted = json!({
        // From 7.0 on one that is made without it is disabled.
        "status": "0",
        "type": "4", "script": SCRIPT, "timeout": "5s", "maxattempts": "10",
        "attempt_interval": "2s", "description": DESCRIPTION, "parameters": parameters,
        "message_templates": [template(0), template(1)],
    });
    Thing {
        kind: MEDIA_TYPE,
        name: WEBHOOK_NAME,
        selects: &["selectMessageTemplates"],
        wanted,
        first: json!({}),
        details: Vec::new(),
    }
}

/// A group that may read the services' hosts and nothing else, and log in nowhere.
fn user_group(applier: &Applier<'_>, group: Option<&str>) -> Thing<'static> {
    let new = applier.api.version().has_template_groups();
    let (rights, selects): (_, &[&str]) = if new {
        ("hostgroup_rights", &["selectHostGroupRights"])
    } else {
        ("rights", &["selectRights"])
    };
    let mut wanted = json!({ "gui_access": "3", "users_status": "0" });
    wanted[rights] = json!([{ "id": group, "permission": "2" }]);
    Thing {
        kind: USER_GROUP,
        name: WEBHOOK_NAME,
        selects,
        wanted,
        first: json!({}),
        details: Vec::new(),
    }
}

/// A role of a plain user, who sees nothing but what the group may read.
async fn role(applier: &Applier<'_>) -> Result<Option<String>, ZabbixError> {
    let ask = json!({ "filter": { "type": 1 }, "output": ["roleid"], "limit": 1 });
    let roles = applier.api.list("role.get", ask).await?;
    Ok(roles.first().map(|role| text(role, "roleid").to_owned()))
}

/// The user whom the action notifies: Zabbix calls only its users.
fn user(
    wanted: &Webhook,
    users: Option<&str>,
    media: Option<&str>,
    roleid: Option<String>,
) -> Result<Thing<'static>, ZabbixError> {
    let medias = json!([{
        "mediatypeid": media, "sendto": wanted.url, "active": "0", "severity": "63",
        "period": "1-7,00:00-24:00",
    }]);
    Ok(Thing {
        kind: PERSON,
        name: USER,
        selects: &["selectMedias", "selectUsrgrps"],
        wanted: json!({ "usrgrps": [{ "usrgrpid": users }], "medias": medias }),
        first: json!({
            "surname": "created by flyball zabbix provision", "passwd": password()?, "roleid": roleid,
        }),
        details: Vec::new(),
    })
}

/// It is never shown, because nobody logs in as this user.
fn password() -> Result<String, ZabbixError> {
    use std::io::Read as _;
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(
        |error| ZabbixError::Call { method: "/dev/urandom".to_owned(), message: error.to_string() },
    )?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn action(
    applier: &Applier<'_>,
    group: Option<&str>,
    user: Option<&str>,
    media: Option<&str>,
) -> Thing<'static> {
    let tagged = |value| json!({ "conditiontype": "26", "operator": "0", "value": value, "value2": "scale" });
    let in_group = json!({ "conditiontype": "0", "operator": "0", "value": group });
    let operation = json!({
        "operationtype": "0", "opmessage": { "default_msg": "1", "mediatypeid": media },
        "opmessage_usr": [{ "userid": user }],
    });
    let mut first = operation.clone();
    for (key, value) in [("esc_period", "0"), ("esc_step_from", "1"), ("esc_step_to", "0")] {
        first[key] = value.into();
    }
    // Evaluated by kind: of one kind any will do.
    let mut wanted = json!({
        "status": "0", "esc_period": "60s", "pause_suppressed": "0", "notify_if_canceled": "0",
        "operations": [first], "recovery_operations": [operation],
        "filter": { "evaltype": "0", "conditions": [in_group, tagged("out"), tagged("in")] },
    });
    if applier.api.version().has_symptoms() {
        wanted["pause_symptoms"] = "0".into();
    }
    Thing {
        kind: ACTION,
        name: WEBHOOK_NAME,
        selects: &["selectFilter", "selectOperations", "selectRecoveryOperations"],
        wanted,
        // It cannot be changed.
        first: json!({ "eventsource": "0" }),
        details: vec![format!("on triggers with the tag scale, of hosts with the tag {TAG}")],
    }
}
