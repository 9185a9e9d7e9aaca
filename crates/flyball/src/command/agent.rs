//! `flyball agent` serves this host's container CPU usage, or checks another agent. SIGINT and
//! SIGTERM end it in order, and no message contains a token.

use std::path::Path;
use std::process::ExitCode;

use flyball_agent::{AgentClient, Answer, ServeSettings, Token};
use flyball_file::may_others_read;

use crate::cli::Agent;
use crate::clock;
use crate::command::client::look_up;
use crate::command::stopped_by_signal;
use crate::descriptors;
use crate::failure::Failure;
use crate::output::print;

pub(crate) async fn agent(options: Agent) -> Result<ExitCode, Failure> {
    let token = options.token_file.as_deref().map(token_of).transpose()?;
    match &options.check {
        Some(agent) => check(agent, token).await,
        None => serve(options, token).await,
    }
}

async fn serve(options: Agent, token: Option<Token>) -> Result<ExitCode, Failure> {
    if let Some(path) = options.token_file.as_deref().filter(|path| may_others_read(path)) {
        let path = path.display();
        tracing::warn!("every user of this machine can read {path}; hint: chmod 600 {path}");
    }
    let stopped = stopped_by_signal()?;
    // Two for each container: 1,024, the usual soft bound, end at 480 of them.
    descriptors::raise();
    let open = token.is_none();
    let mount = options.cgroup_mount;
    let settings = ServeSettings {
        listen: options.listen,
        token,
        cgroup_mount: mount.clone(),
        insecure: options.insecure,
    };
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    let agent = flyball_agent::serve(settings, async move { drop(stopping.await) }).await?;
    let (address, containers) = (agent.address, agent.containers);
    let version = env!("CARGO_PKG_VERSION");
    let who = if open { "anyone" } else { "holders of the token" };
    tracing::info!(
        "flyball {version} agent: serving CPU usage of {containers} containers to {who} on \
         http://{address}/v1/cpu"
    );
    if containers == 0 {
        tracing::warn!(
            "no container found below {}; hint: if the agent runs in a container, mount the \
             host's /sys/fs/cgroup and pass --cgroup-mount",
            mount.display()
        );
    }
    let name = stopped.await;
    tracing::info!("{name}: stopping");
    // The receiver is gone only if the agent has ended already.
    let _ended = stop.send(());
    agent.finished().await;
    Ok(ExitCode::SUCCESS)
}

/// Asks once. A miss is a check that failed, and no error of this program.
async fn check(agent: &str, token: Option<Token>) -> Result<ExitCode, Failure> {
    let address = look_up(agent, "an agent", 9810).await?;
    let asked = clock::stopwatch();
    match AgentClient::new(address, token).ask().await {
        Ok(Answer { cores, containers, .. }) => {
            let took_ms = (clock::stopwatch() - asked).as_millis();
            let count = containers.len();
            print(&format!(
                "{agent}: {count} containers on {cores} cores, answered in {took_ms} \
                            ms"
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(miss) => {
            Failure::from(miss).print();
            Ok(ExitCode::FAILURE)
        }
    }
}

fn token_of(path: &Path) -> Result<Token, Failure> {
    Token::of_file(path).map_err(|error| {
        Failure::new(format!("cannot read the token in {}: {error}", path.display()))
            .hint("write a secret into it, such as that of `openssl rand -hex 32`")
    })
}
