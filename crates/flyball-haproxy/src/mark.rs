//! The names of flyball's servers: `fb-` and the name of the replica.
//!
//! A name maps back to exactly one replica; a name that cannot come from here is foreign.

use flyball_core::units::ReplicaId;

const MARK: &str = "fb-";
/// The server that takes requests while there is no replica. No replica's server has its name.
pub(crate) const ACTIVATOR: &str = "fb-activator";

/// What HAProxy takes as a name.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

/// The name of `replica`'s server. Bytes that HAProxy does not take are written as `:` and two
/// digits, and so is `:` itself.
pub(crate) fn server_name(replica: &ReplicaId) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let name = written(replica, plain);
    if name == ACTIVATOR { written(replica, |byte| plain(byte) && byte != b'a') } else { name }
}

fn written(replica: &ReplicaId, plain: impl Fn(u8) -> bool) -> String {
    let mut name = MARK.to_owned();
    for byte in replica.as_str().bytes() {
        if plain(byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!(":{byte:02x}"));
        }
    }
    name
}

/// The replica behind a server's name; `None` for a server that is not flyball's.
pub(crate) fn replica(server: &str) -> Option<ReplicaId> {
    let mut parts = server.strip_prefix(MARK)?.split(':');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    let replica = ReplicaId::new(String::from_utf8(bytes).ok()?);
    (!replica.as_str().is_empty() && server_name(&replica) == server).then_some(replica)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_replica() {
        for name in [
            "activator",
            "web-1",
            "a:b",
            "proud_newton",
            "Köln 1/2",
            "x.y",
            ":00",
            "a; show info\n",
        ] {
            let server = server_name(&ReplicaId::new(name));
            assert!(is_name(&server) && server != ACTIVATOR, "{server}");
            assert_eq!(replica(&server).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_that_flyball_does_not_make_is_foreign() {
        for server in
            ["web-1", "fb-", "fb", "fb-a:6", "fb-a:zz", "fb-:61", "fb-a:+1", "FB-web-1", ACTIVATOR]
        {
            assert_eq!(replica(server), None, "{server}");
        }
    }
}
