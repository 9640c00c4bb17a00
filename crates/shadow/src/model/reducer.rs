//! The reducer: what the records of the log say about the events of a book. Live tables hold the
//! same; a rebuild makes it from the records alone (contract B4).

use std::collections::HashMap;

use super::event::{Direction, State};

/// An event as the log alone tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Event time, epoch milliseconds.
    pub timestamp: i64,
    /// Which way.
    pub direction: Direction,
    /// Minor units.
    pub amount: i128,
    /// Its state.
    pub state: State,
    /// A correction of ours.
    pub correction: bool,
    /// Log record that brought it.
    pub log_seq: i64,
}

/// A record that the reducer reads.
#[derive(Debug, Clone)]
pub enum Step {
    /// An event with the state that it got.
    Event(String, Entry),
    /// Another state of an event.
    State(String, State),
}

/// The events of one book by id.
pub type Entries = HashMap<String, Entry>;

/// Applies one record; false if it speaks of an event that never came.
pub fn apply(entries: &mut Entries, step: Step) -> bool {
    match step {
        Step::Event(id, entry) => entries.insert(id, entry).is_none(),
        Step::State(id, state) => match entries.get_mut(&id) {
            Some(entry) => {
                entry.state = state;
                true
            }
            None => false,
        },
    }
}

/// The first field, in the order of the contract, in which a live event differs from the
/// rebuilt one, with both values as text.
pub fn difference(live: &Entry, rebuilt: &Entry) -> Option<(&'static str, String, String)> {
    let fields = [
        (
            "type",
            live.direction.as_str().to_owned(),
            rebuilt.direction.as_str().to_owned(),
        ),
        (
            "amount",
            live.amount.to_string(),
            rebuilt.amount.to_string(),
        ),
        (
            "timestamp",
            live.timestamp.to_string(),
            rebuilt.timestamp.to_string(),
        ),
        (
            "state",
            live.state.as_str().to_owned(),
            rebuilt.state.as_str().to_owned(),
        ),
        (
            "correction",
            live.correction.to_string(),
            rebuilt.correction.to_string(),
        ),
    ];
    fields
        .into_iter()
        .find(|(_, live, rebuilt)| live != rebuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            timestamp: 1,
            direction: Direction::Debit,
            amount: 5,
            state: State::Held,
            correction: false,
            log_seq: 1,
        }
    }

    #[test]
    fn records_give_states_and_differences_are_named() {
        let mut entries = Entries::new();
        assert!(apply(&mut entries, Step::Event("E".into(), entry())));
        assert!(!apply(&mut entries, Step::Event("E".into(), entry())));
        assert!(apply(
            &mut entries,
            Step::State("E".into(), State::Rejected)
        ));
        assert!(!apply(&mut entries, Step::State("X".into(), State::Held)));
        assert_eq!(entries["E"].state, State::Rejected);
        let (field, live, rebuilt) = difference(&entry(), &entries["E"]).expect("differs");
        assert_eq!(
            (field, live.as_str(), rebuilt.as_str()),
            ("state", "held", "rejected")
        );
        assert_eq!(difference(&entry(), &entry()), None);
    }
}
