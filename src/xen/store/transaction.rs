//! Transactions: several changes that others see all at once or not at all.

use std::ops::Deref;
use std::time::Duration;

use tokio::sync::mpsc;

use super::actor::Command;
use super::nodes::Nodes;

/// How often a transaction is tried before the call gives up. Conflicts come from others who change the very nodes
/// that were read; with the pauses below this is more than a second of steady conflict.
pub(super) const MAX_ATTEMPTS: u32 = 32;

/// Longest pause before a transaction is tried again.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// How long to wait after the attempt of this number met a conflict.
pub(super) fn pause(attempt: u32) -> Duration {
    // The first repetition comes at once: most conflicts are over by then.
    Duration::from_millis(1_u64.checked_shl(attempt).unwrap_or(u64::MAX) / 2).min(LONGEST_PAUSE)
}

/// A transaction under way: what is done through it is seen by others at its end, all at once.
///
/// It ends with the closure that got it; what is asked through a copy that was carried out of the closure fails.
#[derive(Debug, Clone)]
pub struct Transaction {
    pub(super) nodes: Nodes,
}

impl Deref for Transaction {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

/// The duty to end a transaction. Whoever drops it without having ended the transaction discards it.
#[derive(Debug)]
pub(super) struct Ticket {
    commands: mpsc::UnboundedSender<Command>,
    /// The connection it runs on and its number there; none before it started and after it was ended.
    transaction: Option<(u64, u32)>,
}

impl Ticket {
    pub(super) fn new(commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { commands, transaction: None }
    }

    pub(super) fn issued(mut self, connection: u64, number: u32) -> Self {
        self.transaction = Some((connection, number));
        self
    }

    pub(super) fn transaction(&self) -> Option<(u64, u32)> {
        self.transaction
    }

    /// Takes the duty over from the ticket.
    pub(super) fn redeem(mut self) -> Option<(u64, u32)> {
        self.transaction.take()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((connection, transaction)) = self.transaction {
            // When the actor is gone, so are the connection and the transaction.
            let _ = self.commands.send(Command::Abandon { connection, transaction });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let pauses: Vec<_> = (0..MAX_ATTEMPTS).map(pause).collect();
        assert_eq!(pauses[0], Duration::ZERO);
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        assert!(pauses.iter().sum::<Duration>() > Duration::from_secs(1));
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn dropped_ticket_discards_and_redeemed_ticket_does_not() {
        let (commands, mut received) = mpsc::unbounded_channel();
        drop(Ticket::new(commands.clone()));
        assert_eq!(Ticket::new(commands.clone()).issued(2, 9).redeem(), Some((2, 9)));
        assert!(received.try_recv().is_err());
        drop(Ticket::new(commands).issued(3, 7));
        assert!(matches!(received.try_recv(), Ok(Command::Abandon { connection: 3, transaction: 7 })));
    }
}
