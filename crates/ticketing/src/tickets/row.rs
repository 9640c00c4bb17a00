//! A row of `tk_tickets`.

use florin_ledger::proof::Hash;
use florin_platform::http::problem::Problem;
use florin_platform::sql::Row;
use uuid::Uuid;

use crate::model::ticket_status::TicketStatus;

/// The columns that [`Ticket::read`] wants.
pub const COLUMNS: &str = "id, number, order_id, event_id, org_id, type_id, type_no, position,
    channel, status, generation, owner_person, owner_sub, access_digest, holder_person,
    holder_name, holder_email, answers, currency, price, paid_net, paid_tax, paid_platform,
    paid_processing, transferred, transfers, used_at, inside, leaf, leaves, changed, created_at,
    updated_at";

/// What the buyer paid for a ticket, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paid {
    /// Without tax.
    pub net: i64,
    /// Tax.
    pub tax: i64,
    /// Its share of the platform's fee, where the buyer bore it.
    pub platform_fee: i64,
    /// Its share of the processing fee, where the buyer bore it.
    pub processing_fee: i64,
}

impl Paid {
    /// Both fees.
    pub fn fees(&self) -> i64 {
        self.platform_fee + self.processing_fee
    }

    /// All of it.
    pub fn total(&self) -> i64 {
        self.net + self.tax + self.fees()
    }
}

/// A ticket as it is stored. Times are microseconds, amounts minor units.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// UUIDv7.
    pub id: String,
    /// Order number, `-` and its place in the order.
    pub number: String,
    /// The order that it was issued for.
    pub order_id: String,
    /// Its event.
    pub event_id: String,
    /// The event's organisation.
    pub org_id: String,
    /// Its type.
    pub type_id: String,
    /// Number of the type within the event.
    pub type_no: u16,
    /// Its place in the order, from 1.
    pub position: i64,
    /// `online` or `comp`.
    pub channel: String,
    /// Its status.
    pub status: TicketStatus,
    /// Raised whenever older codes must stop working.
    pub generation: u16,
    /// Person of the owner.
    pub owner_person: String,
    /// Account of the owner, if there is one.
    pub owner_sub: Option<String>,
    /// Digest of the token that opens it, after a transfer to somebody without account.
    pub access_digest: Option<Vec<u8>>,
    /// Person under whose key the holder's fields are sealed.
    pub holder_person: String,
    /// Sealed.
    pub holder_name: Option<Vec<u8>>,
    /// Sealed.
    pub holder_email: Option<Vec<u8>>,
    /// Sealed JSON.
    pub answers: Option<Vec<u8>>,
    /// Currency of the amounts.
    pub currency: String,
    /// Price without fees (s of contract C1).
    pub price: i64,
    /// What was paid for it.
    pub paid: Paid,
    /// It was handed on at least once.
    pub transferred: bool,
    /// Offers to hand it on so far.
    pub transfers: i64,
    /// First counted way in.
    pub used_at: Option<i64>,
    /// Its last counted passage was inwards.
    pub inside: bool,
    /// Hash of its last leaf.
    pub leaf: Hash,
    /// Number of its leaves.
    pub leaves: i64,
    /// Number of the event's change that touched it last.
    pub changed: i64,
    /// When it was issued.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

impl Ticket {
    /// Reads a row with [`COLUMNS`].
    ///
    /// # Errors
    /// The store's; a row that nobody here has written.
    pub fn read(row: &Row) -> Result<Self, Problem> {
        let small = |name: &str| -> Result<u16, Problem> {
            u16::try_from(row.get::<i64>(name)?).map_err(Problem::internal)
        };
        let status: String = row.get("status")?;
        let leaf: Vec<u8> = row.get("leaf")?;
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            order_id: row.get("order_id")?,
            event_id: row.get("event_id")?,
            org_id: row.get("org_id")?,
            type_id: row.get("type_id")?,
            type_no: small("type_no")?,
            position: row.get("position")?,
            channel: row.get("channel")?,
            status: TicketStatus::from_word(&status)
                .ok_or_else(|| Problem::internal("status of a ticket"))?,
            generation: small("generation")?,
            owner_person: row.get("owner_person")?,
            owner_sub: row.get("owner_sub")?,
            access_digest: row.get("access_digest")?,
            holder_person: row.get("holder_person")?,
            holder_name: row.get("holder_name")?,
            holder_email: row.get("holder_email")?,
            answers: row.get("answers")?,
            currency: row.get("currency")?,
            price: row.get("price")?,
            paid: Paid {
                net: row.get("paid_net")?,
                tax: row.get("paid_tax")?,
                platform_fee: row.get("paid_platform")?,
                processing_fee: row.get("paid_processing")?,
            },
            transferred: row.get("transferred")?,
            transfers: row.get("transfers")?,
            used_at: row.get("used_at")?,
            inside: row.get("inside")?,
            leaf: Hash(
                leaf.try_into()
                    .map_err(|_| Problem::internal("leaf of a ticket"))?,
            ),
            leaves: row.get("leaves")?,
            changed: row.get("changed")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }

    /// Its id as a UUID.
    ///
    /// # Errors
    /// A row that nobody here has written.
    pub fn uuid(&self) -> Result<Uuid, Problem> {
        Uuid::try_parse(&self.id).map_err(Problem::internal)
    }
}
