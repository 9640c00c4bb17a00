//! Counts of tickets and entries, moved in the transaction that moves the tickets.
//!
//! **Invariant.** After every commit the counts of an event are those of its rows (INV-T11 for
//! figures that are no money): whoever writes a ticket's status or settles its passages says here
//! what moved.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx};

use crate::model::ticket_status::TicketStatus;
use crate::store::bulk::{self, Marks};

/// Event, type, channel, status.
type Key = (String, String, String, &'static str);

/// How the counts of tickets move.
#[derive(Debug, Default)]
pub struct TicketMoves(BTreeMap<Key, i64>);

impl TicketMoves {
    /// A ticket has a status that it had not, or has it no longer (`by` = −1).
    pub fn count(&mut self, of: (&str, &str, &str), status: TicketStatus, by: i64) {
        let (event, kind, channel) = of;
        let key = (
            event.to_owned(),
            kind.to_owned(),
            channel.to_owned(),
            status.as_str(),
        );
        *self.0.entry(key).or_default() += by;
    }

    /// Writes them.
    ///
    /// # Errors
    /// The store's.
    pub async fn write(self, tx: &mut Tx, marks: Marks) -> Result<(), Problem> {
        let moved = self.0.into_iter().filter(|(_, by)| *by != 0);
        let rows = moved.map(|((event, kind, channel, status), by)| {
            vec![
                Arg::from(event),
                Arg::from(kind),
                Arg::from(channel),
                Arg::from(status),
                Arg::from(by),
            ]
        });
        let prefix = "INSERT INTO tk_ticket_counts (event_id, type_id, channel, status, tickets)";
        let suffix = "ON CONFLICT (event_id, type_id, channel, status) DO UPDATE SET
            tickets = tk_ticket_counts.tickets + excluded.tickets";
        bulk::insert(tx, marks, prefix, suffix, rows.collect()).await?;
        Ok(())
    }
}

/// How the counts of entries move.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct EntryMoves {
    /// Tickets with an entry that counts and is in no conflict.
    pub came: i64,
    /// Tickets whose last counted passage was inwards.
    pub inside: i64,
}

impl EntryMoves {
    /// Something was so before, and something is so now.
    pub fn add(&mut self, came: (bool, bool), inside: (bool, bool)) {
        self.came += i64::from(came.1) - i64::from(came.0);
        self.inside += i64::from(inside.1) - i64::from(inside.0);
    }

    /// Writes them.
    ///
    /// # Errors
    /// The store's.
    pub async fn write(self, tx: &mut Tx, marks: Marks, event_id: &str) -> Result<(), Problem> {
        if self == Self::default() {
            return Ok(());
        }
        let row = vec![
            Arg::from(event_id),
            Arg::from(self.came),
            Arg::from(self.inside),
        ];
        let prefix = "INSERT INTO tk_entry_counts (event_id, came, inside)";
        let suffix = "ON CONFLICT (event_id) DO UPDATE SET
            came = tk_entry_counts.came + excluded.came,
            inside = tk_entry_counts.inside + excluded.inside";
        bulk::insert(tx, marks, prefix, suffix, vec![row]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_moves_nothing() {
        let mut moves = EntryMoves::default();
        moves.add((false, true), (false, true));
        moves.add((true, true), (true, false));
        assert_eq!(moves, EntryMoves { came: 1, inside: 0 });
        moves.add((true, false), (false, false));
        assert_eq!(moves, EntryMoves::default());
    }
}
