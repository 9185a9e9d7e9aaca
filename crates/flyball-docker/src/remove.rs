//! Stops and removes containers: stop signal, grace period, kill, removal. A container is removed
//! with its anonymous volumes and nothing else. If it is already gone, that is success.

use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use flyball_engine::log_tail;
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use crate::DockerError;
use crate::asleep::put_to_sleep;
use crate::client::Client;
use crate::grace::stop_limit;
use crate::inspect::{Inspected, inspect};
use crate::service::{Action, Service};

const REMOVE_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait for the log tail of a container that has ended.
const WORDS_LIMIT: Duration = Duration::from_secs(2);
/// The client that stopped it may be about to remove it, and Compose fails if it is already gone.
const REMOVE_DELAY: Duration = Duration::from_secs(2);

/// Does what follows from a change of a service's containers, in the background.
pub(crate) fn carry_out(service: &Arc<Service>, actions: impl IntoIterator<Item = Action>) {
    for action in actions {
        let of = Arc::clone(service);
        match action {
            Action::Stop(id) => service.tasks.spawn(stop(of, id)),
            Action::PutToSleep(id, mode) => service.tasks.spawn(put_to_sleep(of, id, mode)),
            Action::Remove(id) => service.tasks.spawn(remove(of, id)),
            Action::RecordExitAndRemove(id) => service.tasks.spawn(record_exit_and_remove(of, id)),
            Action::ReadLogTail(id) => service.tasks.spawn(read_log_tail(of, id)),
        };
    }
}

/// Inspects a container and does what follows from that; false if there was no answer.
pub(crate) async fn look_again(client: Arc<Client>, service: Arc<Service>, id: String) -> bool {
    match inspect(&client, &service, &id).await {
        Inspected::Known(action) => {
            carry_out(&service, action);
            true
        }
        Inspected::Unknown => false,
    }
}

/// Stops a container, then removes it.
async fn stop(service: Arc<Service>, id: String) {
    // Never closed.
    let Ok(_place) = service.client.ends.acquire().await else { return };
    let (grace_s, own_s) = service.stop_timeout(&id);
    let limit = stop_limit(grace_s.map(i64::from).or(own_s));
    let options = StopContainerOptionsBuilder::new();
    let options = grace_s.map_or_else(|| options.clone(), |s| options.clone().t(s)).build();
    let stopped = service
        .client
        .call("stop a container", limit, |docker| {
            let id = id.clone();
            async move { docker.stop_container(&id, Some(options)).await }
        })
        .await;
    match stopped.or_else(gone_is_fine) {
        Ok(()) => remove_now(&service, &id).await,
        Err(error) => service.end_failed(&id, error.to_string()),
    }
}

/// Reports the log tail of a container that its daemon keeps restarting.
async fn read_log_tail(service: Arc<Service>, id: String) {
    let tail = read_tail(&service.client, &id).await;
    service.keep_log_tail(&id, tail);
}

/// Removes a container that does not run.
async fn remove(service: Arc<Service>, id: String) {
    let Ok(_place) = service.client.ends.acquire().await else { return };
    remove_now(&service, &id).await;
}

/// Reports the exit of a container that ended by itself, then removes it.
async fn record_exit_and_remove(service: Arc<Service>, id: String) {
    // The event says less than the daemon knows: whether memory ran out, for one.
    look_again(Arc::clone(&service.client), Arc::clone(&service), id.clone()).await;
    let words = read_tail(&service.client, &id).await;
    service.tell_exit(&id, &words);
    sleep(REMOVE_DELAY).await;
    let Ok(_place) = service.client.ends.acquire().await else { return };
    remove_now(&service, &id).await;
}

async fn remove_now(service: &Service, id: &str) {
    match remove_by_id(&service.client, id).await {
        Ok(()) => service.gone(id),
        Err(error) => service.end_failed(id, error.to_string()),
    }
}

/// Removes a container by its id or name, running or not.
pub(crate) async fn remove_by_id(client: &Client, id: &str) -> Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let removed = client
        .call("remove a container", REMOVE_LIMIT, |docker| async move {
            docker.remove_container(id, Some(options)).await
        })
        .await;
    removed.or_else(gone_is_fine)
}

/// It is not there, or is already being removed.
fn gone_is_fine(error: DockerError) -> Result<(), DockerError> {
    match &error {
        DockerError::Refused { status: 404, .. } => Ok(()),
        DockerError::Refused { status: 409, why, .. } if why.contains("already in progress") => {
            Ok(())
        }
        _ => Err(error),
    }
}

/// The end of what a container wrote; empty where that is not kept or does not come.
async fn read_tail(client: &Client, id: &str) -> String {
    let Ok(docker) = client.docker() else { return String::new() };
    let tail = log_tail::LINES.to_string();
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&tail).build();
    let mut lines: Vec<String> = Vec::new();
    let mut logs = std::pin::pin!(docker.logs(id, Some(options)));
    let read = async {
        while let Some(Ok(line)) = logs.next().await {
            lines.push(text_of(&line));
        }
    };
    // What came until then has to do.
    let _ = timeout(WORDS_LIMIT, read).await;
    log_tail::last_lines(&lines.concat())
}

fn text_of(line: &LogOutput) -> String {
    String::from_utf8_lossy(line.as_ref()).into_owned()
}
