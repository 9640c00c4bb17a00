//! Export and erasure of a person (contract G, "Privacy").

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Query, Row, Tx, query};
use serde_json::{Map, Value, json};

use super::Person;
use crate::Ticketing;
use crate::api::problem::conflict;
use crate::model::buyer::BuyerKey;

/// Rows of one table that an export holds.
const ROWS_MAX: i64 = 10_000;

/// A table with sealed fields of persons.
struct Sealed {
    /// What its rows are called in an export.
    kind: &'static str,
    table: &'static str,
    /// Id of a row.
    id: &'static str,
    /// Whose it is.
    person: &'static str,
    /// Column, name under which it is sealed, whether its text is JSON.
    fields: &'static [(&'static str, &'static str, bool)],
}

/// Every table with personal fields. A table that is missing here is not exported; erasing needs
/// no list, since it destroys the key.
const SEALED: &[Sealed] = &[
    Sealed {
        kind: "orders",
        table: "tk_orders",
        id: "id",
        person: "person_id",
        fields: &[
            ("contact", "order.contact", true),
            ("attendees", "order.attendees", true),
        ],
    },
    Sealed {
        kind: "tickets",
        table: "tk_tickets",
        id: "id",
        person: "holder_person",
        fields: &[
            ("holder_name", "ticket.name", false),
            ("holder_email", "ticket.email", false),
            ("answers", "ticket.answers", true),
        ],
    },
    Sealed {
        kind: "transfers",
        table: "tk_transfers",
        id: "id",
        person: "person_id",
        fields: &[
            ("recipient_email", "transfer.email", false),
            ("recipient_name", "transfer.name", false),
            ("message", "transfer.message", false),
        ],
    },
    Sealed {
        kind: "provenance",
        table: "tk_leaves",
        id: "ticket_id",
        person: "person_id",
        fields: &[("opening", "ticket.provenance", false)],
    },
    Sealed {
        kind: "mails",
        table: "tk_mails",
        id: "id",
        person: "person_id",
        fields: &[
            ("recipient", "mail.recipient", false),
            ("content", "mail.content", true),
        ],
    },
];

fn unknown() -> Problem {
    Problem::not_found("person_not_found", "Nothing is kept of such a person.")
}

/// Everything that is sealed under a person's key, as JSON.
///
/// # Errors
/// 404 `person_not_found`, the store's.
pub async fn export(room: &Ticketing, key: &BuyerKey) -> Result<Value, Problem> {
    let person = room.vault.find(&room.store.db, key).await?;
    let person = person.ok_or_else(unknown)?;
    let mut all = Map::new();
    for sealed in SEALED {
        let columns: Vec<&str> = sealed.fields.iter().map(|(column, _, _)| *column).collect();
        let text = format!(
            "SELECT {}, {} FROM {} WHERE {} = $1 ORDER BY {} LIMIT $2",
            sealed.id,
            columns.join(", "),
            sealed.table,
            sealed.person,
            sealed.id
        );
        let statement = Query::assembled(text).bind(&person.id).bind(ROWS_MAX);
        let rows = room.store.db.fetch_all(statement).await?;
        let shown: Result<Vec<Value>, Problem> = rows
            .iter()
            .map(|row| opened(&person, sealed, row))
            .collect();
        all.insert(sealed.kind.to_owned(), shown?.into());
    }
    Ok(json!({
        "person": key.as_str(),
        "exportedAt": Timestamp(room.now()),
        "data": all,
    }))
}

fn opened(person: &Person, sealed: &Sealed, row: &Row) -> Result<Value, Problem> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), row.get::<String>(sealed.id)?.into());
    for (column, label, is_json) in sealed.fields {
        let bytes: Option<Vec<u8>> = row.get(column)?;
        let text = bytes.and_then(|bytes| person.open(label, &bytes));
        let value = match (text, is_json) {
            (None, _) => Value::Null,
            (Some(text), true) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            (Some(text), false) => text.into(),
        };
        shown.insert((*column).to_owned(), value);
    }
    Ok(shown.into())
}

async fn any(tx: &mut Tx, text: &'static str, person: &str) -> Result<bool, Problem> {
    Ok(tx.fetch_optional(query(text).bind(person)).await?.is_some())
}

/// Whether an organisation that somebody organises waits for its money.
async fn awaits_payout(tx: &mut Tx, key: &BuyerKey) -> Result<bool, Problem> {
    let (subject, by_mail) = key.member();
    let text = "SELECT 1 AS one FROM tk_payouts p JOIN tk_members m ON m.org_id = p.org_id
        WHERE m.subject = $1 AND m.by_mail = $2 AND m.role = 'organizer'
            AND p.status IN ('requested', 'in_transit') LIMIT 1";
    let statement = query(text).bind(subject).bind(by_mail);
    Ok(tx.fetch_optional(statement).await?.is_some())
}

/// Destroys a person's key: every field under it reads null from then on, here and in backups.
///
/// # Errors
/// 404 `person_not_found`; 409 `has_open_matters` while a payment, refund, dispute or payout is open,
/// `has_valid_tickets` unless they are kept; the store's.
pub async fn erase(room: &Ticketing, key: &BuyerKey, keep_tickets: bool) -> Result<(), Problem> {
    let mut tx = room.store.begin().await?;
    let lookup = room.vault.lookup(key);
    let found = tx.fetch_optional(super::by_lookup(&lookup)).await?;
    let id: String = found.ok_or_else(unknown)?.get("id")?;
    let open = [
        "SELECT 1 AS one FROM tk_orders WHERE person_id = $1 AND status IN ('reserved', 'pending')",
        "SELECT 1 AS one FROM tk_refunds r JOIN tk_orders o ON o.id = r.order_id
            WHERE o.person_id = $1 AND r.status <> 'succeeded'",
        "SELECT 1 AS one FROM tk_card_disputes d JOIN tk_orders o ON o.id = d.order_id
            WHERE o.person_id = $1 AND d.closed_at IS NULL",
        "SELECT 1 AS one FROM tk_card_refunds c JOIN tk_orders o ON o.id = c.order_id
            WHERE o.person_id = $1 AND c.state IN ('created', 'pending')",
    ];
    for text in open {
        if any(&mut tx, text, &id).await? {
            let detail = "A payment, refund or dispute of this person is open.";
            return Err(conflict("has_open_matters", detail));
        }
    }
    if awaits_payout(&mut tx, key).await? {
        let detail = "A payout of an organisation of this person is open.";
        return Err(conflict("has_open_matters", detail));
    }
    let tickets = "SELECT 1 AS one FROM tk_tickets t JOIN tk_events e ON e.id = t.event_id
        WHERE t.holder_person = $1 AND t.status IN ('valid', 'suspended')
            AND e.status IN ('published', 'sold_out', 'postponed')";
    if !keep_tickets && any(&mut tx, tickets, &id).await? {
        let detail =
            "This person has valid tickets; `keepTickets: true` lets them work on, nameless.";
        return Err(conflict("has_valid_tickets", detail));
    }
    let text =
        "UPDATE tk_people SET lookup = NULL, sealed_key = NULL, erased_at = $2 WHERE id = $1";
    tx.execute(query(text).bind(&id).bind(room.now())).await?;
    tx.commit().await?;
    Ok(())
}
