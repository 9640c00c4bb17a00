//! The first page: is everything well, how much is going on, and what to do if it is not.

use florin_platform::http::router::Routes;
use futures_util::future::join;
use maud::{Markup, Render, html};
use serde_json::Value;

use crate::Console;
use crate::api::{ApiError, flag, items, number, text};
use crate::reply::{Outcome, Page};
use crate::ui::badge::{Mood, badge, badge_as, mood_of};
use crate::ui::chart::spark;
use crate::ui::facts::{Figure, figures};
use crate::ui::money::{Scales, count};
use crate::ui::table::Table;
use crate::ui::{either, live, section, time};
use crate::visit::{Visit, get};
use crate::watch::{RANGES, Range, Window};

/// Seconds between two looks of the page.
const LOOK: u32 = 5;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    get(routes, "/console", show)
}

async fn show(visit: Visit) -> Outcome {
    let range = Range::of(visit.query("range"));
    let ready = ready(&visit);
    let ledger = ledger(&visit);
    let (ready, ledger) = join(ready, ledger).await;
    let window = visit.console.watch().window(range);
    let content = html! {
        (live("state", LOOK, state(&ready, &window)))
        (ranges(&visit, range))
        (live("figures", LOOK, html! {
            (numbers(&window, &ledger, range))
            (section("volume", "Volume of wallets", volume(&window, &ledger)))
            (section("readers", "Readers of the feed", readers(&window)))
            p.note {
                "Figures of the process that answers " code { "/metrics" } " here, kept in memory "
                "since this process began (" (window.len()) " looks in this range). "
                "Prometheus keeps the history of all processes."
                @if let Some(why) = visit.console.watch().away() { " The last look failed: " (why) }
            }
        }))
    };
    Ok(Page::new("Overview", content).into())
}

/// The report of `/ready`, which is a report also when it says 503.
async fn ready(visit: &Visit) -> Result<Value, ApiError> {
    visit.api.report("/ready").await
}

struct LedgerNow {
    head: Result<Value, ApiError>,
    newest: Result<Value, ApiError>,
    scales: Scales,
}

async fn ledger(visit: &Visit) -> LedgerNow {
    let head = visit.api.get("/api/v1/ledger").json();
    let newest = visit
        .api
        .get("/api/v1/ledger/checkpoints")
        .query("limit", "1")
        .json();
    let scales = Scales::load(&visit.api);
    let (head, (newest, scales)) = join(head, join(newest, scales)).await;
    LedgerNow {
        head,
        newest,
        scales: scales.unwrap_or_default(),
    }
}

fn state(ready: &Result<Value, ApiError>, window: &Window) -> Markup {
    either(ready, |ready| {
        let status = text(ready, "status");
        let sentence = match mood_of(status) {
            Mood::Good => "Everything works.",
            Mood::Care => "It works, with less than it should have.",
            _ => "It does not serve: see below.",
        };
        let bad = items(ready, "notReady").len();
        html! {
            p class={ "notice " (mood_of(status).class()) } role="status" {
                strong { (sentence) }
                @if bad > 0 { " " (bad) (if bad == 1 { " part needs" } else { " parts need" }) " a look." }
            }
            (roles(ready, window))
            (checks(ready))
        }
    })
}

fn roles(ready: &Value, window: &Window) -> Markup {
    let own = items(ready, "info.roles");
    let mut upstreams: Vec<(String, f64, f64)> = Vec::new();
    for (label, value) in window.labels("gateway_upstreams") {
        let Some((role, state)) = label.split_once('/') else {
            continue;
        };
        let at = upstreams.iter().position(|(known, ..)| known == role);
        let at = at.unwrap_or_else(|| {
            upstreams.push((role.to_owned(), 0.0, 0.0));
            upstreams.len() - 1
        });
        match state {
            "ready" => upstreams[at].1 = value,
            _ => upstreams[at].2 = value,
        }
    }
    html! {
        @if !own.is_empty() || !upstreams.is_empty() {
            h2 { "Roles" }
            p.roles {
                @for role in own.iter().filter_map(Value::as_str) {
                    (badge_as(role, Mood::Good)) " "
                }
                @for (role, up, away) in &upstreams {
                    @let mood = match (*up > 0.0, *away > 0.0) {
                        (true, false) => Mood::Good,
                        (true, true) => Mood::Care,
                        _ => Mood::Bad,
                    };
                    (badge_as(&format!("{role}: {up} ready, {away} away"), mood)) " "
                }
            }
        }
    }
}

fn checks(ready: &Value) -> Markup {
    let mut table = Table::new("Parts and what they depend on")
        .columns(&["Part", "State", "Cause", "What to do"])
        .empty("No checks.");
    for check in items(ready, "checks") {
        let state = text(check, "state");
        let needed = flag(check, "needed");
        let mood = match (mood_of(state), needed) {
            (Mood::Bad, false) => Mood::Care,
            (mood, _) => mood,
        };
        table.row_as(
            mood.class(),
            vec![
                html! { (text(check, "name")) @if !needed { " " span.note { "helper" } } },
                badge_as(state, mood),
                html! { (text(check, "detail")) },
                html! { (text(check, "remedy")) },
            ],
        );
    }
    section("parts", "State of each part", table.render())
}

fn ranges(visit: &Visit, chosen: Range) -> Markup {
    html! {
        h2 { "Figures" }
        ul.tabs {
            @for range in RANGES {
                li {
                    a href=(visit.here_with(&[("range", range.word)]))
                        aria-current=[(range == chosen).then_some("page")] { (range.name) }
                }
            }
        }
    }
}

fn numbers(window: &Window, ledger: &LedgerNow, range: Range) -> Markup {
    let last = |rates: &[f64]| rates.last().copied().unwrap_or(0.0);
    let records = window.rates("ledger_last_seq");
    let requests = window.request_rates();
    let (all, failed) = window.requests();
    let share = if all > 0.0 { failed / all } else { 0.0 };
    let mut shown = vec![
        Figure::new("Records per second", rate(last(&records)))
            .href("/console/ledger/live")
            .picture(spark(&records, "Records per second"))
            .note("transfers and everything else the ledger keeps"),
        Figure::new("Requests per second", rate(last(&requests)))
            .picture(spark(&requests, "Requests per second")),
        Figure::new("Failed requests", format!("{:.2} %", share * 100.0))
            .note(format!("{failed:.0} of {all:.0} in {}", range.name)),
    ];
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        let value = window.percentile(share);
        let value = value.map_or_else(|| "–".to_owned(), time::seconds);
        shown.push(Figure::new(&format!("Time of a request, {name}"), value));
    }
    shown.push(head_figure(ledger));
    shown.push(checkpoint_figure(window, ledger));
    let lag = window.values("event_lag_seconds");
    shown.push(
        Figure::new("Lag of the feed's readers", time::seconds(last(&lag)))
            .picture(spark(&lag, "Lag of the feed's readers")),
    );
    let queue = window.values("ledger_queue_depth");
    shown.push(
        Figure::new("Calls waiting for the ledger", count(last(&queue) as u64))
            .picture(spark(&queue, "Calls waiting")),
    );
    if let Some(wallets) = window.newest("wallet_total_count") {
        shown.push(Figure::new("Wallets", count(wallets as u64)).href("/console/wallets"));
    }
    let processor = window.values("process_cpu_usage");
    let percent = format!("{:.0} %", last(&processor) * 100.0);
    shown.push(Figure::new("Processor", percent).picture(spark(&processor, "Processor")));
    if let Some(bytes) = window.newest("process_resident_memory_bytes") {
        let size = format!("{:.0} MiB", bytes / 1_048_576.0);
        shown.push(Figure::new("Memory", size));
    }
    if let Some(free) = window.newest("disk_free_ratio") {
        shown.push(Figure::new("Disk free", format!("{:.0} %", free * 100.0)));
    }
    figures(&shown)
}

fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 100.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}

fn head_figure(ledger: &LedgerNow) -> Figure {
    match &ledger.head {
        Ok(head) => Figure::new("Last record", count(number(head, "lastSeq")))
            .href("/console/ledger/transfers?order=desc"),
        Err(_) => Figure::new("Last record", "–").note("not readable here"),
    }
}

fn checkpoint_figure(window: &Window, ledger: &LedgerNow) -> Figure {
    let newest = ledger.newest.as_ref().ok();
    let newest = newest.and_then(|page| items(page, "items").first());
    let waiting = window
        .newest("ledger_checkpoint_age_seconds")
        .unwrap_or(0.0);
    let note = match waiting {
        0.0 => "every record is covered".to_owned(),
        seconds => format!("records wait since {}", time::seconds(seconds)),
    };
    let shown = newest.map(|newest| {
        let number = number(newest, "number");
        let figure = Figure::new("Last checkpoint", html! { "№ " (count(number)) });
        figure.href(format!("/console/ledger/checkpoints/{number}"))
    });
    shown
        .unwrap_or_else(|| Figure::new("Last checkpoint", "–"))
        .note(note)
}

fn volume(window: &Window, ledger: &LedgerNow) -> Markup {
    let mut table = Table::new("Volume by currency")
        .columns(&["Currency", "What"])
        .number("In this range")
        .empty("No wallet money has moved in this range.");
    for (kind, currency, moved) in window.moved() {
        if moved > 0 {
            table.row(vec![
                html! { (currency) },
                html! { (kind) },
                ledger.scales.money(&moved.to_string(), &currency),
            ]);
        }
    }
    table.render()
}

fn readers(window: &Window) -> Markup {
    let records = window.labels("event_lag_records");
    let seconds = window.labels("event_lag_seconds");
    let mut table = Table::new("Readers of the feed")
        .columns(&["Reader", "State"])
        .number("Records behind")
        .number("Age of the oldest")
        .empty("No process of role workers answers here.");
    for (channel, behind) in records {
        let found = seconds.iter().find(|(known, _)| *known == channel);
        let age = found.map_or(0.0, |(_, age)| *age);
        let state = if age > 60.0 { "degraded" } else { "ok" };
        table.row(vec![
            html! { (channel) },
            badge(state),
            count(behind as u64),
            html! { (time::seconds(age)) },
        ]);
    }
    table.render()
}
