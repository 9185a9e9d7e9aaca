//! Changes the count of a Marathon app. Only the count that the loop has seen is changed, and never
//! during an external deployment. Force is used only where flyball's own deployments hold every
//! lock.

use flyball_engine::counted::Order;
use hyper::Method;
use serde_json::{Value, json};

use super::answers::OneApp;
use super::call::Link;
use super::core::{Service, Site};
use super::error::MarathonError;
use super::rollouts::lockers;
use super::task::{Names, Stage, Task};
use super::watcher::path_of;
use super::{answers::AppAnswer, app::App};

/// The status of an app that a deployment has.
const LOCKED: u16 = 409;

/// Sets the count of the app as ordered, if it still is what was `seen`.
pub(super) async fn scale(
    service: &Service,
    seen: Option<u32>,
    order: &Order,
) -> Result<(), MarathonError> {
    let id = &service.settings.app;
    let site = service.core.connection()?;
    let mut link = Link::open(&site.at, &service.core.system.settings).await?;
    let answer: Option<OneApp> = link.find(&path_of(id)).await?;
    let answer = answer.ok_or_else(|| MarathonError::NoApp { app: id.clone() })?.app;
    let conflict = || MarathonError::Conflict { app: id.clone() };
    if answer.instances != seen {
        return Err(conflict());
    }
    let foreign = service.with_state(|state| {
        let mut others = answer.deployments.iter().filter(|one| !state.own.has(&one.id));
        others.next().map(|one| one.id.clone())
    });
    if let Some(other) = foreign {
        return Err(locked(id, &other));
    }
    let victims = victims(service, order, &answer).ok_or_else(conflict)?;
    let from = answer.instances.unwrap_or_default();
    let leave = u32::try_from(victims.len()).unwrap_or(u32::MAX);
    // What Marathon has not begun yet is taken back by the next look.
    let to = if victims.is_empty() { order.to } else { from.saturating_sub(leave) };
    let change = if victims.is_empty() { count(&site, id, to) } else { kill(&victims) };
    let sent = change_with_own_lock(service, &mut link, &change).await;
    let now = service.core.now();
    service.with_state(|state| match &sent {
        Ok(deployment) => state.count_set(to, deployment.clone(), &victims, now),
        Err(error) if error.leaves_doubt() => state.doubt(now),
        Err(_) => {}
    });
    sent?;
    tracing::debug!(service = %service.settings.service, ?victims, "scaled the app to {to}");
    Ok(())
}

/// The tasks to end, each still there; none where the count rises or has not been reached.
/// `None` where that has changed since it was decided.
fn victims(service: &Service, order: &Order, answer: &AppAnswer) -> Option<Vec<String>> {
    let ids = service.with_state(|state| state.tasks_of(&order.leaving))?;
    let app = App::of(answer, service.settings.port, service.settings.obeys_hold);
    let tasks = answer.tasks.iter().map(|task| Task::of(task, &app, &Names::new()));
    let there: Vec<Task> =
        tasks.filter(|task| !matches!(task.stage, Stage::Over | Stage::Killing)).collect();
    if ids.is_empty() {
        // No task was named, so none may leave.
        let more = order.to >= answer.instances.unwrap_or_default();
        let room = u32::try_from(there.len()).is_ok_and(|there| there <= order.to);
        return (more || room).then(Vec::new);
    }
    ids.iter().all(|id| there.iter().any(|task| task.id == *id)).then_some(ids)
}

/// One change of an app.
struct Change {
    method: Method,
    path: String,
    body: Value,
}

fn count(site: &Site, id: &str, to: u32) -> Change {
    // PUT creates a missing app, which is unwanted; old versions know no other way.
    let method = if site.patches { Method::PATCH } else { Method::PUT };
    Change { method, path: format!("/v2/apps{id}"), body: json!({ "instances": to }) }
}

fn kill(ids: &[String]) -> Change {
    let path = "/v2/tasks/delete?scale=true".to_owned();
    Change { method: Method::POST, path, body: json!({ "ids": ids }) }
}

/// Asks for the change, and once more with force where only flyball's own deployments are in the way.
async fn change_with_own_lock(
    service: &Service,
    link: &mut Link,
    change: &Change,
) -> Result<Option<String>, MarathonError> {
    let Change { method, path, body } = change;
    let refusal = match link.change(method.clone(), path, body).await? {
        Ok(deployment) => return Ok(deployment),
        Err(refusal) => refusal,
    };
    if refusal.status != LOCKED {
        return Err(link.refused(path, refusal));
    }
    let lockers = lockers(&refusal.body);
    let other = service.with_state(|state| lockers.iter().find(|id| !state.own.has(id)).cloned());
    match other {
        Some(other) => return Err(locked(&service.settings.app, &other)),
        None if lockers.is_empty() => return Err(link.refused(path, refusal)),
        None => {}
    }
    let sign = if path.contains('?') { '&' } else { '?' };
    let forced = format!("{path}{sign}force=true");
    match link.change(method.clone(), &forced, body).await? {
        Ok(deployment) => Ok(deployment),
        Err(refusal) => Err(link.refused(&forced, refusal)),
    }
}

fn locked(app: &str, by: &str) -> MarathonError {
    let why = format!("external deployment {by} is in progress");
    MarathonError::Locked { app: app.to_owned(), why }
}
