//! Whether a system can be reached: its connection, when it last answered, and why it cannot.

use flyball_core::units::Timestamp;

/// The connection to a system that may be lost and come back.
#[derive(Debug)]
pub struct Link<C, E> {
    connection: Option<C>,
    heard_at: Timestamp,
    /// Why nothing can be asked, while that is so.
    down: Option<E>,
}

impl<C: Clone, E: Clone + PartialEq> Link<C, E> {
    /// Nobody has tried to connect yet.
    pub fn new(now: Timestamp) -> Self {
        Self { connection: None, heard_at: now, down: None }
    }

    /// What requests go through.
    ///
    /// # Errors
    /// Why there is no connection: `untried` before the first try has ended.
    pub fn connection(&self, untried: impl FnOnce() -> E) -> Result<C, E> {
        self.connection.clone().ok_or_else(|| self.down.clone().unwrap_or_else(untried))
    }

    /// The system answered at `at` through `connection`; true if it had been lost before.
    pub fn connected(&mut self, connection: C, at: Timestamp) -> bool {
        self.connection = Some(connection);
        self.heard_at = at;
        self.down.take().is_some()
    }

    /// The system has said something at `at`.
    pub fn heard(&mut self, at: Timestamp) {
        self.heard_at = at;
    }

    /// The connection is lost, or could not be had; true if that is not known yet, so that each
    /// reason is logged once.
    pub fn lost(&mut self, why: E) -> bool {
        self.connection = None;
        let new = self.down.as_ref() != Some(&why);
        self.down = Some(why);
        new
    }

    /// When the system last answered.
    pub fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// Why nothing can be asked, while that is so.
    pub fn down(&self) -> Option<&E> {
        self.down.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_loss_is_new_once_for_each_reason_and_over_with_a_connection() {
        let mut link: Link<u8, &str> = Link::new(ms(1));
        assert_eq!(link.connection(|| "untried"), Err("untried"));
        assert!(!link.connected(7, ms(2)), "it was never lost");
        assert_eq!((link.connection(|| "untried"), link.down()), (Ok(7), None));
        assert!(link.lost("silent") && !link.lost("silent") && link.lost("refused"));
        assert_eq!(link.connection(|| "untried"), Err("refused"));
        assert!(link.connected(8, ms(3)), "it is back");
        link.heard(ms(4));
        assert_eq!((link.heard_at(), link.down()), (ms(4), None));
    }
}
