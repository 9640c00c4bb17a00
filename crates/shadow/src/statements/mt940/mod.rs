//! SWIFT MT940, with or without its envelope (contract D1).
//!
//! A line begins a field when it starts with `:` and the number of a field that may stand there;
//! everything else continues the field before it, so that colons inside `:86:` are text.

mod entry;
mod text;

use super::amount;
use super::camt::amount_fault;
use super::day::{Day, digits};
use super::fault::{FaultCode, StatementFault};
use super::input::{Input, LINE_BYTES_MAX};
use super::model::{Balance, Deviation, Head, Line, Options, Sink, Tail, note};

const SCALE_OF_UNKNOWN: u8 = 2;
/// Fields that the message knows and nothing here is made of.
const PASSED_OVER: [&str; 5] = ["21", "64", "65", "13D", "13"];

/// Reads all messages of a file.
///
/// # Errors
/// As the other readers: faults of a statement go to the sink, faults of the file come back.
pub fn read(
    input: Input<'_>,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<(), StatementFault> {
    let mut reader = Reader {
        input,
        options,
        sink,
        envelope: false,
        message: None,
        field: Field::default(),
        statements: 0,
    };
    let mut line = String::new();
    loop {
        let at = reader.input.line();
        if !reader.input.read_line(&mut line)? {
            break;
        }
        reader.take(&line, at)?;
    }
    if reader.envelope {
        let at = reader.input.line();
        return Err(StatementFault::unreadable(
            at,
            "the file ends inside a message block",
        ));
    }
    reader.end_message()?;
    if reader.statements == 0 {
        return Err(StatementFault::unreadable(
            1,
            "there is no message in the file",
        ));
    }
    Ok(())
}

/// A field being gathered, its lines parted by `\n`.
#[derive(Default)]
struct Field {
    tag: String,
    text: String,
    line: u64,
}

struct Reader<'r, 'o> {
    input: Input<'r>,
    options: &'o Options<'o>,
    sink: &'o mut dyn Sink,
    /// Inside block 4 of an envelope.
    envelope: bool,
    message: Option<Message>,
    field: Field,
    statements: u64,
}

/// A message being read.
#[derive(Default)]
struct Message {
    reference: String,
    account: String,
    number: String,
    page: Option<u64>,
    currency: String,
    scale: u8,
    opened: bool,
    closed: bool,
    line: Option<Line>,
    tail: Tail,
}

/// The tag of a line and what follows it.
fn tag(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(':')?;
    let end = rest.find(':').filter(|end| matches!(end, 2 | 3))?;
    let (tag, text) = (&rest[..end], &rest[end + 1..]);
    let mut bytes = tag.bytes();
    let number = bytes.by_ref().take(2).all(|byte| byte.is_ascii_digit());
    let letter = bytes.next().is_none_or(|byte| byte.is_ascii_uppercase());
    let shape = number && letter || tag == "NS";
    shape.then_some((tag, text))
}

impl Reader<'_, '_> {
    fn take(&mut self, line: &str, at: u64) -> Result<(), StatementFault> {
        let line = line.trim_matches(['\u{1}', '\u{3}']).trim_end();
        let line = match line.rfind("{4:") {
            Some(block) if line.starts_with("{1:") || line.starts_with("{2:") || block == 0 => {
                self.envelope(line, at)?;
                &line[block + 3..]
            }
            _ => line,
        };
        if line.is_empty() {
            return Ok(());
        }
        if line == "-" || line.starts_with("-}") {
            if self.envelope != line.starts_with("-}") {
                return Err(StatementFault::unreadable(
                    at,
                    "a message block ends where none began",
                ));
            }
            self.envelope = false;
            return self.end_message();
        }
        if line.starts_with('{') && self.message.is_none() {
            return self.kind(line, at);
        }
        match tag(line).filter(|(tag, text)| self.begins(tag, text)) {
            Some((tag, text)) => {
                self.end_field()?;
                self.field.tag.push_str(tag);
                self.field.text.push_str(text);
                self.field.line = at;
                if tag == "20" {
                    self.start_message(at)?;
                }
                Ok(())
            }
            None => self.continues(line, at),
        }
    }

    fn continues(&mut self, line: &str, at: u64) -> Result<(), StatementFault> {
        if self.field.tag.is_empty() {
            // Some banks print their name above the first field; a field needs its message.
            if self.message.is_some() || tag(line).is_some() {
                return Err(StatementFault::unreadable(
                    at,
                    "a field stands outside a message",
                ));
            }
            return Ok(());
        }
        if self.field.text.len() + line.len() > LINE_BYTES_MAX {
            return Err(StatementFault::unreadable(
                at,
                "a field is longer than 64 KiB",
            ));
        }
        self.field.text.push('\n');
        self.field.text.push_str(line);
        Ok(())
    }

    /// Whether a field with this tag may begin now. Inside `:86:` only what may follow it does,
    /// and only if it looks like what it says.
    fn begins(&self, tag: &str, text: &str) -> bool {
        if self.message.is_none() {
            return tag == "20";
        }
        if self.field.tag != "86" {
            return true;
        }
        let closed = self.message.as_ref().is_some_and(|message| message.closed);
        let dated = |text: &str| text.len() > 6 && digits(&text.as_bytes()[..6]).is_some();
        match tag {
            "61" => dated(text),
            "62F" | "62M" | "64" | "65" => text.strip_prefix(['C', 'D']).is_some_and(dated),
            "86" => true,
            _ => tag == "20" && closed,
        }
    }

    fn envelope(&mut self, line: &str, at: u64) -> Result<(), StatementFault> {
        if self.envelope {
            return Err(StatementFault::unreadable(
                at,
                "a message block begins inside another",
            ));
        }
        self.end_message()?;
        self.kind(line, at)?;
        self.envelope = true;
        Ok(())
    }

    /// Refuses other messages by the type in block 2.
    fn kind(&self, line: &str, at: u64) -> Result<(), StatementFault> {
        let Some(block) = line.find("{2:") else {
            return Ok(());
        };
        let kind: String = line[block + 3..].chars().skip(1).take(3).collect();
        if kind == "940" {
            return Ok(());
        }
        let detail = format!("The message MT{kind} is not read; MT940 is.");
        Err(StatementFault::new(FaultCode::UnsupportedMessage, detail).at(at))
    }

    fn start_message(&mut self, at: u64) -> Result<(), StatementFault> {
        if self.message.is_some() {
            let field = std::mem::take(&mut self.field);
            if self.envelope {
                return Err(StatementFault::unreadable(
                    at,
                    "a message begins inside another",
                ));
            }
            self.end_message()?;
            self.field = field;
        }
        self.message = Some(Message {
            scale: SCALE_OF_UNKNOWN,
            ..Message::default()
        });
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), StatementFault> {
        if self.field.tag.is_empty() {
            return Ok(());
        }
        let field = std::mem::take(&mut self.field);
        let message = self.message.as_mut().expect("a field has its message");
        message.field(&field, self.options, self.sink)
    }

    fn end_message(&mut self) -> Result<(), StatementFault> {
        self.end_field()?;
        let Some(mut message) = self.message.take() else {
            return Ok(());
        };
        self.statements += 1;
        message.flush(self.sink)?;
        let at = self.input.line();
        message.open(at, self.options, self.sink)?;
        // Text is decoded ahead of what is read: which message the bytes stood in is not known.
        if !self.input.deviations().is_empty() {
            note(&mut message.tail.deviations, Deviation::CharsetFallback);
        }
        self.sink.close(message.tail)
    }
}

impl Message {
    fn field(
        &mut self,
        field: &Field,
        options: &Options<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), StatementFault> {
        let (text, at) = (field.text.as_str(), field.line);
        match field.tag.as_str() {
            "20" => self.reference = text.trim().to_owned(),
            "25" | "25P" => {
                let first = text.lines().next().unwrap_or_default();
                self.account = first
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .take(140)
                    .collect();
            }
            "28C" | "28" => {
                let (number, page) = text.trim().split_once('/').unwrap_or((text.trim(), ""));
                self.number = number.to_owned();
                self.page = page.parse().ok();
            }
            "60F" | "60M" => {
                let balance = self.balance(text, at, true, options, sink)?;
                let intermediate = field.tag == "60M";
                self.tail.opening = balance.map(|b| Balance { intermediate, ..b });
            }
            "62F" | "62M" => {
                self.flush(sink)?;
                self.open(at, options, sink)?;
                let balance = self.balance(text, at, false, options, sink)?;
                let intermediate = field.tag == "62M";
                self.tail.closing = balance.map(|b| Balance { intermediate, ..b });
                self.closed = true;
            }
            "61" => {
                self.flush(sink)?;
                self.open(at, options, sink)?;
                let mut deviations = Vec::new();
                match entry::read(text, at, self.scale, &mut deviations) {
                    Ok(line) => self.line = Some(line),
                    Err(fault) if fault.code == FaultCode::StatementUnreadable => {
                        return Err(fault);
                    }
                    Err(fault) => sink.fault(fault)?,
                }
                for deviation in deviations {
                    self.deviates(deviation, at, options, sink)?;
                }
            }
            "86" => {
                if let Some(line) = &mut self.line {
                    text::read(text, line);
                }
                self.flush(sink)?;
            }
            tag if PASSED_OVER.contains(&tag) => {}
            _ => self.deviates(Deviation::UnknownField, at, options, sink)?,
        }
        Ok(())
    }

    fn deviates(
        &mut self,
        deviation: Deviation,
        at: u64,
        options: &Options<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), StatementFault> {
        if options.lenient {
            note(&mut self.tail.deviations, deviation);
            return Ok(());
        }
        sink.fault(refused(deviation, at))
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<(), StatementFault> {
        match self.line.take() {
            Some(line) => sink.line(line),
            None => Ok(()),
        }
    }

    /// Tells the sink once the currency is known; without an opening balance it never is.
    fn open(
        &mut self,
        at: u64,
        options: &Options<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), StatementFault> {
        if self.opened {
            return Ok(());
        }
        if self.account.is_empty() {
            return Err(StatementFault::unreadable(
                at,
                "the message names no account (:25:)",
            ));
        }
        let number = digits(self.number.as_bytes()).filter(|number| *number > 0);
        let id = if number.is_some() {
            &self.number
        } else {
            &self.reference
        };
        sink.open(Head {
            bank_statement_id: id.chars().take(140).collect(),
            sequence: number.map(i64::unsigned_abs),
            page: self.page,
            account_ref: self.account.clone(),
            currency: self.currency.clone(),
            scale: self.scale,
        })?;
        self.opened = true;
        if self.currency.is_empty() {
            let detail = "The message has no opening balance (:60F:), which names the currency.";
            sink.fault(StatementFault::new(FaultCode::BalanceMissing, detail).at(at))?;
        } else if (options.scale_of)(&self.currency).is_none() {
            let detail = format!("The currency `{}` is not registered.", self.currency);
            sink.fault(StatementFault::new(FaultCode::CurrencyUnknown, detail).at(at))?;
        }
        Ok(())
    }

    /// `C` or `D`, `YYMMDD`, currency, amount.
    fn balance(
        &mut self,
        text: &str,
        at: u64,
        opening: bool,
        options: &Options<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<Balance>, StatementFault> {
        let text = text.trim();
        let wrong =
            || StatementFault::unreadable(at, "a balance is not sign, date, currency, amount");
        if !text.is_ascii() || text.len() < 11 {
            return Err(wrong());
        }
        let negative = match text.as_bytes()[0] {
            b'C' => false,
            b'D' => true,
            _ => return Err(wrong()),
        };
        let (date, currency, written) = (&text[1..7], &text[7..10], &text[10..]);
        if !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong());
        }
        if opening && !self.opened {
            self.currency = currency.to_owned();
            self.scale = (options.scale_of)(currency).unwrap_or(SCALE_OF_UNKNOWN);
            self.open(at, options, sink)?;
        } else if currency != self.currency && !self.currency.is_empty() {
            let detail = format!(
                "A balance in {currency} stands in a statement of {}.",
                self.currency
            );
            sink.fault(StatementFault::new(FaultCode::CurrencyMismatch, detail).at(at))?;
            return Ok(None);
        }
        let Some(day) = Day::parse_short(date.as_bytes()) else {
            let detail = format!("`{date}` is not a date of the form YYMMDD.");
            sink.fault(StatementFault::new(FaultCode::InvalidDate, detail).at(at))?;
            return Ok(None);
        };
        let mut deviations = Vec::new();
        let amount = decimal(written, self.scale, at, &mut deviations);
        for deviation in deviations {
            self.deviates(deviation, at, options, sink)?;
        }
        match amount {
            Ok(amount) => Ok(Some(Balance {
                amount: if negative { -amount } else { amount },
                day,
                intermediate: false,
            })),
            Err(fault) => sink.fault(fault).map(|()| None),
        }
    }
}

/// An amount with its decimal comma; a point and a missing comma are deviations.
fn decimal(
    text: &str,
    scale: u8,
    at: u64,
    deviations: &mut Vec<Deviation>,
) -> Result<i128, StatementFault> {
    let point = text.contains('.');
    if point {
        note(deviations, Deviation::DecimalPoint);
    } else if !text.contains(',') {
        note(deviations, Deviation::DecimalCommaMissing);
    }
    let mark = if point { b'.' } else { b',' };
    amount::minor(text.as_bytes(), mark, scale).map_err(|fault| amount_fault(fault, text, at))
}

/// What strict reading says to a deviation.
pub(super) fn refused(deviation: Deviation, at: u64) -> StatementFault {
    let detail = format!("`{}` is accepted with mode=lenient only.", deviation.word());
    StatementFault::new(FaultCode::DeviationRefused, detail).at(at)
}
