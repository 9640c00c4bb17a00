//! Which format a file is, by its content and never by its name.

use super::fault::{FaultCode, StatementFault};
use super::input::Charset;
use super::model::Format;

/// The format that the first bytes (after unpacking) speak of; CSV when nothing else fits and
/// the bytes are text.
///
/// # Errors
/// 422 `unsupported_format` for content of no format.
pub fn detect(head: &[u8]) -> Result<Format, StatementFault> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace());
    let text = &head[start.unwrap_or(head.len())..];
    if text.is_empty() {
        return Err(StatementFault::unreadable(1, "the file is empty"));
    }
    if wide(head) {
        return Err(not_utf16());
    }
    if text.starts_with(b"OFXHEADER:") || has(text, b"<?OFX ") || has(text, b"<OFX>") {
        return Ok(Format::Ofx);
    }
    if text[0] == b'<' {
        return Ok(Format::Camt053);
    }
    if text.starts_with(b"{1:") || text[0] == 1 || text.starts_with(b":20:") || has(text, b"\n:20:")
    {
        return Ok(Format::Mt940);
    }
    if text.starts_with(b"01,") && has(text, b"02,") {
        return Ok(Format::Bai2);
    }
    let binary = text.iter().any(|byte| *byte < 9 || (14..32).contains(byte));
    if binary {
        let detail = "The content is of no format that is read.";
        return Err(StatementFault::new(FaultCode::UnsupportedFormat, detail));
    }
    Ok(Format::Csv)
}

fn has(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

fn wide(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

/// UTF-16 is no character set of statements.
pub fn not_utf16() -> StatementFault {
    let detail = "UTF-16 is not read; save the file as UTF-8.";
    StatementFault::new(FaultCode::CharsetError, detail).at(1)
}

/// The character set that the beginning of the file declares for itself.
///
/// # Errors
/// 400 `charset_error` for one that is not read.
pub fn charset(format: Format, head: &[u8]) -> Result<Charset, StatementFault> {
    if wide(head) {
        return Err(not_utf16());
    }
    let declared = match format {
        Format::Camt053 => xml_encoding(head),
        Format::Ofx => xml_encoding(head).or_else(|| ofx_charset(head)),
        Format::Mt940 | Format::Bai2 | Format::Csv => None,
    };
    let Some(name) = declared else {
        return Ok(Charset::Utf8);
    };
    Charset::from_name(&name).ok_or_else(|| {
        let name: String = name.chars().take(40).collect();
        let detail = format!("The character set `{name}` is not read.");
        StatementFault::new(FaultCode::CharsetError, detail).at(1)
    })
}

fn xml_encoding(head: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(head, b"<?xml")?;
    let end = start + memchr::memmem::find(&head[start..], b"?>")?;
    let declaration = &head[start..end];
    let at = memchr::memmem::find(declaration, b"encoding")?;
    let value = &declaration[at..];
    let open = value.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
    let close = value[open + 1..]
        .iter()
        .position(|byte| *byte == value[open])?;
    Some(String::from_utf8_lossy(&value[open + 1..open + 1 + close]).into_owned())
}

/// OFX 1: `ENCODING:UTF-8`, or `ENCODING:USASCII` with `CHARSET:1252`.
fn ofx_charset(head: &[u8]) -> Option<String> {
    let value = |name: &[u8]| {
        let at = memchr::memmem::find(head, name)? + name.len();
        let end = head[at..].iter().position(u8::is_ascii_whitespace)?;
        Some(String::from_utf8_lossy(&head[at..at + end]).into_owned())
    };
    let encoding = value(b"ENCODING:")?;
    if !encoding.eq_ignore_ascii_case("USASCII") {
        return Some(encoding);
    }
    value(b"CHARSET:").filter(|charset| !charset.eq_ignore_ascii_case("NONE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        for (head, format) in [
            (
                &b"\xef\xbb\xbf<?xml version=\"1.0\"?><Document/>"[..],
                Format::Camt053,
            ),
            (b"OFXHEADER:100\nDATA:OFXSGML\n", Format::Ofx),
            (
                b"<?xml version=\"1.0\"?><?OFX OFXHEADER=\"200\"?><OFX>",
                Format::Ofx,
            ),
            (b"{1:F01BANKDEFFXXXX}{2:O940}", Format::Mt940),
            (b"\r\n:20:STARTUMS\r\n", Format::Mt940),
            (b"ABNANL2A\r\n940\r\nABNANL2A\r\n:20:X", Format::Mt940),
            (
                b"01,122099999,123456789,260101,0200,1,,,2/\n02,",
                Format::Bai2,
            ),
            (b"01,12.2.2026,ACME\n", Format::Csv),
            (b"date;amount\n", Format::Csv),
        ] {
            assert_eq!(detect(head), Ok(format), "{}", head.escape_ascii());
        }
        assert_eq!(
            detect(b"\x7fELF\x02\x01").expect_err("binary").code,
            FaultCode::UnsupportedFormat
        );
        assert_eq!(
            detect(b" \n").expect_err("empty").code,
            FaultCode::StatementUnreadable
        );
        assert_eq!(
            detect(b"\xff\xfe<\0").expect_err("wide").code,
            FaultCode::CharsetError
        );
    }

    #[test]
    fn declared_character_sets_count() {
        let xml = b"<?xml version='1.0' encoding='ISO-8859-1'?>";
        assert_eq!(charset(Format::Camt053, xml), Ok(Charset::Latin1));
        let ofx = b"OFXHEADER:100\nENCODING:USASCII\nCHARSET:1252\n";
        assert_eq!(charset(Format::Ofx, ofx), Ok(Charset::Windows1252));
        assert_eq!(
            charset(Format::Ofx, b"ENCODING:UTF-8\nCHARSET:NONE\n"),
            Ok(Charset::Utf8)
        );
        let other = charset(Format::Camt053, b"<?xml encoding=\"EBCDIC\"?>");
        assert_eq!(other.expect_err("not read").code, FaultCode::CharsetError);
    }
}
