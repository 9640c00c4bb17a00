//! Answers of checks, from what is stored: the first answer and every repetition are made here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decide::Action;
use super::explain::Basis;
use super::found::{Found, Kept, KeptSolution};
use super::table::{Asked, Check, KNOWN, Page, Seen, TOLERATED, number};
use crate::corrections::model::Correction;
use crate::model::amount::{Currencies, Money, MoneyForm, minimal};
use crate::store::WriteError;

/// How money is printed.
#[derive(Clone, Copy)]
pub struct Print<'a> {
    /// Decimals of currencies.
    pub currencies: &'a dyn Currencies,
    /// Number or text.
    pub form: MoneyForm,
}

impl Print<'_> {
    fn scale(&self, currency: &str) -> u8 {
        self.currencies.scale(currency).unwrap_or(0)
    }

    /// Minor units of a currency.
    pub fn money(&self, currency: &str, minor: i128) -> Money {
        Money::new(minor, self.scale(currency), self.form)
    }
}

/// A solution in an answer.
#[derive(Debug, Serialize)]
pub struct SolutionBody {
    class: String,
    basis: String,
    events: Vec<String>,
    lines: Vec<String>,
}

/// The member `explanation`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationBody {
    class: String,
    basis: Option<String>,
    events: Vec<String>,
    lines: Vec<String>,
    arithmetic: String,
    rivals: u32,
    bounded: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<SolutionBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pattern_rivals: Vec<SolutionBody>,
}

/// One account in `results`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultBody {
    account_id: String,
    currency: String,
    as_of: Option<i64>,
    reported_balance: Money,
    shadow_balance: Money,
    difference: Money,
    pending_corrections: Money,
    within_tolerance: bool,
    status: &'static str,
    mismatch_type: &'static str,
    explanation: Option<ExplanationBody>,
    correction_event_id: Option<String>,
    correction_status: Option<String>,
    message: String,
}

/// One account in `drifts`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftBody {
    account_id: String,
    cbs_balance: Money,
    shadow_balance: Money,
    difference: Money,
    status: &'static str,
    correction_event_id: Option<String>,
    correction_action: &'static str,
}

/// One correction in `corrections`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorrectionBody {
    event_id: String,
    account_id: String,
    r#type: &'static str,
    amount: Money,
    currency: String,
    timestamp: i64,
    status: String,
}

/// The whole answer of a check in one piece.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    check_id: String,
    total_accounts: i64,
    drifts_detected: usize,
    mismatches: usize,
    corrections_generated: usize,
    tolerated_total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerated_by_currency: Option<BTreeMap<String, Money>>,
    results: Vec<ResultBody>,
    drifts: Vec<DriftBody>,
    corrections: Vec<CorrectionBody>,
    trace_id: Option<String>,
}

/// Sums of what was tolerated: the default currency's, or the only one's, and all of them where
/// there are several.
pub fn tolerated(
    check: &Check,
    print: Print<'_>,
) -> Result<(Money, Option<BTreeMap<String, Money>>), WriteError> {
    let sums: BTreeMap<String, String> =
        serde_json::from_str(&check.tolerated).map_err(|_| WriteError::Damaged("check"))?;
    let mut all = BTreeMap::new();
    for (currency, text) in &sums {
        all.insert(currency.clone(), print.money(currency, number(text)?));
    }
    let home = print.currencies.default_code();
    let main = match all.len() {
        1 => all.values().next().copied(),
        _ => all.get(home).copied(),
    };
    let main = main.unwrap_or_else(|| print.money(home, 0));
    Ok((main, (all.len() > 1).then_some(all)))
}

fn solution_body(kept: &KeptSolution) -> SolutionBody {
    SolutionBody {
        class: kept.class.clone(),
        basis: kept.basis.clone(),
        events: kept.events.clone(),
        lines: kept.lines.clone(),
    }
}

/// `1350 + 50 = 1400`: the shadow balance, the terms, and what they come to.
fn arithmetic(found: &Found, terms: &[i128], scale: u8) -> String {
    let mut text = minimal(found.shadow, scale);
    let mut sum = found.shadow;
    for term in terms {
        let sign = if *term < 0 { '-' } else { '+' };
        text.push_str(&format!(
            " {sign} {}",
            minimal(term.saturating_abs(), scale)
        ));
        sum = sum.saturating_add(*term);
    }
    text.push_str(&format!(" = {}", minimal(sum, scale)));
    text
}

fn explanation(found: &Found, kept: &Kept, scale: u8) -> Result<ExplanationBody, WriteError> {
    let solution = kept.solution.as_ref();
    let mut terms = Vec::new();
    for text in solution.map_or(&[][..], |solution| &solution.terms) {
        terms.push(number(text)?);
    }
    // What is pending already is part of the way from our balance to theirs.
    let explained: i128 = terms.iter().sum();
    if !terms.is_empty() && explained != found.difference() {
        terms.insert(0, found.difference() - explained);
    }
    if terms.is_empty() {
        terms.push(found.difference());
    }
    Ok(ExplanationBody {
        class: found.class().as_str().to_owned(),
        basis: found.basis().map(Basis::as_str).map(str::to_owned),
        events: solution.map_or_else(Vec::new, |solution| solution.events.clone()),
        lines: solution.map_or_else(Vec::new, |solution| solution.lines.clone()),
        arithmetic: arithmetic(found, &terms, scale),
        rivals: kept.rivals,
        bounded: kept.bounded,
        others: kept.others.iter().map(solution_body).collect(),
        pattern_rivals: kept.pattern_rivals.iter().map(solution_body).collect(),
    })
}

fn message(found: &Found, scale: u8) -> String {
    let (reported, shadow) = (minimal(found.reported, scale), minimal(found.shadow, scale));
    if found.difference() == 0 {
        return format!("Both sides have {shadow}.");
    }
    let difference = minimal(found.difference(), scale);
    let begin = format!("Reported {reported}, shadow {shadow}, difference {difference}");
    if found.tolerated {
        return format!("{begin}: within tolerance.");
    }
    let Some(kept) = &found.explanation else {
        return format!("{begin}.");
    };
    let class = found.class();
    match (&kept.solution, kept.rivals, kept.bounded) {
        (None, _, false) => format!("{begin}: no record explains it."),
        (None, _, true) => format!("{begin}: no explanation was found before a bound was met."),
        (Some(_), 0, false) => format!("{begin}: explained as {class}."),
        (Some(_), 0, true) => format!("{begin}: perhaps {class}; a bound ended the search."),
        (Some(_), rivals, _) => format!("{begin}: {} explanations are possible.", rivals + 1),
    }
}

/// One account that differs.
///
/// # Errors
/// [`WriteError::Damaged`].
pub fn result(found: &Found, print: Print<'_>) -> Result<ResultBody, WriteError> {
    let currency = &found.book.currency;
    let scale = print.scale(currency);
    let kept = found.explanation.as_ref().filter(|_| !found.tolerated);
    let (correction_event_id, correction_status) = found.correction.clone().unzip();
    Ok(ResultBody {
        account_id: found.book.account_id.clone(),
        currency: currency.clone(),
        as_of: found.as_of,
        reported_balance: print.money(currency, found.reported),
        shadow_balance: print.money(currency, found.shadow),
        difference: print.money(currency, found.difference()),
        pending_corrections: print.money(currency, found.pending),
        within_tolerance: found.tolerated,
        status: if found.tolerated { "MATCH" } else { "MISMATCH" },
        mismatch_type: found.mismatch.as_str(),
        explanation: kept
            .map(|kept| explanation(found, kept, scale))
            .transpose()?,
        correction_event_id,
        correction_status,
        message: message(found, scale),
    })
}

/// An account of a page that matched.
fn matched(n: i64, asked: &Asked, seen: &Seen) -> Result<Found, WriteError> {
    use super::decide::Mismatch;
    let known = seen.2 & KNOWN != 0;
    Ok(Found {
        n,
        book: asked.book(),
        as_of: asked.2,
        statement: asked.4.clone(),
        reported: asked.reported()?,
        shadow: number(&seen.0)?,
        pending: number(&seen.1)?,
        tolerated: seen.2 & TOLERATED != 0,
        known,
        linked: false,
        log_seq: 0,
        mismatch: match known {
            true => Mismatch::None,
            false => Mismatch::UnknownAccount,
        },
        explanation: None,
        action: None,
        correction: None,
    })
}

/// All accounts of a page, those that differ from their own rows.
///
/// # Errors
/// [`WriteError::Damaged`].
pub fn accounts(page: &Page, found: Vec<Found>) -> Result<Vec<Found>, WriteError> {
    let mut found = found.into_iter().peekable();
    let mut all = Vec::with_capacity(page.items.len());
    for (at, (asked, seen)) in page.items.iter().zip(&page.seen).enumerate() {
        let n = page.first + i64::try_from(at).unwrap_or(i64::MAX);
        all.push(match found.next_if(|one| one.n == n) {
            Some(one) => one,
            None => matched(n, asked, seen)?,
        });
    }
    Ok(all)
}

fn drift(found: &Found, print: Print<'_>) -> DriftBody {
    let currency = &found.book.currency;
    let action = found.action.unwrap_or(Action::ManualReviewRequired);
    DriftBody {
        account_id: found.book.account_id.clone(),
        cbs_balance: print.money(currency, found.reported),
        shadow_balance: print.money(currency, found.shadow),
        difference: print.money(currency, found.difference()),
        status: "drift_detected",
        correction_event_id: found.correction.as_ref().map(|(id, _)| id.clone()),
        correction_action: action.as_str(),
    }
}

fn correction(made: &Correction, found: &[Found], print: Print<'_>) -> CorrectionBody {
    let (direction, amount) = made.entry();
    let known = found
        .iter()
        .filter_map(|one| one.correction.as_ref())
        .find(|(id, _)| *id == made.id);
    CorrectionBody {
        event_id: made.id.clone(),
        account_id: made.book.account_id.clone(),
        r#type: direction.as_str(),
        amount: print.money(&made.book.currency, amount),
        currency: made.book.currency.clone(),
        timestamp: made.timestamp,
        // As it stood when the check ended, whatever became of it.
        status: known.map_or_else(|| made.status.to_string(), |(_, status)| status.clone()),
    }
}

/// The answer in one piece.
///
/// # Errors
/// [`WriteError::Damaged`].
pub fn answer(
    check: &Check,
    all: &[Found],
    made: &[Correction],
    print: Print<'_>,
) -> Result<Answer, WriteError> {
    let differing: Vec<&Found> = all.iter().filter(|one| !one.tolerated).collect();
    let (tolerated_total, tolerated_by_currency) = tolerated(check, print)?;
    let results: Result<Vec<_>, _> = all.iter().map(|one| result(one, print)).collect();
    Ok(Answer {
        check_id: check.id.clone(),
        total_accounts: check.accounts,
        drifts_detected: differing.len(),
        mismatches: differing.len(),
        corrections_generated: made.len(),
        tolerated_total,
        tolerated_by_currency,
        results: results?,
        drifts: differing.iter().map(|one| drift(one, print)).collect(),
        corrections: made.iter().map(|one| correction(one, all, print)).collect(),
        trace_id: check.trace_id.clone(),
    })
}
