//! Pictures of an event: sales over time, the funnel, what becomes of the money.

use florin_base::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use super::super::{event_path, percent};
use crate::api::{items, number, text};
use crate::pages::ledger::account_path;
use crate::ui::chart::{Bar, Line, Point, funnel, lines, waterfall};
use crate::ui::money::{count, decimal, minor, money};
use crate::visit::Visit;

/// Tickets and gross sales, added up from day to day.
pub fn curve(sales: &Value, path: &str) -> Markup {
    let currency = text(sales, "currency");
    let rows = items(sales, "items");
    let scale = scale_of(rows.iter().map(|row| text(row, "gross")));
    let (mut tickets, mut gross) = (0_u64, 0_i128);
    let (mut of_tickets, mut of_gross) = (Vec::new(), Vec::new());
    for row in rows {
        tickets += number(row, "tickets");
        gross += minor(text(row, "gross"), scale).unwrap_or(0);
        let at = Timestamp::parse(text(row, "start")).map_or(0, Timestamp::micros);
        of_tickets.push(Point {
            at,
            height: tickets as f64,
            shown: tickets.to_string(),
        });
        let amount = decimal(&gross.to_string(), scale);
        of_gross.push(Point {
            at,
            // A position in a picture; what is read is the text.
            height: amount.parse().unwrap_or(0.0),
            shown: format!("{amount} {currency}"),
        });
    }
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
        steps: false,
    };
    html! {
        (lines("Tickets sold, added up by day", &[line("Tickets", of_tickets)]))
        (lines(&format!("Gross sales in {currency}, added up by day"), &[line("Gross", of_gross)]))
        p {
            a href={ (path) "/sales" } { "By day" } " · "
            a href={ (path) "/sales?groupBy=type" } { "by ticket type" } " · "
            a href={ (path) "/sales?groupBy=source" } { "by source" }
        }
    }
}

/// Visitors of each step.
pub fn funnel_of(answer: &Value, path: &str) -> Markup {
    let bar = |step: &Value| {
        let visitors = number(step, "visitors");
        let (name, rows) = match text(step, "step") {
            "view" => ("Looked", None),
            "select" => ("Chose tickets", None),
            "hold" => ("Reserved", Some(format!("{path}/orders"))),
            "paid" => ("Paid", Some(format!("{path}/orders?status=confirmed"))),
            other => (other, None),
        };
        let bar = Bar::new(name, visitors as f64, count(visitors));
        match rows {
            Some(rows) => bar.href(rows),
            None => bar,
        }
    };
    let bars: Vec<Bar> = items(answer, "steps").iter().map(bar).collect();
    html! {
        (funnel("Visitors by the last step they took, or a later one", &bars))
        p.note {
            @match percent(text(answer, "conversion")).as_str() {
                "" => "Nobody has looked yet. ",
                share => { (share) " of those who looked paid. " }
            }
            (count(number(answer, "unattributed"))) " orders came without a visitor's mark."
        }
    }
}

/// Decimals of amounts of one currency.
fn scale_of<'t>(amounts: impl Iterator<Item = &'t str>) -> usize {
    let places = |text: &str| text.split_once('.').map_or(0, |(_, part)| part.len());
    amounts.map(places).max().unwrap_or(0)
}

/// One bar of the way of the money; `posting` names its rows.
struct Step {
    name: &'static str,
    minor: i128,
    rows: String,
    mood: &'static str,
}

/// From what buyers paid to what was paid out, in minor units. What does not add up stands there
/// as a bar of its own.
fn steps(visit_rows: &Rows<'_>, all: &Value, scale: usize) -> Vec<Step> {
    let of = |member: &str| minor(text(all, member), scale).unwrap_or(0);
    let (net, payable) = (of("organiserNet"), of("payable"));
    let step = |name, minor, rows: String, mood| Step {
        name,
        minor,
        rows,
        mood,
    };
    let mut steps = vec![
        step(
            "=Buyers paid",
            of("buyersPaid"),
            visit_rows.posting("P2"),
            "",
        ),
        step("Refunds", -of("refunds"), visit_rows.posting("P5"), "care"),
        step("Tax", -of("tax"), visit_rows.account("tax"), ""),
        step(
            "Platform fees",
            -of("platformFees"),
            visit_rows.posting("P2"),
            "",
        ),
        step(
            "Processing fees",
            -of("processingFees"),
            visit_rows.posting("P2"),
            "",
        ),
        step(
            "Lost chargebacks",
            -of("chargebacksLost"),
            visit_rows.posting("P12"),
            "bad",
        ),
    ];
    let rest = net - steps.iter().map(|step| step.minor).sum::<i128>();
    steps.retain(|step| step.minor != 0 || step.name.starts_with('='));
    if rest != 0 {
        steps.push(step("Other postings", rest, visit_rows.posting(""), "care"));
    }
    steps.push(step(
        "=The organiser's net",
        net,
        visit_rows.account("payable"),
        "good",
    ));
    steps.push(step(
        "Paid out or on its way",
        payable - net,
        visit_rows.posting("P8"),
        "",
    ));
    steps.push(step(
        "=Still to be paid out",
        payable,
        visit_rows.account("payable"),
        "good",
    ));
    steps
}

/// Where the rows of a bar are.
struct Rows<'v> {
    /// The visitor reads the ledger.
    ledger: bool,
    event: &'v Value,
}

impl Rows<'_> {
    fn posting(&self, posting: &str) -> String {
        let path = event_path(text(self.event, "id"));
        match posting {
            "" => format!("{path}/postings"),
            posting => format!("{path}/postings?posting={posting}"),
        }
    }

    fn account(&self, name: &str) -> String {
        if !self.ledger {
            return self.posting("");
        }
        let [org, event, currency] = ["orgId", "id", "currency"].map(|name| text(self.event, name));
        account_path(&format!("florin:tk:{name}:{org}:{event}:{currency}"))
    }
}

/// From what buyers paid to the payout.
pub fn money_of(visit: &Visit, event: &Value, all: &Value) -> Markup {
    let currency = text(all, "currency");
    let scale = scale_of(
        ["buyersPaid", "payable", "payouts"]
            .map(|name| text(all, name))
            .into_iter(),
    );
    let rows = Rows {
        ledger: visit.me.may_all("ledger:read"),
        event,
    };
    let bar = |step: &Step| {
        let amount = decimal(&step.minor.to_string(), scale);
        let length = amount.parse().unwrap_or(0.0);
        Bar::new(step.name, length, money(&amount, currency))
            .href(step.rows.clone())
            .mood(step.mood)
    };
    let bars: Vec<Bar> = steps(&rows, all, scale).iter().map(bar).collect();
    let of = |member: &str| minor(text(all, member), scale).unwrap_or(0);
    let tax_out = of("payouts") - (of("organiserNet") - of("payable"));
    let payouts = format!("{}/payouts", super::super::org_path(text(event, "orgId")));
    html! {
        (waterfall(&format!("From buyers to the payout, in {currency}"), &bars))
        p {
            "Payouts in all: " a href=(payouts) { (money(text(all, "payouts"), currency)) }
            @if tax_out != 0 {
                ", of which " (money(&decimal(&tax_out.to_string(), scale), currency)) " are tax"
            }
            ". Late payments that went back: " (money(text(all, "lateReturns"), currency)) "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sums(all: &Value) -> Vec<(&'static str, i128)> {
        let event = json!({"id": "e1", "orgId": "o1", "currency": "EUR"});
        let rows = Rows {
            ledger: true,
            event: &event,
        };
        let steps = steps(&rows, all, 2);
        steps.iter().map(|step| (step.name, step.minor)).collect()
    }

    #[test]
    fn the_money_adds_up_from_buyers_to_the_payout() {
        let all = json!({"buyersPaid": "92.91", "refunds": "46.46", "tax": "2.94",
            "platformFees": "1.45", "processingFees": "0.00", "chargebacksLost": "0.00",
            "organiserNet": "42.06", "payable": "12.06", "payouts": "30.00"});
        assert_eq!(
            sums(&all),
            [
                ("=Buyers paid", 9_291),
                ("Refunds", -4_646),
                ("Tax", -294),
                ("Platform fees", -145),
                ("=The organiser's net", 4_206),
                ("Paid out or on its way", -3_000),
                ("=Still to be paid out", 1_206),
            ]
        );
    }

    #[test]
    fn what_does_not_add_up_is_shown() {
        let all = json!({"buyersPaid": "10.00", "organiserNet": "9.00", "payable": "9.00"});
        assert!(sums(&all).contains(&("Other postings", -100)));
    }

    #[test]
    fn bars_lead_to_the_account_or_the_postings() {
        let event = json!({"id": "e1", "orgId": "o1", "currency": "EUR"});
        let rows = |ledger| Rows {
            ledger,
            event: &event,
        };
        let account = rows(true).account("payable");
        assert_eq!(account, account_path("florin:tk:payable:o1:e1:EUR"));
        assert_eq!(
            rows(false).account("payable"),
            "/console/ticketing/events/e1/postings"
        );
    }
}
