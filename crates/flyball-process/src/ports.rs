//! Ports for replicas. No two existing replicas have the same port.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// The kernel gives a port that is free now; one handed out and not yet bound looks free to it.
const TRIES: u32 = 100;

/// All ports handed out by one launcher.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports(Arc<Mutex<BTreeSet<u16>>>);

/// A port that is reserved until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    all: Ports,
}

impl Ports {
    /// A port of 127.0.0.1 that is free and not handed out.
    pub(crate) fn take(&self) -> io::Result<Port> {
        for _ in 0..TRIES {
            let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
                return Ok(Port { number, all: self.clone() });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free port on 127.0.0.1"))
    }
}

impl Port {
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
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
        let taken: Vec<Port> = (0..200).map(|_| ports.take().unwrap()).collect();
        let numbers: BTreeSet<u16> = taken.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 200);
        drop(taken);
        assert!(ports.0.lock().unwrap().is_empty());
    }
}
