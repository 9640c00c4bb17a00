//! CSV through a profile (contract D1).
//!
//! A file is proven by its balance column, row by row, or by opening and closing balances that
//! the caller gives. The bytes are read by [`florin_base::csv`].

mod dates;
mod profile;

use florin_base::csv::{ReadError, Reader, Record};
use sha2::{Digest as _, Sha256};

pub use profile::{Column, ColumnMap, Columns, Profile, ProfileError, Signs, zone_minutes};

use super::amount;
use super::camt::amount_fault;
use super::day::Day;
use super::fault::{FaultCode, Figures, StatementFault};
use super::input::Input;
use super::model::{Balance, Head, Line, Options, Sink, TEXT_MAX, Tail, kept, reference};
use dates::Dates;

/// What a CSV cannot say about itself.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The profile, checked.
    pub profile: &'a Profile,
    /// The account, which also stands for its reference.
    pub account: &'a str,
    /// Currency where neither profile nor column names one.
    pub default_currency: &'a str,
    /// Opening balance as written in the query.
    pub opening: Option<&'a str>,
    /// Closing balance as written in the query.
    pub closing: Option<&'a str>,
}

/// Reads a whole file as one statement.
///
/// # Errors
/// As the other readers: faults of the statement go to the sink, faults of the file come back.
pub fn read(
    input: Input<'_>,
    given: Given<'_>,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<(), StatementFault> {
    let profile = given.profile;
    let ascii = |c: char| u8::try_from(c).unwrap_or(b',');
    let mut reader = Reader::with_quote(input, ascii(profile.delimiter), ascii(profile.quote));
    let mut record = Record::default();
    for _ in 0..profile.skip_rows {
        next(&mut reader, &mut record)?;
    }
    let mut mapping = Mapping::by_number(profile);
    if profile.header {
        if !next(&mut reader, &mut record)? {
            return Err(StatementFault::unreadable(1, "the file has no header"));
        }
        mapping = Mapping::by_name(profile, &record)?;
    }
    let currency = profile
        .currency
        .as_deref()
        .unwrap_or(given.default_currency);
    let scale = (options.scale_of)(currency);
    let mut rows = Rows {
        profile,
        mapping,
        dates: Dates::new(&profile.date_pattern).expect("the profile was checked"),
        currency,
        scale: scale.unwrap_or(2),
        digest: Sha256::new(),
        first: None,
        last: None,
        days: None,
    };
    sink.open(Head {
        bank_statement_id: String::new(),
        sequence: None,
        page: None,
        account_ref: given.account.to_owned(),
        currency: currency.to_owned(),
        scale: rows.scale,
    })?;
    if scale.is_none() {
        let detail = format!("The currency `{currency}` is not registered.");
        sink.fault(StatementFault::new(FaultCode::CurrencyUnknown, detail))?;
    }
    while next(&mut reader, &mut record)? {
        match rows.row(&record) {
            Ok(line) => sink.line(line)?,
            Err(fault) if fault.code == FaultCode::StatementUnreadable => return Err(fault),
            Err(fault) => sink.fault(fault)?,
        }
    }
    let tail = rows.tail(given, sink)?;
    sink.close(tail)
}

fn next(reader: &mut Reader<Input<'_>>, record: &mut Record) -> Result<bool, StatementFault> {
    reader.read(record).map_err(|error| match error {
        ReadError::Io(error) => StatementFault::from(error),
        ReadError::Structure(place) => StatementFault::unreadable(
            place.line,
            format!(
                "field {}: {} (hint: {})",
                place.field, place.problem, place.fix
            ),
        ),
    })
}

/// Positions of the columns in the order of [`ColumnMap`].
struct Mapping {
    date: usize,
    value_date: Option<usize>,
    amount: Option<usize>,
    debit: Option<usize>,
    credit: Option<usize>,
    sign: Option<usize>,
    currency: Option<usize>,
    references: [Option<usize>; 5],
    text: Vec<usize>,
    name: Option<usize>,
    account: Option<usize>,
    balance: Option<usize>,
}

impl Mapping {
    fn by_number(profile: &Profile) -> Self {
        Self::new(profile, &mut |column| match column {
            Column::Number(number) => Ok(usize::from(*number) - 1),
            Column::Name(_) => Ok(0),
        })
        .expect("numbers are always found")
    }

    fn by_name(profile: &Profile, header: &Record) -> Result<Self, StatementFault> {
        Self::new(profile, &mut |column| match column {
            Column::Number(number) => Ok(usize::from(*number) - 1),
            Column::Name(name) => {
                let found = (0..header.len())
                    .find(|index| header.field(*index).is_some_and(|cell| cell.trim() == name));
                found.ok_or_else(|| {
                    let shown: String = name.chars().take(100).collect();
                    let detail = format!("the header has no column `{shown}`");
                    StatementFault::unreadable(header.line, detail)
                })
            }
        })
    }

    fn new(
        profile: &Profile,
        find: &mut dyn FnMut(&Column) -> Result<usize, StatementFault>,
    ) -> Result<Self, StatementFault> {
        let map = &profile.columns;
        let date = find(&map.date)?;
        let text = map.text.iter().flat_map(Columns::as_slice);
        let text = text.map(&mut *find).collect::<Result<Vec<_>, _>>()?;
        let mut some = |column: &Option<Column>| column.as_ref().map(&mut *find).transpose();
        Ok(Self {
            date,
            value_date: some(&map.value_date)?,
            amount: some(&map.amount)?,
            debit: some(&map.debit)?,
            credit: some(&map.credit)?,
            sign: some(&map.sign)?,
            currency: some(&map.currency)?,
            references: [
                some(&map.end_to_end_id)?,
                some(&map.transaction_id)?,
                some(&map.servicer_ref)?,
                some(&map.customer_ref)?,
                some(&map.bank_ref)?,
            ],
            text,
            name: some(&map.counterparty_name)?,
            account: some(&map.counterparty_account)?,
            balance: some(&map.balance)?,
        })
    }
}

/// Balance before and after one row of the file.
#[derive(Clone, Copy)]
struct Around {
    before: i128,
    after: i128,
}

struct Rows<'p> {
    profile: &'p Profile,
    mapping: Mapping,
    dates: Dates,
    currency: &'p str,
    scale: u8,
    digest: Sha256,
    first: Option<Around>,
    last: Option<Around>,
    /// Earliest and latest day.
    days: Option<(Day, Day)>,
}

impl Rows<'_> {
    fn row(&mut self, record: &Record) -> Result<Line, StatementFault> {
        let at = record.line;
        let day = |cell: &str| {
            self.dates.read(cell).ok_or_else(|| {
                let shown: String = cell.chars().take(40).collect();
                let pattern = &self.profile.date_pattern;
                let detail = format!("`{shown}` is not a date of the form {pattern}.");
                StatementFault::new(FaultCode::InvalidDate, detail).at(at)
            })
        };
        let map = &self.mapping;
        let booking = day(cell(record, map.date)?)?;
        let value = optional(record, map.value_date)?.map(day).transpose()?;
        if let Some(currency) = optional(record, map.currency)?
            && currency != self.currency
        {
            let shown: String = currency.chars().take(20).collect();
            let detail = format!(
                "A row in {shown} stands in a statement of {}.",
                self.currency
            );
            return Err(StatementFault::new(FaultCode::CurrencyMismatch, detail).at(at));
        }
        let amount = self.amount(record)?;
        let mut line = Line {
            booking,
            value,
            amount,
            file_line: at,
            ..Line::default()
        };
        let mut references = [None, None, None, None, None];
        for (place, column) in references.iter_mut().zip(map.references) {
            *place = optional(record, column)?.and_then(reference);
        }
        let [end_to_end, transaction, servicer, customer, bank] = references;
        line.references.end_to_end_id = end_to_end;
        line.references.transaction_id = transaction;
        line.references.servicer_ref = servicer;
        line.references.customer_ref = customer;
        line.references.bank_ref = bank;
        line.counterparty.name = optional(record, map.name)?.and_then(|name| kept(name, 140));
        let account = optional(record, map.account)?;
        line.counterparty.account = account.and_then(|account| kept(account, 140));
        line.text = match map.text.as_slice() {
            [] => None,
            [one] => kept(cell(record, *one)?, TEXT_MAX),
            many => {
                let parts: Result<Vec<_>, _> = many.iter().map(|at| cell(record, *at)).collect();
                kept(&parts?.join(" "), TEXT_MAX)
            }
        };
        if let Some(balance) = optional(record, map.balance)? {
            let after = self.number(balance, at)?;
            self.check_balance(after, amount, at)?;
        } else if map.balance.is_some() {
            let detail = "A row has no balance.";
            return Err(StatementFault::new(FaultCode::BalanceMissing, detail).at(at));
        }
        self.note_day(booking);
        for index in 0..record.len() {
            self.digest
                .update(record.field(index).unwrap_or_default().as_bytes());
            self.digest.update([0x1f]);
        }
        self.digest.update([0x1e]);
        Ok(line)
    }

    fn note_day(&mut self, day: Day) {
        let (first, last) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), last.max(day)));
    }

    /// Each balance must follow from the one before it in time.
    fn check_balance(&mut self, after: i128, amount: i128, at: u64) -> Result<(), StatementFault> {
        let row = Around {
            before: after - amount,
            after,
        };
        if let Some(last) = self.last {
            let (expected, found) = match self.profile.newest_first {
                false => (row.after, last.after + amount),
                true => (last.before, row.after),
            };
            if expected != found {
                let detail = "A balance does not follow from the one before it.";
                let figures = Figures {
                    expected,
                    found,
                    scale: self.scale,
                };
                return Err(
                    StatementFault::new(FaultCode::StatementOutOfBalance, detail)
                        .at(at)
                        .with_figures(figures),
                );
            }
        }
        self.first.get_or_insert(row);
        self.last = Some(row);
        Ok(())
    }

    fn amount(&self, record: &Record) -> Result<i128, StatementFault> {
        let (map, at) = (&self.mapping, record.line);
        if let Some(column) = map.amount {
            let amount = self.number(cell(record, column)?, at)?;
            let Some(sign) = map.sign else {
                return Ok(amount);
            };
            let word = cell(record, sign)?;
            let credit = self.profile.signs.credit.iter().any(|known| known == word);
            let debit = self.profile.signs.debit.iter().any(|known| known == word);
            let wrong =
                |detail: String| Err(StatementFault::new(FaultCode::AmountInvalid, detail).at(at));
            let shown: String = word.chars().take(20).collect();
            return match (credit, debit) {
                _ if amount < 0 => wrong("An amount has a sign beside the column of signs.".into()),
                (true, _) => Ok(amount),
                (_, true) => Ok(-amount),
                _ => wrong(format!(
                    "`{shown}` is neither a word for credit nor for debit."
                )),
            };
        }
        let side = |column: Option<usize>| -> Result<Option<i128>, StatementFault> {
            let text = optional(record, column)?;
            text.map(|text| self.number(text, at)).transpose()
        };
        let (debit, credit) = (side(map.debit)?, side(map.credit)?);
        match (debit.filter(|a| *a != 0), credit.filter(|a| *a != 0)) {
            (Some(debit), None) => Ok(-debit.abs()),
            (None, Some(credit)) => Ok(credit),
            (None, None) if debit.is_some() || credit.is_some() => Ok(0),
            _ => {
                let detail = "A row needs either a debit or a credit.";
                Err(StatementFault::new(FaultCode::AmountInvalid, detail).at(at))
            }
        }
    }

    /// A signed number as the profile writes it; the sign may stand in front or behind.
    fn number(&self, text: &str, at: u64) -> Result<i128, StatementFault> {
        let invalid = || amount_fault(amount::AmountFault::Invalid, text, at);
        let (negative, body) = match (text.strip_prefix('-'), text.strip_suffix('-')) {
            (Some(_), Some(_)) => return Err(invalid()),
            (Some(body), None) | (None, Some(body)) => (true, body),
            (None, None) => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let mark = u8::try_from(self.profile.decimal_mark).unwrap_or(b'.');
        let plain;
        let body = match self.profile.thousands_mark {
            Some(group) if body.contains(group) => {
                plain = ungrouped(body, group, self.profile.decimal_mark).ok_or_else(invalid)?;
                &plain
            }
            _ => body,
        };
        let amount = amount::minor(body.as_bytes(), mark, self.scale)
            .map_err(|fault| amount_fault(fault, text, at))?;
        Ok(if negative { -amount } else { amount })
    }

    fn tail(&mut self, given: Given<'_>, sink: &mut dyn Sink) -> Result<Tail, StatementFault> {
        let mut tail = Tail::default();
        let digest = std::mem::take(&mut self.digest).finalize();
        tail.bank_statement_id = Some(format!("csv-{}", hex::encode(&digest[..16])));
        let Some((first, last)) = self.days else {
            sink.fault(StatementFault::unreadable(1, "the file has no rows"))?;
            return Ok(tail);
        };
        let (oldest, newest) = match self.profile.newest_first {
            false => (self.first, self.last),
            true => (self.last, self.first),
        };
        let balance = |amount, day| Balance {
            amount,
            day,
            intermediate: false,
        };
        tail.opening = oldest.map(|row| balance(row.before, first));
        tail.closing = newest.map(|row| balance(row.after, last));
        for (text, day, place) in [
            (given.opening, first, &mut tail.opening),
            (given.closing, last, &mut tail.closing),
        ] {
            let Some(text) = text else { continue };
            let amount = amount::signed_minor(text.as_bytes(), b'.', self.scale);
            match amount {
                Ok(amount) if place.is_none_or(|known| known.amount == amount) => {
                    *place = Some(balance(amount, day));
                }
                Ok(amount) => {
                    let figures = Figures {
                        expected: amount,
                        found: place.map_or(0, |known| known.amount),
                        scale: self.scale,
                    };
                    let detail = "The balance given is not the one in the file.";
                    let fault = StatementFault::new(FaultCode::StatementOutOfBalance, detail);
                    sink.fault(fault.with_figures(figures))?;
                }
                Err(fault) => sink.fault(amount_fault(fault, text, 1))?,
            }
        }
        Ok(tail)
    }
}

/// Without its groups; `None` unless they are of three digits.
fn ungrouped(text: &str, group: char, mark: char) -> Option<String> {
    let (whole, decimals) = match text.split_once(mark) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let mut plain = String::with_capacity(text.len());
    for (index, part) in whole.split(group).enumerate() {
        let fits = if index == 0 {
            (1..=3).contains(&part.len())
        } else {
            part.len() == 3
        };
        if !fits {
            return None;
        }
        plain.push_str(part);
    }
    if let Some(decimals) = decimals {
        plain.push(mark);
        plain.push_str(decimals);
    }
    Some(plain)
}

fn cell(record: &Record, index: usize) -> Result<&str, StatementFault> {
    let text = (index < record.len())
        .then(|| record.field(index))
        .flatten();
    text.map(str::trim).ok_or_else(|| {
        let detail = format!("a row has no column {}", index + 1);
        StatementFault::unreadable(record.line, detail)
    })
}

/// `None` for an empty cell, and for a column that the profile does not name.
fn optional(record: &Record, index: Option<usize>) -> Result<Option<&str>, StatementFault> {
    match index {
        Some(index) => cell(record, index).map(|text| (!text.is_empty()).then_some(text)),
        None => Ok(None),
    }
}
