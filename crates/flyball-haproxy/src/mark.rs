//! The names of flyball's servers: `fb-` and the name of the replica.
//!
//! A name maps back to exactly one replica; a name that cannot come from here is foreign.

use flyball_core::units::ReplicaId;

const MARK: &str = "fb-";

/// What HAProxy takes as a name.
pub(crate) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}

/// The name of `replica`'s server. Bytes that HAProxy does not take are written as `:` and two
/// digits, and so is `:` itself.
pub(crate) fn server_name(replica: &ReplicaId) -> String {
    let mut name = MARK.to_owned();
    for byte in replica.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
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
        for name in ["web-1", "a:b", "proud_newton", "Köln 1/2", "x.y", ":00", "a; show info\n"] {
            let server = server_name(&ReplicaId::new(name));
            assert!(is_name(&server), "{server}");
            assert_eq!(replica(&server).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_that_flyball_does_not_make_is_foreign() {
        for server in ["web-1", "fb-", "fb", "fb-a:6", "fb-a:zz", "fb-:61", "fb-a:+1", "FB-web-1"] {
            assert_eq!(replica(server), None, "{server}");
        }
    }
}
