//! The money figures of a sale's report, counted again from the transfers of the ledger and from
//! nothing else. The demo and the tests hold them against what the report says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Postings of a sale.
const SALES: &[&str] = &["P2", "P2o"];
/// Postings that tax and fees are counted in: sales, and what refunds take back.
const FIGURES: &[&str] = &["P2", "P2o", "P5"];
/// Postings of a payout.
const PAYOUTS: &[&str] = &["P8", "P9"];

/// A transfer, as far as it matters here.
struct Line<'t> {
    posting: &'t str,
    code: &'t str,
    debit: &'t str,
    credit: &'t str,
    amount: i64,
}

/// `payable` of `florin:tk:payable:{org}:{event}:EUR`, `fee:platform` of `florin:tk:fee:platform:EUR`.
fn kind(account: &str) -> &str {
    let Some(name) = account.strip_prefix("florin:tk:") else {
        return "wallet";
    };
    let first = name.split(':').next().unwrap_or_default();
    match (first, name.split(':').nth(1)) {
        ("fee" | "cost" | "psp", Some(second)) => &name[..first.len() + 1 + second.len()],
        _ => first,
    }
}

fn line(transfer: &Value) -> Option<Line<'_>> {
    Some(Line {
        posting: transfer["metadata"]["posting"].as_str()?,
        code: transfer["code"].as_str()?,
        debit: kind(transfer["debitAccountId"].as_str()?),
        credit: kind(transfer["creditAccountId"].as_str()?),
        amount: transfer["amountMinor"].as_str()?.parse().ok()?,
    })
}

/// Every money figure of `GET /api/v1/analytics/events/{id}/revenue` in minor units, from the
/// transfers of one event (items of `GET /api/v1/ledger/transfers`; the same one may stand there
/// twice).
pub fn recount(transfers: &[Value]) -> BTreeMap<&'static str, i64> {
    let mut seen = BTreeSet::new();
    let once = transfers
        .iter()
        .filter(|transfer| seen.insert(transfer["id"].as_str()));
    let lines: Vec<Line<'_>> = once.filter_map(line).collect();
    let sum = |fits: &dyn Fn(&Line<'_>) -> bool| -> i64 {
        let fitting = lines.iter().filter(|line| fits(line));
        fitting.map(|line| line.amount).sum()
    };
    let credits = |of: &[&str], account: &str| {
        sum(&|l| (of.is_empty() || of.contains(&l.posting)) && l.credit == account)
    };
    let debits = |of: &[&str], account: &str| {
        sum(&|l| (of.is_empty() || of.contains(&l.posting)) && l.debit == account)
    };
    let grown = |of: &[&str], account: &str| credits(of, account) - debits(of, account);
    let net = sum(&|l| SALES.contains(&l.posting) && l.credit == "payable" && l.code == "tk_net");
    BTreeMap::from([
        ("grossSales", net + credits(SALES, "tax")),
        ("buyersPaid", debits(SALES, "clearing")),
        ("tax", grown(FIGURES, "tax")),
        ("platformFees", grown(FIGURES, "fee:platform")),
        ("processingFees", grown(FIGURES, "fee:processing")),
        ("refunds", credits(&["P5"], "refunds")),
        ("lateReturns", credits(&["P7"], "refunds")),
        ("chargebacksOpen", -grown(&[], "chargebacks")),
        ("chargebacksLost", debits(&["P12"], "payable")),
        ("payable", grown(&[], "payable")),
        (
            "organiserNet",
            grown(&[], "payable") - grown(PAYOUTS, "payable"),
        ),
        (
            "payouts",
            -(grown(PAYOUTS, "payable") + grown(PAYOUTS, "tax")),
        ),
    ])
}

/// A decimal with two places in minor units.
pub fn minor(shown: &Value) -> Option<i64> {
    let text = shown.as_str()?;
    let (whole, cents) = text.split_once('.')?;
    if cents.len() != 2 {
        return None;
    }
    format!("{whole}{cents}").parse().ok()
}
