//! What an event's gate goes by.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Tx};

use crate::api::problem::event_not_found;
use crate::model::event::{Event, Status};
use crate::model::scan::{Entry, EventState, Rules};
use crate::model::ticket_type::TicketType;
use crate::store;

/// An event and its ticket types, as the gate sees them.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The event.
    pub event: Event,
    /// Its types, by their numbers.
    pub types: BTreeMap<u16, TicketType>,
}

impl Facts {
    /// Reads them inside a transaction.
    ///
    /// # Errors
    /// 404 `event_not_found`, the store's.
    pub async fn load_in(tx: &mut Tx, event_id: &str) -> Result<Self, Problem> {
        let event = store::events::load_in(tx, event_id).await?;
        let types = store::types::list_in(tx, event_id).await?;
        Ok(Self::of(event.ok_or_else(event_not_found)?, types))
    }

    /// Reads them.
    ///
    /// # Errors
    /// 404 `event_not_found`, the store's.
    pub async fn load(db: &Db, event_id: &str) -> Result<Self, Problem> {
        let event = store::events::load(db, event_id).await?;
        let types = store::types::list(db, event_id).await?;
        Ok(Self::of(event.ok_or_else(event_not_found)?, types))
    }

    fn of(event: Event, types: Vec<TicketType>) -> Self {
        let numbered = |kind: TicketType| Some((u16::try_from(kind.type_no).ok()?, kind));
        Self {
            event,
            types: types.into_iter().filter_map(numbered).collect(),
        }
    }

    /// The rules of a scan with full knowledge.
    pub fn rules(&self) -> Rules {
        Rules {
            event: match self.event.status {
                Status::Cancelled => EventState::Cancelled,
                Status::Postponed => EventState::Postponed,
                _ => EventState::Open,
            },
            reentry: self.event.reentry,
            trust_signature: false,
        }
    }

    /// Where and when a type's tickets open the gate: the type's own window, else the doors.
    pub fn entry(&self, type_no: u16) -> Option<Entry> {
        let kind = self.types.get(&type_no)?;
        let from = kind.valid_from.or_else(|| self.event.doors_open());
        let until = kind.valid_until.or_else(|| self.event.doors_close());
        Some(Entry {
            from: from.unwrap_or(i64::MIN),
            until: until.unwrap_or(i64::MAX),
            areas: kind.areas.map(|bits| (bits & 0xffff) as u16),
        })
    }
}
