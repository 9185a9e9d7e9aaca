//! Ports for replicas that share this machine's network. No two of them have the same port.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

/// The kernel gives a port that is free now; one handed out and not yet bound looks free to it.
pub const TRIES: u32 = 100;

/// All ports handed out and not yet given back.
#[derive(Clone, Debug, Default)]
pub struct Ports(Arc<Mutex<BTreeSet<u16>>>);

/// A port that is reserved until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    all: Ports,
}

impl Ports {
    /// A port that is free at `address`, was not handed out, and is not in `taken`; `None` if the
    /// kernel gave no such port in [`TRIES`] tries.
    ///
    /// # Errors
    /// The kernel has none to give.
    pub fn take(&self, address: Ipv4Addr, taken: &BTreeSet<u16>) -> io::Result<Option<Port>> {
        for _ in 0..TRIES {
            let number = TcpListener::bind((address, 0))?.local_addr()?.port();
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !taken.contains(&number) && all.insert(number) {
                return Ok(Some(Port { number, all: self.clone() }));
            }
        }
        Ok(None)
    }
}

impl Port {
    /// Which one it is.
    pub fn number(&self) -> u16 {
        self.number
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
        let (ports, none) = (Ports::default(), BTreeSet::new());
        for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let take = |_| ports.take(address, &none).unwrap().unwrap();
            let taken: Vec<Port> = (0..200).map(take).collect();
            let numbers: BTreeSet<u16> = taken.iter().map(Port::number).collect();
            assert_eq!(numbers.len(), 200);
            drop(taken);
            assert!(ports.0.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn a_port_that_others_have_is_not_handed_out() {
        let ports = Ports::default();
        let all: BTreeSet<u16> = (0..=u16::MAX).collect();
        assert!(ports.take(Ipv4Addr::LOCALHOST, &all).unwrap().is_none());
    }
}
