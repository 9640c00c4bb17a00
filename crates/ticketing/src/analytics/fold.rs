//! Sums over the lines of postings, made a little at a time (INV-T11).
//!
//! Lines are read in the order of the ledger, each batch with its position in one commit: a line
//! counts once, and a figure is complete up to the position that it is shown with.

use std::collections::{BTreeMap, BTreeSet};

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Row, Tx, query};

use crate::Ticketing;
use crate::money::projector;
use crate::orders::row::PartRow;
use crate::store::bulk;

/// Lines of one commit.
const BATCH: i64 = 4_000;
/// Microseconds of a slot: no zone is off by less than a quarter of an hour.
pub const SLOT: i64 = 900_000_000;
/// Nobody else writes these tables.
const LANE: &str = "ticketing_fold";

type MoneyKey = (String, String, String, String, String);
type SaleKey = (String, i64, String, String, String);

#[derive(Default, Clone, Copy)]
struct Sale {
    orders: i64,
    cards: i64,
    tickets: i64,
    gross: i64,
    discount: i64,
}

#[derive(Default)]
struct Batch {
    money: BTreeMap<MoneyKey, (i64, i64)>,
    sales: BTreeMap<SaleKey, Sale>,
    orders: BTreeSet<String>,
}

/// Folds what is new; answers the `seq` of the ledger up to which everything is counted.
///
/// # Errors
/// 503 when the ledger is away; the store's.
pub async fn catch_up(room: &Ticketing) -> Result<u64, Problem> {
    projector::catch_up(room).await?;
    loop {
        let (position, more) = step(room).await?;
        if !more {
            return Ok(u64::try_from(position).unwrap_or(0));
        }
    }
}

async fn step(room: &Ticketing) -> Result<(i64, bool), Problem> {
    let copied = i64::try_from(projector::position(&room.store.db).await?).unwrap_or(i64::MAX);
    let mut tx = room.store.db.lane(LANE).patient().begin().await?;
    let text = "SELECT seq FROM tk_fold_position WHERE reader = 'money'";
    let row = tx.fetch_optional(query(text)).await?;
    let at: i64 = row.map_or(Ok(0), |row| row.get("seq"))?;
    if copied <= at {
        return Ok((at, false));
    }
    let text = "SELECT seq, chain_id, transfer_id, posting, component, debit, credit, amount,
        currency, event_id, order_id FROM tk_posting_lines
        WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";
    let statement = query(text).bind(at).bind(copied).bind(BATCH);
    let rows = tx.fetch_all(statement).await?;
    let more = i64::try_from(rows.len()).unwrap_or(BATCH) == BATCH;
    let mut batch = Batch::default();
    let mut last = at;
    for row in &rows {
        last = row.get("seq")?;
        batch.line(row)?;
    }
    let end = if more { last } else { copied };
    sales(room, &mut tx, &mut batch).await?;
    write(room, &mut tx, batch).await?;
    let text = "INSERT INTO tk_fold_position (reader, seq) VALUES ('money', $1)
        ON CONFLICT (reader) DO UPDATE SET seq = excluded.seq";
    tx.execute(query(text).bind(end)).await?;
    tx.commit().await?;
    Ok((end, more))
}

/// Kind and event of an account: `florin:tk:payable:{org}:{event}:{currency}`.
fn account(id: &str) -> Option<(&str, Option<&str>)> {
    let name = id.strip_prefix("florin:tk:")?;
    let parts: Vec<&str> = name.split(':').collect();
    match parts.as_slice() {
        [kind @ ("payable" | "tax"), _, event, _] => Some((kind, Some(event))),
        ["fee", "platform", _] => Some(("fee_platform", None)),
        ["fee", "processing", _] => Some(("fee_processing", None)),
        ["cost", "processing", _] => Some(("cost_processing", None)),
        ["cost", "disputes", _] => Some(("cost_disputes", None)),
        ["psp", ..] => Some(("psp", None)),
        [kind, ..] => Some((kind, None)),
        [] => None,
    }
}

impl Batch {
    fn line(&mut self, row: &Row) -> Result<(), Problem> {
        let text = |name: &str| row.get::<String>(name);
        let (posting, component) = (text("posting")?, text("component")?);
        let currency = text("currency")?;
        let event: Option<String> = row.get("event_id")?;
        let amount: i64 = row.get("amount")?;
        for (side, is_debit) in [("debit", true), ("credit", false)] {
            let id = text(side)?;
            let (kind, own) = account(&id).unwrap_or(("wallet", None));
            let of = own.map(str::to_owned).or_else(|| event.clone());
            let key = (
                of.unwrap_or_default(),
                currency.clone(),
                posting.clone(),
                component.clone(),
                kind.to_owned(),
            );
            let sums = self.money.entry(key).or_default();
            match is_debit {
                true => sums.0 += amount,
                false => sums.1 += amount,
            }
        }
        // The first line of a sale stands for its order.
        let first = text("chain_id")? == text("transfer_id")?;
        if first && (posting == "P2" || posting == "P2o") {
            let order: Option<String> = row.get("order_id")?;
            self.orders.extend(order);
        }
        Ok(())
    }
}

/// What the sold orders of a batch consist of.
async fn sales(room: &Ticketing, tx: &mut Tx, batch: &mut Batch) -> Result<(), Problem> {
    let keys: Vec<Arg> = batch.orders.iter().map(Arg::from).collect();
    let prefix = "SELECT id, event_id, channel, source, confirmed_at, created_at, parts,
        payment_method FROM tk_orders WHERE id IN";
    let rows = bulk::select(tx, room.store.marks(), prefix, "", &[], keys).await?;
    for row in &rows {
        let parts: String = row.get("parts")?;
        let parts: Vec<PartRow> = serde_json::from_str(&parts).map_err(Problem::internal)?;
        let confirmed: Option<i64> = row.get("confirmed_at")?;
        let at = confirmed.map_or_else(|| row.get("created_at"), Ok)?;
        let slot = at - at.rem_euclid(SLOT);
        let source: Option<String> = row.get("source")?;
        let source = source.unwrap_or_default();
        let event: String = row.get("event_id")?;
        let channel: String = row.get("channel")?;
        let key = |kind: &str| {
            (
                event.clone(),
                slot,
                kind.to_owned(),
                channel.clone(),
                source.clone(),
            )
        };
        let mut types = BTreeSet::new();
        for part in &parts {
            types.insert(part.type_id.clone());
            for kind in ["", part.type_id.as_str()] {
                let sale = batch.sales.entry(key(kind)).or_default();
                sale.tickets += 1;
                sale.gross += part.net + part.tax;
                sale.discount += part.discount;
            }
        }
        let method: Option<String> = row.get("payment_method")?;
        let by_card = i64::from(method.as_deref() == Some("card"));
        for kind in std::iter::once("").chain(types.iter().map(String::as_str)) {
            let sale = batch.sales.entry(key(kind)).or_default();
            sale.orders += 1;
            sale.cards += by_card;
        }
    }
    Ok(())
}

async fn write(room: &Ticketing, tx: &mut Tx, batch: Batch) -> Result<(), Problem> {
    let marks = room.store.marks();
    let money = batch.money.into_iter();
    let rows = money.map(
        |((event, currency, posting, component, account), (debits, credits))| {
            vec![
                Arg::from(event),
                Arg::from(currency),
                Arg::from(posting),
                Arg::from(component),
                Arg::from(account),
                Arg::from(debits),
                Arg::from(credits),
            ]
        },
    );
    let prefix = "INSERT INTO tk_money_sums (event_id, currency, posting, component, account,
        debits, credits)";
    let suffix = "ON CONFLICT (event_id, currency, posting, component, account) DO UPDATE SET
        debits = tk_money_sums.debits + excluded.debits,
        credits = tk_money_sums.credits + excluded.credits";
    bulk::insert(tx, marks, prefix, suffix, rows.collect()).await?;
    let sales = batch.sales.into_iter();
    let rows = sales.map(|((event, slot, kind, channel, source), sale)| {
        vec![
            Arg::from(event),
            Arg::from(slot),
            Arg::from(kind),
            Arg::from(channel),
            Arg::from(source),
            Arg::from(sale.orders),
            Arg::from(sale.cards),
            Arg::from(sale.tickets),
            Arg::from(sale.gross),
            Arg::from(sale.discount),
        ]
    });
    let prefix = "INSERT INTO tk_sales_sums (event_id, slot, type_id, channel, source, orders,
        cards, tickets, gross, discount)";
    let suffix = "ON CONFLICT (event_id, slot, type_id, channel, source) DO UPDATE SET
        orders = tk_sales_sums.orders + excluded.orders,
        cards = tk_sales_sums.cards + excluded.cards,
        tickets = tk_sales_sums.tickets + excluded.tickets,
        gross = tk_sales_sums.gross + excluded.gross,
        discount = tk_sales_sums.discount + excluded.discount";
    bulk::insert(tx, marks, prefix, suffix, rows.collect()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_tell_their_kind_and_event() {
        assert_eq!(
            account("florin:tk:payable:o1:e1:EUR"),
            Some(("payable", Some("e1")))
        );
        assert_eq!(
            account("florin:tk:fee:platform:EUR"),
            Some(("fee_platform", None))
        );
        assert_eq!(account("florin:tk:refunds:r1:EUR"), Some(("refunds", None)));
        assert_eq!(account("florin:tk:psp:stripe:EUR"), Some(("psp", None)));
        assert_eq!(account("florin:wallet:x"), None);
    }
}
