//! Host ports for replicas that share the host's network.
//!
//! No two replicas that are starting at the same time get the same port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use crate::DockerError;

/// The kernel gives a port that is free now; one handed out and not yet bound looks free to it.
const TRIES: u32 = 100;

/// All ports handed out for one host and not yet given back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(Arc<Mutex<BTreeSet<u16>>>);

/// A port that is reserved until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    all: Ports,
}

impl Ports {
    /// A port that is free on every address of this machine and that `taken` does not hold.
    ///
    /// # Errors
    /// [`DockerError::NoPort`] when the kernel has none to give.
    pub(crate) fn take(&self, taken: &BTreeSet<u16>) -> Result<Port, DockerError> {
        let refused = |error: std::io::Error| DockerError::NoPort { why: error.to_string() };
        for _ in 0..TRIES {
            let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
            let listener = TcpListener::bind((any, 0)).map_err(refused)?;
            let number = listener.local_addr().map_err(refused)?.port();
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !taken.contains(&number) && all.insert(number) {
                return Ok(Port { number, all: self.clone() });
            }
        }
        Err(DockerError::NoPort { why: format!("{TRIES} tries gave only ports in use") })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_handed_out_twice_until_it_is_given_back() {
        let ports = Ports::default();
        let taken: Vec<Port> = (0..100).map(|_| ports.take(&BTreeSet::new()).unwrap()).collect();
        let numbers: BTreeSet<u16> = taken.iter().map(|port| port.number).collect();
        assert_eq!(numbers.len(), 100);
        drop(taken);
        assert!(ports.0.lock().unwrap().is_empty());
    }
}
