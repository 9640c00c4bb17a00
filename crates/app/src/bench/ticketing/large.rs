//! The report and an export of an event with a million orders.
//!
//! One order is sold over HTTP, so that every row of it is as the server writes it. Then, with the
//! server stopped, its order and its ticket are copied by SQL (`INSERT … SELECT`, ids, numbers and
//! times of their own), and the sums that reports read are made what folding as many sales makes
//! them. The ledger itself keeps the one sale.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use florin_base::Secret;
use florin_platform::sql::{Db, PostgresSettings, Query, Tx};
use serde_json::{Value, json};

use super::place::{Gig, Person, Place, Store};
use super::{Row, Ticketing, median, millis, number, sale};
use crate::bench::histogram::Histogram;
use crate::bench::shadow::pause;
use crate::serve::ticketing::TICKETING_FILE;

/// Rows of one transaction.
const CHUNK: u64 = 20_000;
/// The copies were sold in the month before.
const MONTH: u64 = 30 * 86_400_000_000;
/// Reports asked for in one run.
const ASKED: u32 = 100;
const EXPORT_MAX: Duration = Duration::from_secs(600);

const ORDER: [&str; 37] = [
    "id",
    "number",
    "org_id",
    "event_id",
    "status",
    "channel",
    "buyer",
    "owner_sub",
    "person_id",
    "contact",
    "attendees",
    "access_digest",
    "currency",
    "fee_payer",
    "promo_id",
    "subtotal",
    "discount",
    "tax",
    "tickets",
    "platform_fee",
    "processing_fee",
    "total",
    "refunded",
    "parts",
    "units",
    "expires_at",
    "extended",
    "payment_method",
    "payment_status",
    "payment_id",
    "late_honoured",
    "needs_review",
    "visitor_id",
    "source",
    "created_at",
    "confirmed_at",
    "updated_at",
];

const TICKET: [&str; 33] = [
    "id",
    "number",
    "order_id",
    "event_id",
    "org_id",
    "type_id",
    "type_no",
    "position",
    "channel",
    "status",
    "generation",
    "owner_person",
    "owner_sub",
    "access_digest",
    "holder_person",
    "holder_name",
    "holder_email",
    "answers",
    "currency",
    "price",
    "paid_net",
    "paid_tax",
    "paid_platform",
    "paid_processing",
    "transferred",
    "transfers",
    "used_at",
    "inside",
    "leaf",
    "leaves",
    "changed",
    "created_at",
    "updated_at",
];

/// Sells one, copies it, measures report and export.
pub fn measure(args: &Ticketing, store: &Store, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let mut place = Place::start(&args.dir, "large", store)?;
    let gig = first_sale(&place, args)?;
    place.stop()?;
    let begun = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(copy(&place, &gig, args.orders - 1))?;
    eprintln!(
        "{} orders copied in {:?}",
        number(args.orders - 1),
        begun.elapsed()
    );
    place.resume()?;
    let mut organiser = place.organiser()?;
    overview(args, store, &mut organiser, &gig, rows)?;
    export(args, &place, &mut organiser, &gig, rows)?;
    place.stop()
}

fn report(organiser: &mut Person, gig: &Gig) -> anyhow::Result<Value> {
    organiser.must(
        "GET",
        &format!("analytics/events/{}/overview", gig.event),
        None,
    )
}

/// One order of one ticket, paid from a wallet, and its place in the report.
fn first_sale(place: &Place, args: &Ticketing) -> anyhow::Result<Gig> {
    let mut organiser = place.organiser()?;
    let org = organiser.founds()?;
    let gig = organiser.opens(&org, "50.00", args.orders, false)?;
    sale::sell_one(place, &gig)?;
    let begun = Instant::now();
    while report(&mut organiser, &gig)?["orders"] != 1 {
        ensure!(
            begun.elapsed() < Duration::from_secs(60),
            "no report of the first sale"
        );
        pause(Duration::from_millis(100));
    }
    Ok(gig)
}

async fn open(place: &Place) -> anyhow::Result<Db> {
    let db = match place.store() {
        (Store::Embedded, _) => Db::open_sqlite(&place.dir().join(TICKETING_FILE)).await?,
        (Store::Postgres(url), schema) => {
            let mut settings = PostgresSettings::new(Secret::new(url.clone()));
            settings.schema = schema.to_owned();
            Db::open_postgres(settings).await?
        }
    };
    Ok(db.lane("ticketing"))
}

/// `columns` as they are copied, some of them replaced.
fn copied(columns: &[&str], replaced: &[(&str, String)]) -> String {
    let one = |column: &&str| {
        let found = replaced.iter().find(|(name, _)| name == column);
        found.map_or_else(|| format!("t.{column}"), |(_, text)| text.clone())
    };
    columns.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn copy(place: &Place, gig: &Gig, more: u64) -> anyhow::Result<()> {
    let db = open(place).await?;
    let hex = match db.is_shared() {
        true => "lpad(to_hex(s.n), 12, '0')",
        false => "printf('%012x', s.n)",
    };
    let id = |mark: &str| format!("'01940000-0000-7000-{mark}-' || {hex}");
    let number = "'B' || CAST(s.n AS TEXT)".to_owned();
    let step = MONTH / more.max(1);
    let earlier = |column: &str| format!("t.{column} - s.n * {step}");
    let orders = copied(
        &ORDER,
        &[
            ("id", id("8000")),
            ("number", number.clone()),
            ("created_at", earlier("created_at")),
            ("confirmed_at", earlier("confirmed_at")),
            ("updated_at", earlier("updated_at")),
        ],
    );
    let tickets = copied(
        &TICKET,
        &[
            ("id", id("9000")),
            ("number", format!("{number} || '-01'")),
            ("order_id", id("8000")),
            ("created_at", earlier("created_at")),
            ("updated_at", earlier("updated_at")),
        ],
    );
    let mut from = 1;
    while from <= more {
        let to = (from + CHUNK - 1).min(more);
        let series = format!(
            "WITH RECURSIVE s(n) AS (SELECT CAST({from} AS BIGINT) UNION ALL
             SELECT s.n + 1 FROM s WHERE s.n < {to})"
        );
        let mut tx = db.patient().begin().await?;
        for (table, columns, select) in [
            ("tk_orders", ORDER.join(", "), &orders),
            ("tk_tickets", TICKET.join(", "), &tickets),
        ] {
            // The first one is younger than all its copies.
            let text = format!(
                "INSERT INTO {table} ({columns}) {series} SELECT {select} FROM
                 (SELECT * FROM {table} WHERE event_id = $1 ORDER BY id DESC LIMIT 1) AS t
                 CROSS JOIN s"
            );
            run(&mut tx, text, gig, to - from + 1).await?;
        }
        tx.commit().await?;
        from = to + 1;
    }
    sums(&db, gig, more).await
}

async fn run(tx: &mut Tx, text: String, gig: &Gig, rows: u64) -> anyhow::Result<()> {
    let changed = tx.execute(Query::assembled(text).bind(&gig.event)).await?;
    ensure!(changed == rows, "{changed} rows instead of {rows}");
    Ok(())
}

/// What is counted beside the rows: so many times the first sale.
async fn sums(db: &Db, gig: &Gig, more: u64) -> anyhow::Result<()> {
    let times = more + 1;
    let mut tx = db.patient().begin().await?;
    for text in [
        format!(
            "UPDATE tk_money_sums SET debits = debits * {times}, credits = credits * {times}
            WHERE event_id = $1"
        ),
        format!("UPDATE tk_ticket_counts SET tickets = tickets * {times} WHERE event_id = $1"),
        format!(
            "UPDATE tk_types SET sold = sold * {times}, held_ever = held_ever * {times},
            converted = converted * {times} WHERE event_id = $1"
        ),
        "DELETE FROM tk_sales_sums WHERE event_id = $1".to_owned(),
    ] {
        tx.execute(Query::assembled(text).bind(&gig.event)).await?;
    }
    let slot = "confirmed_at - confirmed_at % 900000000";
    for kind in ["''", "(SELECT id FROM tk_types WHERE event_id = $1)"] {
        let text = format!(
            "INSERT INTO tk_sales_sums (event_id, slot, type_id, channel, source, orders, cards,
             tickets, gross, discount)
             SELECT event_id, {slot}, {kind}, channel, '', COUNT(*), 0,
             CAST(SUM(units) AS BIGINT), CAST(SUM(tickets) AS BIGINT),
             CAST(SUM(discount) AS BIGINT)
             FROM tk_orders WHERE event_id = $1 GROUP BY event_id, {slot}, channel"
        );
        tx.execute(Query::assembled(text).bind(&gig.event)).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn overview(
    args: &Ticketing,
    store: &Store,
    organiser: &mut Person,
    gig: &Gig,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let orders = args.orders;
    let shown = report(organiser, gig)?;
    let gross = format!("{}.00", orders * 50);
    for (figure, wanted) in [
        ("orders", json!(orders)),
        ("ticketsSold", json!(orders)),
        ("ticketsIssued", json!(orders)),
        ("grossSales", json!(gross)),
        ("sellThrough", json!("1.0000")),
        ("averageOrder", json!("50.00")),
    ] {
        ensure!(
            shown[figure] == wanted,
            "{figure} is {} and not {wanted}",
            shown[figure]
        );
    }
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        let mut times = Histogram::default();
        for _ in 0..ASKED {
            let begun = Instant::now();
            report(organiser, gig)?;
            times.record(u64::try_from(begun.elapsed().as_micros())?);
        }
        p50.push(times.quantile(500));
        p99.push(times.quantile(990));
    }
    rows.push(Row::new(
        format!(
            "{}: overview of an event with {} orders",
            store.name(),
            number(orders)
        ),
        format!("p50 {}, p99 {}", millis(median(p50)), millis(median(p99))),
        "< 200 ms",
    ));
    Ok(())
}

/// A number of `/proc/[pid]/status` in bytes.
fn memory(pid: u32, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kib: u64 = kib.context("memory of a process")?.trim().parse()?;
    Ok(kib * 1_024)
}

fn export(
    args: &Ticketing,
    place: &Place,
    organiser: &mut Person,
    gig: &Gig,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let pid = place.pid()?;
    // 5: forget the largest memory so far (proc_pid_clear_refs(5)).
    fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let before = memory(pid, "VmRSS:")?;
    let body = json!({"kind": "tickets", "format": "csv", "filter": {"eventId": gig.event}});
    let begun = Instant::now();
    let asked = organiser.must("POST", "analytics/exports", Some(&body))?;
    let path = format!("analytics/exports/{}", super::place::id(&asked)?);
    let shown = loop {
        let shown = organiser.must("GET", &path, None)?;
        match shown["status"].as_str() {
            Some("ready") => break shown,
            Some("queued" | "running") if begun.elapsed() < EXPORT_MAX => {}
            _ => bail!("the export: {shown}"),
        }
        pause(Duration::from_millis(100));
    };
    let took = begun.elapsed();
    ensure!(shown["rows"] == args.orders, "rows of the export: {shown}");
    let grown = memory(pid, "VmHWM:")?.saturating_sub(before);
    rows.push(Row::new(
        format!(
            "{}: export of {} tickets as CSV ({} MB)",
            place.store().0.name(),
            number(args.orders),
            shown["bytes"].as_u64().unwrap_or_default() / 1_000_000
        ),
        format!(
            "{}.{} s, memory grew by {} MiB",
            took.as_secs(),
            took.subsec_millis() / 100,
            grown.div_ceil(1 << 20)
        ),
        "< 60 s, < 100 MiB",
    ));
    Ok(())
}
