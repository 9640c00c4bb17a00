//! Statements and lines as the tables hold them, and the rows that are written.

use florin_platform::sql::{Arg, Row};
use serde::{Deserialize, Serialize};

use super::day::Day;
use super::model::{Balance, Counterparty, Detail, Line, Original, References};
use crate::matching::item::normal;
use crate::model::amount::{join, split};
use crate::store::WriteError;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its number in the tables; numbers follow the order of import.
    pub number: i64,
    /// `statementId`.
    pub id: String,
    /// Number of its import.
    pub import: i64,
    /// Account of its book.
    pub account_id: String,
    /// Currency of its book.
    pub currency: String,
    /// Decimals of the currency.
    pub scale: u8,
    /// Word of the format.
    pub format: String,
    /// The account as the bank writes it.
    pub account_ref: String,
    /// The bank's own id.
    pub bank_statement_id: String,
    /// The bank's running number.
    pub sequence: Option<i64>,
    /// Page.
    pub page: Option<i64>,
    /// Digest of the identity.
    pub identity: Vec<u8>,
    /// Digest of balances and lines.
    pub content: Vec<u8>,
    /// Balance before the first line.
    pub opening: Option<Balance>,
    /// Balance after the last one.
    pub closing: Option<Balance>,
    /// Σ of the lines, minor units.
    pub total: i128,
    /// Booked lines.
    pub lines: i64,
    /// Pending lines, left out.
    pub pending: i64,
    /// Information lines, left out.
    pub information: i64,
    /// Earliest day.
    pub first_day: Day,
    /// Latest day, that of the closing included.
    pub last_day: Day,
    /// Opening + Σ = closing.
    pub proven: bool,
    /// `first`, `ok`, `gap` or `unknown`, as it was when it came in.
    pub continuity: String,
    /// Opening − the closing before it, minor units.
    pub gap: Option<i128>,
    /// Words of deviations.
    pub deviations: Vec<String>,
    /// Words of warnings.
    pub warnings: Vec<String>,
    /// Record of the log that made it known.
    pub log_seq: i64,
    /// When, microseconds.
    pub recorded_at: i64,
}

/// The columns of a statement, in the order of the table.
pub const STATEMENT: &str = "number, id, import, account_id, currency, scale, format, account_ref,
    bank_statement_id, sequence, page, identity, content, opening, opening_day,
    opening_intermediate, closing, closing_day, closing_intermediate, total, lines, pending,
    information, first_day, last_day, proven, continuity, gap, deviations, warnings,
    log_seq, recorded_at";

fn digits(text: &str) -> Result<i128, WriteError> {
    text.parse().map_err(|_| WriteError::Damaged("statement"))
}

fn day(number: i64) -> Result<Day, WriteError> {
    i32::try_from(number)
        .map(Day)
        .map_err(|_| WriteError::Damaged("day"))
}

fn words(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn balance(row: &Row, names: [&str; 3]) -> Result<Option<Balance>, WriteError> {
    let Some(amount) = row.get::<Option<String>>(names[0])? else {
        return Ok(None);
    };
    Ok(Some(Balance {
        amount: digits(&amount)?,
        day: day(row.get(names[1])?)?,
        intermediate: row.get(names[2])?,
    }))
}

impl Statement {
    /// Reads a row with [`STATEMENT`].
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let scale: i64 = row.get("scale")?;
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            import: row.get("import")?,
            account_id: row.get("account_id")?,
            currency: row.get("currency")?,
            scale: u8::try_from(scale).map_err(|_| WriteError::Damaged("scale"))?,
            format: row.get("format")?,
            account_ref: row.get("account_ref")?,
            bank_statement_id: row.get("bank_statement_id")?,
            sequence: row.get("sequence")?,
            page: row.get("page")?,
            identity: row.get("identity")?,
            content: row.get("content")?,
            opening: balance(row, ["opening", "opening_day", "opening_intermediate"])?,
            closing: balance(row, ["closing", "closing_day", "closing_intermediate"])?,
            total: digits(&row.get::<String>("total")?)?,
            lines: row.get("lines")?,
            pending: row.get("pending")?,
            information: row.get("information")?,
            first_day: day(row.get("first_day")?)?,
            last_day: day(row.get("last_day")?)?,
            proven: row.get("proven")?,
            continuity: row.get("continuity")?,
            gap: row
                .get::<Option<String>>("gap")?
                .as_deref()
                .map(digits)
                .transpose()?,
            deviations: words(&row.get::<String>("deviations")?),
            warnings: words(&row.get::<String>("warnings")?),
            log_seq: row.get("log_seq")?,
            recorded_at: row.get("recorded_at")?,
        })
    }

    /// Its row, in the order of [`STATEMENT`].
    pub fn row(&self) -> Vec<Arg> {
        let amount = |balance: Option<Balance>| balance.map(|b| b.amount.to_string());
        let on = |balance: Option<Balance>| balance.map(|b| i64::from(b.day.0));
        let between = |balance: Option<Balance>| balance.is_some_and(|b| b.intermediate);
        vec![
            self.number.into(),
            self.id.as_str().into(),
            self.import.into(),
            self.account_id.as_str().into(),
            self.currency.as_str().into(),
            i64::from(self.scale).into(),
            self.format.as_str().into(),
            self.account_ref.as_str().into(),
            self.bank_statement_id.as_str().into(),
            self.sequence.into(),
            self.page.into(),
            self.identity.clone().into(),
            self.content.clone().into(),
            amount(self.opening).into(),
            on(self.opening).into(),
            between(self.opening).into(),
            amount(self.closing).into(),
            on(self.closing).into(),
            between(self.closing).into(),
            self.total.to_string().into(),
            self.lines.into(),
            self.pending.into(),
            self.information.into(),
            i64::from(self.first_day.0).into(),
            i64::from(self.last_day.0).into(),
            self.proven.into(),
            self.continuity.as_str().into(),
            self.gap.map(|gap| gap.to_string()).into(),
            self.deviations.join(",").into(),
            self.warnings.join(",").into(),
            self.log_seq.into(),
            self.recorded_at.into(),
        ]
    }
}

/// What of a line is only shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LineBody {
    /// A reversal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reversal: bool,
    /// References as the bank wrote them.
    pub references: References,
    /// Counterparty.
    pub counterparty: Counterparty,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
    /// Code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// Charges, minor units as decimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges: Option<String>,
    /// Amount before conversion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Transactions inside the line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<StoredDetail>,
}

/// [`Detail`] with its amount as decimal digits, which JSON keeps whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoredDetail {
    /// Signed minor units as decimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<String>,
    /// References.
    pub references: References,
    /// Counterparty.
    pub counterparty: Counterparty,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
}

impl From<Detail> for StoredDetail {
    fn from(detail: Detail) -> Self {
        Self {
            minor: detail.amount.map(|amount| amount.to_string()),
            references: detail.references,
            counterparty: detail.counterparty,
            text: detail.text,
        }
    }
}

/// The row of a line that comes in.
pub fn line_row(statement: i64, n: u64, occurrence: u32, digest: [u8; 16], line: Line) -> Vec<Arg> {
    let [m0, m1, m2] = split(line.amount);
    let mut normals: Vec<Box<str>> = line.references.iter().filter_map(normal).collect();
    normals.sort_unstable();
    normals.dedup();
    let refs = (!normals.is_empty()).then(|| normals.join("\n"));
    let body = LineBody {
        reversal: line.reversal,
        references: line.references,
        counterparty: line.counterparty,
        text: line.text,
        code: line.code,
        charges: line.charges.map(|charges| charges.to_string()),
        original: line.original,
        details: line.details.into_iter().map(StoredDetail::from).collect(),
    };
    let body = serde_json::to_string(&body).expect("texts and flags");
    vec![
        statement.into(),
        i64::try_from(n).unwrap_or(i64::MAX).into(),
        i64::from(line.booking.0).into(),
        line.value.map(|day| i64::from(day.0)).into(),
        m0.into(),
        m1.into(),
        m2.into(),
        digest[..].into(),
        occurrence.into(),
        false.into(),
        None::<String>.into(),
        true.into(),
        None::<String>.into(),
        None::<String>.into(),
        refs.into(),
        body.into(),
    ]
}

/// Text that inserts rows of [`line_row`].
pub const INSERT_LINES: &str = "INSERT INTO shadow_lines (statement, n, day, value_day, m0, m1, m2,
    digest, occurrence, duplicate, decision, is_open, reason, candidates, refs, body)";

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLine {
    /// Number of its statement.
    pub statement: i64,
    /// Number within it, from 1.
    pub n: i64,
    /// `statementId` of its statement.
    pub statement_id: String,
    /// Day of booking.
    pub day: Day,
    /// Value date.
    pub value_day: Option<Day>,
    /// Signed minor units.
    pub amount: i128,
    /// Which of several equal rows, from 1.
    pub occurrence: i64,
    /// Also met in another statement.
    pub duplicate: bool,
    /// `keep` or `ignore`, as a person decided.
    pub decision: Option<String>,
    /// Neither matched nor ignored.
    pub is_open: bool,
    /// Why it is open, as the last run found.
    pub reason: Option<String>,
    /// Candidates of an ambiguous line, JSON.
    pub candidates: Option<String>,
    /// References as they are compared.
    pub refs: Vec<Box<str>>,
    /// The rest, JSON of [`LineBody`].
    pub body: String,
}

/// The columns of [`StoredLine`], with `l` the lines and `s` the statements.
pub const LINE: &str = "l.statement, l.n, s.id AS statement_id, l.day, l.value_day, l.m0, l.m1,
    l.m2, l.occurrence, l.duplicate, l.decision, l.is_open, l.reason, l.candidates, l.refs, l.body";

impl StoredLine {
    /// Reads a row with [`LINE`].
    ///
    /// # Errors
    /// [`WriteError::Store`] or [`WriteError::Damaged`].
    pub fn from_row(row: &Row) -> Result<Self, WriteError> {
        let value_day: Option<i64> = row.get("value_day")?;
        let refs: Option<String> = row.get("refs")?;
        let refs = refs.as_deref().unwrap_or_default();
        Ok(Self {
            statement: row.get("statement")?,
            n: row.get("n")?,
            statement_id: row.get("statement_id")?,
            day: day(row.get("day")?)?,
            value_day: value_day.map(day).transpose()?,
            amount: amount(row)?,
            occurrence: row.get("occurrence")?,
            duplicate: row.get("duplicate")?,
            decision: row.get("decision")?,
            is_open: row.get("is_open")?,
            reason: row.get("reason")?,
            candidates: row.get("candidates")?,
            refs: refs
                .split('\n')
                .filter(|r| !r.is_empty())
                .map(Box::from)
                .collect(),
            body: row.get("body")?,
        })
    }

    /// `lineId`: the statement's id, a point, and the line's number.
    pub fn id(&self) -> String {
        line_id(&self.statement_id, self.n)
    }

    /// Out of automatic matching until a person decides.
    pub fn is_barred(&self) -> bool {
        self.duplicate && self.decision.is_none()
    }

    /// `matched`, `ambiguous`, `unmatched` or `ignored`.
    pub fn status(&self) -> &'static str {
        match (self.is_open, self.decision.as_deref()) {
            (false, Some("ignore")) => "ignored",
            (false, _) => "matched",
            (true, _) if self.candidates.is_some() => "ambiguous",
            (true, _) => "unmatched",
        }
    }
}

/// The amount of three columns.
///
/// # Errors
/// [`WriteError::Store`] or [`WriteError::Damaged`].
pub fn amount(row: &Row) -> Result<i128, WriteError> {
    let columns = [row.get("m0")?, row.get("m1")?, row.get("m2")?];
    join(columns).ok_or(WriteError::Damaged("amount"))
}

/// A line's id.
pub fn line_id(statement_id: &str, n: i64) -> String {
    format!("{statement_id}.{n}")
}

/// The statement's id and the number in a line's id.
pub fn parse_line_id(id: &str) -> Option<(&str, i64)> {
    let (statement, n) = id.rsplit_once('.')?;
    florin_base::ids::parse_canonical_uuid(statement)?;
    let plain = !n.is_empty() && !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit());
    Some((statement, n.parse().ok().filter(|_| plain)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ids_read_back() {
        let id = "0190f000-0000-7000-8000-00000000000a";
        assert_eq!(parse_line_id(&line_id(id, 17)), Some((id, 17)));
        for wrong in [
            "",
            "x.1",
            "0190f000-0000-7000-8000-00000000000a",
            "0190f000-0000-7000-8000-00000000000a.01",
            "0190f000-0000-7000-8000-00000000000a.-1",
        ] {
            assert_eq!(parse_line_id(wrong), None, "{wrong}");
        }
    }
}
