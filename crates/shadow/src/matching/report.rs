//! The report of a run as JSON or CSV, streamed from its stored items: the same bytes whenever
//! it is asked for (contract D3).

use bytes::Bytes;
use florin_platform::sql::Db;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use serde_json::Value;

use super::bridge::BridgeOut;
use super::rows::{ReportItem, RunRow, items};
use super::summary::{Statuses, Summary, Tally};
use crate::model::amount::{full, minimal};
use crate::model::{Money, MoneyForm};
use crate::statements::day::Day;
use crate::store::WriteError;

/// Items read at once.
const PAGE: usize = 2_000;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object, open items in `items`.
    Json,
    /// RFC 4180, one row an item, those that the run matched included.
    Csv,
}

#[derive(Serialize)]
struct TallyOut {
    count: i64,
    sum: Money,
}

#[derive(Serialize)]
struct StatusesOut {
    matched: TallyOut,
    proposed: TallyOut,
    ambiguous: TallyOut,
    unmatched: TallyOut,
    ignored: TallyOut,
}

#[derive(Serialize)]
struct RuleOut<'a> {
    rule: &'a str,
    matches: i64,
    lines: TallyOut,
    entries: TallyOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatementOut<'a> {
    bank_statement_id: &'a str,
    digest: &'a str,
    proven: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadOut<'a> {
    account_id: &'a str,
    currency: &'a str,
    from: Day,
    to: Day,
    log_seq: i64,
    statements: Vec<StatementOut<'a>>,
    bridge: BridgeOut,
    lines: StatusesOut,
    entries: StatusesOut,
    rules: Vec<RuleOut<'a>>,
}

#[derive(Serialize)]
struct ItemOut<'a> {
    side: &'a str,
    id: &'a str,
    date: Day,
    amount: Money,
    status: &'a str,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates: Option<Value>,
}

fn tally(tally: &Tally, scale: u8, form: MoneyForm) -> TallyOut {
    TallyOut {
        count: tally.count,
        sum: Money::new(tally.minor(), scale, form),
    }
}

fn statuses(of: &Statuses, scale: u8, form: MoneyForm) -> StatusesOut {
    StatusesOut {
        matched: tally(&of.matched, scale, form),
        proposed: tally(&of.proposed, scale, form),
        ambiguous: tally(&of.ambiguous, scale, form),
        unmatched: tally(&of.unmatched, scale, form),
        ignored: tally(&of.ignored, scale, form),
    }
}

/// Everything but the items, open at its end: `…,"items":[`.
fn head(run: &RunRow, summary: &Summary, form: MoneyForm) -> Result<String, WriteError> {
    let scale = summary.scale;
    let out = HeadOut {
        account_id: &run.account_id,
        currency: &run.currency,
        from: run.from,
        to: run.to,
        log_seq: summary.log_seq,
        statements: summary
            .statements
            .iter()
            .map(|statement| StatementOut {
                bank_statement_id: &statement.bank_statement_id,
                digest: &statement.digest,
                proven: statement.proven,
            })
            .collect(),
        bridge: summary.terms()?.print(scale, form),
        lines: statuses(&summary.lines, scale, form),
        entries: statuses(&summary.entries, scale, form),
        rules: summary
            .rules
            .iter()
            .map(|rule| RuleOut {
                rule: &rule.rule,
                matches: rule.matches,
                lines: tally(&rule.lines, scale, form),
                entries: tally(&rule.entries, scale, form),
            })
            .collect(),
    };
    let mut text = serde_json::to_string(&out).map_err(|_| WriteError::Damaged("summary"))?;
    text.pop();
    text.push_str(",\"items\":[");
    Ok(text)
}

fn json_item(item: &ReportItem, scale: u8, form: MoneyForm) -> Result<String, WriteError> {
    let damaged = |_| WriteError::Damaged("report");
    let candidates = item.candidates.as_deref().map(serde_json::from_str);
    let out = ItemOut {
        side: &item.side,
        id: &item.item,
        date: item.day,
        amount: Money::new(item.amount, scale, form),
        status: &item.status,
        reason: item.reason.as_deref(),
        reference: item.reference.as_deref(),
        candidates: candidates.transpose().map_err(damaged)?,
    };
    serde_json::to_string(&out).map_err(damaged)
}

const CSV_HEAD: &str = "side,id,date,amount,currency,status,reason,rule,reference,candidates\r\n";

/// A text cell: quoted where RFC 4180 wants it, and never a formula of a spreadsheet.
pub fn text_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn csv_item(item: &ReportItem, currency: &str, scale: u8, form: MoneyForm) -> String {
    let amount = match form {
        MoneyForm::Number => minimal(item.amount, scale),
        MoneyForm::Text => full(item.amount, scale),
    };
    let count = item.candidates.as_deref().and_then(|candidates| {
        let parsed: Option<Value> = serde_json::from_str(candidates).ok();
        parsed.and_then(|value| value["count"].as_u64())
    });
    let cell = |text: &Option<String>| text.as_deref().map(text_cell).unwrap_or_default();
    format!(
        "{},{},{},{amount},{},{},{},{},{},{}\r\n",
        item.side,
        text_cell(&item.item),
        item.day,
        text_cell(currency),
        item.status,
        cell(&item.reason),
        cell(&item.rule),
        cell(&item.reference),
        count.map(|count| count.to_string()).unwrap_or_default(),
    )
}

/// The run has no report: it is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotDone;

enum Next {
    Begin,
    After(i64),
    Over,
}

struct Writer {
    db: Db,
    run: RunRow,
    summary: Summary,
    format: Format,
    form: MoneyForm,
    first: bool,
}

impl Writer {
    async fn piece(&mut self, next: &Next) -> Result<(String, Next), WriteError> {
        let after = match next {
            Next::Over => return Ok((String::new(), Next::Over)),
            Next::Begin => {
                let text = match self.format {
                    Format::Json => head(&self.run, &self.summary, self.form)?,
                    Format::Csv => CSV_HEAD.to_owned(),
                };
                return Ok((text, Next::After(0)));
            }
            Next::After(after) => *after,
        };
        let page = items(&self.db, self.run.number, after, PAGE).await?;
        let mut text = String::new();
        for item in &page {
            match self.format {
                Format::Csv => {
                    text.push_str(&csv_item(
                        item,
                        &self.run.currency,
                        self.summary.scale,
                        self.form,
                    ));
                }
                // What this run matched is counted above; `items` are the open ones.
                Format::Json if item.match_id.is_some() => {}
                Format::Json => {
                    if !std::mem::take(&mut self.first) {
                        text.push(',');
                    }
                    text.push_str(&json_item(item, self.summary.scale, self.form)?);
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => Ok((text, Next::After(last.place))),
            _ => {
                if self.format == Format::Json {
                    text.push_str("]}");
                }
                Ok((text, Next::Over))
            }
        }
    }
}

/// The report of a finished run, piece by piece.
///
/// # Errors
/// [`NotDone`]; the stream ends with the store's error if there is one.
pub fn stream(
    db: Db,
    run: RunRow,
    format: Format,
    form: MoneyForm,
) -> Result<impl Stream<Item = Result<Bytes, WriteError>> + Send + 'static, NotDone> {
    let summary = run.summary.clone().ok_or(NotDone)?;
    let writer = Writer {
        db,
        run,
        summary,
        format,
        form,
        first: true,
    };
    Ok(stream::try_unfold(
        (writer, Next::Begin),
        |(mut writer, next)| async move {
            if matches!(next, Next::Over) {
                return Ok(None);
            }
            let (text, next) = writer.piece(&next).await?;
            Ok(Some((Bytes::from(text), (writer, next))))
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        assert_eq!(text_cell("=1+1"), "'=1+1");
        assert_eq!(text_cell("-x,\"y\""), "\"'-x,\"\"y\"\"\"");
        assert_eq!(text_cell("\tx"), "'\tx");
        assert_eq!(text_cell("a b"), "a b");
        assert_eq!(text_cell("a\nb"), "\"a\nb\"");
    }
}
