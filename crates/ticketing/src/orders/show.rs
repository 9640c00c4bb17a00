//! An order as the routes print it (contract B1).

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Row, Tx};
use serde_json::{Map, Value, json};

use super::judge::time;
use super::row::{Contact, OrderRow};
use crate::Ticketing;
use crate::api::money::print;
use crate::privacy::Person;
use crate::store::bulk::{self, Marks};

/// Label under which the contact is sealed.
pub const CONTACT: &str = "order.contact";
/// Label under which the attendees are sealed.
pub const ATTENDEES: &str = "order.attendees";

/// One line of an order, from its row.
#[derive(Debug, Clone)]
pub struct ItemRow {
    /// The type.
    pub type_id: String,
    /// Units.
    pub quantity: i64,
    /// List price of one.
    pub unit_price: i64,
    /// Σ discounts.
    pub discount: i64,
    /// Σ tax.
    pub tax: i64,
    /// Σ without fees.
    pub total: i64,
}

/// A hold, for printing.
#[derive(Debug, Clone)]
pub struct HoldRow {
    /// Its id.
    pub id: String,
    /// The type.
    pub type_id: String,
    /// Units.
    pub quantity: i64,
    /// Its state.
    pub state: String,
}

/// The rows beside an order.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Its lines.
    pub items: Vec<ItemRow>,
    /// Its holds.
    pub holds: Vec<HoldRow>,
}

fn item(row: &Row) -> Result<ItemRow, Problem> {
    Ok(ItemRow {
        type_id: row.get("type_id")?,
        quantity: row.get("quantity")?,
        unit_price: row.get("unit_price")?,
        discount: row.get("discount")?,
        tax: row.get("tax")?,
        total: row.get("total")?,
    })
}

fn hold(row: &Row) -> Result<HoldRow, Problem> {
    Ok(HoldRow {
        id: row.get("id")?,
        type_id: row.get("type_id")?,
        quantity: row.get("quantity")?,
        state: row.get("state")?,
    })
}

const ITEMS: &str = "SELECT order_id, type_id, quantity, unit_price, discount, tax, total
    FROM tk_order_items WHERE order_id";
const HOLDS: &str = "SELECT order_id, id, type_id, quantity, state FROM tk_holds WHERE order_id";

/// The rows beside orders, by order.
///
/// # Errors
/// The store's.
async fn beside(db: &Db, orders: &[String]) -> Result<BTreeMap<String, Beside>, Problem> {
    let mut found: BTreeMap<String, Beside> = BTreeMap::new();
    for id in orders {
        let text = format!("{ITEMS} = $1 ORDER BY line");
        let rows = db.fetch_all(Query::assembled(text).bind(id)).await?;
        let text = format!("{HOLDS} = $1 ORDER BY id");
        let holds = db.fetch_all(Query::assembled(text).bind(id)).await?;
        let beside = Beside {
            items: rows.iter().map(item).collect::<Result<_, _>>()?,
            holds: holds.iter().map(hold).collect::<Result<_, _>>()?,
        };
        found.insert(id.clone(), beside);
    }
    Ok(found)
}

/// The rows beside orders, by order, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn beside_in(
    tx: &mut Tx,
    marks: Marks,
    orders: &[String],
) -> Result<BTreeMap<String, Beside>, Problem> {
    let mut found: BTreeMap<String, Beside> = BTreeMap::new();
    let keys = || orders.iter().map(Arg::from).collect();
    let prefix = format!("{ITEMS} IN");
    let rows = bulk::select(tx, marks, &prefix, "ORDER BY order_id, line", &[], keys()).await?;
    for row in &rows {
        let beside = found.entry(row.get("order_id")?).or_default();
        beside.items.push(item(row)?);
    }
    let prefix = format!("{HOLDS} IN");
    let rows = bulk::select(tx, marks, &prefix, "ORDER BY order_id, id", &[], keys()).await?;
    for row in &rows {
        let beside = found.entry(row.get("order_id")?).or_default();
        beside.holds.push(hold(row)?);
    }
    Ok(found)
}

/// The order as JSON. What is personal reads null once the person is erased.
pub fn order(order: &OrderRow, beside: &Beside, person: Option<&Person>, scale: u8) -> Value {
    let money = |minor| print(minor, scale);
    let instant = |at: Option<i64>| at.map_or(Value::Null, |at| time(at).into());
    let contact = person
        .and_then(|person| person.open(CONTACT, &order.contact))
        .and_then(|text| serde_json::from_str::<Contact>(&text).ok());
    let mut buyer = Map::new();
    match contact {
        Some(contact) => {
            buyer.insert("email".into(), contact.email.into());
            buyer.insert("name".into(), contact.name.into());
            buyer.insert("phone".into(), contact.phone.into());
        }
        None => {
            buyer.insert("email".into(), Value::Null);
            buyer.insert("name".into(), Value::Null);
            buyer.insert("phone".into(), Value::Null);
            buyer.insert("erased".into(), true.into());
        }
    }
    let items: Vec<Value> = beside
        .items
        .iter()
        .map(|item| {
            json!({
                "ticketTypeId": item.type_id,
                "quantity": item.quantity,
                "unitPrice": money(item.unit_price),
                "discount": money(item.discount),
                "tax": money(item.tax),
                "total": money(item.total),
            })
        })
        .collect();
    let holds: Vec<Value> = beside
        .holds
        .iter()
        .map(|hold| {
            json!({
                "id": hold.id,
                "ticketTypeId": hold.type_id,
                "quantity": hold.quantity,
                "state": hold.state,
                "expiresAt": instant(order.expires_at),
            })
        })
        .collect();
    let mut shown = json!({
        "id": order.id,
        "number": order.number,
        "eventId": order.event_id,
        "orgId": order.org_id,
        "status": order.status,
        "channel": order.channel,
        "buyer": buyer,
        "items": items,
        "currency": order.currency,
        "amounts": {
            "subtotal": money(order.subtotal),
            "discount": money(order.discount),
            "tax": money(order.tax),
            "tickets": money(order.tickets),
            "platformFee": money(order.platform_fee),
            "processingFee": money(order.processing_fee),
            "total": money(order.total),
        },
        "feePayer": order.fee_payer.word(),
        "holds": holds,
        "expiresAt": instant(order.expires_at.filter(|_| order.is_open())),
        "payment": {"method": order.payment_method, "status": order.payment_status},
        "refundedAmount": money(order.refunded),
        "createdAt": time(order.created_at),
        "confirmedAt": instant(order.confirmed_at),
    });
    if order.late_honoured {
        shown["lateHonoured"] = true.into();
    }
    if order.needs_review {
        shown["needsReview"] = true.into();
    }
    if let Some(visitor) = &order.visitor_id {
        shown["visitorId"] = (&**visitor).into();
    }
    if let Some(source) = order
        .source
        .as_deref()
        .and_then(|s| serde_json::from_str(s).ok())
    {
        shown["source"] = source;
    }
    shown
}

/// One order, read and printed.
///
/// # Errors
/// The store's.
pub async fn one(room: &Ticketing, found: &OrderRow) -> Result<Value, Problem> {
    let mut all = many(room, std::slice::from_ref(found)).await?;
    Ok(all.pop().unwrap_or(Value::Null))
}

/// Orders, read and printed.
///
/// # Errors
/// The store's.
pub async fn many(room: &Ticketing, found: &[OrderRow]) -> Result<Vec<Value>, Problem> {
    let ids: Vec<String> = found.iter().map(|order| order.id.clone()).collect();
    let beside = beside(&room.store.db, &ids).await?;
    let mut persons: Vec<String> = found.iter().map(|order| order.person_id.clone()).collect();
    persons.sort();
    persons.dedup();
    let persons = room.vault.load(&room.store.db, &persons).await?;
    let empty = Beside::default();
    let print = |row: &OrderRow| {
        let scale = room.settings.scale(&row.currency).unwrap_or(2);
        let rows = beside.get(&row.id).unwrap_or(&empty);
        order(row, rows, persons.get(&row.person_id), scale)
    };
    Ok(found.iter().map(print).collect())
}
