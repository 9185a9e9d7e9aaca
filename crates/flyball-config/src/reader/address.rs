//! Kinds of network addresses. Names are not resolved here. An accepted value can be connected to
//! or bound as it is, or once its name has an address.

use std::net::{IpAddr, SocketAddr};

use super::error::ConfigError;
use super::key::Form;
use super::kinds::{Given, Kind, Read};
use super::value::Value;
use crate::systems::{Ensemble, MarathonPlace, MesosMaster, Socket};

pub(crate) const ADDRESS: Kind<SocketAddr> = Kind::plain("IP address and port", address);
pub(crate) const IP: Kind<IpAddr> = Kind::plain("IP address", ip);
/// A host by name or address, and a port, as they were written.
pub(crate) const PEER: Kind<String> = Kind::plain("host and port", peer_name);
pub(crate) const PORT: Kind<u16> =
    Kind { form: Form::Whole { from: 1, to: u16::MAX as u32 }, read: Read::Value(port) };
pub(crate) const URL: Kind<String> = Kind::plain("`http://` or `https://` address", url);
pub(crate) const DOCKER_HOST: Kind<String> =
    Kind::plain("`unix://` or `tcp://` address", docker_host);
pub(crate) const DOCKER_HOSTS: Kind<Vec<String>> = Kind::plain("list of texts", docker_hosts);
/// Where the masters are, and whether that says that they are asked with TLS.
pub(crate) const MESOS_MASTER: Kind<(MesosMaster, Option<bool>)> =
    Kind::plain("`http://`, `https://` or `zk://` address", mesos_master);
/// Where a Marathon is, and whether it is asked with TLS.
pub(crate) const MARATHON: Kind<(MarathonPlace, bool)> =
    Kind::plain("`http://` or `https://` addresses, or `zk://` address", marathon);
pub(crate) const ZOOKEEPER: Kind<Ensemble> = Kind::plain("`zk://` address", zookeeper);
pub(crate) const SOCKET: Kind<Socket> = Kind::plain("path or `tcp://` address", socket);

fn address(given: Given<'_>) -> Result<SocketAddr, ConfigError> {
    let wanted = "an IP address and a port";
    let Value::Text(text) = &given.node.value else {
        return Err(given.not_like(wanted, "\"127.0.0.1:8080\""));
    };
    text.parse().map_err(|_| {
        let port = text.rsplit_once(':').map_or(text.as_str(), |(_, port)| port);
        let port = port.parse::<u16>().unwrap_or(8080);
        given.not_like(wanted, &format!("\"127.0.0.1:{port}\""))
    })
}

fn ip(given: Given<'_>) -> Result<IpAddr, ConfigError> {
    let text = match &given.node.value {
        Value::Text(text) => text,
        _ => "",
    };
    text.parse().map_err(|_| given.not_like("an IP address", "\"127.0.0.1\""))
}

fn port(given: Given<'_>) -> Result<u16, ConfigError> {
    let Value::Whole(number) = given.node.value else {
        return Err(given.not_like("a port", "8080"));
    };
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        Err(_) if number > 0 => Err(given.out_of_range(&format!("at most {}", u16::MAX))),
        _ => Err(given.out_of_range("at least 1")),
    }
}

fn peer_name(given: Given<'_>) -> Result<String, ConfigError> {
    given.text_that(is_host_and_port, "a host and a port", "\"127.0.0.1:10051\"")
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
    let wanted = "an http:// or https:// address";
    given.text_that(|text| is_url(text).unwrap_or(false), wanted, "\"http://127.0.0.1:8080/\"")
}

fn is_url(text: &str) -> Option<bool> {
    let (_, rest) = without_scheme(text)?;
    let (at, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path_fine = path.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
    Some((is_host_name(at) || is_host_and_port(at)) && path_fine)
}

/// Whether an address of a web server is asked with TLS, and what follows its scheme.
fn without_scheme(text: &str) -> Option<(bool, &str)> {
    let encrypted = text.strip_prefix("https://").map(|rest| (true, rest));
    encrypted.or_else(|| Some((false, text.strip_prefix("http://")?)))
}

/// A Docker host, as it was written.
fn docker_host(given: Given<'_>) -> Result<String, ConfigError> {
    let refuse = |hint: String| Err(given.not_a("the address of a Docker host", hint));
    let usual = given.example("\"unix:///var/run/docker.sock\"");
    let Value::Text(text) = &given.node.value else { return refuse(usual) };
    if is_docker_host(text) {
        return Ok(text.clone());
    }
    if plain(text) && text.starts_with('/') {
        return refuse(given.example(&format!("\"unix://{text}\"")));
    }
    match text.split_once("://") {
        Some(("tcp" | "http", at)) => {
            let at = at.trim_end_matches('/');
            let at = peer(at).map_or("127.0.0.1:2375", |_| at);
            refuse(given.example(&format!("\"tcp://{at}\"")))
        }
        Some(("ssh", _)) => refuse(format!(
            "forward the socket (ssh -L /run/docker-there.sock:/var/run/docker.sock HOST) and {}",
            given.example("\"unix:///run/docker-there.sock\"")
        )),
        _ => refuse(usual),
    }
}

fn is_docker_host(text: &str) -> bool {
    match text.split_once("://") {
        Some(("unix", path)) => plain(path) && path.starts_with('/'),
        Some(("tcp", at)) => peer(at).is_some(),
        _ => false,
    }
}

/// Docker hosts, as they were written; at least one.
fn docker_hosts(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let (wanted, example) = ("a list of manager addresses", "[\"unix:///var/run/docker.sock\"]");
    let host = |text: &str| is_docker_host(text).then(|| text.to_owned());
    let hosts: Vec<String> = given.each(host, wanted, example)?;
    if hosts.is_empty() { Err(given.not_like(wanted, example)) } else { Ok(hosts) }
}

fn mesos_master(given: Given<'_>) -> Result<(MesosMaster, Option<bool>), ConfigError> {
    if let Some(elected) = elected(given, "/mesos") {
        return elected.map(|at| (MesosMaster::Elected(at), None));
    }
    let at =
        |(tls, mut all): (bool, Vec<String>)| Some((tls, all.pop().filter(|_| all.is_empty())?));
    let (tls, at) = servers(given).and_then(at).ok_or_else(|| {
        given.not_like("the address of a Mesos master", "\"http://127.0.0.1:5050\"")
    })?;
    Ok((MesosMaster::At(at), Some(tls)))
}

fn marathon(given: Given<'_>) -> Result<(MarathonPlace, bool), ConfigError> {
    if let Some(elected) = elected(given, "/marathon") {
        return elected.map(|at| (MarathonPlace::Elected(at), false));
    }
    let (tls, all) = servers(given)
        .ok_or_else(|| given.not_like("the address of a Marathon", "\"http://127.0.0.1:8080\""))?;
    Ok((MarathonPlace::At(all), tls))
}

/// `http://HOST:PORT,HOST:PORT`, and whether that says that they are asked with TLS.
fn servers(given: Given<'_>) -> Option<(bool, Vec<String>)> {
    let Value::Text(text) = &given.node.value else { return None };
    let (tls, all) = without_scheme(text)?;
    let all: Vec<_> = all.trim_end_matches('/').split(',').map(str::to_owned).collect();
    all.iter().all(|at| is_host_and_port(at)).then_some((tls, all))
}

/// The place in ZooKeeper that says who is the leader; `None` if ZooKeeper is not named.
fn elected(given: Given<'_>, usual: &str) -> Option<Result<Ensemble, ConfigError>> {
    let in_zookeeper = matches!(&given.node.value, Value::Text(text) if text.starts_with("zk://"));
    in_zookeeper.then(|| zookeeper_at(given, usual))
}

/// The place where flyballs find out which of them acts.
fn zookeeper(given: Given<'_>) -> Result<Ensemble, ConfigError> {
    zookeeper_at(given, "/flyball")
}

/// Servers of ZooKeeper and a path on them: `zk://HOST:PORT,HOST:PORT/PATH`.
fn zookeeper_at(given: Given<'_>, usual: &str) -> Result<Ensemble, ConfigError> {
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
fn socket(given: Given<'_>) -> Result<Socket, ConfigError> {
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
        Some(("unix", path)) if plain(path) && path.starts_with('/') => Ok(unix(given, path)),
        None => match text.strip_prefix("unix@").unwrap_or(text) {
            path if plain(path) && !path.contains('@') => Ok(unix(given, path)),
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

fn unix(given: Given<'_>, path: &str) -> Socket {
    Socket::Unix(given.around.base.join(path))
}

fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}
