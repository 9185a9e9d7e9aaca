//! How many file descriptors each part may use. Each proxy has its own limit and control keeps a
//! reserve, so one service cannot take down the API and the others.

use flyball_config::{Activator, Balancer, Config, Engine, Service};
use flyball_process::DESCRIPTORS_OF_A_REPLICA;
use flyball_proxy::ProxySettings;
use flyball_web::WebSettings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::daemon::labelled;

/// Kept for control: the runtime, the journal, peers and what a start needs for a moment. Thirty
/// are open in a daemon with one of everything; a start takes twelve until its pipes are handed over.
const CONTROL: u64 = 96;
/// Of a client's connection: its own, the one to the replica that works for it, and one that is kept
/// for the next request.
const OF_A_CONNECTION: u64 = 3;
/// Of a container: two counters where the machine has cgroups v1, one where it has v2.
const OF_A_CONTAINER: u64 = 2;
/// A share of the whole that the API and each proxy get, whatever replicas need.
const SHARE: u64 = 16;
/// The least of such a share, and what is enough while descriptors are scarce.
const LEAST: u64 = 16;
const ENOUGH: u64 = 64;
/// Services that labels may bring while flyball runs, and containers of each.
const LABELLED: u64 = 8;
const LABELLED_CONTAINERS: u64 = 20;

/// The bounds of descriptors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// As it was set for flyball, and for whatever it starts.
    pub(crate) before: u64,
    /// As it is now.
    pub(crate) now: u64,
}

/// Raises the soft bound to the hard one: 1,024, the usual soft bound, is for programs that use
/// `select`, which this one does not.
pub(crate) fn raise() -> Limit {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let before = current.unwrap_or(u64::MAX);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let now = match raised {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!("the limit of descriptors stays at {before}: {error}");
            before
        }
    };
    Limit { before, now }
}

/// What [`raise`] would raise it to.
pub(crate) fn highest() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Who may have how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) limit: u64,
    /// Connections of the API.
    pub(crate) api: usize,
    /// Client connections of all proxies together.
    pub(crate) of_proxies: usize,
    /// How many of those there are, labelled services that may come included.
    pub(crate) proxies: usize,
    /// Replicas that may be processes.
    pub(crate) processes: usize,
    /// Replicas that are processes if every service is at its maximum.
    pub(crate) processes_wanted: u64,
}

impl Budget {
    /// Shares `limit` out to what `config` describes. Replicas come before connections beyond the
    /// least that each proxy gets.
    pub(crate) fn of(config: &Config, limit: u64) -> Self {
        let (labelled, labelled_containers) = if labelled::anywhere(config) {
            (LABELLED, LABELLED * LABELLED_CONTAINERS)
        } else {
            (0, 0)
        };
        let count = |of: fn(&Engine) -> bool| -> u64 {
            let services = config.services.values().filter(|service| of(&service.engine));
            services.map(|service| u64::from(service.policy.bounds.max)).sum()
        };
        let processes_wanted = count(|engine| matches!(engine, Engine::Process(_)));
        let containers = count(|engine| matches!(engine, Engine::Docker(_))) + labelled_containers;
        let listens = |service: &&Service| {
            matches!(service.balancer, Balancer::Proxy { .. })
                || service.activator != Activator::Off
        };
        let balanced = config.services.values().filter(listens).count() as u64;
        let by_host = u64::from(config.daemon.activator.is_some());
        let proxies = (balanced + by_host + labelled).max(1);

        let share = (limit / SHARE).max(LEAST);
        let api = share.min(WebSettings::CONNECTIONS_MAX as u64);
        let least = share.min(ENOUGH);
        let fixed = CONTROL + api + containers * OF_A_CONTAINER;
        let for_processes = limit.saturating_sub(fixed + proxies * least * OF_A_CONNECTION);
        let processes = for_processes / DESCRIPTORS_OF_A_REPLICA;
        let used = fixed + processes.min(processes_wanted) * DESCRIPTORS_OF_A_REPLICA;
        let of_proxies = limit.saturating_sub(used) / OF_A_CONNECTION;
        let most = ProxySettings::default().connections_max as u64;
        Self {
            limit,
            api: whole(api),
            of_proxies: whole(of_proxies.clamp(proxies * least, proxies * most)),
            proxies: whole(proxies),
            processes: whole(processes),
            processes_wanted,
        }
    }

    /// Client connections of each proxy: none can take those of another.
    pub(crate) fn of_a_proxy(&self) -> usize {
        self.of_proxies / self.proxies
    }

    /// What is missing, and what to do about it; `None` where everything that is configured fits.
    pub(crate) fn shortage(&self) -> Option<(String, &'static str)> {
        let Self { limit, processes, processes_wanted, .. } = self;
        if *processes as u64 >= *processes_wanted {
            return None;
        }
        let what = format!(
            "only {processes} of up to {processes_wanted} replicas can be started: each takes \
             {DESCRIPTORS_OF_A_REPLICA} descriptors, and the limit is {limit}"
        );
        Some((what, "raise it (LimitNOFILE= of a systemd unit, ulimit -Hn), or lower max"))
    }

    /// The shares in words.
    pub(crate) fn describe(&self) -> String {
        let limit = match self.limit {
            u64::MAX => "unlimited".to_owned(),
            limit => format!("at most {limit}"),
        };
        let Self { api, of_proxies, .. } = self;
        format!("{limit}: {api} connections for the API, {of_proxies} for all proxies together")
    }
}

fn whole(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use flyball_config::Env;

    use super::*;

    fn budget(services: &str, limit: u64) -> Budget {
        let text = format!("[flyball]\nstate_dir = \"/none\"\n{services}");
        let config = flyball_config::parse(&text, "test", &Env::default());
        Budget::of(&config.unwrap(), limit)
    }

    fn process(name: &str, port: u16, max: u32) -> String {
        format!(
            "[services.{name}]\nengine = \"process\"\nlisten = \"127.0.0.1:{port}\"\n\
             command = [\"./a\"]\nmax = {max}\n"
        )
    }

    #[test]
    fn a_usual_hard_bound_leaves_everything_at_its_default() {
        let budget = budget(&process("web", 8080, 400), 524_288);
        assert_eq!((budget.api, budget.of_a_proxy()), (512, 20_000));
        assert_eq!(budget.shortage(), None);
    }

    #[test]
    fn where_replicas_do_not_fit_it_is_said_and_connections_keep_their_least() {
        let budget = budget(&process("web", 8080, 400), 1_024);
        assert_eq!((budget.api, budget.of_a_proxy(), budget.processes), (64, 64, 168));
        let (what, _) = budget.shortage().unwrap();
        assert!(what.starts_with("only 168 of up to 400 replicas can be started"), "{what}");
    }

    #[test]
    fn no_proxy_can_take_what_is_anothers() {
        let two = process("a", 8080, 20) + &process("b", 8081, 20);
        for limit in [256, 1_024, 4_096, 65_536] {
            let budget = budget(&two, limit);
            let replicas = budget.processes.min(40) as u64 * DESCRIPTORS_OF_A_REPLICA;
            let proxies = budget.of_proxies as u64 * OF_A_CONNECTION;
            let all = CONTROL + budget.api as u64 + replicas + proxies;
            assert!(all <= limit, "{limit}: {budget:?}");
        }
    }
}
