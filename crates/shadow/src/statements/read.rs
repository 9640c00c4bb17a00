//! One entry for all formats: detect, choose the character set, read.

use std::io::BufRead;

use super::csv::Given;
use super::fault::{FaultCode, StatementFault};
use super::input::{Charset, Limits, Source};
use super::model::{Format, Options, Sink};
use super::{bai2, camt, csv, detect, mt940, ofx};

/// What is read and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The format, if the caller named one.
    pub format: Option<Format>,
    /// What a CSV needs; `None` without a profile.
    pub csv: Option<Given<'a>>,
    /// There is a profile, and nobody said which account the CSV is of.
    pub csv_account_missing: bool,
    /// Size bounds.
    pub limits: Limits,
    /// Options of all readers.
    pub options: Options<'a>,
}

/// Reads a file into `sink`; answers its format. Stops at the first fault that the sink does
/// not take.
///
/// # Errors
/// Those of the contract.
pub fn read(
    raw: impl BufRead,
    request: &Request<'_>,
    sink: &mut dyn Sink,
    found: &mut dyn FnMut(Format),
) -> Result<Format, StatementFault> {
    let source = Source::open(raw, request.limits)?;
    let format = match request.format {
        Some(format) => format,
        None => detect::detect(source.head())?,
    };
    found(format);
    let options = &request.options;
    let charset = detect::charset(format, source.head())?;
    match format {
        Format::Camt053 => camt::read(source.text(charset, options.lenient), options, sink)?,
        Format::Mt940 => mt940::read(source.text(charset, options.lenient), options, sink)?,
        Format::Bai2 => bai2::read(source.text(charset, options.lenient), options, sink)?,
        Format::Ofx => {
            let xml = ofx::is_xml(source.head());
            ofx::read(source.text(charset, options.lenient), xml, options, sink)?;
        }
        Format::Csv => {
            if request.csv_account_missing {
                let detail = "A CSV names no account: give it as `accountId`.";
                return Err(StatementFault::new(FaultCode::AccountUnmapped, detail));
            }
            let Some(given) = request.csv else {
                let detail = "A CSV needs the profile of its bank.";
                return Err(StatementFault::new(FaultCode::ProfileUnknown, detail));
            };
            let charset = Charset::from_name(&given.profile.encoding).unwrap_or(Charset::Utf8);
            csv::read(source.text(charset, false), given, options, sink)?;
        }
    }
    Ok(format)
}
