//! Records of BAI2 with their continuations, and the fields of one.

use super::super::day::Day;
use super::super::fault::{FaultCode, StatementFault};
use super::super::input::Input;

/// Longest record with its continuations, in bytes.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// Most pairs of a distributed availability.
const DISTRIBUTIONS_MAX: u64 = 1_000;

/// One logical record.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: String,
    /// Where it starts.
    pub(super) line: u64,
    /// Physical records it was made of.
    pub(super) physical: u64,
    /// Ended as it must.
    pub(super) terminated: bool,
}

/// The records of a file.
pub(super) struct Records<'r> {
    input: Input<'r>,
    /// The physical record after the one being gathered.
    ahead: Option<(String, u64)>,
    started: bool,
}

impl<'r> Records<'r> {
    pub(super) fn new(input: Input<'r>) -> Self {
        Self {
            input,
            ahead: None,
            started: false,
        }
    }

    pub(super) fn line(&self) -> u64 {
        self.input.line()
    }

    /// Bytes were read in another character set than the file's.
    pub(super) fn has_fallback(&self) -> bool {
        !self.input.deviations().is_empty()
    }

    /// The next record that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Record>, StatementFault> {
        if !self.started {
            self.started = true;
            self.ahead = self.physical()?;
        }
        let Some((mut text, line)) = self.ahead.take() else {
            return Ok(None);
        };
        if text.starts_with("88,") {
            return Err(StatementFault::unreadable(
                line,
                "a continuation continues nothing",
            ));
        }
        let free_text = text.starts_with("16,");
        let mut physical = 1;
        let mut terminated = strip_end(&mut text) || free_text;
        loop {
            self.ahead = self.physical()?;
            let continuation = self
                .ahead
                .as_ref()
                .and_then(|(next, _)| next.strip_prefix("88,"));
            let Some(more) = continuation else { break };
            if text.len() + more.len() > RECORD_BYTES_MAX {
                return Err(StatementFault::unreadable(
                    line,
                    "a record is longer than 1 MiB",
                ));
            }
            let mut more = more.to_owned();
            physical += 1;
            // A record that ended in `/` goes on with its next field; text goes on as text.
            text.push(if terminated && !free_text { ',' } else { ' ' });
            terminated = strip_end(&mut more) || free_text;
            text.push_str(&more);
        }
        Ok(Some(Record {
            text,
            line,
            physical,
            terminated,
        }))
    }

    fn physical(&mut self) -> Result<Option<(String, u64)>, StatementFault> {
        let mut text = String::new();
        loop {
            let at = self.input.line();
            if !self.input.read_line(&mut text)? {
                return Ok(None);
            }
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                return Ok(Some((text, at)));
            }
        }
    }
}

fn strip_end(text: &mut String) -> bool {
    let ends = text.ends_with('/');
    if ends {
        text.pop();
    }
    ends
}

impl Record {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields {
            rest: Some(&self.text),
        }
    }
}

/// The fields of a record, from left to right.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// All that is left, commas included.
    pub(super) fn rest(self) -> &'a str {
        self.rest.unwrap_or_default()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (field, rest) = match self.rest?.split_once(',') {
            Some((field, rest)) => (field, Some(rest)),
            None => (self.rest?, None),
        };
        self.rest = rest;
        Some(field.trim())
    }
}

/// The type of funds, and the fields it brings with it.
#[derive(Debug, Default)]
pub(super) struct Funds {
    /// `V`: the value date.
    pub(super) value: Option<Day>,
}

impl Funds {
    pub(super) fn read(fields: &mut Fields<'_>, at: u64) -> Result<Self, StatementFault> {
        let mut funds = Self::default();
        match fields.next().unwrap_or_default() {
            "" | "Z" | "0" | "1" | "2" => {}
            "S" => {
                for _ in 0..3 {
                    let _amount = fields.next();
                }
            }
            "V" => {
                let date = fields.next().unwrap_or_default();
                let _time = fields.next();
                if !date.is_empty() {
                    let day = Day::parse_short(date.as_bytes()).filter(|_| date.len() == 6);
                    funds.value = Some(day.ok_or_else(|| {
                        let detail = "A value date is not a date of the form YYMMDD.";
                        StatementFault::new(FaultCode::InvalidDate, detail).at(at)
                    })?);
                }
            }
            "D" => {
                let count = fields.next().and_then(|count| count.parse().ok());
                let count = count.filter(|count: &u64| *count <= DISTRIBUTIONS_MAX);
                let count = count.ok_or_else(|| {
                    StatementFault::unreadable(at, "a distribution has no number of parts")
                })?;
                for _ in 0..2 * count {
                    let _part = fields.next();
                }
            }
            other => {
                let shown: String = other.chars().take(10).collect();
                let detail = format!("`{shown}` is no type of funds");
                return Err(StatementFault::unreadable(at, detail));
            }
        }
        Ok(funds)
    }
}
