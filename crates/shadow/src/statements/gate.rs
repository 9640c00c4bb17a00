//! The gate between readers and store: arithmetic, chained pages, occurrences, content digests.
//!
//! **Invariants.** A statement that leaves as proven has opening + Σ lines = closing to the minor
//! unit (INV-S20); what is refused leaves with its first fault and nothing else of it counts.

use hashbrown::{HashMap, HashSet};
use sha2::{Digest as _, Sha256};

use super::amount;
use super::camt::amount_fault;
use super::day::Day;
use super::fault::{FaultCode, Figures, StatementFault};
use super::model::{Balance, Head, Line, Sink, Tail};

/// How an import is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Keep the statements that pass, instead of refusing the file.
    pub partial: bool,
    /// Refuse statements without opening or closing balance.
    pub require_balances: bool,
    /// Opening balance of the query, for statements without one.
    pub opening: Option<&'a str>,
    /// Closing balance of the query, for statements without one.
    pub closing: Option<&'a str>,
}

/// A statement after its last line.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What stood at its beginning.
    pub head: Head,
    /// What stood at its end.
    pub tail: Tail,
    /// Booked lines.
    pub lines: u64,
    /// Σ of their amounts, minor units.
    pub sum: i128,
    /// Earliest and latest booking day of its lines.
    pub days: Option<(Day, Day)>,
    /// Opening + Σ = closing was checked and holds.
    pub proven: bool,
    /// SHA-256 over balances and lines, whatever the bytes of the file.
    pub content: [u8; 32],
}

/// Where checked statements go.
pub trait Receiver {
    /// A statement begins.
    fn begin(&mut self, head: &Head) -> Result<(), StatementFault>;
    /// A line of it, with its number from 1, its occurrence from 1 among equal lines of the
    /// statement, and the digest that tells equal rows of different statements.
    fn line(
        &mut self,
        n: u64,
        occurrence: u32,
        digest: [u8; 16],
        line: Line,
    ) -> Result<(), StatementFault>;
    /// It passed.
    fn pass(&mut self, statement: Checked) -> Result<(), StatementFault>;
    /// It did not pass; its lines are to be forgotten. Only with [`Rules::partial`].
    fn refuse(&mut self, head: &Head, fault: StatementFault) -> Result<(), StatementFault>;
}

struct Open {
    head: Head,
    lines: u64,
    sum: i128,
    days: Option<(Day, Day)>,
    content: Sha256,
    fault: Option<StatementFault>,
}

/// The page before, for chains inside one file.
struct Page {
    account_ref: String,
    currency: String,
    bank_statement_id: String,
    sequence: Option<u64>,
    closing: Option<Balance>,
}

/// Checks what a reader finds and hands it on.
pub struct Gate<'a> {
    rules: Rules<'a>,
    receiver: &'a mut dyn Receiver,
    open: Option<Open>,
    page: Option<Page>,
    /// Of the statement, over all its pages in the file.
    occurrences: Occurrences,
}

/// Sets of [`Occurrences`]: one that grows stands in memory twice.
const SETS: usize = 64;

/// How often a row was met, by eight bytes of its digest. Nearly all of millions are met once.
struct Occurrences {
    once: [HashSet<u64>; SETS],
    again: HashMap<u64, u32>,
}

impl Occurrences {
    fn new() -> Self {
        Self {
            once: std::array::from_fn(|_| HashSet::new()),
            again: HashMap::new(),
        }
    }

    /// Meets a row: 1 for the first time.
    fn meet(&mut self, row: [u8; 8]) -> u32 {
        let set = &mut self.once[usize::from(row[0]) % SETS];
        let row = u64::from_le_bytes(row);
        if set.insert(row) {
            return 1;
        }
        let times = self.again.entry(row).or_insert(1);
        *times += 1;
        *times
    }
}

impl<'a> Gate<'a> {
    /// A gate before `receiver`.
    pub fn new(rules: Rules<'a>, receiver: &'a mut dyn Receiver) -> Self {
        Self {
            rules,
            receiver,
            open: None,
            page: None,
            occurrences: Occurrences::new(),
        }
    }

    fn check(&mut self, open: &mut Open, mut tail: Tail) -> Result<Checked, StatementFault> {
        let head = &open.head;
        let given =
            |text: Option<&str>, day: Option<Day>| -> Result<Option<Balance>, StatementFault> {
                let Some((text, day)) = text.zip(day) else {
                    return Ok(None);
                };
                let amount = amount::signed_minor(text.as_bytes(), b'.', head.scale)
                    .map_err(|fault| amount_fault(fault, text, 0))?;
                Ok(Some(Balance {
                    amount,
                    day,
                    intermediate: false,
                }))
            };
        if tail.opening.is_none() {
            tail.opening = given(self.rules.opening, open.days.map(|(first, _)| first))?;
        }
        if tail.closing.is_none() {
            tail.closing = given(self.rules.closing, open.days.map(|(_, last)| last))?;
        }
        self.check_page(head, &tail)?;
        let proven = match (tail.opening, tail.closing) {
            (Some(opening), Some(closing)) => {
                let found = balance_after(opening.amount, open.sum)?;
                out_of_balance(closing.amount, found, head.scale)?;
                true
            }
            // The store knows the closing before.
            (None, Some(_)) if tail.opening_from_previous => false,
            _ if self.rules.require_balances => {
                let missing = if tail.opening.is_none() {
                    "opening"
                } else {
                    "closing"
                };
                let detail = format!("The statement has no {missing} balance.");
                return Err(StatementFault::new(FaultCode::BalanceMissing, detail));
            }
            _ => false,
        };
        let balance = |balance: Option<Balance>| balance.map(|b| (b.amount, b.day.0));
        let closing = format!("{:?}{:?}", balance(tail.opening), balance(tail.closing));
        open.content.update(closing.as_bytes());
        let content = std::mem::take(&mut open.content).finalize();
        Ok(Checked {
            head: open.head.clone(),
            tail,
            lines: open.lines,
            sum: open.sum,
            days: open.days,
            proven,
            content: content.into(),
        })
    }

    /// A page must begin where the one before it in the file ended.
    fn check_page(&self, head: &Head, tail: &Tail) -> Result<(), StatementFault> {
        let Some((page, opening)) = self.page.as_ref().zip(tail.opening) else {
            return Ok(());
        };
        let chained = page.continues(head) && opening.intermediate;
        match page.closing {
            Some(closing) if chained && closing.intermediate => {
                out_of_balance(closing.amount, opening.amount, head.scale)
            }
            _ => Ok(()),
        }
    }
}

impl Page {
    fn continues(&self, head: &Head) -> bool {
        self.account_ref == head.account_ref
            && self.currency == head.currency
            && self.bank_statement_id == head.bank_statement_id
            && self.sequence == head.sequence
    }
}

/// Opening and sum, within 128 bits.
///
/// # Errors
/// 422 `amount_out_of_range`.
pub fn balance_after(opening: i128, sum: i128) -> Result<i128, StatementFault> {
    opening.checked_add(sum).ok_or_else(|| {
        let detail = "The sum of the statement leaves 128 bits.";
        StatementFault::new(FaultCode::AmountOutOfRange, detail)
    })
}

/// The gate itself.
///
/// # Errors
/// 422 `statement_out_of_balance` with both figures.
pub fn out_of_balance(expected: i128, found: i128, scale: u8) -> Result<(), StatementFault> {
    if expected == found {
        return Ok(());
    }
    let detail = "Opening balance and booked lines do not make the closing balance.";
    let figures = Figures {
        expected,
        found,
        scale,
    };
    Err(StatementFault::new(FaultCode::StatementOutOfBalance, detail).with_figures(figures))
}

impl Sink for Gate<'_> {
    fn open(&mut self, head: Head) -> Result<(), StatementFault> {
        let continues = self.page.as_ref().is_some_and(|page| page.continues(&head));
        if !continues {
            self.occurrences = Occurrences::new();
        }
        let refused = self.receiver.begin(&head).err();
        self.open = Some(Open {
            head,
            lines: 0,
            sum: 0,
            days: None,
            content: Sha256::new(),
            fault: None,
        });
        match refused {
            Some(fault) => self.fault(fault),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: Line) -> Result<(), StatementFault> {
        let open = self
            .open
            .as_mut()
            .expect("a reader opens a statement before its lines");
        if open.fault.is_some() {
            return Ok(());
        }
        let mut row = Sha256::new();
        for reference in line.references.iter() {
            row.update((reference.len() as u64).to_le_bytes());
            row.update(reference.as_bytes());
        }
        row.update(line.booking.0.to_le_bytes());
        row.update(line.value.map_or(i32::MIN, |day| day.0).to_le_bytes());
        row.update(line.amount.to_le_bytes());
        let key = row.finalize();
        let mut short = [0; 8];
        short.copy_from_slice(&key[..8]);
        let occurrence = self.occurrences.meet(short);
        let mut digest = [0; 16];
        digest.copy_from_slice(&key[..16]);
        if occurrence > 1 {
            let mut again = Sha256::new();
            again.update(key);
            again.update(occurrence.to_le_bytes());
            digest.copy_from_slice(&again.finalize()[..16]);
        }
        open.content.update(digest);
        open.content
            .update(line.text.as_deref().unwrap_or_default().as_bytes());
        open.lines += 1;
        open.sum = balance_after(open.sum, line.amount)?;
        let (first, last) = open.days.unwrap_or((line.booking, line.booking));
        open.days = Some((first.min(line.booking), last.max(line.booking)));
        self.receiver.line(open.lines, occurrence, digest, line)
    }

    fn fault(&mut self, fault: StatementFault) -> Result<(), StatementFault> {
        if !self.rules.partial {
            return Err(fault);
        }
        if let Some(open) = &mut self.open {
            open.fault.get_or_insert(fault);
        }
        Ok(())
    }

    fn close(&mut self, tail: Tail) -> Result<(), StatementFault> {
        let mut open = self.open.take().expect("a reader closes what it opened");
        if let Some(id) = &tail.bank_statement_id {
            open.head.bank_statement_id.clone_from(id);
        }
        let checked = match open.fault.take() {
            Some(fault) => Err(fault),
            None => self.check(&mut open, tail),
        };
        self.page = Some(Page {
            account_ref: open.head.account_ref.clone(),
            currency: open.head.currency.clone(),
            bank_statement_id: open.head.bank_statement_id.clone(),
            sequence: open.head.sequence,
            closing: checked
                .as_ref()
                .ok()
                .and_then(|checked| checked.tail.closing),
        });
        match checked {
            Ok(checked) => match self.receiver.pass(checked) {
                Err(fault) if self.rules.partial && fault.code != FaultCode::Io => {
                    self.receiver.refuse(&open.head, fault)
                }
                other => other,
            },
            Err(fault) if self.rules.partial => self.receiver.refuse(&open.head, fault),
            Err(fault) => Err(fault),
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
