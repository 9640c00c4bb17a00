//! An order as it stands in the tables.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Row, SqlError, Tx, query};
use serde::{Deserialize, Serialize};

use crate::model::amounts::{FeePayer, Minor, Paid, Part};
use crate::money::Subject;
use crate::store::bulk::{self, Marks};

/// An order. Amounts in minor units, times in microseconds.
#[derive(Debug, Clone)]
pub struct OrderRow {
    /// Its id.
    pub id: String,
    /// Its number.
    pub number: String,
    /// Its organisation.
    pub org_id: String,
    /// Its event.
    pub event_id: String,
    /// Its status (contract B3).
    pub status: String,
    /// `online` or `comp`.
    pub channel: String,
    /// Keyed digest of the buyer key.
    pub buyer: Vec<u8>,
    /// Subject of the account it belongs to.
    pub owner_sub: Option<String>,
    /// The buyer.
    pub person_id: String,
    /// Sealed [`Contact`].
    pub contact: Vec<u8>,
    /// Sealed list of [`Attendee`]s.
    pub attendees: Option<Vec<u8>>,
    /// Digest of the access token.
    pub access_digest: Option<Vec<u8>>,
    /// Its currency.
    pub currency: String,
    /// Who bears the fees.
    pub fee_payer: FeePayer,
    /// Its promo code.
    pub promo_id: Option<String>,
    /// Σ list prices.
    pub subtotal: Minor,
    /// Σ discounts.
    pub discount: Minor,
    /// Σ tax.
    pub tax: Minor,
    /// Σ tickets without fees.
    pub tickets: Minor,
    /// Platform fee.
    pub platform_fee: Minor,
    /// Processing fee.
    pub processing_fee: Minor,
    /// What the buyer pays.
    pub total: Minor,
    /// What went back, or is on its way.
    pub refunded: Minor,
    /// The parts of each ticket, 01 first.
    pub parts: Vec<PartRow>,
    /// When its hold ends.
    pub expires_at: Option<i64>,
    /// The hold was lengthened for a card payment.
    pub extended: bool,
    /// `wallet`, `card` or `free`.
    pub payment_method: Option<String>,
    /// `none`, `processing`, …
    pub payment_status: String,
    /// The wallet attempt or card intent.
    pub payment_id: Option<String>,
    /// It was paid after its hold had ended, and could be honoured.
    pub late_honoured: bool,
    /// Somebody should look at it.
    pub needs_review: bool,
    /// Visitor of the funnel.
    pub visitor_id: Option<String>,
    /// JSON, where the buyer came from.
    pub source: Option<String>,
    /// When it was reserved.
    pub created_at: i64,
    /// When it was confirmed.
    pub confirmed_at: Option<i64>,
}

/// The parts of a ticket as a row keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRow {
    /// The type.
    #[serde(rename = "k")]
    pub type_id: String,
    /// Number of the type within the event.
    #[serde(rename = "o")]
    pub type_no: u16,
    /// List price.
    #[serde(rename = "l")]
    pub list: Minor,
    /// Discount.
    #[serde(rename = "d")]
    pub discount: Minor,
    /// Net.
    #[serde(rename = "n")]
    pub net: Minor,
    /// Tax.
    #[serde(rename = "t")]
    pub tax: Minor,
    /// Platform fee.
    #[serde(rename = "f")]
    pub platform_fee: Minor,
    /// Processing fee.
    #[serde(rename = "g")]
    pub processing_fee: Minor,
}

impl PartRow {
    /// Of a part of the cart.
    pub fn new(part: &Part, type_id: &str, type_no: i64) -> Self {
        Self {
            type_id: type_id.to_owned(),
            type_no: u16::try_from(type_no).unwrap_or(0),
            list: part.list,
            discount: part.discount,
            net: part.net,
            tax: part.tax,
            platform_fee: part.platform_fee,
            processing_fee: part.processing_fee,
        }
    }

    /// What can go back of it.
    pub const fn paid(&self) -> Paid {
        Paid {
            net: self.net,
            tax: self.tax,
            platform_fee: self.platform_fee,
            processing_fee: self.processing_fee,
        }
    }
}

/// Who ordered: sealed under the person's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// E-mail.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Phone, E.164.
    pub phone: Option<String>,
}

/// Who will come: one for each ticket, in any order; sealed under the buyer's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attendee {
    /// Type of the ticket.
    pub ticket_type_id: String,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// E-mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Answers to the type's questions, by key.
    #[serde(default)]
    pub answers: serde_json::Map<String, serde_json::Value>,
}

impl OrderRow {
    /// What the postings of the order say they belong to.
    pub fn subject(&self) -> Subject {
        Subject {
            org_id: self.org_id.clone(),
            event_id: Some(self.event_id.clone()),
            order_id: Some(self.id.clone()),
            ..Subject::default()
        }
    }

    /// Σ of the parts.
    pub fn sums(&self) -> Paid {
        let add = |sum: Paid, part: &PartRow| sum.plus(&part.paid());
        self.parts.iter().fold(Paid::default(), add)
    }

    /// Reserved or pending.
    pub fn is_open(&self) -> bool {
        matches!(&*self.status, "reserved" | "pending")
    }

    /// Paid and not yet wholly refunded, or wholly.
    pub fn was_confirmed(&self) -> bool {
        matches!(
            &*self.status,
            "confirmed" | "partially_refunded" | "refunded"
        )
    }
}

const COLUMNS: &str = "SELECT id, number, org_id, event_id, status, channel, buyer, owner_sub,
    person_id, contact, attendees, access_digest, currency, fee_payer, promo_id, subtotal,
    discount, tax, tickets, platform_fee, processing_fee, total, refunded, parts, expires_at,
    extended, payment_method, payment_status, payment_id, late_honoured, needs_review, visitor_id,
    source, created_at, confirmed_at FROM tk_orders";

/// Reads a row of [`select`].
///
/// # Errors
/// 500 for a damaged row.
pub fn order(row: &Row) -> Result<OrderRow, Problem> {
    let parts: String = row.get("parts")?;
    Ok(OrderRow {
        id: row.get("id")?,
        number: row.get("number")?,
        org_id: row.get("org_id")?,
        event_id: row.get("event_id")?,
        status: row.get("status")?,
        channel: row.get("channel")?,
        buyer: row.get("buyer")?,
        owner_sub: row.get("owner_sub")?,
        person_id: row.get("person_id")?,
        contact: row.get("contact")?,
        attendees: row.get("attendees")?,
        access_digest: row.get("access_digest")?,
        currency: row.get("currency")?,
        fee_payer: FeePayer::from_word(&row.get::<String>("fee_payer")?),
        promo_id: row.get("promo_id")?,
        subtotal: row.get("subtotal")?,
        discount: row.get("discount")?,
        tax: row.get("tax")?,
        tickets: row.get("tickets")?,
        platform_fee: row.get("platform_fee")?,
        processing_fee: row.get("processing_fee")?,
        total: row.get("total")?,
        refunded: row.get("refunded")?,
        parts: serde_json::from_str(&parts).map_err(Problem::internal)?,
        expires_at: row.get("expires_at")?,
        extended: row.get("extended")?,
        payment_method: row.get("payment_method")?,
        payment_status: row.get("payment_status")?,
        payment_id: row.get("payment_id")?,
        late_honoured: row.get("late_honoured")?,
        needs_review: row.get("needs_review")?,
        visitor_id: row.get("visitor_id")?,
        source: row.get("source")?,
        created_at: row.get("created_at")?,
        confirmed_at: row.get("confirmed_at")?,
    })
}

/// `SELECT …` of whole orders with what follows.
pub fn select(rest: &str) -> Query {
    Query::assembled(format!("{COLUMNS} {rest}"))
}

/// An order.
///
/// # Errors
/// The store's.
pub async fn find(db: &Db, id: &str) -> Result<Option<OrderRow>, Problem> {
    let row = db.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    row.as_ref().map(order).transpose()
}

/// An order, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn find_in(tx: &mut Tx, id: &str) -> Result<Option<OrderRow>, Problem> {
    let row = tx.fetch_optional(select("WHERE id = $1").bind(id)).await?;
    row.as_ref().map(order).transpose()
}

/// Orders by their ids, inside a transaction.
///
/// # Errors
/// The store's.
pub async fn all_in(
    tx: &mut Tx,
    marks: Marks,
    ids: &[String],
) -> Result<BTreeMap<String, OrderRow>, Problem> {
    let keys = ids.iter().map(Arg::from).collect();
    let prefix = format!("{COLUMNS} WHERE id IN");
    let mut found = BTreeMap::new();
    for row in &bulk::select(tx, marks, &prefix, "", &[], keys).await? {
        let order = order(row)?;
        found.insert(order.id.clone(), order);
    }
    Ok(found)
}

/// The event of an order, to choose the lane.
///
/// # Errors
/// The store's.
pub async fn event_of(db: &Db, id: &str) -> Result<Option<String>, SqlError> {
    let text = "SELECT event_id FROM tk_orders WHERE id = $1";
    let row = db.fetch_optional(query(text).bind(id)).await?;
    row.map(|row| row.get("event_id")).transpose()
}

/// 404 of an order.
pub fn not_found() -> Problem {
    Problem::not_found("order_not_found", "There is no such order.")
}
