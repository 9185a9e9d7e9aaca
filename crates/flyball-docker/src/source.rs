//! What a replica is made from: an image, or a container that is copied.

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::InspectContainerOptions;
use flyball_core::generation::Generation;

use crate::client::INSPECT_LIMIT;
use crate::discovery::Seen;
use crate::image_in_use;
use crate::images::InUse;
use crate::labels::{PORT, service_of};
use crate::owner::Owner;
use crate::service::Service;
use crate::settings::Publish;
use crate::standing::Members;
use crate::{DockerError, DockerSettings};

/// What one replica is made from.
pub(crate) enum Source {
    Image(InUse),
    Container(Box<Model>),
}

/// A container to copy.
pub(crate) struct Model {
    pub(crate) template: ContainerInspectResponse,
    /// What its copy is made as.
    pub(crate) generation: Option<Generation>,
    /// Whether flyball started it, so that what the settings add is in it already.
    started: bool,
}

/// What a replica of `generation` is made from; without one, what replicas are made from now.
///
/// # Errors
/// [`DockerError::NoGeneration`] where nothing of that generation is left to be copied.
pub(crate) async fn source(
    service: &Service,
    generation: Option<Generation>,
) -> Result<Source, DockerError> {
    let wanted = match (generation, service.settings().image.is_some()) {
        (None, true) => return Ok(Source::Image(image_in_use::current(service).await?)),
        (None, false) => return Ok(Source::Container(Box::new(newest_of(service).await?))),
        (Some(generation), _) => generation,
    };
    let image = service.images().of(wanted).cloned();
    if let Some(image) = image {
        return Ok(Source::Image(image));
    }
    let none = || {
        let (service, generation) = (service.name().to_owned(), wanted.to_string());
        DockerError::NoGeneration { service, generation }
    };
    let id = service.model_of(wanted).ok_or_else(none)?;
    match Model::of(service, &id).await {
        Ok(model) => Ok(Source::Container(Box::new(model))),
        // It went while it was looked for.
        Err(DockerError::Refused { status: 404, .. }) => Err(none()),
        Err(error) => Err(error),
    }
}

impl Model {
    async fn of(service: &Service, id: &str) -> Result<Self, DockerError> {
        let client = &service.client;
        let asked = client.call("inspect a container", INSPECT_LIMIT, |docker| async move {
            docker.inspect_container(id, None::<InspectContainerOptions>).await
        });
        let template = asked.await?;
        let standing = client.standing_in(&template).await?;
        let generation = service.generation_of(&template, &standing);
        Ok(Self { template, generation, started: standing.is_started() })
    }

    /// The settings with which it is copied.
    pub(crate) fn settings(&self, settings: &DockerSettings) -> DockerSettings {
        if !self.started {
            return settings.clone();
        }
        DockerSettings { command: self.command(settings), ..settings.as_copied() }
    }

    /// The command of a replica in the host's network, with a place for the port of the next one.
    fn command(&self, settings: &DockerSettings) -> Vec<String> {
        let config = self.template.config.as_ref();
        let port = config.and_then(|config| config.labels.as_ref()?.get(PORT));
        match (port, config.and_then(|config| config.cmd.as_ref())) {
            (Some(port), Some(words)) if settings.publish == Publish::HostNetwork => {
                words.iter().map(|word| word.replace(port.as_str(), "{port}")).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The container that a service without an image is copied from.
async fn newest_of(service: &Service) -> Result<Model, DockerError> {
    let client = &service.client;
    let all = client.see().await?;
    let name = service.name();
    let settings = service.settings();
    let members: Vec<Member<'_>> =
        all.iter().filter_map(|seen| Member::of(seen, name, &settings.members)).collect();
    let owner = service.original_of(&owners(&members));
    let id = newest(members.iter().filter(|member| owner.as_ref() == Some(&member.owner)))
        .ok_or_else(|| DockerError::NoTemplate { service: name.to_owned() })?;
    Model::of(service, &id).await
}

/// A container of the service, and whose it is.
#[derive(Debug)]
struct Member<'a> {
    summary: &'a ContainerSummary,
    owner: Owner,
    /// Whether flyball started it.
    started: bool,
}

impl<'a> Member<'a> {
    fn of((summary, standing): &'a Seen, service: &str, members: &Members) -> Option<Self> {
        let standing = standing.as_ref().filter(|standing| members.admit(standing))?;
        service_of(summary.labels.as_ref()?).filter(|name| name == service)?;
        Some(Self { summary, owner: standing.owner()?, started: standing.is_started() })
    }
}

/// Whose they are, the owner of the oldest first.
fn owners(members: &[Member<'_>]) -> Vec<Owner> {
    let mut by_age: Vec<&Member<'_>> = members.iter().collect();
    by_age.sort_by_key(|member| (member.summary.created, member.summary.id.clone()));
    by_age.into_iter().map(|member| member.owner.clone()).collect()
}

/// The newest of those that flyball did not start, which say what the service is; of these, and of
/// its copies where there are no others, the newest one that runs; where none does, the newest.
fn newest<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> Option<String> {
    use bollard::models::ContainerSummaryStateEnum::RUNNING;
    let age = |member: &&Member<'_>| {
        let summary = member.summary;
        (!member.started, summary.state == Some(RUNNING), summary.created, summary.id.clone())
    };
    members.max_by_key(age)?.summary.id.clone()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::ContainerSummaryStateEnum::{EXITED, RUNNING};

    use super::*;
    use crate::labels::SERVICE;

    #[test]
    fn the_newest_running_container_is_copied_and_a_dead_one_only_for_want_of_it() {
        let container = |id: &str, created, state| ContainerSummary {
            id: Some(id.to_owned()),
            created: Some(created),
            state: Some(state),
            labels: Some(HashMap::from([(SERVICE.to_owned(), "web".to_owned())])),
            ..Default::default()
        };
        let all = [
            container("a", 1, RUNNING),
            container("b", 2, RUNNING),
            container("c", 3, EXITED),
            container("d", 4, RUNNING),
        ];
        let member = |summary, name: &str| Member {
            summary,
            owner: Owner::Named(name.to_owned()),
            started: false,
        };
        let mut members: Vec<Member<'_>> = all.iter().map(|c| member(c, "first")).collect();
        members[3].started = true;
        assert_eq!(newest(members.iter()).as_deref(), Some("b"), "not a copy of a copy");
        assert_eq!(newest(members[2..].iter()).as_deref(), Some("c"));
        assert_eq!(newest(members[3..].iter()).as_deref(), Some("d"));
        assert_eq!(newest(members[..0].iter()), None);
        let two = [member(&all[1], "second"), member(&all[0], "first")];
        assert_eq!(owners(&two)[0], Owner::Named("first".into()));
    }
}
