//! Bodies and answers of part D as the OpenAPI file shows them. The handlers print their own
//! types, whose amounts keep every digit; these only describe them.
#![allow(dead_code, reason = "describes what handlers read and print")]

use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// How an import reads a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ImportParams {
    /// `camt053`, `mt940`, `csv`, `bai2` or `ofx`; left out: found by content.
    format: Option<String>,
    /// The account, where the reference of the bank is not mapped.
    account_id: Option<String>,
    /// Profile of a CSV file.
    profile: Option<String>,
    /// `strict` (default) or `lenient`.
    mode: Option<String>,
    /// `true` keeps the statements that pass.
    partial: Option<bool>,
    /// `false` stores statements without balances as not proven.
    require_balances: Option<bool>,
    /// Opening balance of a CSV file without balances.
    opening: Option<String>,
    /// Its closing balance.
    closing: Option<String>,
    /// `false` imports without matching.
    auto_match: Option<bool>,
    /// `string` prints amounts as decimal strings.
    money: Option<String>,
}

/// A statement as the answer of an import names it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowImportedStatement)]
pub(super) struct ImportedShape {
    statement_id: String,
    account_id: String,
    currency: String,
    opening_balance: Option<f64>,
    closing_balance: Option<f64>,
    lines: i64,
    /// Opening and lines give the closing balance.
    proven: bool,
    /// `first`, `ok`, `gap` or `unknown`.
    continuity: String,
    /// The same statement was stored before; nothing is stored again.
    duplicate: bool,
    deviations: Vec<String>,
    warnings: Vec<String>,
    /// Opening minus the closing before, where they differ.
    gap: Option<f64>,
}

/// What an import made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowImport)]
pub(super) struct ImportShape {
    import_id: String,
    /// SHA-256 of the file, hex.
    file_digest: String,
    statements: Vec<ImportedShape>,
    /// With `partial=true`: what did not pass, and why.
    #[schema(value_type = Vec<Object>)]
    refused: Vec<Value>,
}

/// A balance with its day.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowStatementBalance)]
pub(super) struct BalanceShape {
    amount: f64,
    #[schema(format = Date)]
    date: String,
}

/// A statement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowStatement)]
pub(super) struct StatementShape {
    statement_id: String,
    bank_statement_id: String,
    sequence: Option<i64>,
    page: Option<i64>,
    /// IBAN or another name that the bank gives the account.
    account_ref: String,
    account_id: String,
    currency: String,
    format: String,
    opening: Option<BalanceShape>,
    closing: Option<BalanceShape>,
    /// Booked lines.
    lines: i64,
    /// Their sum.
    total: f64,
    /// Lines that were pending, not stored.
    pending: i64,
    /// Lines for information, not stored.
    information: i64,
    proven: bool,
    continuity: String,
    gap: Option<f64>,
    deviations: Vec<String>,
    warnings: Vec<String>,
    /// Digest of the content.
    digest: String,
    log_seq: i64,
    #[schema(format = DateTime)]
    recorded_at: String,
}

/// A page of statements.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowStatementPage)]
pub(super) struct StatementPage {
    items: Vec<StatementShape>,
    next_cursor: Option<String>,
}

/// References of a line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLineReferences)]
pub(super) struct ReferencesShape {
    end_to_end_id: Option<String>,
    transaction_id: Option<String>,
    servicer_ref: Option<String>,
    customer_ref: Option<String>,
    bank_ref: Option<String>,
}

/// The other side of a line.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowLineCounterparty)]
pub(super) struct CounterpartyShape {
    name: Option<String>,
    account: Option<String>,
}

/// The match of a line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLineMatch)]
pub(super) struct LineMatchShape {
    match_id: String,
    rule: String,
    lines: Vec<String>,
    entries: Vec<String>,
    /// Lines minus entries.
    variance: f64,
}

/// A statement line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLine)]
pub(super) struct LineShape {
    line_id: String,
    statement_id: String,
    n: i64,
    #[schema(format = Date)]
    booking_date: String,
    #[schema(format = Date)]
    value_date: Option<String>,
    /// Signed; a credit is positive.
    amount: f64,
    currency: String,
    reversal: bool,
    references: ReferencesShape,
    counterparty: CounterpartyShape,
    text: Option<String>,
    code: Option<String>,
    charges: Option<f64>,
    /// Amount in another currency and its rate.
    #[schema(value_type = Option<Object>)]
    original: Option<Value>,
    /// Transactions inside the line.
    #[schema(value_type = Vec<Object>)]
    details: Vec<Value>,
    /// Tells equal rows of a statement apart, from 1.
    occurrence: i64,
    /// `matched`, `ambiguous`, `unmatched` or `ignored`.
    status: String,
    /// Why it is unmatched.
    reason: Option<String>,
    /// What a person decided: `keep` or `ignore`.
    decision: Option<String>,
    /// Sets that fit equally well, at most 20, and their number.
    #[schema(value_type = Option<Object>)]
    candidates: Option<Value>,
    r#match: Option<LineMatchShape>,
}

/// A page of lines.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowLinePage)]
pub(super) struct LinePage {
    items: Vec<LineShape>,
    next_cursor: Option<String>,
}

/// Why something is done.
#[derive(ToSchema)]
#[schema(as = ShadowReason)]
pub(super) struct ReasonShape {
    /// 1 to 500 characters.
    reason: String,
}

/// Which account a reference of a bank means.
#[derive(ToSchema)]
#[schema(as = ShadowAccountRefBody, rename_all = "camelCase")]
pub(super) struct MappingShape {
    account_id: String,
}

/// A reference of a bank and its account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowAccountRef)]
pub(super) struct AccountRefShape {
    account_ref: String,
    account_id: String,
}

/// A page of references.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowAccountRefPage)]
pub(super) struct AccountRefPage {
    items: Vec<AccountRefShape>,
    next_cursor: Option<String>,
}

/// How the CSV files of a bank are read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCsvProfile)]
pub(super) struct ProfileShape {
    /// One ASCII character between fields; `,` when left out.
    delimiter: Option<String>,
    /// One ASCII character around fields; `"` when left out.
    quote: Option<String>,
    /// `UTF-8` (default), `windows-1252` or `ISO-8859-1`.
    encoding: Option<String>,
    /// Rows before the header.
    skip_rows: Option<u32>,
    /// The first row after them names the columns.
    header: Option<bool>,
    /// Made of `YYYY`, `YY`, `MM`, `M`, `DD`, `D`, `HH`, `mm`, `ss`.
    date_pattern: Option<String>,
    /// `UTC` or an offset such as `+01:00`.
    zone: Option<String>,
    decimal_mark: Option<String>,
    thousands_mark: Option<String>,
    currency: Option<String>,
    newest_first: Option<bool>,
    /// Words of the sign column: `credit` and `debit`.
    #[schema(value_type = Option<Object>)]
    signs: Option<Value>,
    /// Name or number of each column: `date`, `valueDate`, `amount` or `credit` and `debit` or
    /// `amount` and `sign`, `currency`, references, `text`, `counterpartyName`,
    /// `counterpartyAccount`, `balance`.
    #[schema(value_type = Object)]
    columns: Value,
}

/// The name of a CSV profile.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowCsvProfileName)]
pub(super) struct ProfileNameShape {
    name: String,
}

/// A page of profiles.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowCsvProfilePage)]
pub(super) struct ProfilePage {
    items: Vec<ProfileNameShape>,
    next_cursor: Option<String>,
}

/// Which rules a reconciliation applies.
#[derive(ToSchema)]
#[schema(as = ShadowReconciliationSettings)]
pub(super) struct RunSettingsShape {
    /// Of `R1`, `R2`, `R3`, `R4`; left out: all.
    rules: Option<Vec<String>>,
}

/// What is to be reconciled.
#[derive(ToSchema)]
#[schema(as = ShadowReconciliationBody, rename_all = "camelCase")]
pub(super) struct RunBody {
    account_id: String,
    /// Left out: the default currency.
    currency: Option<String>,
    /// First day.
    #[schema(format = Date)]
    from: String,
    /// The day after the last one.
    #[schema(format = Date)]
    to: String,
    settings: Option<RunSettingsShape>,
}

/// From the bank's balance to the shadow's, exact to the minor unit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowBridge)]
pub(super) struct BridgeShape {
    bank_closing: f64,
    shadow_balance: f64,
    start_difference: f64,
    gaps: f64,
    open_lines: f64,
    ignored_lines: f64,
    open_entries: f64,
    variance: f64,
    /// Always true: a reconciliation whose bridge does not hold has failed.
    holds: bool,
}

/// A reconciliation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowReconciliation)]
pub(super) struct RunShape {
    reconciliation_id: String,
    account_id: String,
    currency: String,
    #[schema(format = Date)]
    from: String,
    #[schema(format = Date)]
    to: String,
    /// `running`, `done` or `failed`.
    state: String,
    #[schema(value_type = Object)]
    settings: Value,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    problem: Option<Value>,
    log_seq: Option<i64>,
    /// Matches it made.
    matches: Option<i64>,
    bridge: Option<BridgeShape>,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// A page of reconciliations.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowReconciliationPage)]
pub(super) struct RunPage {
    items: Vec<RunShape>,
    next_cursor: Option<String>,
}

/// A match by hand.
#[derive(ToSchema)]
#[schema(as = ShadowMatchBody, rename_all = "camelCase")]
pub(super) struct MatchBodyShape {
    account_id: String,
    currency: Option<String>,
    line_ids: Vec<String>,
    event_ids: Vec<String>,
    /// 1 to 500 characters.
    reason: String,
    /// Lines minus entries, exactly, where they differ: the match then waits for approval.
    #[schema(value_type = Option<f64>)]
    accept_variance: Option<String>,
}

/// A match.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowMatch)]
pub(super) struct MatchShape {
    match_id: String,
    account_id: String,
    currency: String,
    /// `R1` to `R4`, `manual` or `correction`.
    rule: String,
    /// `active`, `proposed` or `undone`.
    state: String,
    lines: Vec<String>,
    entries: Vec<String>,
    variance: f64,
    /// Equal lines and equal entries were paired in order.
    interchangeable: bool,
    reconciliation_id: Option<String>,
    correction_id: Option<String>,
    reason: Option<String>,
    created_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    undone_by: Option<String>,
    #[schema(format = DateTime)]
    undone_at: Option<String>,
    undo_reason: Option<String>,
}

/// A page of matches.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowMatchPage)]
pub(super) struct MatchPage {
    items: Vec<MatchShape>,
    next_cursor: Option<String>,
}

/// Items of one kind and their sum.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowReportTally)]
pub(super) struct TallyShape {
    count: i64,
    sum: f64,
}

/// Items by status.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowReportStatuses)]
pub(super) struct StatusesShape {
    matched: TallyShape,
    proposed: TallyShape,
    ambiguous: TallyShape,
    unmatched: TallyShape,
    ignored: TallyShape,
}

/// What a rule matched.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowReportRule)]
pub(super) struct RuleShape {
    rule: String,
    matches: i64,
    lines: TallyShape,
    entries: TallyShape,
}

/// A statement behind a report.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowReportStatement)]
pub(super) struct ReportStatementShape {
    bank_statement_id: String,
    digest: String,
    proven: bool,
}

/// An open item.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowReportItem)]
pub(super) struct ItemShape {
    /// `line` or `entry`.
    side: String,
    id: String,
    #[schema(format = Date)]
    date: String,
    amount: f64,
    status: String,
    reason: Option<String>,
    reference: Option<String>,
    #[schema(value_type = Option<Object>)]
    candidates: Option<Value>,
}

/// The report of a reconciliation: the same bytes for the same inputs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShadowReport)]
pub(super) struct ReportShape {
    account_id: String,
    currency: String,
    #[schema(format = Date)]
    from: String,
    #[schema(format = Date)]
    to: String,
    log_seq: i64,
    statements: Vec<ReportStatementShape>,
    bridge: BridgeShape,
    lines: StatusesShape,
    entries: StatusesShape,
    rules: Vec<RuleShape>,
    items: Vec<ItemShape>,
}
