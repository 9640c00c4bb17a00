//! CSV as RFC 4180, with text that spreadsheets do not take for formulas (contract A10).

/// Appends a text cell. Texts that start with `=`, `+`, `-`, `@`, a tab or a carriage return
/// get a leading apostrophe; cells with a comma, quote or line end are quoted.
pub fn text(cell: &str, out: &mut Vec<u8>) {
    let guard = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quote = cell.contains([',', '"', '\n', '\r']);
    if quote {
        out.push(b'"');
    }
    if guard {
        out.push(b'\'');
    }
    for byte in cell.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    if quote {
        out.push(b'"');
    }
}

/// Appends a cell that needs neither guard nor quotes: numbers, times, fixed words.
pub fn plain(cell: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write as _;
    write!(out, "{cell}").expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: &str) -> String {
        let mut out = Vec::new();
        text(value, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn formulas_are_defused_and_quotes_doubled() {
        assert_eq!(cell("plain é"), "plain é");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("-a"), "'-a");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
        assert_eq!(cell("@a,b"), "\"'@a,b\"");
        assert_eq!(cell("\tx"), "'\tx");
    }
}
