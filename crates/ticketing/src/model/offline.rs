//! A gate without network (contract D4): the rule of [`super::scan`] over a bundle and what this
//! gate has seen itself.

use std::collections::HashMap;

use florin_base::Timestamp;
use uuid::Uuid;

use super::bundle::{Bundle, BundleRevoked, BundleTicket};
use super::scan::{self, Direction, Entry, EventState, Key, Known, Passage, Reason, Rules};
use super::ticket_status::TicketStatus;
use super::token::{Claims, KeyId, PublicKey};

/// A bundle, ready to be asked.
#[derive(Debug)]
pub struct Scanner {
    keys: HashMap<KeyId, PublicKey>,
    types: HashMap<u16, Entry>,
    tickets: HashMap<Uuid, (Known, Option<Timestamp>)>,
    rules: Rules,
    sequence: i64,
    expires_at: Timestamp,
}

/// Who came in first with a ticket.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct First {
    /// When.
    pub at: Timestamp,
    /// At which gate, if it was told.
    pub gate: Option<String>,
    /// By which device, if it is known.
    pub device_id: Option<String>,
}

/// What this gate has seen of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The first way in here.
    pub first: First,
    /// The last passage here was inwards.
    pub inside: bool,
}

/// What this gate has seen so far.
pub type Memory = HashMap<Uuid, Seen>;

/// The answer to a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Why.
    pub reason: Reason,
    /// What the code states, if it is genuine.
    pub claims: Option<Claims>,
    /// With `already_used` and `already_inside`: who was first, as far as is known.
    pub first: Option<First>,
    /// The bundle is older than it should be.
    pub stale: bool,
}

/// Areas as bits.
pub fn area_bits(areas: &[u8]) -> u16 {
    areas
        .iter()
        .filter(|area| **area < 16)
        .fold(0, |bits, area| bits | 1 << area)
}

impl Scanner {
    /// Over a whole bundle.
    pub fn new(bundle: &Bundle) -> Self {
        let mut scanner = Self {
            keys: HashMap::new(),
            types: HashMap::new(),
            tickets: HashMap::with_capacity(bundle.tickets.len() + bundle.revoked.len()),
            rules: Rules {
                event: EventState::Open,
                reentry: bundle.reentry,
                trust_signature: true,
            },
            sequence: 0,
            expires_at: bundle.expires_at,
        };
        scanner.update(bundle);
        scanner
    }

    /// Takes in a later bundle, or what changed since this one (`since`).
    pub fn update(&mut self, bundle: &Bundle) {
        self.keys = bundle.keys().collect();
        self.types = bundle
            .types
            .iter()
            .map(|kind| {
                let entry = Entry {
                    from: kind.2.0,
                    until: kind.3.0,
                    areas: kind.4.as_deref().map(area_bits),
                };
                (kind.0, entry)
            })
            .collect();
        self.rules.reentry = bundle.reentry;
        self.sequence = bundle.sequence;
        self.expires_at = bundle.expires_at;
        if bundle.since.is_none() {
            self.tickets.clear();
        }
        bundle.tickets.iter().for_each(|ticket| self.put(ticket));
        bundle
            .revoked
            .iter()
            .for_each(|revoked| self.revoke(revoked));
    }

    fn put(&mut self, ticket: &BundleTicket) {
        let entered = ticket.state == TicketStatus::Used || ticket.used_at.is_some();
        let known = Known {
            status: ticket.state,
            generation: ticket.generation,
            entered,
            inside: entered,
        };
        self.tickets.insert(ticket.id, (known, ticket.used_at));
    }

    fn revoke(&mut self, BundleRevoked(id, generation, reason): &BundleRevoked) {
        let fresh = Known {
            status: TicketStatus::Valid,
            generation: *generation,
            entered: false,
            inside: false,
        };
        let (known, _) = self.tickets.entry(*id).or_insert((fresh, None));
        known.generation = known.generation.max(*generation);
        match reason.as_str() {
            "refunded" => known.status = TicketStatus::Refunded,
            "cancelled" => known.status = TicketStatus::Cancelled,
            // The ticket lives on; only older codes are barred.
            _ => {}
        }
    }

    /// The bundle's number, to ask for what changed since.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Tickets known.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// No ticket is known.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Judges a code; changes nothing. `at` is in microseconds.
    pub fn judge(
        &self,
        memory: &Memory,
        text: &str,
        at: i64,
        area: Option<u8>,
        direction: Direction,
    ) -> Answer {
        let find = |id: KeyId| {
            self.keys
                .get(&id)
                .map_or(Key::Unknown, |key| Key::Ours(*key))
        };
        let stale = at >= self.expires_at.0;
        let claims = match scan::read(text, find) {
            Ok(claims) => claims,
            Err(reason) => {
                return Answer {
                    reason,
                    claims: None,
                    first: None,
                    stale,
                };
            }
        };
        let snapshot = self.tickets.get(&claims.ticket_id);
        let seen = memory.get(&claims.ticket_id);
        let known = known(snapshot.map(|(known, _)| known), seen, claims.generation);
        let passage = Passage {
            generation: Some(claims.generation),
            at,
            area,
            direction,
        };
        let entry = self.types.get(&claims.type_no);
        let reason = scan::judge(&self.rules, known.as_ref(), entry, &passage);
        let before = matches!(reason, Reason::AlreadyUsed | Reason::AlreadyInside);
        let first = before.then(|| {
            let here = seen.map(|seen| seen.first.clone());
            let elsewhere = snapshot.and_then(|(_, at)| *at).map(|at| First {
                at,
                gate: None,
                device_id: None,
            });
            // Without re-entry the earlier of the two is the first; with it, both are only hints.
            match (here, elsewhere) {
                (Some(here), Some(other)) if other.at < here.at => Some(other),
                (here, other) => here.or(other),
            }
        });
        Answer {
            reason,
            claims: Some(claims),
            first: first.flatten(),
            stale,
        }
    }
}

/// The snapshot's word, and over it what was seen here since.
fn known(snapshot: Option<&Known>, seen: Option<&Seen>, generation: u16) -> Option<Known> {
    let Some(seen) = seen else {
        return snapshot.copied();
    };
    let base = snapshot.copied().unwrap_or(Known {
        status: TicketStatus::Valid,
        generation,
        entered: false,
        inside: false,
    });
    Some(Known {
        entered: true,
        inside: seen.inside,
        ..base
    })
}

/// Notes an admitted scan.
pub fn remember(memory: &mut Memory, ticket: Uuid, first: First, direction: Direction) {
    let inside = direction == Direction::In;
    memory
        .entry(ticket)
        .and_modify(|seen| seen.inside = inside)
        .or_insert(Seen { first, inside });
}

#[cfg(test)]
mod tests {
    use super::super::bundle::{BundleKey, BundleType, LIFE_MICROS};
    use super::super::token::TicketKey;
    use super::*;

    const NOW: i64 = 1_000_000_000;

    struct Gate {
        key: TicketKey,
        bundle: Bundle,
        memory: Memory,
    }

    fn ticket(id: u128, generation: u16, state: TicketStatus) -> BundleTicket {
        BundleTicket {
            id: Uuid::from_u128(id),
            type_no: 1,
            generation,
            state,
            used_at: (state == TicketStatus::Used).then_some(Timestamp(NOW - 5)),
            name: None,
        }
    }

    fn gate(reentry: bool) -> Gate {
        let key = TicketKey::from_seed(&[5; 32]);
        let bundle = Bundle {
            event_id: Uuid::from_u128(1),
            sequence: 9,
            since: None,
            issued_at: Timestamp(NOW),
            expires_at: Timestamp(NOW + LIFE_MICROS),
            keys: vec![BundleKey {
                kid: key.id().to_string(),
                public_key: hex::encode(key.public().to_bytes()),
                status: "active".to_owned(),
            }],
            types: vec![BundleType(
                1,
                "Floor".to_owned(),
                Timestamp(NOW - 10),
                Timestamp(NOW + 2 * LIFE_MICROS),
                Some(vec![0]),
            )],
            reentry,
            tickets: vec![
                ticket(1, 1, TicketStatus::Valid),
                ticket(2, 2, TicketStatus::Valid),
                ticket(3, 1, TicketStatus::Used),
                ticket(4, 1, TicketStatus::Suspended),
            ],
            revoked: vec![
                BundleRevoked(Uuid::from_u128(2), 2, "transferred".to_owned()),
                BundleRevoked(Uuid::from_u128(5), 2, "refunded".to_owned()),
                BundleRevoked(Uuid::from_u128(6), 2, "cancelled".to_owned()),
            ],
        };
        Gate {
            key,
            bundle,
            memory: Memory::new(),
        }
    }

    impl Gate {
        fn token(&self, id: u128, generation: u16) -> String {
            self.key.token(&Claims {
                ticket_id: Uuid::from_u128(id),
                generation,
                type_no: 1,
            })
        }

        fn scan(&mut self, id: u128, generation: u16, at: i64, direction: Direction) -> Answer {
            let text = self.token(id, generation);
            let answer = Scanner::new(&self.bundle).judge(&self.memory, &text, at, None, direction);
            if answer.reason.is_admitted() {
                let first = First {
                    at: Timestamp(at),
                    gate: Some("north".to_owned()),
                    device_id: None,
                };
                remember(&mut self.memory, Uuid::from_u128(id), first, direction);
            }
            answer
        }
    }

    #[test]
    fn the_snapshot_and_what_was_seen_here_decide() {
        let mut gate = gate(false);
        let mut ask = |id, generation| gate.scan(id, generation, NOW, Direction::In).reason;
        assert_eq!(ask(1, 1), Reason::Ok);
        assert_eq!(ask(1, 1), Reason::AlreadyUsed);
        assert_eq!(ask(2, 1), Reason::Revoked, "row 48");
        assert_eq!(ask(2, 2), Reason::Ok);
        assert_eq!(ask(3, 1), Reason::AlreadyUsed);
        assert_eq!(ask(4, 1), Reason::Suspended);
        assert_eq!(ask(5, 1), Reason::Refunded);
        assert_eq!(ask(6, 1), Reason::Cancelled);
        assert_eq!(ask(7, 1), Reason::Ok, "row 55: sold after the bundle");
        assert_eq!(ask(7, 1), Reason::AlreadyUsed, "but only once");
        let again = gate.scan(1, 1, NOW + 9, Direction::In);
        assert_eq!(again.first.unwrap().at, Timestamp(NOW));
        let elsewhere = gate.scan(3, 1, NOW, Direction::In);
        assert_eq!(elsewhere.first.unwrap().at, Timestamp(NOW - 5));
    }

    /// Row 56: 25 hours old.
    #[test]
    fn row_56_a_stale_bundle_warns_and_goes_on() {
        let mut gate = gate(false);
        let late = NOW + 25 * 3_600 * 1_000_000;
        let answer = gate.scan(1, 1, late, Direction::In);
        assert_eq!((answer.reason, answer.stale), (Reason::Ok, true));
        assert!(!gate.scan(2, 2, NOW, Direction::In).stale);
    }

    #[test]
    fn with_reentry_this_gate_remembers_who_is_inside() {
        let mut gate = gate(true);
        let mut ask = |direction| gate.scan(1, 1, NOW, direction).reason;
        assert_eq!(ask(Direction::Out), Reason::NotInside);
        assert_eq!(ask(Direction::In), Reason::Ok);
        assert_eq!(ask(Direction::In), Reason::AlreadyInside);
        assert_eq!(ask(Direction::Out), Reason::Ok);
        assert_eq!(ask(Direction::In), Reason::Ok);
    }

    #[test]
    fn a_later_difference_changes_what_it_names() {
        let mut gate = gate(false);
        let mut scanner = Scanner::new(&gate.bundle);
        assert_eq!((scanner.len(), scanner.sequence()), (6, 9));
        gate.bundle.since = Some(9);
        gate.bundle.sequence = 12;
        gate.bundle.tickets = vec![ticket(4, 1, TicketStatus::Valid)];
        gate.bundle.revoked = vec![BundleRevoked(Uuid::from_u128(1), 2, "refunded".to_owned())];
        scanner.update(&gate.bundle);
        let ask = |id| {
            let text = gate.token(id, 1);
            scanner
                .judge(&Memory::new(), &text, NOW, Some(0), Direction::In)
                .reason
        };
        assert_eq!(ask(4), Reason::Ok);
        assert_eq!(ask(1), Reason::Refunded);
        assert_eq!(ask(3), Reason::AlreadyUsed);
        assert_eq!(scanner.sequence(), 12);
        assert!(!scanner.is_empty());
    }
}
