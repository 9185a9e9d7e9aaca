//! Values that are network addresses. Names are not resolved here. An accepted value can be
//! connected to or bound as it is, or once its name has an address.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::check::Given;
use crate::config::{Ensemble, MarathonPlace, MesosMaster, Socket};
use crate::config_error::ConfigError;
use crate::value::Value;

pub(crate) fn address(given: Given<'_>) -> Result<SocketAddr, ConfigError> {
    let wanted = "an IP address and a port";
    let Value::Text(text) = &given.node.value else {
        return Err(given.not_a(wanted, given.example("\"127.0.0.1:8080\"")));
    };
    text.parse().map_err(|_| {
        let port = text.rsplit_once(':').map_or(text.as_str(), |(_, port)| port);
        let port = port.parse::<u16>().unwrap_or(8080);
        given.not_a(wanted, given.example(&format!("\"127.0.0.1:{port}\"")))
    })
}

pub(crate) fn ip(given: Given<'_>) -> Result<IpAddr, ConfigError> {
    let refuse = || given.not_a("an IP address", given.example("\"127.0.0.1\""));
    match &given.node.value {
        Value::Text(text) => text.parse().map_err(|_| refuse()),
        _ => Err(refuse()),
    }
}

pub(crate) fn port(given: Given<'_>) -> Result<u16, ConfigError> {
    let Value::Whole(number) = given.node.value else {
        return Err(given.not_a("a port", given.example("8080")));
    };
    match u16::try_from(number) {
        Ok(0) => Err(given.out_of_range("at least 1".to_owned())),
        Ok(port) => Ok(port),
        Err(_) if number < 0 => Err(given.out_of_range("at least 1".to_owned())),
        Err(_) => Err(given.out_of_range(format!("at most {}", u16::MAX))),
    }
}

/// A host by name or address, and a port, as they were written.
pub(crate) fn peer_name(given: Given<'_>) -> Result<String, ConfigError> {
    let refuse = || given.not_a("a host and a port", given.example("\"127.0.0.1:10051\""));
    let Value::Text(text) = &given.node.value else { return Err(refuse()) };
    if is_host_and_port(text) { Ok(text.clone()) } else { Err(refuse()) }
}

fn is_host_and_port(text: &str) -> bool {
    let named = |(host, port): (&str, &str)| {
        is_host_name(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    peer(text).is_some() || text.rsplit_once(':').is_some_and(named)
}

fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// An address on a web server, as it was written; never with a password in it.
pub(crate) fn url(given: Given<'_>) -> Result<String, ConfigError> {
    let refuse = || {
        given.not_a("an http:// or https:// address", given.example("\"http://127.0.0.1:8080/\""))
    };
    let Value::Text(text) = &given.node.value else { return Err(refuse()) };
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (at, path) =
        rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(refuse)?;
    let path_fine = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
    let at_fine = is_host_name(at) || is_host_and_port(at);
    if at_fine && path_fine { Ok(text.clone()) } else { Err(refuse()) }
}

/// A Docker host, as it was written.
pub(crate) fn docker_host(given: Given<'_>) -> Result<String, ConfigError> {
    let refuse = |hint: String| Err(given.not_a("the address of a Docker host", hint));
    let usual = || given.example("\"unix:///var/run/docker.sock\"");
    let Value::Text(text) = &given.node.value else { return refuse(usual()) };
    if plain(text) && text.starts_with('/') {
        return refuse(given.example(&format!("\"unix://{text}\"")));
    }
    match text.split_once("://") {
        Some(("unix", path)) if plain(path) && path.starts_with('/') => Ok(text.clone()),
        Some(("tcp", at)) if peer(at).is_some() => Ok(text.clone()),
        Some(("tcp" | "http", at)) => {
            let at = at.trim_end_matches('/');
            let at = peer(at).map_or("127.0.0.1:2375", |_| at);
            refuse(given.example(&format!("\"tcp://{at}\"")))
        }
        Some(("ssh", _)) => refuse(format!(
            "forward the socket (ssh -L /run/docker-there.sock:/var/run/docker.sock HOST) and {}",
            given.example("\"unix:///run/docker-there.sock\"")
        )),
        _ => refuse(usual()),
    }
}

/// Docker hosts, as they were written; at least one.
pub(crate) fn docker_hosts(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let refuse = || {
        let example = given.example("[\"unix:///var/run/docker.sock\"]");
        given.not_a("a list of manager addresses", example)
    };
    let Value::List(items) = &given.node.value else { return Err(refuse()) };
    let hosts = items.iter().map(|node| docker_host(Given { node, ..given }).map_err(|_| refuse()));
    let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
    if hosts.is_empty() { Err(refuse()) } else { Ok(hosts) }
}

/// Where the masters of a Mesos cluster are, and whether that says that they are asked with TLS.
pub(crate) fn mesos_master(given: Given<'_>) -> Result<(MesosMaster, Option<bool>), ConfigError> {
    let refuse = || {
        let example = given.example("\"http://127.0.0.1:5050\"");
        given.not_a("the address of a Mesos master", example)
    };
    let Value::Text(text) = &given.node.value else { return Err(refuse()) };
    if text.starts_with("zk://") {
        return zookeeper_at(given, "/mesos").map(|at| (MesosMaster::Elected(at), None));
    }
    let encrypted = text.strip_prefix("https://").map(|at| (at, true));
    let (at, tls) = encrypted
        .or_else(|| Some((text.strip_prefix("http://")?, false)))
        .map(|(at, tls)| (at.trim_end_matches('/'), tls))
        .filter(|(at, _)| is_host_and_port(at))
        .ok_or_else(refuse)?;
    Ok((MesosMaster::At(at.to_owned()), Some(tls)))
}

/// Where a Marathon is: `http://HOST:PORT,HOST:PORT`, or by ZooKeeper; and whether it is asked with
/// TLS, as `https://` says.
pub(crate) fn marathon(given: Given<'_>) -> Result<(MarathonPlace, bool), ConfigError> {
    let refuse = || {
        let example = given.example("\"http://127.0.0.1:8080\"");
        given.not_a("the address of a Marathon", example)
    };
    let Value::Text(text) = &given.node.value else { return Err(refuse()) };
    if text.starts_with("zk://") {
        return zookeeper_at(given, "/marathon").map(|at| (MarathonPlace::Elected(at), false));
    }
    let encrypted = text.strip_prefix("https://").map(|all| (all, true));
    let all = encrypted.or_else(|| Some((text.strip_prefix("http://")?, false)));
    let (all, tls) = all.ok_or_else(refuse)?;
    let all: Vec<&str> = all.trim_end_matches('/').split(',').collect();
    if !all.iter().all(|at| is_host_and_port(at)) {
        return Err(refuse());
    }
    Ok((MarathonPlace::At(all.into_iter().map(str::to_owned).collect()), tls))
}

/// The place where flyballs find out which of them acts.
pub(crate) fn zookeeper(given: Given<'_>) -> Result<Ensemble, ConfigError> {
    zookeeper_at(given, "/flyball")
}

/// Servers of ZooKeeper and a path on them: `zk://HOST:PORT,HOST:PORT/PATH`.
pub(crate) fn zookeeper_at(given: Given<'_>, usual: &str) -> Result<Ensemble, ConfigError> {
    let refuse = || {
        let example = format!("\"zk://10.0.0.1:2181,10.0.0.2:2181{usual}\"");
        given.not_a("ZooKeeper servers and a path", given.example(&example))
    };
    let Value::Text(text) = &given.node.value else { return Err(refuse()) };
    let rest = text.strip_prefix("zk://").ok_or_else(refuse)?;
    let (servers, path) = rest.split_once('/').ok_or_else(refuse)?;
    let parts_fine = path.split('/').all(|part| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
    });
    let servers_fine = servers.split(',').all(is_host_and_port);
    let ensemble = || Ensemble { servers: servers.to_owned(), path: format!("/{path}") };
    (parts_fine && servers_fine).then(ensemble).ok_or_else(refuse)
}

/// Where HAProxy's runtime API listens, as a URL or as HAProxy writes it; a path may be relative.
pub(crate) fn socket(given: Given<'_>) -> Result<Socket, ConfigError> {
    let refuse = |example: &str| Err(given.not_a("a socket", given.example(example)));
    let usual = "\"/run/haproxy/admin.sock\"";
    let Value::Text(text) = &given.node.value else { return refuse(usual) };
    if let Some(address) = bound(text) {
        return match address {
            Some(address) => Ok(Socket::Tcp(address.to_string())),
            None => refuse("\"tcp://127.0.0.1:9999\""),
        };
    }
    match text.split_once("://") {
        Some(("tcp", at)) if peer(at).is_some() || named(at) => Ok(Socket::Tcp(at.to_owned())),
        Some(("tcp", _)) => refuse("\"tcp://127.0.0.1:9999\""),
        Some(("unix", path)) if plain(path) && path.starts_with('/') => Ok(unix(path)),
        None => match text.strip_prefix("unix@").unwrap_or(text) {
            path if plain(path) && !path.contains('@') => Ok(unix(path)),
            _ => refuse(usual),
        },
        _ => refuse(usual),
    }
}

/// Where to connect to what HAProxy binds with `ipv4@...`, `ipv6@...` or an address by itself; the
/// inner `None`: it is mistyped. What it binds on every address is asked on loopback.
fn bound(text: &str) -> Option<Option<SocketAddr>> {
    let family = text.strip_prefix("ipv4@").map(|at| (at, "127.0.0.1"));
    let family = family.or_else(|| Some((text.strip_prefix("ipv6@")?, "::1")));
    let Some((at, loopback)) = family else {
        let address = text.parse::<SocketAddr>().ok()?;
        return Some(Some(address).filter(|at| at.port() > 0));
    };
    let (host, port) = at.rsplit_once(':')?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" | "*" | "0.0.0.0" | "::" => loopback,
        host => host,
    };
    let address = host.parse().ok().zip(port.parse().ok());
    let right = |at: &SocketAddr| at.port() > 0 && at.is_ipv4() == text.starts_with("ipv4@");
    Some(address.map(|(ip, port): (IpAddr, u16)| SocketAddr::new(ip, port)).filter(right))
}

/// An address that can be connected to.
fn peer(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|at: &SocketAddr| at.port() > 0)
}

/// A name and a port, such as `tasks.haproxy:9999` in a network of containers.
fn named(text: &str) -> bool {
    let Some((name, port)) = text.rsplit_once(':') else { return false };
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // Digits and dots alone are an address that was mistyped.
    name.chars().all(letters)
        && name.contains(|c: char| c.is_ascii_alphabetic())
        && port.parse().is_ok_and(|port: u16| port > 0)
}

fn unix(path: &str) -> Socket {
    Socket::Unix(PathBuf::from(path))
}

fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}
