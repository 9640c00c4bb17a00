//! OFX 1 (SGML) and OFX 2 (XML), banks and cards (contract D1).
//!
//! Both forms become the same three steps: a group begins, an element has a value, a group ends.
//! The ledger balance is the closing; the format has no opening, so that the closing before it
//! is taken, and the sum must lead from there.

mod sgml;
mod statement;

use super::fault::StatementFault;
use super::input::Input;
use super::model::{Options, Sink};
use super::xml::{Step, Xml};
use statement::Reader;

/// Groups that something is made of, or whose elements have names of others and must not be
/// taken for them. All other groups are passed through.
pub(super) const GROUPS: [&str; 27] = [
    "OFX",
    "SIGNONMSGSRSV1",
    "SONRS",
    "STATUS",
    "FI",
    "BANKMSGSRSV1",
    "CREDITCARDMSGSRSV1",
    "STMTTRNRS",
    "CCSTMTTRNRS",
    "STMTRS",
    "CCSTMTRS",
    "BANKACCTFROM",
    "CCACCTFROM",
    "BANKTRANLIST",
    "BANKTRANLISTP",
    "STMTTRN",
    "STMTTRNP",
    "LEDGERBAL",
    "AVAILBAL",
    "BALLIST",
    "BAL",
    "PAYEE",
    "BANKACCTTO",
    "CCACCTTO",
    "CURRENCY",
    "ORIGCURRENCY",
    "IMAGEDATA",
];

/// Where a form puts its steps.
trait Steps {
    fn open(&mut self, group: &str, line: u64) -> Result<(), StatementFault>;
    fn value(&mut self, element: &str, text: &str, line: u64) -> Result<(), StatementFault>;
    fn close(&mut self, group: &str, line: u64) -> Result<(), StatementFault>;
}

/// Reads a whole file of either form; `xml` says which.
///
/// # Errors
/// As the other readers: faults of a statement go to the sink, faults of the file come back.
pub fn read(
    input: Input<'_>,
    xml: bool,
    options: &Options<'_>,
    sink: &mut dyn Sink,
) -> Result<(), StatementFault> {
    let mut reader = Reader::new(options, sink);
    let deviations = if xml {
        let mut xml = Xml::new(input);
        read_xml(&mut xml, &mut reader)?;
        xml.input().deviations().to_vec()
    } else {
        sgml::read(input, &mut reader)?
    };
    reader.end(&deviations)
}

/// Whether the beginning of a file is the XML form.
pub fn is_xml(head: &[u8]) -> bool {
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    has(b"<?xml") || has(b"<?OFX") || has(b"<!DOCTYPE")
}

/// An element is a value when it has text and nothing inside, else a group.
fn read_xml(xml: &mut Xml<'_>, steps: &mut dyn Steps) -> Result<(), StatementFault> {
    let mut open: Option<String> = None;
    let mut groups: Vec<String> = Vec::new();
    loop {
        match xml.step()? {
            Step::Open(name) => {
                if let Some(group) = open.replace(name.as_str().to_owned()) {
                    steps.open(&group, xml.line())?;
                    groups.push(group);
                }
                drop(xml.taken());
            }
            Step::Text => {
                if open.is_none() {
                    drop(xml.taken());
                }
            }
            Step::Close => match open.take() {
                Some(element) => {
                    let text = xml.taken();
                    steps.value(&element, text.trim(), xml.line())?;
                }
                None => {
                    if let Some(group) = groups.pop() {
                        steps.close(&group, xml.line())?;
                    }
                    drop(xml.taken());
                }
            },
            Step::End => return Ok(()),
        }
    }
}
