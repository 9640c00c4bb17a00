//! The steps of OFX as statements.

use super::super::amount::{self, AmountFault};
use super::super::camt::amount_fault;
use super::super::day::Day;
use super::super::fault::{FaultCode, StatementFault};
use super::super::model::{
    Balance, Deviation, Head, Line, Options, Original, Sink, TEXT_MAX, Tail, Warning, kept, note,
    reference,
};
use super::super::mt940::refused;
use super::{GROUPS, Steps};

const SCALE_OF_UNKNOWN: u8 = 2;

/// A transaction as written.
#[derive(Default)]
struct Transaction {
    line: u64,
    kind: String,
    posted: String,
    available: String,
    amount: String,
    id: String,
    check: String,
    number: String,
    server: String,
    name: String,
    payee: String,
    memo: String,
    to_account: String,
    currency: String,
    original_currency: String,
    rate: String,
    correction: bool,
}

/// A statement being read.
#[derive(Default)]
struct Statement {
    currency: String,
    account: String,
    from: String,
    to: String,
    opened: bool,
    scale: u8,
    tail: Tail,
    balance: (String, String),
}

/// Takes the steps and tells the sink.
pub(super) struct Reader<'o> {
    options: &'o Options<'o>,
    sink: &'o mut dyn Sink,
    groups: Vec<&'static str>,
    statement: Option<Statement>,
    transaction: Option<Transaction>,
    /// The tail of the last statement: it is handed over when the deviations of the bytes are
    /// known up to there.
    statements: u64,
    waiting: Option<Tail>,
}

impl<'o> Reader<'o> {
    pub(super) fn new(options: &'o Options<'o>, sink: &'o mut dyn Sink) -> Self {
        Self {
            options,
            sink,
            groups: Vec::new(),
            statement: None,
            transaction: None,
            statements: 0,
            waiting: None,
        }
    }

    /// After the last step. Deviations of the bytes are named at the last statement.
    pub(super) fn end(mut self, deviations: &[Deviation]) -> Result<(), StatementFault> {
        if self.statements == 0 {
            return Err(StatementFault::unreadable(1, "the file holds no statement"));
        }
        if let Some(tail) = &mut self.waiting {
            for deviation in deviations {
                note(&mut tail.deviations, *deviation);
            }
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<(), StatementFault> {
        match self.waiting.take() {
            Some(tail) => self.sink.close(tail),
            None => Ok(()),
        }
    }

    fn open_statement(&mut self, line: u64) -> Result<(), StatementFault> {
        let Some(statement) = &mut self.statement else {
            return Ok(());
        };
        if statement.opened {
            return Ok(());
        }
        if statement.account.is_empty() {
            return Err(StatementFault::unreadable(
                line,
                "a statement names no account",
            ));
        }
        let scale = (self.options.scale_of)(&statement.currency);
        statement.scale = scale.unwrap_or(SCALE_OF_UNKNOWN);
        statement.opened = true;
        let day = |text: &str| text.chars().take(8).collect::<String>();
        self.sink.open(Head {
            bank_statement_id: format!("{}-{}", day(&statement.from), day(&statement.to)),
            sequence: None,
            page: None,
            account_ref: statement.account.clone(),
            currency: statement.currency.clone(),
            scale: statement.scale,
        })?;
        if scale.is_none() {
            let detail = format!("The currency `{}` is not registered.", statement.currency);
            self.sink
                .fault(StatementFault::new(FaultCode::CurrencyUnknown, detail).at(line))?;
        }
        Ok(())
    }

    fn end_transaction(&mut self, line: u64) -> Result<(), StatementFault> {
        self.open_statement(line)?;
        let (Some(written), Some(statement)) = (self.transaction.take(), &mut self.statement)
        else {
            return Ok(());
        };
        match written.into_line(statement, self.options) {
            Ok(line) => self.sink.line(line),
            Err(fault) => self.sink.fault(fault),
        }
    }

    fn end_statement(&mut self, line: u64) -> Result<(), StatementFault> {
        self.open_statement(line)?;
        let Some(mut statement) = self.statement.take() else {
            return Ok(());
        };
        let (written, day) = std::mem::take(&mut statement.balance);
        if !written.is_empty() {
            match statement.closing(&written, &day, line, self.options) {
                Ok(balance) => statement.tail.closing = Some(balance),
                Err(fault) => self.sink.fault(fault)?,
            }
        }
        statement.tail.opening_from_previous = true;
        if statement.tail.pending > 0 {
            note(&mut statement.tail.warnings, Warning::PendingLeftOut);
        }
        self.statements += 1;
        self.waiting = Some(statement.tail);
        Ok(())
    }

    fn element(&mut self, element: &str, text: &str) {
        let group = self.groups.last().copied().unwrap_or_default();
        let Some(statement) = &mut self.statement else {
            return;
        };
        let short = || text.chars().take(TEXT_MAX).collect::<String>();
        match (group, element) {
            ("STMTRS" | "CCSTMTRS", "CURDEF") => statement.currency = short(),
            ("BANKACCTFROM" | "CCACCTFROM", "ACCTID") => {
                statement.account = text
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .take(140)
                    .collect();
            }
            ("BANKTRANLIST", "DTSTART") => statement.from = short(),
            ("BANKTRANLIST", "DTEND") => statement.to = short(),
            ("LEDGERBAL", "BALAMT") => statement.balance.0 = short(),
            ("LEDGERBAL", "DTASOF") => statement.balance.1 = short(),
            _ => {}
        }
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let place = match (group, element) {
            ("STMTTRN", "TRNTYPE") => &mut transaction.kind,
            ("STMTTRN", "DTPOSTED") => &mut transaction.posted,
            ("STMTTRN", "DTAVAIL") => &mut transaction.available,
            ("STMTTRN", "TRNAMT") => &mut transaction.amount,
            ("STMTTRN", "FITID") => &mut transaction.id,
            ("STMTTRN", "CHECKNUM") => &mut transaction.check,
            ("STMTTRN", "REFNUM") => &mut transaction.number,
            ("STMTTRN", "SRVRTID") => &mut transaction.server,
            ("STMTTRN", "NAME") => &mut transaction.name,
            ("STMTTRN", "MEMO") => &mut transaction.memo,
            ("PAYEE", "NAME") => &mut transaction.payee,
            ("BANKACCTTO" | "CCACCTTO", "ACCTID") => &mut transaction.to_account,
            ("CURRENCY", "CURSYM") => &mut transaction.currency,
            ("ORIGCURRENCY", "CURSYM") => &mut transaction.original_currency,
            ("ORIGCURRENCY", "CURRATE") => &mut transaction.rate,
            ("STMTTRN", "CORRECTFITID" | "CORRECTACTION") => {
                transaction.correction = true;
                return;
            }
            _ => return,
        };
        *place = short();
    }
}

impl Steps for Reader<'_> {
    fn open(&mut self, group: &str, line: u64) -> Result<(), StatementFault> {
        let Some(known) = GROUPS.into_iter().find(|known| *known == group) else {
            self.groups.push("");
            return Ok(());
        };
        self.groups.push(known);
        match known {
            "STMTRS" | "CCSTMTRS" => {
                if self.statement.is_some() {
                    return Err(StatementFault::unreadable(
                        line,
                        "a statement stands inside another",
                    ));
                }
                self.hand_over()?;
                self.statement = Some(Statement::default());
            }
            "STMTTRN" if self.transaction.is_some() => {
                return Err(StatementFault::unreadable(
                    line,
                    "a transaction stands inside another",
                ));
            }
            "STMTTRN" if self.statement.is_some() => {
                self.transaction = Some(Transaction {
                    line,
                    ..Transaction::default()
                });
            }
            "STMTTRNP" => {
                if let Some(statement) = &mut self.statement {
                    statement.tail.pending += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, element: &str, text: &str, _line: u64) -> Result<(), StatementFault> {
        self.element(element, text);
        Ok(())
    }

    fn close(&mut self, group: &str, line: u64) -> Result<(), StatementFault> {
        self.groups.pop();
        match group {
            "STMTTRN" => self.end_transaction(line),
            "STMTRS" | "CCSTMTRS" => self.end_statement(line),
            _ => Ok(()),
        }
    }
}

impl Transaction {
    fn into_line(
        self,
        statement: &mut Statement,
        options: &Options<'_>,
    ) -> Result<Line, StatementFault> {
        let at = self.line;
        if self.correction {
            let detail = "Corrections of earlier transactions (CORRECTFITID) are not read.";
            return Err(StatementFault::new(FaultCode::UnsupportedMessage, detail).at(at));
        }
        if !self.currency.is_empty() && self.currency != statement.currency {
            let detail = format!(
                "A transaction in {} stands in a statement of {}.",
                self.currency.chars().take(10).collect::<String>(),
                statement.currency
            );
            return Err(StatementFault::new(FaultCode::CurrencyMismatch, detail).at(at));
        }
        let amount = statement.decimal(&self.amount, at, options)?;
        let booking = day(&self.posted, at)?;
        let value = match self.available.as_str() {
            "" => None,
            text => Some(day(text, at)?),
        };
        let name = if self.payee.is_empty() {
            &self.name
        } else {
            &self.payee
        };
        let mut line = Line {
            booking,
            value,
            amount,
            code: kept(&self.kind, TEXT_MAX),
            text: kept(&self.memo, TEXT_MAX),
            file_line: at,
            ..Line::default()
        };
        line.counterparty.name = kept(name, 140);
        line.counterparty.account = kept(&self.to_account, 140);
        line.references.bank_ref = reference(&self.id);
        line.references.servicer_ref = reference(&self.server);
        line.references.customer_ref = reference(&self.number).or_else(|| reference(&self.check));
        if !self.original_currency.is_empty() {
            line.original = Some(Original {
                amount: "".into(),
                currency: self.original_currency.into(),
                rate: kept(&self.rate, 40),
            });
        }
        Ok(line)
    }
}

impl Statement {
    fn closing(
        &mut self,
        written: &str,
        date: &str,
        at: u64,
        options: &Options<'_>,
    ) -> Result<Balance, StatementFault> {
        Ok(Balance {
            amount: self.decimal(written, at, options)?,
            day: day(date, at)?,
            intermediate: false,
        })
    }

    /// A signed amount. A comma can be a decimal mark or a group of thousands; it is taken only
    /// in lenient reading, and only where it can be nothing but the mark.
    fn decimal(
        &mut self,
        text: &str,
        at: u64,
        options: &Options<'_>,
    ) -> Result<i128, StatementFault> {
        let Some((_, after)) = text.split_once(',') else {
            return amount::signed_minor(text.as_bytes(), b'.', self.scale)
                .map_err(|fault| amount_fault(fault, text, at));
        };
        if !options.lenient {
            return Err(refused(Deviation::DecimalComma, at));
        }
        note(&mut self.tail.deviations, Deviation::DecimalComma);
        if after.len() > usize::from(self.scale) {
            return Err(amount_fault(AmountFault::Invalid, text, at));
        }
        amount::signed_minor(text.as_bytes(), b',', self.scale)
            .map_err(|fault| amount_fault(fault, text, at))
    }
}

/// `YYYYMMDD`, then perhaps time and zone: the day as the bank writes it.
fn day(text: &str, at: u64) -> Result<Day, StatementFault> {
    Day::parse_compact(text.as_bytes()).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let detail = format!("`{shown}` is not a date of the form YYYYMMDD.");
        StatementFault::new(FaultCode::InvalidDate, detail).at(at)
    })
}
