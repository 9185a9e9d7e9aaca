//! An object in Zabbix that belongs to flyball alone and is known by its name.
//!
//! What is set is also what is compared, so a second run changes nothing.

use serde_json::{Value, json};

use super::Verb;
use super::applier::{Applier, text};
use super::differing::differing;
use crate::error::ZabbixError;

/// A kind of thing, as people and the API call it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) what: &'static str,
    /// The API's methods begin with it.
    pub(super) object: &'static str,
    pub(super) id: &'static str,
    /// The field that has its name.
    pub(super) name: &'static str,
}

/// One thing as it should be.
pub(super) struct Thing<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    /// What `get` must be asked for beside the plain fields.
    pub(super) selects: &'a [&'a str],
    /// What it always has.
    pub(super) wanted: Value,
    /// What it has at first and is not compared.
    pub(super) first: Value,
    /// What is logged when it is created.
    pub(super) details: Vec<String>,
}

impl Thing<'_> {
    /// Makes or updates it; its id, which is `None` in a dry run that would make it.
    pub(super) async fn keep(
        self,
        applier: &mut Applier<'_>,
    ) -> Result<Option<String>, ZabbixError> {
        let Self { kind, name, mut wanted, .. } = self;
        let title = (kind.what, name);
        let Some(there) = find(applier, kind, name, self.selects).await? else {
            for (field, value) in self.first.as_object().into_iter().flatten() {
                wanted[field.as_str()] = value.clone();
            }
            wanted[kind.name] = name.into();
            let (create, ids) = (format!("{}.create", kind.object), format!("{}s", kind.id));
            return applier.make(title, self.details, (&create, &ids), wanted).await;
        };
        let id = text(&there, kind.id).to_owned();
        let details = differing(&there, &wanted);
        if !details.is_empty() {
            wanted[kind.id] = id.as_str().into();
            let update = format!("{}.update", kind.object);
            applier.change(Verb::Update, title, details, (&update, wanted)).await?;
        }
        Ok(Some(id))
    }
}

/// Removes the thing, if it is there.
pub(super) async fn remove(
    applier: &mut Applier<'_>,
    kind: Kind,
    name: &str,
) -> Result<(), ZabbixError> {
    if let Some(there) = find(applier, kind, name, &[]).await? {
        let delete = format!("{}.delete", kind.object);
        let params = json!([text(&there, kind.id)]);
        applier.change(Verb::Remove, (kind.what, name), Vec::new(), (&delete, params)).await?;
    }
    Ok(())
}

async fn find(
    applier: &Applier<'_>,
    kind: Kind,
    name: &str,
    selects: &[&str],
) -> Result<Option<Value>, ZabbixError> {
    let mut ask = json!({ "filter": { kind.name: [name] }, "output": "extend" });
    for select in selects {
        ask[*select] = "extend".into();
    }
    let found = applier.api.list(&format!("{}.get", kind.object), ask).await?;
    Ok(found.into_iter().next())
}
