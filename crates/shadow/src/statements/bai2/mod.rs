//! BAI2 cash management balance reporting (contract D1).
//!
//! Records are gathered with their continuations (88), then read field by field. Control totals
//! and counts at accounts, groups and the file are gates beside the balances.

mod record;

use super::amount;
use super::camt::amount_fault;
use super::day::Day;
use super::fault::{FaultCode, Figures, StatementFault};
use super::input::Input;
use super::model::{
    Balance, Deviation, Head, Line, Options, Sink, TEXT_MAX, Tail, kept, note, reference,
};
use super::mt940::refused;
use record::{Fields, Funds, Records};

const OPENING_LEDGER: &str = "010";
const CLOSING_LEDGER: &str = "015";

/// Reads a whole file.
///
/// # Errors
/// As the other readers: faults of a statement go to the sink, faults of the file come back.
pub fn read(
    input: Input<'_>,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<(), StatementFault> {
    let mut records = Records::new(input);
    let mut reader = Reader {
        options,
        sink,
        file: None,
        group: None,
        account: None,
        deviations: Vec::new(),
    };
    let mut ended = false;
    while let Some(record) = records.next()? {
        if ended {
            return Err(StatementFault::unreadable(
                record.line,
                "records follow the end of the file",
            ));
        }
        if records.has_fallback() {
            note(&mut reader.deviations, Deviation::CharsetFallback);
        }
        if !record.terminated {
            reader.deviates(Deviation::TerminatorMissing, record.line)?;
        }
        ended = reader.take(&record)?;
    }
    if !ended {
        return Err(StatementFault::unreadable(
            records.line(),
            "the file has no trailer (99)",
        ));
    }
    Ok(())
}

/// Sum and counts at one level.
#[derive(Default)]
struct Control {
    sum: i128,
    /// Physical records, continuations included.
    records: u64,
    /// Accounts of a group, groups of a file.
    parts: u64,
}

struct Group {
    control: Control,
    day: Day,
    currency: String,
}

struct Account {
    control: Control,
    scale: u8,
    day: Day,
    head: Head,
    tail: Tail,
}

struct File {
    control: Control,
    id: String,
}

struct Reader<'o> {
    options: &'o Options<'o>,
    sink: &'o mut dyn Sink,
    file: Option<File>,
    group: Option<Group>,
    account: Option<Account>,
    /// Met before there was a statement to name them at.
    deviations: Vec<Deviation>,
}

fn out_of_place(line: u64, code: &str) -> StatementFault {
    StatementFault::unreadable(line, format!("a record {code} stands out of place"))
}

impl Reader<'_> {
    /// True after the trailer of the file.
    fn take(&mut self, record: &record::Record) -> Result<bool, StatementFault> {
        let mut fields = record.fields();
        let code = fields.next().unwrap_or_default();
        let (at, count) = (record.line, record.physical);
        match code {
            "01" if self.file.is_none() => self.start_file(&mut fields, at, count)?,
            "02" if self.file.is_some() && self.group.is_none() => {
                self.start_group(&mut fields, at, count)?;
            }
            "03" if self.group.is_some() && self.account.is_none() => {
                self.start_account(fields, at, count)?;
            }
            "16" if self.account.is_some() => self.transaction(fields, at, count)?,
            "49" if self.account.is_some() => self.end_account(fields, at, count)?,
            "98" if self.group.is_some() && self.account.is_none() => {
                self.end_group(fields, at, count)?;
            }
            "99" if self.file.is_some() && self.group.is_none() => {
                self.end_file(fields, at, count)?;
                return Ok(true);
            }
            "01" | "02" | "03" | "16" | "49" | "98" | "99" => return Err(out_of_place(at, code)),
            _ => {
                let shown: String = code.chars().take(10).collect();
                let detail = format!("`{shown}` is no type of record");
                return Err(StatementFault::unreadable(at, detail));
            }
        }
        Ok(false)
    }

    /// `01,sender,receiver,date,time,id,length,blocks,version`
    fn start_file(
        &mut self,
        fields: &mut Fields<'_>,
        at: u64,
        count: u64,
    ) -> Result<(), StatementFault> {
        let date = fields.nth(2).unwrap_or_default();
        let id = fields.nth(1).unwrap_or_default();
        let version = fields.nth(2).unwrap_or_default();
        if !matches!(version, "2" | "") {
            let shown: String = version.chars().take(10).collect();
            let detail = format!("The version {shown} of BAI is not read; 2 is.");
            return Err(StatementFault::new(FaultCode::UnsupportedVersion, detail).at(at));
        }
        let mut control = Control::default();
        control.records += count;
        self.file = Some(File {
            control,
            id: format!("{date}-{id}").chars().take(140).collect(),
        });
        Ok(())
    }

    /// `02,receiver,originator,status,date,time,currency,modifier`
    fn start_group(
        &mut self,
        fields: &mut Fields<'_>,
        at: u64,
        count: u64,
    ) -> Result<(), StatementFault> {
        let status = fields.nth(2).unwrap_or_default();
        if status != "1" {
            let shown: String = status.chars().take(10).collect();
            let detail = format!("A group of status {shown} is not read; 1 (update) is.");
            return Err(StatementFault::new(FaultCode::UnsupportedMessage, detail).at(at));
        }
        let date = fields.next().unwrap_or_default();
        let currency = fields.nth(1).unwrap_or_default();
        let day = Day::parse_short(date.as_bytes()).filter(|_| date.len() == 6);
        let day = day.ok_or_else(|| {
            let shown: String = date.chars().take(20).collect();
            let detail = format!("`{shown}` is not a date of the form YYMMDD.");
            StatementFault::new(FaultCode::InvalidDate, detail).at(at)
        })?;
        let mut control = Control::default();
        control.records += count;
        self.group = Some(Group {
            control,
            day,
            currency: if currency.is_empty() { "USD" } else { currency }
                .chars()
                .take(10)
                .collect(),
        });
        Ok(())
    }

    /// `03,account,currency{,type,amount,items,funds}`
    fn start_account(
        &mut self,
        mut fields: Fields<'_>,
        at: u64,
        count: u64,
    ) -> Result<(), StatementFault> {
        let (file, group) = match (&self.file, &self.group) {
            (Some(file), Some(group)) => (file, group),
            _ => return Err(out_of_place(at, "03")),
        };
        let number: String = fields
            .next()
            .unwrap_or_default()
            .chars()
            .take(140)
            .collect();
        if number.is_empty() {
            return Err(StatementFault::unreadable(
                at,
                "an account record names no account",
            ));
        }
        let currency = fields.next().unwrap_or_default();
        let currency = if currency.is_empty() {
            &group.currency
        } else {
            currency
        };
        let scale = (self.options.scale_of)(currency);
        let head = Head {
            bank_statement_id: file.id.clone(),
            sequence: None,
            page: None,
            account_ref: number,
            currency: currency.chars().take(10).collect(),
            scale: scale.unwrap_or(2),
        };
        let mut account = Account {
            control: Control::default(),
            scale: head.scale,
            day: group.day,
            head,
            tail: Tail::default(),
        };
        account.control.records += count;
        self.sink.open(account.head.clone())?;
        if scale.is_none() {
            let detail = format!(
                "The currency `{}` is not registered.",
                account.head.currency
            );
            self.sink
                .fault(StatementFault::new(FaultCode::CurrencyUnknown, detail).at(at))?;
        }
        while let Some(code) = fields.next() {
            let written = fields.next().unwrap_or_default();
            let _items = fields.next();
            Funds::read(&mut fields, at)?;
            if written.is_empty() {
                continue;
            }
            let value = whole(written, at)?;
            account.add(value, at)?;
            let place = match code {
                OPENING_LEDGER => &mut account.tail.opening,
                CLOSING_LEDGER => &mut account.tail.closing,
                _ => continue,
            };
            *place = Some(Balance {
                amount: value,
                day: account.day,
                intermediate: false,
            });
        }
        self.account = Some(account);
        Ok(())
    }

    /// `16,type,amount,funds…,bank reference,customer reference,text`
    fn transaction(
        &mut self,
        mut fields: Fields<'_>,
        at: u64,
        count: u64,
    ) -> Result<(), StatementFault> {
        let Some(account) = &mut self.account else {
            return Err(out_of_place(at, "16"));
        };
        account.control.records += count;
        let code = fields.next().unwrap_or_default();
        let written = fields.next().unwrap_or_default();
        let funds = Funds::read(&mut fields, at)?;
        let (bank, customer) = (
            fields.next().unwrap_or_default(),
            fields.next().unwrap_or_default(),
        );
        let text = fields.rest();
        let amount = if written.is_empty() {
            0
        } else {
            whole(written, at)?
        };
        account.add(amount, at)?;
        let number: Option<u16> = Some(code)
            .filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|code| code.parse().ok());
        let positive = match number {
            Some(101..=399 | 920..=959) => true,
            Some(401..=699 | 960..=999) => false,
            Some(890..=899) => {
                account.tail.information += 1;
                note(
                    &mut account.tail.warnings,
                    super::model::Warning::InformationLeftOut,
                );
                return Ok(());
            }
            _ => {
                let shown: String = code.chars().take(10).collect();
                let detail =
                    format!("the type `{shown}` of a transaction is neither credit nor debit");
                return Err(StatementFault::unreadable(at, detail));
            }
        };
        let mut line = Line {
            booking: account.day,
            value: funds.value,
            amount: if positive { amount } else { -amount },
            code: kept(code, TEXT_MAX),
            text: kept(text, TEXT_MAX),
            file_line: at,
            ..Line::default()
        };
        line.references.bank_ref = reference(bank);
        line.references.customer_ref = reference(customer);
        self.sink.line(line)
    }

    /// `49,total,records`
    fn end_account(
        &mut self,
        fields: Fields<'_>,
        at: u64,
        count: u64,
    ) -> Result<(), StatementFault> {
        let Some(mut account) = self.account.take() else {
            return Err(out_of_place(at, "49"));
        };
        account.control.records += count;
        for deviation in &self.deviations {
            note(&mut account.tail.deviations, *deviation);
        }
        let numbers = Stated::read(fields, at)?;
        if let Some(fault) = numbers.sum_fault(&account.control, account.scale, at) {
            self.sink.fault(fault)?;
        }
        if numbers.last != account.control.records {
            if self.options.lenient {
                note(&mut account.tail.deviations, Deviation::RecordCountDiffers);
            } else {
                self.sink
                    .fault(refused(Deviation::RecordCountDiffers, at))?;
            }
        }
        if let Some(group) = &mut self.group {
            group.control.sum = add(group.control.sum, account.control.sum, at)?;
            group.control.records += account.control.records;
            group.control.parts += 1;
        }
        self.sink.close(account.tail)
    }

    /// `98,total,accounts,records`
    fn end_group(&mut self, fields: Fields<'_>, at: u64, count: u64) -> Result<(), StatementFault> {
        let Some(mut group) = self.group.take() else {
            return Err(out_of_place(at, "98"));
        };
        group.control.records += count;
        self.level(fields, &group.control, at)?;
        if let Some(file) = &mut self.file {
            file.control.sum = add(file.control.sum, group.control.sum, at)?;
            file.control.records += group.control.records;
            file.control.parts += 1;
        }
        Ok(())
    }

    /// `99,total,groups,records`
    fn end_file(&mut self, fields: Fields<'_>, at: u64, count: u64) -> Result<(), StatementFault> {
        let Some(mut file) = self.file.take() else {
            return Err(out_of_place(at, "99"));
        };
        file.control.records += count;
        self.level(fields, &file.control, at)
    }

    /// The gate of a group or of the file: it refuses the whole file, since no statement is open.
    fn level(
        &mut self,
        fields: Fields<'_>,
        control: &Control,
        at: u64,
    ) -> Result<(), StatementFault> {
        let numbers = Stated::read(fields, at)?;
        if let Some(fault) = numbers.sum_fault(control, 0, at) {
            return Err(fault);
        }
        if numbers.parts != Some(control.parts) || numbers.last != control.records {
            self.deviates(Deviation::RecordCountDiffers, at)?;
        }
        Ok(())
    }

    fn deviates(&mut self, deviation: Deviation, at: u64) -> Result<(), StatementFault> {
        if !self.options.lenient {
            return Err(refused(deviation, at));
        }
        match &mut self.account {
            Some(account) => note(&mut account.tail.deviations, deviation),
            None => note(&mut self.deviations, deviation),
        }
        Ok(())
    }
}

impl Account {
    fn add(&mut self, amount: i128, at: u64) -> Result<(), StatementFault> {
        self.control.sum = add(self.control.sum, amount, at)?;
        Ok(())
    }
}

fn add(sum: i128, amount: i128, at: u64) -> Result<i128, StatementFault> {
    sum.checked_add(amount)
        .ok_or_else(|| amount_fault(amount::AmountFault::Range, "a control total", at))
}

/// Amounts of BAI2 are whole minor units.
fn whole(text: &str, at: u64) -> Result<i128, StatementFault> {
    amount::signed_minor(text.as_bytes(), b'\0', 0).map_err(|fault| {
        let mut fault = amount_fault(fault, text, at);
        // An amount that cannot be read makes every total above it unreadable too.
        fault.code = FaultCode::StatementUnreadable;
        fault
    })
}

/// What a trailer states.
struct Stated {
    total: i128,
    /// Accounts or groups.
    parts: Option<u64>,
    /// Records.
    last: u64,
}

impl Stated {
    fn read(mut fields: Fields<'_>, at: u64) -> Result<Self, StatementFault> {
        let total = whole(fields.next().unwrap_or_default(), at)?;
        let mut counts = Vec::new();
        for field in fields {
            let count = field.parse().map_err(|_| {
                StatementFault::unreadable(at, "a count of a trailer is not a number")
            })?;
            counts.push(count);
        }
        match counts[..] {
            [last] => Ok(Self {
                total,
                parts: None,
                last,
            }),
            [parts, last] => Ok(Self {
                total,
                parts: Some(parts),
                last,
            }),
            _ => Err(StatementFault::unreadable(
                at,
                "a trailer has other fields than it should",
            )),
        }
    }

    fn sum_fault(&self, control: &Control, scale: u8, at: u64) -> Option<StatementFault> {
        if self.total == control.sum {
            return None;
        }
        let detail = "A control total is not the sum of its amounts.";
        let fault = StatementFault::new(FaultCode::StatementOutOfBalance, detail).at(at);
        Some(fault.with_figures(Figures {
            expected: self.total,
            found: control.sum,
            scale,
        }))
    }
}
