//! `GET /console/shadow/reconciliations/{id}`: the workbench of a run: its bridge, and matched,
//! ambiguous and unmatched items side by side; matching by hand.

use std::collections::BTreeSet;

use axum::response::Response;
use florin_platform::http::router::Routes;
use futures_util::future::join;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, Render, html};
use serde_json::{Value, json};

use super::{API, account_link, amount_in, event_link, line_link, matches, page_of, state};
use crate::Console;
use crate::api::{ApiError, flag, items, number, segment, text};
use crate::pages::listing::Listing;
use crate::reply::{Outcome, Page, Reply};
use crate::ui::badge::{Mood, badge_as};
use crate::ui::confirm::{Confirm, reason};
use crate::ui::facts::Facts;
use crate::ui::money::{count, minor, money};
use crate::ui::progress::Progress;
use crate::ui::table::Table;
use crate::ui::{either, form, section, short, time};
use crate::visit::{Visit, get, post};

/// Items that a column shows; the file of the report has all.
const SHOWN: usize = 200;
/// Candidate sets of an item that are offered.
const SETS: usize = 5;

pub fn routes(routes: Routes<Console>) -> Routes<Console> {
    let routes = get(routes, "/console/shadow/reconciliations/{id}", show);
    let routes = get(
        routes,
        "/console/shadow/reconciliations/{id}/report",
        report,
    );
    post(routes, "/console/shadow/reconciliations/{id}/again", again)
}

fn api(visit: &Visit) -> String {
    let id = segment(visit.param("id"));
    format!("{API}/reconciliations/{id}")
}

/// The run's report as the API makes it: one row an item.
async fn report(visit: Visit) -> Outcome {
    let ask = visit.api.get(format!("{}/report", api(&visit)));
    let ask = ask.query("format", "csv").query("money", "string");
    let mut response = Response::new(ask.send().await?.into_body());
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"reconciliation.csv\"",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(Reply::Raw(response))
}

async fn show(visit: Visit) -> Outcome {
    let path = api(&visit);
    let id = visit.param("id").to_owned();
    let run = visit.api.get(path.as_str()).query("money", "string");
    let run = run.json().await?;
    let facts = Facts::new()
        .add(
            "Account",
            account_link(text(&run, "accountId"), text(&run, "currency")),
        )
        .add_text("First day", text(&run, "from"))
        .add_text("Day after the last", text(&run, "to"))
        .add("By", short(text(&run, "createdBy")))
        .add("Begun", time::time(text(&run, "createdAt")))
        .add("Finished", time::time(text(&run, "finishedAt")))
        .add("Saw the log up to record", count(number(&run, "logSeq")));
    let word = text(&run, "state");
    let content = match word {
        "done" if visit.part() != Some("progress") => {
            html! { (facts) (bench(&visit, &run, &path).await) }
        }
        _ => {
            let now = Progress {
                state: word,
                ended: word != "running",
                parts: None,
                note: html! {
                    @match word {
                        "running" => p.note { "You may leave this page; the run goes on." },
                        "done" => p { a href=(visit.path()) { "Show the result" } },
                        _ => p.notice.bad {
                            code { (text(&run, "problem.code")) } " " (text(&run, "problem.detail"))
                        },
                    }
                },
            };
            html! { (now.render("progress")) (facts) }
        }
    };
    let beside = html! {
        (short(&id)) " " (state(word)) " "
        @if word != "running" && visit.me.may("shadow:match") {
            (form::button(&visit, &format!("{}/again", page_of("reconciliations", &id)), "Run again"))
        }
    };
    Ok(Page::new("Reconciliation", content).beside(beside).into())
}

/// The same period once more.
async fn again(visit: Visit) -> Outcome {
    let run = visit.api.get(api(&visit)).json().await?;
    let member = |name: &str| Value::from(text(&run, name));
    let body = json!({
        "accountId": member("accountId"),
        "currency": member("currency"),
        "from": member("from"),
        "to": member("to"),
    });
    let ask = visit.api.post(format!("{API}/reconciliations"));
    let ask = ask.query("wait", "0").idempotency_key(visit.once());
    let result = ask.json_body(&body).json().await;
    let place = match &result {
        Ok(run) => page_of("reconciliations", text(run, "reconciliationId")),
        Err(_) => page_of("reconciliations", visit.param("id")),
    };
    Reply::after(result, place, "A new run has begun.")
}

async fn bench(visit: &Visit, run: &Value, path: &str) -> Markup {
    let report = visit.api.get(format!("{path}/report"));
    let report = report.query("money", "string").json();
    let by_hand = |state: &'static str| {
        let list = Listing::new(visit, format!("{API}/matches")).exact();
        let list = list.with("accountId", text(run, "accountId"));
        let list = list.with("currency", text(run, "currency"));
        list.with("rule", "manual").with("state", state)
    };
    let (active, waiting) = (by_hand("active"), by_hand("proposed"));
    let (report, (active, waiting)) = join(
        report,
        join(active.first("500", ""), waiting.first("500", "")),
    )
    .await;
    let mut taken = Vec::new();
    for page in [&active, &waiting].into_iter().flatten() {
        taken.extend(items(page, "items").iter().cloned());
    }
    either(&report, |report| {
        let bench = Bench::new(visit, run, report, &taken);
        html! {
            (section("bridge", "Bridge", bridge(report)))
            p.note {
                "As the run saw it; what was matched by hand since stands under Matched. "
                a href={ (page_of("reconciliations", text(run, "reconciliationId"))) "/report" } download {
                    "Every item as CSV"
                }
            }
            div.columns {
                (section("matched", "Matched", bench.matched(&active)))
                (section("ambiguous", "Ambiguous", bench.ambiguous()))
            }
            (section("unmatched", "Unmatched", bench.unmatched()))
        }
    })
}

/// From the bank's balance to the shadow's, term by term.
fn bridge(report: &Value) -> Markup {
    let currency = text(report, "currency");
    let sum = |member: &str| amount_in(&report["bridge"], member, currency);
    let terms = [
        ("", "Shadow balance", "shadowBalance"),
        ("+", "Difference at the start", "startDifference"),
        ("+", "Gaps between statements", "gaps"),
        ("+", "Open lines", "openLines"),
        ("+", "Ignored lines", "ignoredLines"),
        ("−", "Open entries", "openEntries"),
        ("+", "Variance of matches", "variance"),
    ];
    let mut table = Table::new("Bridge").columns(&["", "Term"]).number("Amount");
    for (sign, name, member) in terms {
        table.row(vec![html! { (sign) }, html! { (name) }, sum(member)]);
    }
    let holds = flag(report, "bridge.holds");
    table.row_as(
        if holds { "good" } else { "bad" },
        vec![
            html! { "=" },
            html! {
                strong { "Closing of the bank" } " "
                @if holds { (badge_as("holds", Mood::Good)) } @else { (badge_as("does not hold", Mood::Bad)) }
            },
            sum("bankClosing"),
        ],
    );
    table.render()
}

struct Bench<'b> {
    visit: &'b Visit,
    run: &'b Value,
    report: &'b Value,
    currency: &'b str,
    /// Items that were matched by hand after the run.
    gone: BTreeSet<&'b str>,
}

impl<'b> Bench<'b> {
    fn new(visit: &'b Visit, run: &'b Value, report: &'b Value, taken: &'b [Value]) -> Self {
        let sides = taken
            .iter()
            .flat_map(|made| items(made, "lines").iter().chain(items(made, "entries")));
        Self {
            visit,
            run,
            report,
            currency: text(report, "currency"),
            gone: sides.filter_map(Value::as_str).collect(),
        }
    }

    fn open(&self, status: &str, side: &str) -> Vec<&'b Value> {
        let all = items(self.report, "items").iter();
        let open = all.filter(|item| {
            text(item, "status") == status
                && text(item, "side") == side
                && !self.gone.contains(text(item, "id"))
        });
        open.collect()
    }

    fn matched(&self, by_hand: &Result<Value, ApiError>) -> Markup {
        let account = segment(text(self.run, "accountId"));
        let rules = Table::new("By rule")
            .column("Rule")
            .number("Matches")
            .number("Lines")
            .number("Entries")
            .empty("Nothing is matched.")
            .rows(items(self.report, "rules"), |rule| {
                let name = text(rule, "rule");
                let href = format!("/console/shadow/matches?accountId={account}&rule={name}");
                let tally = |member: &str| {
                    html! {
                        (count(number(&rule[member], "count"))) ": "
                        (amount_in(&rule[member], "sum", self.currency))
                    }
                };
                vec![
                    html! { a href=(href) { (name) } },
                    count(number(rule, "matches")),
                    tally("lines"),
                    tally("entries"),
                ]
            });
        html! {
            (rules)
            (either(by_hand, |page| {
                let all = items(page, "items");
                let newest: Vec<Value> = all.iter().rev().take(10).cloned().collect();
                html! {
                    @if !newest.is_empty() {
                        h3 { "By hand" }
                        (matches::table(self.visit, &newest))
                    }
                }
            }))
        }
    }

    fn link(item: &Value) -> Markup {
        match text(item, "side") {
            "line" => line_link(text(item, "id")),
            _ => event_link(text(item, "id")),
        }
    }

    fn ambiguous(&self) -> Markup {
        let mut all = self.open("ambiguous", "line");
        all.extend(self.open("ambiguous", "entry"));
        let mut table = Table::new("Ambiguous items")
            .columns(&["Item", "Day"])
            .number("Amount")
            .column("What fits equally well")
            .empty("Nothing is ambiguous.");
        for (at, item) in all.iter().take(SHOWN).enumerate() {
            table.row(vec![
                html! { span.note { (text(item, "side")) } " " (Self::link(item)) },
                html! { span.day { (text(item, "date")) } },
                amount_in(item, "amount", self.currency),
                self.sets(at, item),
            ]);
        }
        html! { (table) (self.left(all.len())) }
    }

    /// The candidate sets of an item, each to be taken with a reason.
    fn sets(&self, at: usize, item: &Value) -> Markup {
        let sets = items(item, "candidates.sets");
        let more = number(item, "candidates.count");
        html! {
            @for (n, set) in sets.iter().take(SETS).enumerate() {
                div {
                    @for line in items(set, "lines").iter().filter_map(Value::as_str) { (line_link(line)) " " }
                    "↔ "
                    @for event in items(set, "entries").iter().filter_map(Value::as_str) { (event_link(event)) " " }
                    (self.take(&format!("take-{at}-{n}"), set))
                }
            }
            @if more > sets.len().min(SETS) as u64 {
                span.note { (more) " sets in all" }
            }
        }
    }

    fn take(&self, id: &str, set: &Value) -> Markup {
        if !self.visit.me.may("shadow:match") {
            return html! {};
        }
        let take = Confirm {
            id,
            label: "Match",
            text: html! { "These belong together. It can be undone." },
            action: "/console/shadow/matches",
            fields: html! {
                (self.names())
                @for line in items(set, "lines").iter().filter_map(Value::as_str) {
                    input type="hidden" name="line" value=(line);
                }
                @for event in items(set, "entries").iter().filter_map(Value::as_str) {
                    input type="hidden" name="event" value=(event);
                }
                (reason())
            },
            danger: false,
        };
        take.render(self.visit)
    }

    fn names(&self) -> Markup {
        html! {
            input type="hidden" name="accountId" value=(text(self.run, "accountId"));
            input type="hidden" name="currency" value=(self.currency);
            input type="hidden" name="back" value=(self.visit.path());
        }
    }

    /// Both sides with boxes to tick, and one button.
    fn unmatched(&self) -> Markup {
        let (lines, entries) = (
            self.open("unmatched", "line"),
            self.open("unmatched", "entry"),
        );
        let may = self.visit.me.may("shadow:match");
        html! {
            form method="post" action="/console/shadow/matches" {
                (form::hidden(self.visit))
                (self.names())
                div.columns {
                    section aria-labelledby="open-lines" {
                        h3 #open-lines { "Lines of the bank" }
                        (self.side(&lines, "line", may))
                    }
                    section aria-labelledby="open-entries" {
                        h3 #open-entries { "Entries of the shadow" }
                        (self.side(&entries, "event", may))
                    }
                }
                @if may && !lines.is_empty() && !entries.is_empty() {
                    div.form {
                        (reason())
                        (form::text("acceptVariance", "Lines minus entries, exactly, where they differ", "", false))
                        div.buttons { button.primary type="submit" { "Match the ticked" } }
                    }
                }
            }
        }
    }

    fn side(&self, all: &[&Value], name: &str, may: bool) -> Markup {
        let mut table = Table::new("Open items")
            .columns(&["Item", "Day"])
            .number("Amount")
            .columns(&["Reference", "Why"])
            .empty("Nothing is open.");
        for item in all.iter().take(SHOWN) {
            let id = text(item, "id");
            table.row(vec![
                html! {
                    @if may {
                        input type="checkbox" name=(name) value=(id) aria-label={ "Take " (id) };
                        " "
                    }
                    (Self::link(item))
                },
                html! { span.day { (text(item, "date")) } },
                amount_in(item, "amount", self.currency),
                html! { (text(item, "reference")) },
                html! { (text(item, "reason").replace('_', " ")) },
            ]);
        }
        html! { (table) (sum(all, self.currency)) (self.left(all.len())) }
    }

    fn left(&self, all: usize) -> Markup {
        html! {
            @if all > SHOWN { p.note { (all - SHOWN) " more stand in the file." } }
        }
    }
}

/// The exact sum of open items, for a look at both sides.
fn sum(all: &[&Value], currency: &str) -> Markup {
    let decimals = |text: &str| text.split_once('.').map_or(0, |(_, part)| part.len());
    let scale = all.iter().map(|item| decimals(text(item, "amount"))).max();
    let scale = scale.unwrap_or(0);
    let mut amounts = all.iter().map(|item| minor(text(item, "amount"), scale));
    let total = amounts.try_fold(0_i128, |sum, one| sum.checked_add(one?));
    html! {
        @if let Some(total) = total.filter(|_| !all.is_empty()) {
            p { "Sum " (money(&crate::ui::money::decimal(&total.to_string(), scale), currency)) }
        }
    }
}
