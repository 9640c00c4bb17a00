//! The rows of orders that were taken, all tables of a batch in as few statements as possible.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, query};
use serde_json::json;

use super::super::desk::Cx;
use super::super::row::{OrderRow, PartRow};
use super::super::sheet::Sheet;
use super::super::show::{self, Beside, HoldRow, ItemRow};
use super::super::{access, judge};
use super::{Ask, Reserved, Taken};
use crate::model::buyer::BuyerKey;
use crate::privacy::Person;
use crate::store::bulk;
use crate::store::holds::{self, Hold};
use crate::store::idempotency::{Kept, Once};

/// The rows of all orders taken, table by table.
#[derive(Default)]
struct Rows {
    orders: Vec<Vec<Arg>>,
    items: Vec<Vec<Arg>>,
    holds: Vec<Vec<Arg>>,
    uses: Vec<Vec<Arg>>,
    kept: Vec<Vec<Arg>>,
    told: Vec<Vec<Arg>>,
}

/// Writes the orders that were taken; answers each with its place.
///
/// # Errors
/// The store's.
pub(super) async fn write(
    cx: &mut Cx,
    sheet: &Sheet,
    asks: &[&Ask],
    taken: &[Taken],
    numbers: &mut Vec<String>,
) -> Result<Vec<(usize, Kept, Reserved)>, Problem> {
    let buyers: Vec<&BuyerKey> = taken.iter().map(|t| &asks[t.place].buyer).collect();
    let room = cx.room.clone();
    let persons = room.vault.persons(&room.store, &mut cx.tx, &buyers).await?;
    let mut rows = Rows::default();
    let mut answers = Vec::with_capacity(taken.len());
    for one in taken {
        let ask = asks[one.place];
        let number = numbers
            .pop()
            .ok_or_else(|| Problem::internal("too few order numbers"))?;
        let person = persons
            .get(&ask.buyer)
            .ok_or_else(|| Problem::internal("a buyer without a person"))?;
        let (kept, reserved) = add(cx, sheet, ask, one, person, number, &mut rows)?;
        answers.push((one.place, kept, reserved));
    }
    insert(cx, rows).await?;
    let mut uses: BTreeMap<&str, i64> = BTreeMap::new();
    for id in taken.iter().filter_map(|one| one.promo_id.as_deref()) {
        *uses.entry(id).or_default() += 1;
    }
    for (id, count) in uses {
        let text = "UPDATE tk_promos SET uses = uses + $1 WHERE id = $2";
        cx.tx.execute(query(text).bind(count).bind(id)).await?;
    }
    Ok(answers)
}

async fn insert(cx: &mut Cx, rows: Rows) -> Result<(), Problem> {
    let marks = cx.room.store.marks();
    let tables = [
        (INSERT_ORDER, rows.orders),
        (INSERT_ITEM, rows.items),
        (holds::INSERT, rows.holds),
        (
            "INSERT INTO tk_promo_uses (order_id, promo_id, buyer, state)",
            rows.uses,
        ),
        (Once::INSERT, rows.kept),
        (
            "INSERT INTO tk_outbox (id, org_id, kind, data, created_at)",
            rows.told,
        ),
    ];
    for (prefix, rows) in tables {
        bulk::insert(&mut cx.tx, marks, prefix, "", rows).await?;
    }
    Ok(())
}

fn add(
    cx: &mut Cx,
    sheet: &Sheet,
    ask: &Ask,
    one: &Taken,
    person: &Person,
    number: String,
    rows: &mut Rows,
) -> Result<(Kept, Reserved), Problem> {
    let room = cx.room.clone();
    let order = order_row(cx, sheet, ask, one, person, number)?;
    let mut beside = Beside::default();
    let sums = judge::item_sums(&ask.wishes, &one.priced.amounts);
    for (line, (index, wish)) in one.priced.types.iter().zip(&ask.wishes).enumerate() {
        let hold = Hold {
            id: room.store.id(),
            order_id: order.id.clone(),
            type_id: wish.type_id.clone(),
            pools: sheet.pool_ids(*index),
            quantity: wish.quantity,
            state: "held".to_owned(),
        };
        cx.moves.hold(&hold.type_id, &hold.pools, hold.quantity);
        rows.holds.push(holds::row(&hold, &order.event_id, cx.now));
        let item = ItemRow {
            type_id: wish.type_id.clone(),
            quantity: wish.quantity,
            unit_price: sums[line].unit_price,
            discount: sums[line].discount,
            tax: sums[line].tax,
            total: sums[line].total,
        };
        rows.items.push(item_row(&order.id, line, &item));
        beside.items.push(item);
        beside.holds.push(HoldRow {
            id: hold.id,
            type_id: hold.type_id,
            quantity: hold.quantity,
            state: hold.state,
        });
    }
    rows.orders.push(order_args(&order, cx.now)?);
    if let Some(promo_id) = &order.promo_id {
        rows.uses.push(vec![
            Arg::from(&order.id),
            Arg::from(promo_id),
            Arg::from(&one.lookup),
            Arg::from("taken"),
        ]);
    }
    let mut body = show::order(&order, &beside, Some(person), sheet.scale);
    if let Some(token) = &ask.access_token {
        body["accessToken"] = (&**token).into();
    }
    let kept = Kept {
        status: 201,
        location: Some(format!("/api/v1/orders/{}", order.id)),
        person: Some(person.id.clone()),
        body: person.seal("answer", &body.to_string()),
    };
    rows.kept.push(ask.once.row(&kept, cx.now));
    let told = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
        "status": order.status, "currency": order.currency, "total": body["amounts"]["total"]});
    rows.told.push(vec![
        Arg::from(room.store.id()),
        Arg::from(&order.org_id),
        Arg::from("order.reserved"),
        Arg::from(told.to_string()),
        Arg::from(cx.now),
    ]);
    let reserved = Reserved::New {
        order_id: order.id.clone(),
        body,
    };
    Ok((kept, reserved))
}

fn order_row(
    cx: &Cx,
    sheet: &Sheet,
    ask: &Ask,
    one: &Taken,
    person: &Person,
    number: String,
) -> Result<OrderRow, Problem> {
    let amounts = &one.priced.amounts;
    let sealed = |label: &str, value: Result<String, serde_json::Error>| {
        value
            .map(|text| person.seal(label, &text))
            .map_err(Problem::internal)
    };
    let attendees = ask
        .attendees
        .as_ref()
        .map(|all| sealed(show::ATTENDEES, serde_json::to_string(all)))
        .transpose()?;
    let digest = |token: &String| access::digest(&cx.room, token).to_vec();
    Ok(OrderRow {
        id: cx.room.store.id(),
        number,
        org_id: sheet.event.org_id.clone(),
        event_id: sheet.event.id.clone(),
        status: "reserved".to_owned(),
        channel: "online".to_owned(),
        buyer: one.lookup.to_vec(),
        owner_sub: ask.owner_sub.clone(),
        person_id: person.id.clone(),
        contact: sealed(show::CONTACT, serde_json::to_string(&ask.contact))?,
        attendees,
        access_digest: ask.access_token.as_ref().map(digest),
        currency: sheet.event.currency.clone(),
        fee_payer: sheet.event.fee_payer,
        promo_id: one.promo_id.clone(),
        subtotal: amounts.subtotal,
        discount: amounts.discount,
        tax: amounts.tax,
        tickets: amounts.tickets,
        platform_fee: amounts.platform_fee,
        processing_fee: amounts.processing_fee,
        total: amounts.total,
        refunded: 0,
        parts: amounts
            .parts
            .iter()
            .map(|part| {
                let kind = &sheet.types[one.priced.types[part.line]];
                PartRow::new(part, &kind.id, kind.type_no)
            })
            .collect(),
        expires_at: Some(cx.now + sheet.event.hold_seconds * 1_000_000),
        extended: false,
        payment_method: None,
        payment_status: "none".to_owned(),
        payment_id: None,
        late_honoured: false,
        needs_review: false,
        visitor_id: ask.visitor_id.clone(),
        source: ask.source.clone(),
        created_at: cx.now,
        confirmed_at: None,
    })
}

/// What stands before the rows of new orders.
pub(in crate::orders) const INSERT_ORDER: &str =
    "INSERT INTO tk_orders (id, number, org_id, event_id, status, channel, buyer,
            owner_sub, person_id, contact, attendees, access_digest, currency, fee_payer, promo_id,
            subtotal, discount, tax, tickets, platform_fee, processing_fee, total, parts, units,
            expires_at, payment_status, visitor_id, source, created_at, updated_at)";

/// What stands before the rows of new lines.
pub(in crate::orders) const INSERT_ITEM: &str = "INSERT INTO tk_order_items
            (order_id, line, type_id, quantity, unit_price, discount, tax, total)";

/// The row of a line, for [`INSERT_ITEM`].
pub(in crate::orders) fn item_row(order_id: &str, line: usize, item: &ItemRow) -> Vec<Arg> {
    vec![
        Arg::from(order_id),
        Arg::from(i64::try_from(line).unwrap_or(0)),
        Arg::from(&item.type_id),
        Arg::from(item.quantity),
        Arg::from(item.unit_price),
        Arg::from(item.discount),
        Arg::from(item.tax),
        Arg::from(item.total),
    ]
}

/// The row of an order, for [`INSERT_ORDER`].
pub(in crate::orders) fn order_args(order: &OrderRow, now: i64) -> Result<Vec<Arg>, Problem> {
    let parts = serde_json::to_string(&order.parts).map_err(Problem::internal)?;
    Ok(vec![
        Arg::from(&order.id),
        Arg::from(&order.number),
        Arg::from(&order.org_id),
        Arg::from(&order.event_id),
        Arg::from(&order.status),
        Arg::from(&order.channel),
        Arg::from(order.buyer.clone()),
        Arg::from(order.owner_sub.clone()),
        Arg::from(&order.person_id),
        Arg::from(order.contact.clone()),
        Arg::from(order.attendees.clone()),
        Arg::from(order.access_digest.clone()),
        Arg::from(&order.currency),
        Arg::from(order.fee_payer.word()),
        Arg::from(order.promo_id.clone()),
        Arg::from(order.subtotal),
        Arg::from(order.discount),
        Arg::from(order.tax),
        Arg::from(order.tickets),
        Arg::from(order.platform_fee),
        Arg::from(order.processing_fee),
        Arg::from(order.total),
        Arg::from(parts),
        Arg::from(i64::try_from(order.parts.len()).unwrap_or(0)),
        Arg::from(order.expires_at),
        Arg::from(&order.payment_status),
        Arg::from(order.visitor_id.clone()),
        Arg::from(order.source.clone()),
        Arg::from(order.created_at),
        Arg::from(now),
    ])
}
