//! What can be exported. Columns are fixed; new ones are appended.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Query, Row, query};

use super::{Cell, Export};
use crate::Ticketing;
use crate::api::money::print;
use crate::orders::row::Contact;
use crate::orders::show;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Orders with their amounts and buyers.
    Orders,
    /// Tickets.
    Tickets,
    /// Who comes.
    Attendees,
    /// Scans.
    CheckIns,
    /// Payouts.
    Payouts,
    /// Lines of postings.
    Postings,
}

const ALL: [Kind; 6] = [
    Kind::Orders,
    Kind::Tickets,
    Kind::Attendees,
    Kind::CheckIns,
    Kind::Payouts,
    Kind::Postings,
];

/// Pages are read and nothing is written: nobody waits for that.
const LANE: &str = "ticketing_export_pages";

/// Rows of a page with the id after which the next page begins.
pub type Rows = Vec<(String, Vec<Cell>)>;

impl Kind {
    /// The word in bodies and rows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Tickets => "tickets",
            Self::Attendees => "attendees",
            Self::CheckIns => "check_ins",
            Self::Payouts => "payouts",
            Self::Postings => "postings",
        }
    }

    /// The kind of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Names of the columns.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &[
                "orderId",
                "number",
                "eventId",
                "status",
                "channel",
                "currency",
                "subtotal",
                "discount",
                "tax",
                "tickets",
                "platformFee",
                "processingFee",
                "total",
                "refundedAmount",
                "paymentMethod",
                "paymentStatus",
                "buyerName",
                "buyerEmail",
                "createdAt",
                "confirmedAt",
            ],
            Self::Tickets => &[
                "ticketId",
                "number",
                "orderId",
                "eventId",
                "ticketTypeId",
                "status",
                "generation",
                "channel",
                "currency",
                "price",
                "usedAt",
                "createdAt",
            ],
            Self::Attendees => &[
                "ticketId",
                "number",
                "orderId",
                "eventId",
                "ticketTypeId",
                "status",
                "holderName",
                "holderEmail",
                "usedAt",
            ],
            Self::CheckIns => &[
                "checkInId",
                "eventId",
                "ticketId",
                "deviceId",
                "gate",
                "direction",
                "admitted",
                "reason",
                "counted",
                "conflict",
                "scannedAt",
                "effectiveAt",
                "recordedAt",
            ],
            Self::Payouts => &[
                "payoutId",
                "currency",
                "amount",
                "status",
                "reference",
                "failure",
                "createdAt",
                "updatedAt",
            ],
            Self::Postings => &[
                "seq",
                "chainId",
                "posting",
                "component",
                "transferId",
                "debitAccountId",
                "creditAccountId",
                "currency",
                "amount",
                "eventId",
                "orderId",
                "refundId",
                "payoutId",
                "disputeId",
                "recordedAt",
            ],
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Orders => {
                "SELECT id, number, event_id, status, channel, currency, subtotal, discount, tax,
                 tickets, platform_fee, processing_fee, total, refunded, payment_method,
                 payment_status, person_id, contact, created_at, confirmed_at FROM tk_orders"
            }
            Self::Tickets | Self::Attendees => {
                "SELECT id, number, order_id, event_id, type_id, status, generation, channel,
                 currency, price, used_at, created_at, holder_person, holder_name, holder_email
                 FROM tk_tickets"
            }
            Self::CheckIns => {
                "SELECT id, event_id, ticket_id, device_id, gate, direction, admitted, reason,
                 counted, conflict, scanned_at, effective_at, recorded_at FROM tk_check_ins"
            }
            Self::Payouts => {
                "SELECT id, currency, amount, status, reference, failure, created_at, updated_at
                 FROM tk_payouts"
            }
            Self::Postings => {
                "SELECT seq, chain_id, posting, component, transfer_id, debit, credit, currency,
                 amount, event_id, order_id, refund_id, payout_id, dispute_id, recorded_at
                 FROM tk_posting_lines"
            }
        }
    }

    /// The statement of a page.
    fn statement(self, export: &Export, after: Option<&str>, limit: i64) -> Query {
        let scope = match (&export.event_id, self) {
            (Some(_), Self::Payouts) | (None, _) => match self {
                Self::CheckIns => "event_id IN (SELECT id FROM tk_events WHERE org_id = $1)",
                _ => "org_id = $1",
            },
            (Some(_), _) => "event_id = $1",
        };
        let owner = match (&export.event_id, self) {
            (Some(event), kind) if kind != Self::Payouts => event.as_str(),
            _ => export.org_id.as_str(),
        };
        if self == Self::Postings {
            let text = format!(
                "{} WHERE {scope} AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
                self.source()
            );
            let after: i64 = after.and_then(|seq| seq.parse().ok()).unwrap_or(0);
            let until = export.position.unwrap_or(i64::MAX);
            return Query::assembled(text)
                .bind(owner)
                .bind(after)
                .bind(until)
                .bind(limit);
        }
        let time = match self {
            Self::CheckIns => "recorded_at",
            _ => "created_at",
        };
        let text = format!(
            "{} WHERE {scope} AND id > $2 AND {time} <= $3 ORDER BY id LIMIT $4",
            self.source()
        );
        let until = export.as_of.unwrap_or(i64::MAX);
        let after = after.unwrap_or("");
        Query::assembled(text)
            .bind(owner)
            .bind(after)
            .bind(until)
            .bind(limit)
    }

    /// A page of rows after an id.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        self,
        room: &Ticketing,
        export: &Export,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Rows, Problem> {
        let rows = read(
            &room.store.db,
            &export.id,
            self.statement(export, after, limit),
        )
        .await?;
        match self {
            Self::Orders => orders(room, &rows).await,
            Self::Attendees => attendees(room, &rows).await,
            Self::Tickets => rows.iter().map(|row| ticket(room, row)).collect(),
            Self::CheckIns => rows.iter().map(check_in).collect(),
            Self::Payouts => rows.iter().map(|row| payout(room, row)).collect(),
            Self::Postings => rows.iter().map(|row| posting(room, row)).collect(),
        }
    }
}

/// Reads a page in the order of its index. On PostgreSQL that takes a transaction: only there may
/// a statement take longer than a request, and be kept from sorting a million rows for each page
/// while nothing is known of a table that has just grown.
async fn read(db: &Db, export_id: &str, page: Query) -> Result<Vec<Row>, Problem> {
    let db = db.patient();
    if !db.is_shared() {
        return Ok(db.fetch_all(page).await?);
    }
    let mut tx = db.lane(LANE).indexed().begin_keyed(export_id).await?;
    tx.execute(query("SET LOCAL enable_sort = off")).await?;
    let rows = tx.fetch_all(page).await?;
    tx.commit().await?;
    Ok(rows)
}

fn word(row: &Row, column: &str) -> Result<Cell, Problem> {
    Ok(Cell::word(row.get(column)?))
}

fn time(row: &Row, column: &str) -> Result<Cell, Problem> {
    Ok(Cell::time(row.get(column)?))
}

fn amount(room: &Ticketing, row: &Row, column: &str) -> Result<Cell, Problem> {
    let currency: String = row.get("currency")?;
    let scale = room.settings.scale(&currency).unwrap_or(2);
    Ok(Cell::Word(print(row.get(column)?, scale)))
}

async fn orders(room: &Ticketing, rows: &[Row]) -> Result<Rows, Problem> {
    let ids: Vec<String> = rows
        .iter()
        .map(|row| row.get("person_id"))
        .collect::<Result<_, _>>()?;
    let persons = room.vault.load(&room.store.db, &ids).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for (row, person) in rows.iter().zip(&ids) {
        let sealed: Vec<u8> = row.get("contact")?;
        let text = persons
            .get(person)
            .and_then(|person| person.open(show::CONTACT, &sealed));
        let contact: Option<Contact> = text.and_then(|text| serde_json::from_str(&text).ok());
        let (name, email) = contact.map_or((None, None), |contact| (contact.name, contact.email));
        let mut cells = Vec::with_capacity(20);
        for column in ["id", "number", "event_id", "status", "channel", "currency"] {
            cells.push(word(row, column)?);
        }
        let sums = [
            "subtotal",
            "discount",
            "tax",
            "tickets",
            "platform_fee",
            "processing_fee",
            "total",
            "refunded",
        ];
        for column in sums {
            cells.push(amount(room, row, column)?);
        }
        cells.push(word(row, "payment_method")?);
        cells.push(word(row, "payment_status")?);
        cells.push(Cell::text(name));
        cells.push(Cell::text(email));
        cells.push(time(row, "created_at")?);
        cells.push(time(row, "confirmed_at")?);
        shown.push((row.get("id")?, cells));
    }
    Ok(shown)
}

fn ticket(room: &Ticketing, row: &Row) -> Result<(String, Vec<Cell>), Problem> {
    let mut cells = Vec::with_capacity(12);
    for column in ["id", "number", "order_id", "event_id", "type_id", "status"] {
        cells.push(word(row, column)?);
    }
    cells.push(Cell::Int(row.get("generation")?));
    cells.push(word(row, "channel")?);
    cells.push(word(row, "currency")?);
    cells.push(amount(room, row, "price")?);
    cells.push(time(row, "used_at")?);
    cells.push(time(row, "created_at")?);
    Ok((row.get("id")?, cells))
}

async fn attendees(room: &Ticketing, rows: &[Row]) -> Result<Rows, Problem> {
    let holders = rows.iter().map(|row| row.get("holder_person"));
    let ids: Vec<String> = holders.collect::<Result<_, _>>()?;
    let persons = room.vault.load(&room.store.db, &ids).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for (row, person) in rows.iter().zip(&ids) {
        let open = |label: &str, column: &str| -> Result<Cell, Problem> {
            let sealed: Option<Vec<u8>> = row.get(column)?;
            let person = persons.get(person);
            let text = person
                .zip(sealed)
                .and_then(|(person, bytes)| person.open(label, &bytes));
            Ok(Cell::text(text))
        };
        let mut cells = Vec::with_capacity(9);
        for column in ["id", "number", "order_id", "event_id", "type_id", "status"] {
            cells.push(word(row, column)?);
        }
        cells.push(open("ticket.name", "holder_name")?);
        cells.push(open("ticket.email", "holder_email")?);
        cells.push(time(row, "used_at")?);
        shown.push((row.get("id")?, cells));
    }
    Ok(shown)
}

fn check_in(row: &Row) -> Result<(String, Vec<Cell>), Problem> {
    let cells = vec![
        word(row, "id")?,
        word(row, "event_id")?,
        word(row, "ticket_id")?,
        Cell::text(row.get("device_id")?),
        Cell::text(row.get("gate")?),
        word(row, "direction")?,
        Cell::Bool(row.get("admitted")?),
        word(row, "reason")?,
        Cell::Bool(row.get("counted")?),
        word(row, "conflict")?,
        time(row, "scanned_at")?,
        time(row, "effective_at")?,
        time(row, "recorded_at")?,
    ];
    Ok((row.get("id")?, cells))
}

fn payout(room: &Ticketing, row: &Row) -> Result<(String, Vec<Cell>), Problem> {
    let cells = vec![
        word(row, "id")?,
        word(row, "currency")?,
        amount(room, row, "amount")?,
        word(row, "status")?,
        Cell::text(row.get("reference")?),
        Cell::text(row.get("failure")?),
        time(row, "created_at")?,
        time(row, "updated_at")?,
    ];
    Ok((row.get("id")?, cells))
}

fn posting(room: &Ticketing, row: &Row) -> Result<(String, Vec<Cell>), Problem> {
    let seq: i64 = row.get("seq")?;
    let mut cells = vec![Cell::Int(seq)];
    let words = [
        "chain_id",
        "posting",
        "component",
        "transfer_id",
        "debit",
        "credit",
        "currency",
    ];
    for column in words {
        cells.push(word(row, column)?);
    }
    cells.push(amount(room, row, "amount")?);
    for column in [
        "event_id",
        "order_id",
        "refund_id",
        "payout_id",
        "dispute_id",
    ] {
        cells.push(word(row, column)?);
    }
    cells.push(time(row, "recorded_at")?);
    Ok((seq.to_string(), cells))
}
