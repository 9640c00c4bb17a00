//! The one door for events: bytes in, an [`Event`](crate::model::Event) or its faults out, the
//! same for HTTP, batches, topics and the ledger's feed (contract A1, A3).

mod correction;
mod fields;
mod json;
mod parse;

pub use correction::{Sent, parse_correction};
pub use fields::{Fault, Ids, is_id, is_reserved};
pub use json::{Member, elements, members};
pub use parse::{Door, parse_event, parse_members};

use crate::store::intake::{Intake, IntakeReply, Item, Outcome};
use crate::store::{Actor, Shadow, WriteError};

/// What became of bytes that came through a door.
#[derive(Debug)]
pub enum Taken {
    /// Not an event; the first fault is the one that is told where only one can be.
    Faulty(Vec<Fault>),
    /// Judged and, if new, recorded.
    Judged(Outcome),
}

/// Takes one event in from its bytes: the entrance of topics and feeds.
///
/// # Errors
/// [`WriteError`]: nothing was recorded and the same bytes are to be brought again.
pub async fn take(
    shadow: &Shadow,
    bytes: &[u8],
    door: &Door,
    actor: Actor,
    also: Option<crate::store::intake::Also>,
) -> Result<Taken, WriteError> {
    let now_ms = shadow.clock().wall_micros().div_euclid(1_000);
    let event = match parse_event(bytes, door, shadow, now_ms) {
        Ok(event) => event,
        Err(faults) => return Ok(Taken::Faulty(faults)),
    };
    let item = Item {
        event,
        entrance: door.entrance,
        actor,
    };
    let intake = Intake {
        items: vec![item],
        atomic: false,
        key: None,
        also,
    };
    match shadow.take(intake).await? {
        IntakeReply::Done(mut outcomes) if !outcomes.is_empty() => {
            Ok(Taken::Judged(outcomes.swap_remove(0)))
        }
        _ => Err(WriteError::Damaged("an intake without outcome")),
    }
}
