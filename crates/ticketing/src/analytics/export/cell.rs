//! Values of an export as CSV (RFC 4180) and JSON.

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use serde_json::Value;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    None,
    /// Somebody's words.
    Text(String),
    /// A word, id or amount of ours, which no spreadsheet takes for a formula.
    Word(String),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// An instant, microseconds.
    Time(i64),
}

impl Cell {
    /// Somebody's words, if there are any.
    pub fn text(value: Option<String>) -> Self {
        value.map_or(Self::None, Self::Text)
    }

    /// A word of ours, if there is one.
    pub fn word(value: Option<String>) -> Self {
        value.map_or(Self::None, Self::Word)
    }

    /// An instant, if there is one.
    pub fn time(value: Option<i64>) -> Self {
        value.map_or(Self::None, Self::Time)
    }

    fn plain(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => guarded(text),
            Self::Word(word) => word.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bool(yes) => yes.to_string(),
            Self::Time(at) => Timestamp(*at).to_string(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Text(text) | Self::Word(text) => Value::from(text.as_str()),
            Self::Int(number) => Value::from(*number),
            Self::Bool(yes) => Value::from(*yes),
            Self::Time(at) => Value::from(Timestamp(*at).to_string()),
        }
    }
}

/// Words that a spreadsheet would calculate get a leading `'`.
fn guarded(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    let needs = text.contains(['"', ',', '\n', '\r']);
    match needs {
        false => out.extend_from_slice(text.as_bytes()),
        true => {
            out.push(b'"');
            out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        }
    }
}

/// The line of names.
pub fn head(names: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(names.join(",").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One row of CSV.
pub fn csv(cells: &[Cell], out: &mut Vec<u8>) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        quoted(&cell.plain(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// One object of JSON.
///
/// # Errors
/// None that can be met: the names are plain.
pub fn json(names: &[&str], cells: &[Cell], out: &mut Vec<u8>) -> Result<(), Problem> {
    let members = names.iter().zip(cells);
    let object: serde_json::Map<String, Value> = members
        .map(|(name, cell)| ((*name).to_owned(), cell.value()))
        .collect();
    serde_json::to_writer(out, &Value::Object(object)).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_61_formulas_are_made_harmless() {
        let mut out = Vec::new();
        let cells = [
            Cell::Text("=1+1".to_owned()),
            Cell::Text("-x".to_owned()),
            Cell::Word("-5.00".to_owned()),
            Cell::Text("a \"b\", c".to_owned()),
            Cell::None,
        ];
        csv(&cells, &mut out);
        let line = String::from_utf8(out).expect("UTF-8");
        assert_eq!(line, "'=1+1,'-x,-5.00,\"a \"\"b\"\", c\",\r\n");
    }
}
