//! An entry of a camt.053 statement and the transactions inside it.

use super::super::day::Day;
use super::super::fault::{FaultCode, StatementFault};
use super::super::model::{
    Counterparty, DETAILS_MAX, Detail, Deviation, Line, Original, References, Sink, TEXT_MAX,
    Warning, kept, note, reference,
};
use super::super::xml::Xml;
use super::{Amount, Statement, account_number, date, indicator, short};

/// An entry as written.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) amount: Amount,
    credit: Option<bool>,
    reversal: bool,
    status: String,
    booking: Option<Day>,
    booking_wrong: bool,
    value: Option<Day>,
    bank_ref: Option<Box<str>>,
    servicer_ref: Option<Box<str>>,
    code: String,
    charges: Option<Amount>,
    original: Option<Original>,
    text: Option<Box<str>>,
    transactions: Vec<Transaction>,
}

/// One `TxDtls`.
#[derive(Debug, Default)]
struct Transaction {
    references: References,
    amount: Option<Amount>,
    credit: Option<bool>,
    debtor: Counterparty,
    creditor: Counterparty,
    text: String,
    original: Option<Original>,
}

type Done = Result<(), StatementFault>;

impl Entry {
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self, StatementFault> {
        let mut entry = Self::default();
        xml.children(&mut |xml, name| entry.member(xml, name))?;
        Ok(entry)
    }

    fn member(&mut self, xml: &mut Xml<'_>, name: &str) -> Done {
        match name {
            "NtryRef" => self.bank_ref = reference(xml.text()?),
            "Amt" => self.amount = amount(xml)?,
            "CdtDbtInd" => self.credit = indicator(xml)?,
            "RvslInd" => self.reversal = matches!(xml.text()?, "true" | "1"),
            "Sts" => self.status = status(xml)?,
            "BookgDt" => {
                self.booking = date(xml)?;
                self.booking_wrong = self.booking.is_none();
            }
            "ValDt" => self.value = date(xml)?,
            "AcctSvcrRef" => self.servicer_ref = reference(xml.text()?),
            "BkTxCd" => self.code = transaction_code(xml)?,
            "AmtDtls" => self.original = instructed(xml)?.1,
            "Chrgs" => {
                let charges = &mut self.charges;
                xml.children(&mut |xml, name| {
                    if matches!(name, "TtlChrgsAndTaxAmt" | "Amt") && charges.is_none() {
                        *charges = Some(amount(xml)?);
                    }
                    Ok(())
                })?;
            }
            "NtryDtls" => xml.children(&mut |xml, name| {
                if name == "TxDtls" {
                    if self.transactions.len() == DETAILS_MAX {
                        return Err(xml.broken("an entry has more than 10000 transactions"));
                    }
                    self.transactions.push(Transaction::read(xml)?);
                }
                Ok(())
            })?,
            "AddtlNtryInf" => self.text = kept(xml.text()?, TEXT_MAX),
            _ => {}
        }
        Ok(())
    }

    /// The line, if it is booked; what refuses the statement goes to the sink.
    pub(super) fn into_line(
        self,
        at: u64,
        statement: &mut Statement<'_>,
        sink: &mut dyn Sink,
    ) -> Result<Option<Line>, StatementFault> {
        match self.status.as_str() {
            "BOOK" => {}
            "PDNG" | "FUTR" => {
                statement.tail.pending += 1;
                return Ok(None);
            }
            "INFO" => {
                statement.tail.information += 1;
                return Ok(None);
            }
            "" if statement.options.lenient => {
                note(&mut statement.tail.deviations, Deviation::StatusMissing);
            }
            other => {
                let detail = format!("An entry has the status `{other}`.");
                sink.fault(StatementFault::new(FaultCode::DeviationRefused, detail).at(at))?;
                return Ok(None);
            }
        }
        match self.booked(at, statement) {
            Ok(line) => Ok(Some(line)),
            Err(fault) if fault.code == FaultCode::StatementUnreadable => Err(fault),
            Err(fault) => sink.fault(fault).map(|()| None),
        }
    }

    fn booked(self, at: u64, statement: &mut Statement<'_>) -> Result<Line, StatementFault> {
        let amount = statement.minor(&self.amount, at)?;
        let credit = self.credit.ok_or_else(|| {
            StatementFault::unreadable(at, "an entry has no credit/debit indicator")
        })?;
        let signed = |amount: i128, credit: bool| if credit { amount } else { -amount };
        let booking = match (self.booking, self.value) {
            (Some(day), _) => day,
            (None, Some(day)) if statement.options.lenient && !self.booking_wrong => {
                note(
                    &mut statement.tail.deviations,
                    Deviation::BookingDateMissing,
                );
                day
            }
            _ => {
                let detail = "An entry has no booking date, or one that does not exist.";
                return Err(StatementFault::new(FaultCode::InvalidDate, detail).at(at));
            }
        };
        let charges = self.charges.as_ref();
        let charges = charges.and_then(|charges| statement.minor(charges, at).ok());
        let mut line = Line {
            booking,
            value: self.value,
            amount: signed(amount, credit),
            reversal: self.reversal,
            code: kept(&self.code, TEXT_MAX),
            charges,
            original: self.original,
            text: self.text,
            file_line: at,
            ..Line::default()
        };
        let single = self.transactions.len() == 1;
        let mut sum = Some(0_i128);
        for transaction in self.transactions {
            let written = transaction.amount.as_ref();
            let own = written.and_then(|amount| statement.minor(amount, at).ok());
            let own = own.map(|own| signed(own, transaction.credit.unwrap_or(credit)));
            sum = sum.zip(own).and_then(|(sum, own)| sum.checked_add(own));
            let detail = transaction.into_detail(own, credit, &mut line, single);
            line.details.push(detail);
        }
        if !line.details.is_empty() && sum.is_some_and(|sum| sum != line.amount) {
            note(&mut statement.tail.warnings, Warning::DetailSumDiffers);
        }
        if single && line.details[0].amount.is_none_or(|own| own == line.amount) {
            // Everything it says stands on the line itself.
            line.details.clear();
        }
        line.references.servicer_ref = self.servicer_ref.or(line.references.servicer_ref.take());
        line.references.bank_ref = self.bank_ref;
        Ok(line)
    }
}

impl Transaction {
    fn read(xml: &mut Xml<'_>) -> Result<Self, StatementFault> {
        let mut transaction = Self::default();
        xml.children(&mut |xml, name| transaction.member(xml, name))?;
        Ok(transaction)
    }

    fn member(&mut self, xml: &mut Xml<'_>, name: &str) -> Done {
        match name {
            "Refs" => {
                let to = &mut self.references;
                xml.children(&mut |xml, name| {
                    match name {
                        "EndToEndId" => to.end_to_end_id = reference(xml.text()?),
                        "TxId" => to.transaction_id = reference(xml.text()?),
                        "AcctSvcrRef" => to.servicer_ref = reference(xml.text()?),
                        "InstrId" => to.customer_ref = reference(xml.text()?),
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            "Amt" => self.amount = Some(amount(xml)?),
            "CdtDbtInd" => self.credit = indicator(xml)?,
            "AmtDtls" => {
                let (own, original) = instructed(xml)?;
                self.amount = self.amount.take().or(own);
                self.original = original;
            }
            "RltdPties" => {
                let (debtor, creditor) = (&mut self.debtor, &mut self.creditor);
                xml.children(&mut |xml, name| {
                    match name {
                        "Dbtr" => debtor.name = party_name(xml)?,
                        "Cdtr" => creditor.name = party_name(xml)?,
                        "DbtrAcct" => debtor.account = party_account(xml)?,
                        "CdtrAcct" => creditor.account = party_account(xml)?,
                        _ => {}
                    }
                    Ok(())
                })?;
            }
            "RmtInf" => self.remittance(xml)?,
            "AddtlTxInf" if self.text.is_empty() => self.text = xml.text()?.to_owned(),
            _ => {}
        }
        Ok(())
    }

    fn remittance(&mut self, xml: &mut Xml<'_>) -> Done {
        let text = &mut self.text;
        let customer_ref = &mut self.references.customer_ref;
        text.clear();
        xml.children(&mut |xml, name| {
            match name {
                "Ustrd" => {
                    let part = xml.text()?;
                    if !text.is_empty() && text.len() < 4 * TEXT_MAX {
                        text.push(' ');
                    }
                    if text.len() < 4 * TEXT_MAX {
                        text.push_str(part);
                    }
                }
                "Strd" => xml.children(&mut |xml, name| {
                    if name != "CdtrRefInf" {
                        return Ok(());
                    }
                    xml.children(&mut |xml, name| {
                        if name == "Ref" && customer_ref.is_none() {
                            *customer_ref = reference(xml.text()?);
                        }
                        Ok(())
                    })
                })?,
                _ => {}
            }
            Ok(())
        })
    }

    /// As a detail; what a single transaction says also stands on its line.
    fn into_detail(
        self,
        amount: Option<i128>,
        credit: bool,
        line: &mut Line,
        single: bool,
    ) -> Detail {
        let (near, far) = if credit {
            (self.debtor, self.creditor)
        } else {
            (self.creditor, self.debtor)
        };
        // A bank that fills only the wrong side means the same party.
        let empty = near.name.is_none() && near.account.is_none();
        let counterparty = if empty { far } else { near };
        let text = kept(&self.text, TEXT_MAX);
        if single {
            line.references = self.references.clone();
            line.counterparty = counterparty.clone();
            line.text = text.clone().or(line.text.take());
            line.original = self.original.or(line.original.take());
        }
        Detail {
            amount,
            references: self.references,
            counterparty,
            text,
        }
    }
}

fn amount(xml: &mut Xml<'_>) -> Result<Amount, StatementFault> {
    let currency = xml.attribute("Ccy").map(short);
    let digits = short(xml.text()?);
    Ok(Amount { digits, currency })
}

/// `BOOK` as text (.02, .04) or inside `Cd` (.08).
fn status(xml: &mut Xml<'_>) -> Result<String, StatementFault> {
    use super::super::xml::Step;
    let mut status = String::new();
    loop {
        match xml.step()? {
            Step::Open(name) if matches!(name.as_str(), "Cd" | "Prtry") => {
                status = short(xml.text()?);
            }
            Step::Open(_) => xml.skip()?,
            Step::Text => {
                let text = xml.taken();
                if status.is_empty() {
                    status = short(text.trim());
                }
            }
            Step::Close => return Ok(status),
            Step::End => return Err(xml.broken("the document ends inside an element")),
        }
    }
}

/// Domain, family and sub-family, or the bank's own code.
fn transaction_code(xml: &mut Xml<'_>) -> Result<String, StatementFault> {
    let mut parts: Vec<String> = Vec::new();
    let mut own = String::new();
    xml.children(&mut |xml, name| {
        let proprietary = name == "Prtry";
        xml.children(&mut |xml, name| {
            match name {
                "Cd" if proprietary => own = short(xml.text()?),
                "Cd" => parts.push(short(xml.text()?)),
                "Fmly" => xml.children(&mut |xml, name| {
                    if matches!(name, "Cd" | "SubFmlyCd") {
                        parts.push(short(xml.text()?));
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(if parts.is_empty() {
        own
    } else {
        parts.join("/")
    })
}

/// The amount of the transaction itself, and the one instructed in another currency.
fn instructed(xml: &mut Xml<'_>) -> Result<(Option<Amount>, Option<Original>), StatementFault> {
    let mut own = None;
    let mut first: Option<Amount> = None;
    let mut rate = None;
    xml.children(&mut |xml, name| {
        let (instructed, transaction) = (name == "InstdAmt", name == "TxAmt");
        if !(instructed || transaction || name == "CntrValAmt") {
            return Ok(());
        }
        xml.children(&mut |xml, name| {
            match name {
                "Amt" => {
                    let amount = amount(xml)?;
                    if instructed {
                        first = Some(amount);
                    } else if transaction {
                        own = Some(amount);
                    }
                }
                "CcyXchg" => xml.children(&mut |xml, name| {
                    if name == "XchgRate" {
                        rate = kept(xml.text()?, 40);
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })
    })?;
    let other = |amount: &Amount| {
        rate.is_some()
            || own
                .as_ref()
                .is_some_and(|own: &Amount| own.currency != amount.currency)
    };
    let original = first.filter(other).map(|amount| Original {
        amount: amount.digits.into(),
        currency: amount.currency.unwrap_or_default().into(),
        rate: rate.clone(),
    });
    Ok((own, original))
}

/// `Nm`, directly (.02, .04) or inside `Pty` (.08).
fn party_name(xml: &mut Xml<'_>) -> Result<Option<Box<str>>, StatementFault> {
    let mut found = None;
    xml.children(&mut |xml, name| {
        match name {
            "Nm" => found = reference(xml.text()?),
            "Pty" => found = party_name(xml)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn party_account(xml: &mut Xml<'_>) -> Result<Option<Box<str>>, StatementFault> {
    let mut found = String::new();
    xml.children(&mut |xml, name| {
        if name == "Id" {
            found = account_number(xml)?;
        }
        Ok(())
    })?;
    Ok(kept(&found, 140))
}
