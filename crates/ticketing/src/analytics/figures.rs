//! The metrics of contract E, from the sums of [`super::fold`] and a few counts.

use std::collections::BTreeMap;

use florin_platform::http::problem::Problem;
use florin_platform::sql::query;
use serde_json::{Map, Value, json};

use super::fold;
use crate::Ticketing;
use crate::api::money::print;
use crate::model::event::Event;

/// Sums of an event or of all, in one currency.
#[derive(Debug, Clone, Default)]
pub struct Money {
    sums: BTreeMap<(String, String, String), (i64, i64)>,
}

impl Money {
    /// Adds debits and credits.
    pub fn add(&mut self, posting: &str, component: &str, account: &str, sums: (i64, i64)) {
        let key = (posting.to_owned(), component.to_owned(), account.to_owned());
        let entry = self.sums.entry(key).or_default();
        entry.0 += sums.0;
        entry.1 += sums.1;
    }

    fn total(&self, postings: &[&str], account: &str, of: impl Fn((i64, i64)) -> i64) -> i64 {
        let fits = |posting: &str| postings.is_empty() || postings.contains(&posting);
        let lines = self.sums.iter();
        lines
            .filter(|((posting, _, kind), _)| fits(posting) && kind == account)
            .map(|(_, sums)| of(*sums))
            .sum()
    }

    fn credits(&self, postings: &[&str], account: &str) -> i64 {
        self.total(postings, account, |(_, credits)| credits)
    }

    fn debits(&self, postings: &[&str], account: &str) -> i64 {
        self.total(postings, account, |(debits, _)| debits)
    }

    fn grown(&self, postings: &[&str], account: &str) -> i64 {
        self.total(postings, account, |(debits, credits)| credits - debits)
    }

    /// Σ S of all sales.
    pub fn gross(&self) -> i64 {
        let net = self.sums.iter().filter(|((posting, component, kind), _)| {
            SALES.contains(&posting.as_str()) && component == "net" && kind == "payable"
        });
        net.map(|(_, (_, credits))| credits).sum::<i64>() + self.credits(SALES, "tax")
    }

    /// What buyers paid: Σ debits of clearing in sales.
    pub fn paid(&self) -> i64 {
        self.debits(SALES, "clearing")
    }

    /// Σ credits to refunds in P5.
    pub fn refunds(&self) -> i64 {
        self.credits(&["P5"], "refunds")
    }

    /// The money figures as they are printed.
    pub fn show(&self, scale: u8) -> Map<String, Value> {
        let all = [
            ("grossSales", self.gross()),
            ("tax", self.grown(FIGURES, "tax")),
            ("platformFees", self.grown(FIGURES, "fee_platform")),
            ("processingFees", self.grown(FIGURES, "fee_processing")),
            ("refunds", self.refunds()),
            ("lateReturns", self.credits(&["P7"], "refunds")),
            ("chargebacksOpen", -self.grown(&[], "chargebacks")),
            ("chargebacksLost", self.debits(&["P12"], "payable")),
            ("organiserNet", self.organiser_net()),
            ("payable", self.grown(&[], "payable")),
            ("payouts", self.payouts()),
            ("buyersPaid", self.paid()),
        ];
        let printed = all.into_iter();
        printed
            .map(|(name, amount)| (name.to_owned(), Value::from(print(amount, scale))))
            .collect()
    }

    /// Σ credits − debits of payable without P8 and P9.
    fn organiser_net(&self) -> i64 {
        self.grown(&[], "payable") - self.grown(&["P8", "P9"], "payable")
    }

    /// Paid out and in transit, tax included.
    fn payouts(&self) -> i64 {
        let moved = ["P8", "P9"];
        -(self.grown(&moved, "payable") + self.grown(&moved, "tax"))
    }
}

/// The postings of a sale.
const SALES: &[&str] = &["P2", "P2o"];
/// The postings whose tax and fees count.
const FIGURES: &[&str] = &["P2", "P2o", "P5"];

/// A ratio with 4 decimals, half up; x/0 is null.
pub fn ratio(part: i64, whole: i64) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    let scaled = (2 * part * 10_000 + whole).div_euclid(2 * whole);
    let sign = if scaled < 0 { "-" } else { "" };
    let digits = scaled.unsigned_abs();
    Value::from(format!("{sign}{}.{:04}", digits / 10_000, digits % 10_000))
}

/// Money of one event, and the position of the ledger that it is complete to.
///
/// # Errors
/// 503 when the ledger is away; the store's.
pub async fn money_of(room: &Ticketing, event: &Event) -> Result<(Money, u64), Problem> {
    fold::catch_up(room).await?;
    let text = "SELECT posting, component, account, debits, credits,
        (SELECT seq FROM tk_fold_position WHERE reader = 'money') AS seq
        FROM tk_money_sums WHERE event_id = $1 AND currency = $2";
    let statement = query(text).bind(&event.id).bind(&event.currency);
    let rows = room.store.db.fetch_all(statement).await?;
    let mut money = Money::default();
    let mut position = None;
    for row in &rows {
        position = row.get::<Option<i64>>("seq")?;
        let (posting, component): (String, String) = (row.get("posting")?, row.get("component")?);
        let account: String = row.get("account")?;
        let sums = (row.get("debits")?, row.get("credits")?);
        money.add(&posting, &component, &account, sums);
    }
    let position = match position {
        Some(seq) => u64::try_from(seq).unwrap_or(0),
        None => fold::catch_up(room).await?,
    };
    Ok((money, position))
}

/// Tickets of a type by channel and status.
#[derive(Debug, Clone, Default)]
pub struct Tickets {
    counts: Vec<(String, String, String, i64)>,
}

/// Statuses that hold stock.
const HOLDING: [&str; 4] = ["valid", "used", "suspended", "listed"];

impl Tickets {
    /// Counts the tickets of an event.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(room: &Ticketing, event_id: &str) -> Result<Self, Problem> {
        let text = "SELECT type_id AS kind, channel, status, tickets AS n FROM tk_ticket_counts
            WHERE event_id = $1";
        let rows = room.store.db.fetch_all(query(text).bind(event_id)).await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in &rows {
            counts.push((
                row.get("kind")?,
                row.get("channel")?,
                row.get("status")?,
                row.get("n")?,
            ));
        }
        Ok(Self { counts })
    }

    fn sum(&self, fits: impl Fn(&str, &str, &str) -> bool) -> i64 {
        let counts = self.counts.iter();
        counts
            .filter(|(kind, channel, status, _)| fits(kind, channel, status))
            .map(|(.., n)| n)
            .sum()
    }

    /// Rows ever.
    pub fn issued(&self, of: Option<&str>) -> i64 {
        self.sum(|kind, _, _| of.is_none_or(|of| of == kind))
    }

    /// Rows of a channel that hold stock.
    pub fn holding(&self, of: Option<&str>, channel: &str) -> i64 {
        self.sum(|kind, sold, status| {
            of.is_none_or(|of| of == kind) && sold == channel && HOLDING.contains(&status)
        })
    }
}

/// Attendance of an event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attendance {
    /// Tickets with an entry that counts and is in no conflict.
    pub came: i64,
    /// Tickets whose last passage was inwards.
    pub inside: i64,
    /// Entries in the last hour.
    pub last_hour: i64,
}

impl Attendance {
    /// Counts the passages of an event.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(room: &Ticketing, event_id: &str) -> Result<Self, Problem> {
        let text = "SELECT came, inside FROM tk_entry_counts WHERE event_id = $1";
        let row = room.store.db.fetch_optional(query(text).bind(event_id));
        let (came, inside) = match row.await? {
            Some(row) => (row.get("came")?, row.get("inside")?),
            None => (0, 0),
        };
        let text = "SELECT COUNT(*) AS n FROM tk_check_ins WHERE event_id = $1
            AND effective_at > $2 AND counted = TRUE AND direction = 'in'
            AND conflict IS NULL AND undone_at IS NULL";
        let hour = room.now() - 3_600_000_000;
        let statement = query(text).bind(event_id).bind(hour);
        let row = room.store.db.fetch_optional(statement).await?;
        Ok(Self {
            came,
            inside,
            last_hour: row.map_or(Ok(0), |row| row.get("n"))?,
        })
    }

    /// As it is printed; `expected`: tickets that were to come, `over`: the event has ended.
    pub fn show(self, expected: i64, over: bool) -> Value {
        let absent = expected - self.came;
        json!({
            "attended": self.came,
            "attendance": ratio(self.came, expected),
            "noShow": if over { ratio(absent, expected) } else { Value::Null },
            "insideNow": self.inside,
            "checkInsLastHour": self.last_hour,
        })
    }
}

/// Everything of `GET /analytics/events/{id}/overview`.
///
/// # Errors
/// 503 when the ledger is away; the store's.
pub async fn overview(room: &Ticketing, event: &Event) -> Result<Value, Problem> {
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let (money, position) = money_of(room, event).await?;
    let tickets = Tickets::of(room, &event.id).await?;
    let attendance = Attendance::of(room, &event.id).await?;
    let paid = paid_orders(room, &event.id).await?;
    let disputes = disputes(room, &event.id).await?;
    let types = types(room, &event.id, &tickets, scale).await?;
    let quantity: Option<i64> = types.iter().map(|(_, quantity)| *quantity).sum();
    let (sold, comps) = (
        tickets.holding(None, "online"),
        tickets.holding(None, "comp"),
    );
    let mut shown = money.show(scale);
    let gross = money.gross();
    let average = match paid.orders {
        0 => Value::Null,
        n => Value::from(print((2 * gross + n).div_euclid(2 * n), scale)),
    };
    let more = json!({
        "eventId": event.id,
        "currency": event.currency,
        "asOf": florin_base::Timestamp(room.now()).to_string(),
        "ledgerPosition": position,
        "ticketsIssued": tickets.issued(None),
        "ticketsSold": sold,
        "comps": comps,
        "sellThrough": quantity.map_or(Value::Null, |all| ratio(sold + comps, all)),
        "discounts": print(paid.discounts, scale),
        "orders": paid.orders,
        "averageOrder": average,
        "refundRate": ratio(money.refunds(), money.paid()),
        "chargebackRate": ratio(disputes, paid.cards),
        "types": types.into_iter().map(|(shown, _)| shown).collect::<Vec<_>>(),
    });
    merge(&mut shown, more);
    merge(
        &mut shown,
        attendance.show(
            sold + comps,
            event.ends_at.is_some_and(|at| at <= room.now()),
        ),
    );
    Ok(Value::Object(shown))
}

/// Lays the members of an object over another.
pub fn merge(into: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        into.extend(more);
    }
}

/// Orders of an event, without those that cost nothing.
struct PaidOrders {
    /// With S > 0 that were ever confirmed.
    orders: i64,
    /// Of them, paid by card.
    cards: i64,
    /// Discounts, those of orders that a code made free too.
    discounts: i64,
}

async fn paid_orders(room: &Ticketing, event_id: &str) -> Result<PaidOrders, Problem> {
    let db = &room.store.db;
    let text = "SELECT CAST(COALESCE(SUM(orders), 0) AS BIGINT) AS orders,
        CAST(COALESCE(SUM(cards), 0) AS BIGINT) AS cards,
        CAST(COALESCE(SUM(discount), 0) AS BIGINT) AS discount
        FROM tk_sales_sums WHERE event_id = $1 AND type_id = ''";
    let row = db.fetch_optional(query(text).bind(event_id)).await?;
    let mut paid = match row {
        Some(row) => PaidOrders {
            orders: row.get("orders")?,
            cards: row.get("cards")?,
            discounts: row.get("discount")?,
        },
        None => PaidOrders {
            orders: 0,
            cards: 0,
            discounts: 0,
        },
    };
    let text = "SELECT CAST(COALESCE(SUM(discount), 0) AS BIGINT) AS discount FROM tk_orders
        WHERE event_id = $1 AND total = 0 AND discount > 0 AND confirmed_at IS NOT NULL";
    if let Some(row) = db.fetch_optional(query(text).bind(event_id)).await? {
        paid.discounts += row.get::<i64>("discount")?;
    }
    Ok(paid)
}

/// Disputes of card payments.
async fn disputes(room: &Ticketing, event_id: &str) -> Result<i64, Problem> {
    let text = "SELECT COUNT(*) AS n FROM tk_card_disputes
        WHERE event_id = $1 AND state IN ('open', 'won', 'lost')";
    let row = room.store.db.fetch_optional(query(text).bind(event_id));
    Ok(row.await?.map_or(Ok(0), |row| row.get("n"))?)
}

/// The types of an event with their figures, and the quantity of each.
async fn types(
    room: &Ticketing,
    event_id: &str,
    tickets: &Tickets,
    scale: u8,
) -> Result<Vec<(Value, Option<i64>)>, Problem> {
    let text = "SELECT t.id, t.name, t.quantity, t.held,
        CAST(COALESCE(SUM(s.gross), 0) AS BIGINT) AS gross,
        CAST(COALESCE(SUM(s.discount), 0) AS BIGINT) AS discount,
        CAST(COALESCE(SUM(s.orders), 0) AS BIGINT) AS orders
        FROM tk_types t LEFT JOIN tk_sales_sums s ON s.event_id = t.event_id AND s.type_id = t.id
        WHERE t.event_id = $1 GROUP BY t.id, t.name, t.quantity, t.held ORDER BY t.id";
    let rows = room.store.db.fetch_all(query(text).bind(event_id)).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        let id: String = row.get("id")?;
        let quantity: Option<i64> = row.get("quantity")?;
        let sold = tickets.holding(Some(&id), "online");
        let comps = tickets.holding(Some(&id), "comp");
        let value = json!({
            "ticketTypeId": id,
            "name": row.get::<String>("name")?,
            "quantity": quantity,
            "ticketsIssued": tickets.issued(Some(&id)),
            "ticketsSold": sold,
            "comps": comps,
            "held": row.get::<i64>("held")?,
            "sellThrough": quantity.map_or(Value::Null, |all| ratio(sold + comps, all)),
            "orders": row.get::<i64>("orders")?,
            "grossSales": print(row.get("gross")?, scale),
            "discounts": print(row.get("discount")?, scale),
        });
        shown.push((value, quantity));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_four_decimals_half_up() {
        assert_eq!(ratio(1, 3), "0.3333");
        assert_eq!(ratio(2, 3), "0.6667");
        assert_eq!(ratio(1, 20_000), "0.0001");
        assert_eq!(ratio(5, 4), "1.2500");
        assert_eq!(ratio(1, 0), Value::Null);
    }

    #[test]
    fn the_identity_of_sales_and_payments_holds() {
        let mut money = Money::default();
        money.add("P2", "net", "clearing", (8_412, 0));
        money.add("P2", "net", "payable", (0, 8_412));
        money.add("P2", "tax", "clearing", (588, 0));
        money.add("P2", "tax", "tax", (0, 588));
        money.add("P2", "platform_fee", "clearing", (291, 0));
        money.add("P2", "platform_fee", "fee_platform", (0, 291));
        assert_eq!(money.gross(), 9_000);
        assert_eq!(money.paid(), 9_291);
        let shown = money.show(2);
        assert_eq!(shown["grossSales"], "90.00");
        assert_eq!(shown["platformFees"], "2.91");
        assert_eq!(shown["organiserNet"], "84.12");
    }
}
