//! ISO 20022 camt.053.001, versions .02, .04 and .08 (contract D1).
//!
//! Only booked entries count; the sign comes from the credit/debit indicator alone. Elements
//! that nobody asks for are passed over, whatever the version.

mod entry;

use super::amount::{self, AmountFault};
use super::day::Day;
use super::fault::{FaultCode, StatementFault};
use super::input::Input;
use super::model::{Balance, Deviation, Head, Options, Sink, Tail, Warning, note};
use super::xml::{Step, Xml};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:";
const FAMILY: &str = "camt.053.001.";
const VERSIONS: [&str; 3] = ["02", "04", "08"];
/// Decimals assumed for a currency that is not known: its statement is refused anyway.
const SCALE_OF_UNKNOWN: u8 = 2;

/// Reads a whole message.
///
/// # Errors
/// Those of the contract: what refuses a statement goes to the sink, what refuses the file comes
/// back.
pub fn read(
    input: Input<'_>,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<(), StatementFault> {
    let mut xml = Xml::new(input);
    let mut found = false;
    loop {
        match xml.step()? {
            Step::Open(name) => found |= document(&mut xml, name.as_str(), options, sink)?,
            Step::Text | Step::Close => {}
            Step::End if found => return Ok(()),
            Step::End => return Err(xml.broken("there is no statement message in the file")),
        }
    }
}

/// A message at the top of the file, or inside an envelope around it.
fn document(
    xml: &mut Xml<'_>,
    name: &str,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<bool, StatementFault> {
    if name != "Document" {
        let mut found = false;
        xml.children(&mut |xml, name| {
            found |= document(xml, name, options, sink)?;
            Ok(())
        })?;
        return Ok(found);
    }
    version(xml)?;
    let mut statements = 0_u64;
    xml.children(&mut |xml, name| {
        if name != "BkToCstmrStmt" {
            return Ok(());
        }
        xml.children(&mut |xml, name| {
            if name != "Stmt" {
                return Ok(());
            }
            statements += 1;
            Statement::new(options).read(xml, sink)
        })
    })?;
    if statements == 0 {
        return Err(xml.broken("the message holds no statement"));
    }
    Ok(true)
}

fn version(xml: &Xml<'_>) -> Result<(), StatementFault> {
    let refuse = |code, detail: String| Err(StatementFault::new(code, detail).at(xml.line()));
    let message = xml
        .attributes()
        .filter(|(name, _)| name.starts_with("xmlns"))
        .find_map(|(_, value)| value.strip_prefix(NAMESPACE));
    let Some(message) = message else {
        let detail = "The document names no ISO 20022 message.";
        return refuse(FaultCode::UnsupportedMessage, detail.to_owned());
    };
    let message: String = message.chars().take(40).collect();
    let Some(version) = message.strip_prefix(FAMILY) else {
        let detail = format!("The message {message} is not read; camt.053 is.");
        return refuse(FaultCode::UnsupportedMessage, detail);
    };
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    let detail = format!("The version {message} is not read; .02, .04 and .08 are.");
    refuse(FaultCode::UnsupportedVersion, detail)
}

/// A balance as written; amounts wait until the currency is known.
#[derive(Debug, Default)]
struct RawBalance {
    code: String,
    intermediate: bool,
    amount: String,
    currency: Option<String>,
    credit: Option<bool>,
    day: Option<Day>,
    line: u64,
}

/// An amount with its currency.
#[derive(Debug, Default, Clone)]
struct Amount {
    digits: String,
    currency: Option<String>,
}

/// A statement being read.
struct Statement<'o> {
    options: &'o Options<'o>,
    head: Head,
    legal_sequence: Option<u64>,
    opened: bool,
    balances: Vec<RawBalance>,
    tail: Tail,
}

impl<'o> Statement<'o> {
    fn new(options: &'o Options<'o>) -> Self {
        Self {
            options,
            head: Head {
                bank_statement_id: String::new(),
                sequence: None,
                page: None,
                account_ref: String::new(),
                currency: String::new(),
                scale: SCALE_OF_UNKNOWN,
            },
            legal_sequence: None,
            opened: false,
            balances: Vec::new(),
            tail: Tail::default(),
        }
    }

    fn read(mut self, xml: &mut Xml<'_>, sink: &mut dyn Sink) -> Result<(), StatementFault> {
        xml.children(&mut |xml, name| self.member(xml, name, sink))?;
        self.open(xml, None, sink)?;
        // Text is decoded ahead of what is read: which statement the bytes stood in is not known.
        if !xml.input().deviations().is_empty() {
            note(&mut self.tail.deviations, Deviation::CharsetFallback);
        }
        self.choose_balances(sink)?;
        if self.tail.pending > 0 {
            note(&mut self.tail.warnings, Warning::PendingLeftOut);
        }
        if self.tail.information > 0 {
            note(&mut self.tail.warnings, Warning::InformationLeftOut);
        }
        sink.close(self.tail)
    }

    fn member(
        &mut self,
        xml: &mut Xml<'_>,
        name: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), StatementFault> {
        match name {
            "Id" => self.head.bank_statement_id = short(xml.text()?),
            "ElctrncSeqNb" => self.head.sequence = xml.text()?.parse().ok(),
            "LglSeqNb" => self.legal_sequence = xml.text()?.parse().ok(),
            "StmtPgntn" => {
                let page = &mut self.head.page;
                xml.children(&mut |xml, name| {
                    if name == "PgNb" {
                        *page = xml.text()?.parse().ok();
                    }
                    Ok(())
                })?;
            }
            "Acct" => {
                let head = &mut self.head;
                xml.children(&mut |xml, name| {
                    match name {
                        "Id" => head.account_ref = account_number(xml)?,
                        "Ccy" => head.currency = short(xml.text()?),
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            "Bal" => {
                let balance = raw_balance(xml)?;
                self.balances.push(balance);
            }
            "Ntry" => {
                let line = xml.line();
                let entry = entry::Entry::read(xml)?;
                self.open(xml, entry.amount.currency.as_deref(), sink)?;
                if let Some(line) = entry.into_line(line, self, sink)? {
                    sink.line(line)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells the sink once account and currency are known.
    fn open(
        &mut self,
        xml: &Xml<'_>,
        entry_currency: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Result<(), StatementFault> {
        if self.opened {
            return Ok(());
        }
        if self.head.account_ref.is_empty() {
            return Err(xml.broken("the statement names no account"));
        }
        if self.head.currency.is_empty() {
            let balance = self
                .balances
                .iter()
                .find_map(|balance| balance.currency.as_deref());
            self.head.currency = balance.or(entry_currency).unwrap_or_default().to_owned();
        }
        self.head.sequence = self.head.sequence.or(self.legal_sequence);
        let scale = (self.options.scale_of)(&self.head.currency);
        self.head.scale = scale.unwrap_or(SCALE_OF_UNKNOWN);
        sink.open(self.head.clone())?;
        self.opened = true;
        if scale.is_none() {
            let detail = format!("The currency `{}` is not registered.", self.head.currency);
            sink.fault(StatementFault::new(FaultCode::CurrencyUnknown, detail).at(xml.line()))?;
        }
        Ok(())
    }

    /// Whole minor units of an unsigned amount in the statement's currency.
    fn minor(&self, amount: &Amount, line: u64) -> Result<i128, StatementFault> {
        if let Some(currency) = &amount.currency
            && *currency != self.head.currency
        {
            let (found, expected) = (short(currency), &self.head.currency);
            let detail = format!("An amount in {found} stands in a statement of {expected}.");
            return Err(StatementFault::new(FaultCode::CurrencyMismatch, detail).at(line));
        }
        amount::minor(amount.digits.as_bytes(), b'.', self.head.scale)
            .map_err(|fault| amount_fault(fault, &amount.digits, line))
    }

    fn choose_balances(&mut self, sink: &mut dyn Sink) -> Result<(), StatementFault> {
        let raw = std::mem::take(&mut self.balances);
        let dated = |wanted: &str| {
            let mut found: Vec<usize> = (0..raw.len()).filter(|n| raw[*n].code == wanted).collect();
            found.sort_by_key(|n| raw[*n].day);
            found
        };
        let between = dated("ITBD");
        let first = |codes: [&str; 2]| codes.iter().find_map(|code| dated(code).first().copied());
        let opening = first(["OPBD", "PRCD"]).or(between.first().copied());
        let closing = dated("CLBD").last().copied();
        let closing = closing.or(between.last().copied().filter(|n| Some(*n) != opening));
        for (is_opening, chosen) in [(true, opening), (false, closing)] {
            let Some(chosen) = chosen else { continue };
            match self.balance(&raw[chosen]) {
                Ok(balance) if is_opening => self.tail.opening = Some(balance),
                Ok(balance) => self.tail.closing = Some(balance),
                Err(fault) => sink.fault(fault)?,
            }
        }
        Ok(())
    }

    fn balance(&self, raw: &RawBalance) -> Result<Balance, StatementFault> {
        let amount = Amount {
            digits: raw.amount.clone(),
            currency: raw.currency.clone(),
        };
        let amount = self.minor(&amount, raw.line)?;
        let credit = raw.credit.ok_or_else(|| {
            StatementFault::unreadable(raw.line, "a balance has no credit/debit indicator")
        })?;
        let day = raw.day.ok_or_else(|| {
            let detail = "A balance has no date, or one that does not exist.";
            StatementFault::new(FaultCode::InvalidDate, detail).at(raw.line)
        })?;
        Ok(Balance {
            amount: if credit { amount } else { -amount },
            day,
            intermediate: raw.intermediate || raw.code == "ITBD",
        })
    }
}

fn raw_balance(xml: &mut Xml<'_>) -> Result<RawBalance, StatementFault> {
    let mut balance = RawBalance {
        line: xml.line(),
        ..RawBalance::default()
    };
    xml.children(&mut |xml, name| {
        match name {
            "Tp" => xml.children(&mut |xml, name| {
                let sub = name == "SubTp";
                xml.children(&mut |xml, name| {
                    if name == "Cd" {
                        let code = short(xml.text()?);
                        if sub {
                            balance.intermediate |= code == "INTM";
                        } else {
                            balance.code = code;
                        }
                    }
                    Ok(())
                })
            })?,
            "Amt" => {
                balance.currency = xml.attribute("Ccy").map(short);
                balance.amount = short(xml.text()?);
            }
            "CdtDbtInd" => balance.credit = indicator(xml)?,
            "Dt" => balance.day = date(xml)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(balance)
}

/// `Dt` or `DtTm` inside a date choice. The day is the one written, in whatever zone the bank
/// writes it.
fn date(xml: &mut Xml<'_>) -> Result<Option<Day>, StatementFault> {
    let mut day = None;
    xml.children(&mut |xml, name| {
        match name {
            "Dt" => day = Day::parse_iso(xml.text()?, true),
            "DtTm" => day = Day::parse_iso(xml.text()?, true),
            _ => {}
        }
        Ok(())
    })?;
    Ok(day)
}

fn indicator(xml: &mut Xml<'_>) -> Result<Option<bool>, StatementFault> {
    Ok(match xml.text()? {
        "CRDT" => Some(true),
        "DBIT" => Some(false),
        _ => None,
    })
}

/// The number inside an account choice: `IBAN`, or `Othr` with its `Id`.
fn account_number(xml: &mut Xml<'_>) -> Result<String, StatementFault> {
    let mut number = String::new();
    xml.children(&mut |xml, name| {
        match name {
            "IBAN" => number = short(xml.text()?),
            "Othr" => xml.children(&mut |xml, name| {
                if name == "Id" && number.is_empty() {
                    number = short(xml.text()?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    number.retain(|letter| !letter.is_whitespace());
    Ok(number)
}

/// At most 140 characters: no field that is kept whole is longer.
fn short(text: &str) -> String {
    match text.len() <= 140 {
        true => text.to_owned(),
        false => text.chars().take(140).collect(),
    }
}

/// What an amount that cannot be read means.
pub(super) fn amount_fault(fault: AmountFault, digits: &str, line: u64) -> StatementFault {
    let shown: String = digits.chars().take(40).collect();
    let (code, problem) = match fault {
        AmountFault::Invalid => (FaultCode::AmountInvalid, "is not an amount"),
        AmountFault::Precision => (
            FaultCode::AmountPrecision,
            "has more decimals than the currency",
        ),
        AmountFault::Range => (FaultCode::AmountOutOfRange, "is out of range"),
    };
    StatementFault::new(code, format!("`{shown}` {problem}.")).at(line)
}
