//! Complimentary tickets: an order of the channel `comp` that is confirmed at once. Stock counts,
//! buyer limits do not, nothing is posted (contract B4).

use florin_platform::http::problem::{Problem, Status};
use florin_platform::sql::{Arg, query};
use serde_json::{Value, json};

use super::checkout::keep;
use super::confirm::issue;
use super::desk::Cx;
use super::judge::Wish;
use super::reserve::{item_row, order_args};
use super::row::{Attendee, Contact, OrderRow, PartRow};
use super::sheet::{self, Sheet};
use super::show::{self, ItemRow};
use crate::api::problem::{conflict, event_not_found};
use crate::model::buyer::BuyerKey;
use crate::privacy::Person;
use crate::store::bulk;
use crate::store::idempotency::{Kept, Once};
use crate::{Ticketing, outbox};

/// A guest.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Name.
    pub name: Option<String>,
    /// E-mail.
    pub email: Option<String>,
}

/// Tickets to be given away.
#[derive(Debug, Clone)]
pub struct Comps {
    /// The event.
    pub event_id: String,
    /// The type.
    pub type_id: String,
    /// A ticket for each.
    pub guests: Vec<Guest>,
    /// Subject of whoever gives them.
    pub giver: String,
    /// The request.
    pub once: Once,
}

/// What giving answers.
#[derive(Debug)]
pub enum Given {
    /// The order's body.
    New(Value),
    /// The first answer of the same request.
    Again(Kept),
}

/// Gives tickets away. They belong to the first guest who has an e-mail, else to the giver.
///
/// # Errors
/// 404, 409 `event_state`, `sold_out`, `not_enough`; the store's.
pub async fn give(room: &Ticketing, comps: Comps) -> Result<Given, Problem> {
    let number = room.numbers.take(1).await?;
    let number = number.into_iter().next().unwrap_or_default();
    let lane = comps.event_id.clone();
    room.desk
        .run(&lane, move |cx| {
            let (comps, number) = (comps.clone(), number.clone());
            Box::pin(async move { give_in(cx, &comps, number).await })
        })
        .await
}

async fn give_in(cx: &mut Cx, comps: &Comps, number: String) -> Result<Given, Problem> {
    if let Some(kept) = comps.once.replay(&mut cx.tx).await? {
        return Ok(Given::Again(kept));
    }
    cx.flush().await?;
    let room = cx.room.clone();
    let loaded = sheet::load(&mut cx.tx, &room.settings, &comps.event_id).await?;
    let sheet = loaded.ok_or_else(event_not_found)?;
    let wish = Wish {
        type_id: comps.type_id.clone(),
        quantity: i64::try_from(comps.guests.len()).unwrap_or(i64::MAX),
    };
    let index = judge(&sheet, &wish)?;
    cx.dirty = true;
    let mail = comps.guests.iter().find_map(|guest| guest.email.as_deref());
    let buyer = match mail {
        Some(mail) => BuyerKey::of_mail(mail),
        None => BuyerKey::of_subject(&comps.giver),
    };
    let person = room.vault.person(&room.store, &mut cx.tx, &buyer).await?;
    let order = order(cx, &sheet, comps, index, (&person, &buyer), number)?;
    write(cx, &order, &wish).await?;
    cx.moves
        .sell(&wish.type_id, &sheet.pool_ids(index), wish.quantity);
    issue(cx, &[&order]).await?;
    let data = json!({"orderId": order.id, "number": order.number, "eventId": order.event_id,
        "status": "confirmed", "channel": "comp", "tickets": wish.quantity});
    outbox::tell(
        &room.store,
        &mut cx.tx,
        &order.org_id,
        "order.confirmed",
        &data,
    )
    .await?;
    let body = keep(cx, &order.id, &comps.once).await?;
    Ok(Given::New(body))
}

fn judge(sheet: &Sheet, wish: &Wish) -> Result<usize, Problem> {
    let index = sheet.type_index(&wish.type_id).ok_or_else(|| {
        let message = "The event has no such ticket type.";
        Problem::field(
            Status::NotFound,
            "ticket_type_not_found",
            "ticketTypeId",
            message,
        )
    })?;
    if !matches!(&*sheet.event.status, "published" | "sold_out" | "postponed") {
        return Err(conflict(
            "event_state",
            "The event's status does not allow this.",
        ));
    }
    let available = sheet.available(index);
    if available >= wish.quantity {
        return Ok(index);
    }
    let (code, detail) = match available {
        0 => ("sold_out", "There is nothing left of this type."),
        _ => ("not_enough", "There is less left of this type."),
    };
    Err(conflict(code, detail).with("available", available))
}

fn order(
    cx: &Cx,
    sheet: &Sheet,
    comps: &Comps,
    index: usize,
    (person, buyer): (&Person, &BuyerKey),
    number: String,
) -> Result<OrderRow, Problem> {
    let kind = &sheet.types[index];
    let first = comps.guests.iter().find(|guest| guest.email.is_some());
    let contact = Contact {
        email: first.and_then(|guest| guest.email.clone()),
        name: first.and_then(|guest| guest.name.clone()),
        phone: None,
    };
    let attendees: Vec<Attendee> = comps
        .guests
        .iter()
        .map(|guest| Attendee {
            ticket_type_id: comps.type_id.clone(),
            name: guest.name.clone(),
            email: guest.email.clone(),
            answers: serde_json::Map::new(),
        })
        .collect();
    let seal = |label: &str, value: Result<String, serde_json::Error>| {
        value
            .map(|text| person.seal(label, &text))
            .map_err(Problem::internal)
    };
    let part = PartRow {
        type_id: kind.id.clone(),
        type_no: u16::try_from(kind.type_no).unwrap_or(0),
        list: 0,
        discount: 0,
        net: 0,
        tax: 0,
        platform_fee: 0,
        processing_fee: 0,
    };
    Ok(OrderRow {
        id: cx.room.store.id(),
        number,
        org_id: sheet.event.org_id.clone(),
        event_id: sheet.event.id.clone(),
        status: "confirmed".to_owned(),
        channel: "comp".to_owned(),
        buyer: cx.room.vault.lookup(buyer).to_vec(),
        owner_sub: None,
        person_id: person.id.clone(),
        contact: seal(show::CONTACT, serde_json::to_string(&contact))?,
        attendees: Some(seal(show::ATTENDEES, serde_json::to_string(&attendees))?),
        access_digest: None,
        currency: sheet.event.currency.clone(),
        fee_payer: sheet.event.fee_payer,
        promo_id: None,
        subtotal: 0,
        discount: 0,
        tax: 0,
        tickets: 0,
        platform_fee: 0,
        processing_fee: 0,
        total: 0,
        refunded: 0,
        parts: vec![part; comps.guests.len()],
        expires_at: None,
        extended: false,
        payment_method: None,
        payment_status: "none".to_owned(),
        payment_id: None,
        late_honoured: false,
        needs_review: false,
        visitor_id: None,
        source: None,
        created_at: cx.now,
        confirmed_at: Some(cx.now),
    })
}

async fn write(cx: &mut Cx, order: &OrderRow, wish: &Wish) -> Result<(), Problem> {
    let item = ItemRow {
        type_id: wish.type_id.clone(),
        quantity: wish.quantity,
        unit_price: 0,
        discount: 0,
        tax: 0,
        total: 0,
    };
    let tables: [(&str, Vec<Arg>); 2] = [
        (super::reserve::INSERT_ORDER, order_args(order, cx.now)?),
        (super::reserve::INSERT_ITEM, item_row(&order.id, 0, &item)),
    ];
    let marks = cx.room.store.marks();
    for (prefix, row) in tables {
        bulk::insert(&mut cx.tx, marks, prefix, "", vec![row]).await?;
    }
    let text = "UPDATE tk_orders SET confirmed_at = $1, payment_method = 'free' WHERE id = $2";
    let statement = query(text).bind(cx.now).bind(&order.id);
    cx.tx.execute(statement).await?;
    Ok(())
}
