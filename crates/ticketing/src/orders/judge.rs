//! Whether a cart may be reserved, and what it costs: the checks of contract B1 in their order,
//! the first failure answers. No I/O and no clock.

use florin_base::Timestamp;
use florin_platform::http::problem::{Problem, Status};
use serde_json::{Value, json};

use super::sheet::Sheet;
use crate::api::money::print;
use crate::api::problem::conflict;
use crate::model::amounts::{Amounts, Discount, Line, Minor, price};

/// Most tickets of one order.
pub const TICKETS_MAX: i64 = 100;
/// Most lines of one order.
pub const LINES_MAX: usize = 20;
/// Most orders that one buyer may have open for one event.
pub const OPEN_MAX: i64 = 3;

/// One line of a cart as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The type.
    pub type_id: String,
    /// Units, at least 1.
    pub quantity: i64,
}

/// A promo code as it stands.
#[derive(Debug, Clone)]
pub struct Promo {
    /// Its id.
    pub id: String,
    /// `percent`, `fixed_per_ticket`, `fixed_per_order` or `access`.
    pub kind: String,
    /// Basis points of `percent`.
    pub bp: Option<i64>,
    /// Amount of the fixed kinds.
    pub amount: Option<Minor>,
    /// The types it covers; `None`: all.
    pub type_ids: Option<Vec<String>>,
    /// Good from.
    pub valid_from: Option<i64>,
    /// Good until.
    pub valid_until: Option<i64>,
    /// Most uses.
    pub max_uses: Option<i64>,
    /// Most uses of one buyer.
    pub max_uses_per_buyer: Option<i64>,
    /// Least sum of list prices.
    pub min_order_amount: Option<Minor>,
    /// Uses taken.
    pub uses: i64,
}

impl Promo {
    fn covers(&self, type_id: &str) -> bool {
        match &self.type_ids {
            None => true,
            Some(ids) => ids.iter().any(|id| id == type_id),
        }
    }
}

/// What is known of the buyer; units are those of live holds and of tickets that hold stock.
#[derive(Debug, Clone, Default)]
pub struct BuyerFacts {
    /// Open orders for the event.
    pub open_orders: i64,
    /// Units of each type of the event.
    pub units: Vec<(String, i64)>,
    /// Uses of the promo code.
    pub promo_uses: i64,
}

impl BuyerFacts {
    fn units_of(&self, type_id: &str) -> i64 {
        let of = |(id, units): &(String, i64)| if id == type_id { *units } else { 0 };
        self.units.iter().map(of).sum()
    }

    fn all_units(&self) -> i64 {
        self.units.iter().map(|(_, units)| units).sum()
    }
}

/// A cart.
#[derive(Debug, Clone)]
pub struct Cart<'a> {
    /// Its lines, each type once.
    pub wishes: &'a [Wish],
    /// A code was given; `None` inside: it is not known for this event.
    pub promo: Option<Option<&'a Promo>>,
    /// The total that the buyer saw.
    pub expected_total: Option<&'a str>,
}

/// A cart that was found good.
#[derive(Debug, Clone)]
pub struct Priced {
    /// Indices of the types in the sheet, line by line.
    pub types: Vec<usize>,
    /// What it costs.
    pub amounts: Amounts,
}

/// Everything up to the price: what a quote needs (limits and stock are left out).
///
/// # Errors
/// The first refusal, see contract B1.
pub fn quote(sheet: &Sheet, cart: &Cart<'_>, now: i64) -> Result<Priced, Problem> {
    let types = lines(sheet, cart)?;
    open(sheet)?;
    on_sale(sheet, &types, now)?;
    let discount = promo(sheet, cart, &types, now)?;
    let amounts = priced(sheet, cart, &types, discount)?;
    Ok(Priced { types, amounts })
}

/// Whether a cart may be reserved by a buyer.
///
/// # Errors
/// The first refusal, see contract B1.
pub fn reserve(
    sheet: &Sheet,
    cart: &Cart<'_>,
    buyer: &BuyerFacts,
    now: i64,
) -> Result<Priced, Problem> {
    let found = quote(sheet, cart, now)?;
    uses(cart, buyer)?;
    limits(sheet, cart, &found.types, buyer)?;
    expected(sheet, cart, &found)?;
    stock(sheet, cart, &found.types)?;
    Ok(found)
}

fn lines(sheet: &Sheet, cart: &Cart<'_>) -> Result<Vec<usize>, Problem> {
    let find = |(line, wish): (usize, &Wish)| {
        let found = sheet.type_index(&wish.type_id).filter(|index| {
            let shown = cart
                .promo
                .flatten()
                .is_some_and(|promo| promo.kind == "access" && promo.covers(&wish.type_id));
            !sheet.types[*index].hidden || shown
        });
        found.ok_or_else(|| {
            Problem::field(
                Status::NotFound,
                "ticket_type_not_found",
                format!("items[{line}].ticketTypeId"),
                "The event sells no such ticket type.",
            )
        })
    };
    cart.wishes.iter().enumerate().map(find).collect()
}

/// 403 and 409 of the organisation's and the event's state.
///
/// # Errors
/// `org_suspended`, `event_state`, `sales_paused`.
pub fn open(sheet: &Sheet) -> Result<(), Problem> {
    let event = &sheet.event;
    if event.org_status != "active" {
        return Err(Problem::new(
            Status::Forbidden,
            "org_suspended",
            "The organisation sells nothing at present.",
        ));
    }
    if !matches!(&*event.status, "published" | "sold_out") {
        return Err(conflict(
            "event_state",
            "The event sells no tickets in its present state.",
        )
        .with("eventStatus", &*event.status));
    }
    match event.sales_paused {
        true => Err(conflict("sales_paused", "The organiser paused the sale.")),
        false => Ok(()),
    }
}

fn on_sale(sheet: &Sheet, types: &[usize], now: i64) -> Result<(), Problem> {
    for kind in types.iter().map(|index| &sheet.types[*index]) {
        let opens = kind.sale_starts_at.or(sheet.event.published_at);
        if let Some(opens) = opens.filter(|opens| now < *opens) {
            return Err(
                conflict("sale_not_open", "The sale of this type is not open yet.")
                    .with("opensAt", time(opens))
                    .with("ticketTypeId", &*kind.id),
            );
        }
        let closes = kind.sale_ends_at.or(sheet.event.starts_at);
        if closes.is_some_and(|closes| now >= closes) {
            return Err(conflict("sale_closed", "The sale of this type is over.")
                .with("ticketTypeId", &*kind.id));
        }
    }
    Ok(())
}

fn promo(sheet: &Sheet, cart: &Cart<'_>, types: &[usize], now: i64) -> Result<Discount, Problem> {
    let Some(given) = cart.promo else {
        return Ok(Discount::None);
    };
    let invalid = || conflict("promo_invalid", "The promo code does not apply here.");
    let promo = given.ok_or_else(invalid)?;
    let early = promo.valid_from.is_some_and(|from| now < from);
    let late = promo.valid_until.is_some_and(|until| now >= until);
    let covers = types
        .iter()
        .any(|index| promo.covers(&sheet.types[*index].id));
    let subtotal: i128 = types
        .iter()
        .zip(cart.wishes)
        .map(|(index, wish)| i128::from(sheet.types[*index].price) * i128::from(wish.quantity))
        .sum();
    let small = promo
        .min_order_amount
        .is_some_and(|least| subtotal < i128::from(least));
    if early || late || !covers || small {
        return Err(invalid());
    }
    if promo.max_uses.is_some_and(|most| promo.uses >= most) {
        return Err(used_up());
    }
    let bp = promo.bp.and_then(|bp| u32::try_from(bp).ok());
    Ok(match &*promo.kind {
        "percent" => Discount::Percent(bp.unwrap_or(0).min(10_000)),
        "fixed_per_ticket" => Discount::PerTicket(promo.amount.unwrap_or(0)),
        "fixed_per_order" => Discount::PerOrder(promo.amount.unwrap_or(0)),
        _ => Discount::None,
    })
}

fn used_up() -> Problem {
    conflict("promo_used_up", "The promo code has no uses left.")
}

fn uses(cart: &Cart<'_>, buyer: &BuyerFacts) -> Result<(), Problem> {
    let most = cart
        .promo
        .flatten()
        .and_then(|promo| promo.max_uses_per_buyer);
    match most.is_some_and(|most| buyer.promo_uses >= most) {
        true => Err(used_up()),
        false => Ok(()),
    }
}

fn priced(
    sheet: &Sheet,
    cart: &Cart<'_>,
    types: &[usize],
    discount: Discount,
) -> Result<Amounts, Problem> {
    let total: i64 = cart.wishes.iter().map(|wish| wish.quantity).sum();
    if total > TICKETS_MAX {
        return Err(per_order("items", TICKETS_MAX));
    }
    let line = |(index, wish): (&usize, &Wish)| {
        let kind = &sheet.types[*index];
        Line {
            price: kind.price,
            quantity: u32::try_from(wish.quantity).unwrap_or(0),
            tax_rate_bp: kind.tax_rate_bp,
            price_includes_tax: kind.price_includes_tax,
            discounted: cart.promo.flatten().is_some_and(|p| p.covers(&kind.id)),
        }
    };
    let lines: Vec<Line> = types.iter().zip(cart.wishes).map(line).collect();
    price(&lines, discount, &sheet.rule, sheet.event.fee_payer)
        .map_err(|error| Problem::validation("items", error.to_string()))
}

fn per_order(field: impl Into<String>, limit: i64) -> Problem {
    let message = "This many tickets of the type are not sold in one order.";
    Problem::field(Status::Conflict, "limit_per_order", field, message)
        .with("limit", limit)
        .refused()
}

fn limits(
    sheet: &Sheet,
    cart: &Cart<'_>,
    types: &[usize],
    buyer: &BuyerFacts,
) -> Result<(), Problem> {
    for (line, (index, wish)) in types.iter().zip(cart.wishes).enumerate() {
        let kind = &sheet.types[*index];
        let field = || format!("items[{line}].quantity");
        if wish.quantity < kind.min_per_order {
            return Err(per_order(field(), kind.min_per_order));
        }
        if wish.quantity > kind.max_per_order {
            return Err(per_order(field(), kind.max_per_order));
        }
        let has = buyer.units_of(&kind.id);
        if let Some(most) = kind
            .max_per_buyer
            .filter(|most| has + wish.quantity > *most)
        {
            return Err(per_buyer(field(), most, has));
        }
    }
    let all: i64 = cart.wishes.iter().map(|wish| wish.quantity).sum();
    let has = buyer.all_units();
    if let Some(most) = sheet.event.max_per_buyer.filter(|most| has + all > *most) {
        return Err(per_buyer("items".to_owned(), most, has));
    }
    match buyer.open_orders >= OPEN_MAX {
        true => Err(conflict(
            "too_many_open_orders",
            "Pay or cancel one of your open orders for this event first.",
        )
        .with("limit", OPEN_MAX)),
        false => Ok(()),
    }
}

fn per_buyer(field: String, limit: i64, has: i64) -> Problem {
    let message = "One buyer may not have this many tickets.";
    Problem::field(Status::Conflict, "limit_per_buyer", field, message)
        .with("limit", limit)
        .with("remaining", (limit - has).max(0))
        .refused()
}

fn expected(sheet: &Sheet, cart: &Cart<'_>, found: &Priced) -> Result<(), Problem> {
    let Some(text) = cart.expected_total else {
        return Ok(());
    };
    let expected = crate::api::money::minor("expectedTotal", text, sheet.scale)?;
    match expected == found.amounts.total {
        true => Ok(()),
        false => Err(
            conflict("price_changed", "The order costs another amount now.")
                .with("quote", quote_json(sheet, cart, found)),
        ),
    }
}

fn stock(sheet: &Sheet, cart: &Cart<'_>, types: &[usize]) -> Result<(), Problem> {
    let mut missing: Vec<(Value, i64, bool)> = Vec::new();
    let mut wanted = vec![0i64; sheet.pools.len()];
    for (line, (index, wish)) in types.iter().zip(cart.wishes).enumerate() {
        let kind = &sheet.types[*index];
        for at in &kind.pools {
            wanted[*at] += wish.quantity;
        }
        let Some(quantity) = kind.quantity else {
            continue;
        };
        let rest = (quantity - kind.sold - kind.held).max(0);
        if rest < wish.quantity {
            let field = format!("items[{line}].quantity");
            let named = short(field, "ticketTypeId", &kind.id, rest, kind.held > 0);
            missing.push((named, rest, kind.held > 0));
        }
    }
    for (at, wanted) in wanted.into_iter().enumerate() {
        let pool = &sheet.pools[at];
        let rest = (pool.capacity - pool.sold - pool.held).max(0);
        if rest < wanted {
            let named = short("items".to_owned(), "poolId", &pool.id, rest, pool.held > 0);
            missing.push((named, rest, pool.held > 0));
        }
    }
    let Some(least) = missing.iter().map(|(_, rest, _)| *rest).min() else {
        return Ok(());
    };
    let may_return = missing.iter().all(|(_, _, held)| *held);
    let (code, detail) = match least {
        0 => ("sold_out", "There is nothing left of what you asked for."),
        _ => ("not_enough", "There is less left than you asked for."),
    };
    let errors: Vec<Value> = missing.into_iter().map(|(named, ..)| named).collect();
    Err(conflict(code, detail)
        .with("available", least)
        .with("mayReturn", may_return)
        .with("errors", errors))
}

fn short(field: String, member: &str, id: &str, rest: i64, held: bool) -> Value {
    let code = if rest == 0 { "sold_out" } else { "not_enough" };
    let message = match rest {
        0 => "Nothing is left.".to_owned(),
        rest => format!("{rest} are left."),
    };
    json!({"field": field, "code": code, "message": message, member: id, "available": rest,
        "mayReturn": held})
}

/// A quote as the routes print it.
pub fn quote_json(sheet: &Sheet, cart: &Cart<'_>, found: &Priced) -> Value {
    let scale = sheet.scale;
    let items: Vec<Value> = item_sums(cart.wishes, &found.amounts)
        .into_iter()
        .zip(cart.wishes)
        .map(|(sums, wish)| item_json(&wish.type_id, &sums, scale))
        .collect();
    let availability: Vec<Value> = found
        .types
        .iter()
        .map(|index| {
            let available = sheet.available(*index);
            let few = sheet.types[*index]
                .quantity
                .map_or(10, |q| (q / 20).max(10));
            let word = match available {
                0 => "none",
                n if n <= few => "few",
                _ => "many",
            };
            json!({"ticketTypeId": sheet.types[*index].id, "availability": word})
        })
        .collect();
    json!({
        "items": items,
        "amounts": amounts_json(&found.amounts, scale),
        "currency": sheet.event.currency,
        "availability": availability,
    })
}

/// The figures of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemSums {
    /// Units.
    pub quantity: i64,
    /// List price of one.
    pub unit_price: Minor,
    /// Σ discounts.
    pub discount: Minor,
    /// Σ tax.
    pub tax: Minor,
    /// Σ of what the tickets cost without fees.
    pub total: Minor,
}

/// The figures of each line.
pub fn item_sums(wishes: &[Wish], amounts: &Amounts) -> Vec<ItemSums> {
    let mut sums = vec![ItemSums::default(); wishes.len()];
    for part in &amounts.parts {
        let line = &mut sums[part.line];
        line.quantity += 1;
        line.unit_price = part.list;
        line.discount += part.discount;
        line.tax += part.tax;
        line.total += part.total();
    }
    sums
}

/// One line as the routes print it.
pub fn item_json(type_id: &str, sums: &ItemSums, scale: u8) -> Value {
    json!({
        "ticketTypeId": type_id,
        "quantity": sums.quantity,
        "unitPrice": print(sums.unit_price, scale),
        "discount": print(sums.discount, scale),
        "tax": print(sums.tax, scale),
        "total": print(sums.total, scale),
    })
}

/// The order's figures as the routes print them.
pub fn amounts_json(amounts: &Amounts, scale: u8) -> Value {
    json!({
        "subtotal": print(amounts.subtotal, scale),
        "discount": print(amounts.discount, scale),
        "tax": print(amounts.tax, scale),
        "tickets": print(amounts.tickets, scale),
        "platformFee": print(amounts.platform_fee, scale),
        "processingFee": print(amounts.processing_fee, scale),
        "total": print(amounts.total, scale),
    })
}

/// An instant as the routes print it.
pub fn time(micros: i64) -> String {
    Timestamp(micros).to_string()
}

#[cfg(test)]
mod tests;
