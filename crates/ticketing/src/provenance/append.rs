//! Leaves of a ticket's steps.

use florin_base::IdSource;
use florin_ledger::proof::Hash;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Tx};

use crate::Ticketing;
use crate::api::money::print;
use crate::model::provenance::{Payload, commit, leaf};
use crate::model::ticket_status::Transition;
use crate::privacy::Person;
use crate::store::bulk::{self, Marks};

/// What a leaf's opening is sealed as.
pub(super) const FIELD: &str = "ticket.provenance";

/// A ticket's step, to be committed to.
#[derive(Debug)]
pub struct Step<'a> {
    /// The ticket.
    pub ticket_id: &'a str,
    /// Its event.
    pub event_id: &'a str,
    /// Currency of the price.
    pub currency: &'a str,
    /// Price without fees, in minor units.
    pub price: i64,
    /// What happens.
    pub kind: Transition,
    /// The generation from then on.
    pub generation: u16,
    /// When, in microseconds.
    pub at: i64,
    /// Hash of the ticket's leaf before, and how many there are.
    pub before: Option<(Hash, i64)>,
    /// The holder from then on.
    pub holder: &'a Person,
    /// The holder's e-mail, in lower case; `None` once the person is erased.
    pub holder_email: Option<&'a str>,
}

/// A leaf that is still to be written.
#[derive(Debug)]
pub struct NewLeaf {
    /// Its hash.
    pub hash: Hash,
    row: Vec<Arg>,
}

impl Step<'_> {
    /// The leaf, under a fresh salt.
    pub fn leaf(&self, room: &Ticketing) -> NewLeaf {
        let scale = room.settings.scale(self.currency).unwrap_or(2);
        let payload = Payload {
            at: self.at,
            currency: self.currency,
            event_id: self.event_id,
            generation: self.generation,
            holder: self.holder_email,
            kind: self.kind,
            price: &print(self.price, scale),
            ticket_id: self.ticket_id,
        }
        .canonical();
        let salt = IdSource::random_32();
        let commitment = commit(&salt, &payload);
        let (prev, n) = match self.before {
            Some((hash, count)) => (Some(hash), count),
            None => (None, 0),
        };
        let (_, hash) = leaf(&commitment, prev.as_ref());
        let opening = format!("{}{payload}", hex::encode(salt));
        let row = vec![
            Arg::from(self.ticket_id),
            Arg::from(n),
            Arg::from(&hash.0),
            Arg::from(&commitment.0),
            Arg::from(prev.map(|hash| hash.0.to_vec())),
            Arg::from(self.kind.as_str()),
            Arg::from(i64::from(self.generation)),
            Arg::from(self.at),
            Arg::from(&self.holder.id),
            Arg::from(self.holder.seal(FIELD, &opening)),
        ];
        NewLeaf { hash, row }
    }
}

/// Writes leaves in the transaction of their steps; the next checkpoint gives them their places.
///
/// # Errors
/// The store's.
pub async fn append(tx: &mut Tx, marks: Marks, leaves: Vec<NewLeaf>) -> Result<(), Problem> {
    let prefix = "INSERT INTO tk_leaves
        (ticket_id, n, hash, commitment, prev, kind, generation, at, person_id, opening)";
    let rows = leaves.into_iter().map(|leaf| leaf.row).collect();
    bulk::insert(tx, marks, prefix, "", rows).await?;
    Ok(())
}
