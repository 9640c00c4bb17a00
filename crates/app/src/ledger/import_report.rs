//! What an import came to: the check of the stated balances and the postings, for people and
//! for programs.

use florin_base::Signed;
use florin_ledger::csv::{AccountBalance, BalanceTotals, Import, Verdict};
use serde::{Deserialize, Serialize};

/// A line that the ledger refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refusal {
    /// Line of what was posted, from 1.
    pub line: u64,
    /// Id of the transfer or account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why.
    pub code: String,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Counts of the import route.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Recorded now.
    pub created: u64,
    /// Recorded before with equal content.
    pub exists: u64,
    /// Refused.
    pub refused: u64,
    /// Accounts that this import left below their floor.
    pub below_floor: Vec<String>,
}

/// What the ledger answered.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted {
    /// The counts.
    #[serde(flatten)]
    pub summary: Summary,
    /// The first refused lines.
    pub refused_lines: Vec<Refusal>,
}

/// What a CSV file holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileReport {
    asset: String,
    #[serde(skip)]
    scale: u8,
    lines: usize,
    accounts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    balances: Option<BalancesReport>,
}

#[derive(Debug, Clone, Serialize)]
struct BalancesReport {
    #[serde(flatten)]
    totals: BalanceTotals,
    #[serde(rename = "perAccount")]
    per_account: Vec<AccountBalance>,
}

/// The whole.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The file, for CSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<FileReport>,
    /// The postings; none when only the file was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posted: Option<Posted>,
    /// Debits equal credits over the whole ledger afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
}

impl Report {
    /// The report on a mapped file, before it is posted.
    pub fn of(import: Option<&Import>) -> Self {
        let file = import.map(|import| FileReport {
            asset: import.asset.clone(),
            scale: import.scale,
            lines: import.transfers.len(),
            accounts: import.accounts.len(),
            balances: import.balances.as_ref().map(|report| BalancesReport {
                totals: report.totals(),
                per_account: report.accounts.clone(),
            }),
        });
        Self {
            file,
            posted: None,
            balanced: None,
        }
    }

    /// Why the exit code is not 0.
    pub fn failed(&self) -> Option<String> {
        if self.balanced == Some(false) {
            return Some("the ledger does not balance".to_owned());
        }
        let refused = self
            .posted
            .as_ref()
            .map_or(0, |posted| posted.summary.refused);
        (refused > 0).then(|| format!("{refused} lines were refused"))
    }

    /// For people. `all` lists every account, not only those with something to tell.
    pub fn text(&self, all: bool) -> String {
        let mut lines = Vec::new();
        if let Some(file) = &self.file {
            lines.push(format!(
                "{} lines of {} accounts in {}",
                file.lines, file.accounts, file.asset
            ));
            if let Some(balances) = &file.balances {
                balances_text(&mut lines, balances, file.scale, all);
            }
        }
        if let Some(posted) = &self.posted {
            posted_text(&mut lines, posted);
        }
        if let Some(balanced) = self.balanced {
            let verdict = if balanced {
                "debits equal credits"
            } else {
                "DEBITS DO NOT EQUAL CREDITS"
            };
            lines.push(format!("Ledger: {verdict}"));
        }
        lines.join("\n")
    }
}

fn balances_text(lines: &mut Vec<String>, balances: &BalancesReport, scale: u8, all: bool) {
    let totals = &balances.totals;
    lines.push("Stated balances:".to_owned());
    lines.push(format!(
        "  {:>6} accounts consistent to the last unit",
        totals.consistent
    ));
    lines.push(format!(
        "  {:>6} consistent within rounding",
        totals.consistent_within_rounding
    ));
    lines.push(format!("  {:>6} inconsistent", totals.inconsistent));
    if totals.undecided > 0 {
        lines.push(format!(
            "  {:>6} undecided: too many orders of a day to try",
            totals.undecided
        ));
    }
    lines.push(format!(
        "  {:>6} lines of {} accounts state a balance below zero",
        totals.below_zero_lines, totals.below_zero_accounts
    ));
    for account in balances
        .per_account
        .iter()
        .filter(|account| account.below_zero_lines > 0)
    {
        let lowest = decimal(account.lowest_balance_minor, scale);
        lines.push(format!(
            "    {}: {} lines, lowest {lowest}",
            account.account_id, account.below_zero_lines
        ));
    }
    if !all && totals.inconsistent + totals.undecided > 0 {
        lines.push("  Not consistent:".to_owned());
    }
    let mut shown = 0;
    for account in &balances.per_account {
        let tell = matches!(account.verdict, Verdict::Inconsistent | Verdict::Undecided);
        if all || tell {
            lines.push(format!("    {}", account_text(account, scale)));
            shown += 1;
        }
    }
    if !all && shown < balances.per_account.len() {
        lines.push("    (--all lists every account, --output json has all figures)".to_owned());
    }
}

fn decimal(minor: i128, scale: u8) -> String {
    let signed = Signed {
        negative: minor < 0,
        magnitude: minor.unsigned_abs(),
    };
    signed.to_decimal(scale)
}

fn account_text(account: &AccountBalance, scale: u8) -> String {
    let id = &account.account_id;
    let day = account.day.as_deref().unwrap_or("?");
    match account.verdict {
        Verdict::Consistent => format!("{id}: consistent"),
        Verdict::ConsistentWithinRounding => {
            let difference = decimal(account.difference_minor.unwrap_or_default(), scale);
            format!("{id}: consistent within rounding, difference {difference}")
        }
        Verdict::Inconsistent => {
            let at: Vec<String> = account.day_lines.iter().map(u64::to_string).collect();
            format!(
                "{id}: inconsistent, first on {day} (lines {})",
                at.join(", ")
            )
        }
        Verdict::Undecided => format!("{id}: undecided on {day}"),
    }
}

fn posted_text(lines: &mut Vec<String>, posted: &Posted) {
    let summary = &posted.summary;
    lines.push(format!(
        "Posted: {} created, {} there before, {} refused",
        summary.created, summary.exists, summary.refused
    ));
    for refusal in &posted.refused_lines {
        let id = refusal.id.as_deref().unwrap_or("-");
        let field = refusal
            .field
            .as_ref()
            .map(|field| format!(" ({field})"))
            .unwrap_or_default();
        lines.push(format!(
            "  line {}, {id}: {}{field}",
            refusal.line, refusal.code
        ));
    }
    if summary.refused as usize > posted.refused_lines.len() {
        lines.push("  …".to_owned());
    }
    if !summary.below_floor.is_empty() {
        lines.push(format!(
            "Below their floor ({}):",
            summary.below_floor.len()
        ));
        lines.extend(summary.below_floor.iter().map(|id| format!("  {id}")));
    }
}
