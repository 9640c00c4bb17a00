//! Unpacking, bounds, character sets and line numbers.

use std::io::{BufReader, Write as _};

use super::*;

const WIDE: Limits = Limits {
    packed: 1 << 20,
    unpacked: 1 << 20,
};

fn all(
    bytes: &[u8],
    charset: Charset,
    fallback: bool,
) -> Result<(String, Vec<Deviation>), StatementFault> {
    // A small buffer, so that characters are cut.
    let raw = BufReader::with_capacity(3, bytes);
    let mut input = Source::open(raw, WIDE)?.text(charset, fallback);
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    Ok((text, input.deviations().to_vec()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    packer.write_all(bytes).expect("packs");
    packer.finish().expect("packs")
}

#[test]
fn gzip_is_told_by_its_content() {
    let packed = gzip("zwei €".as_bytes());
    assert_eq!(
        all(&packed, Charset::Utf8, false).expect("text").0,
        "zwei €"
    );
    let two = [packed.clone(), gzip(b"!")].concat();
    assert_eq!(all(&two, Charset::Utf8, false).expect("text").0, "zwei €!");
    let cut = all(&packed[..packed.len() - 3], Charset::Utf8, false).expect_err("cut");
    assert_eq!(cut.code, FaultCode::StatementUnreadable);
}

/// Row 40.
#[test]
fn a_bomb_ends_at_the_limit() {
    let limits = Limits {
        packed: 2_000,
        unpacked: 100_000,
    };
    let bomb = gzip(&vec![b' '; 1_000_000]);
    assert!(bomb.len() < 2_000, "{}", bomb.len());
    let mut input = Source::open(&bomb[..], limits)
        .expect("opens")
        .text(Charset::Utf8, false);
    let mut sink = Vec::new();
    let fault = StatementFault::from(input.read_to_end(&mut sink).expect_err("too large"));
    assert_eq!(fault.code, FaultCode::BodyTooLarge);
    assert!(sink.len() <= 100_000);
    let long = vec![b'x'; 2_001];
    let read = Source::open(&long[..], limits).and_then(|source| {
        Ok(source
            .text(Charset::Utf8, false)
            .read_to_end(&mut Vec::new())?)
    });
    assert_eq!(read.expect_err("too large").code, FaultCode::BodyTooLarge);
    let exact = vec![b'x'; 2_000];
    let read = Source::open(&exact[..], limits).and_then(|source| {
        Ok(source
            .text(Charset::Utf8, false)
            .read_to_end(&mut Vec::new())?)
    });
    assert_eq!(read, Ok(2_000));
}

/// Row 46.
#[test]
fn bytes_outside_the_charset_are_named_by_line() {
    let fault = all(b"one\ntwo\nM\xfcller", Charset::Utf8, false).expect_err("latin-1");
    assert_eq!((fault.code, fault.line), (FaultCode::CharsetError, Some(3)));
    let fault = all(b"a\n\x81", Charset::Windows1252, false).expect_err("undefined");
    assert_eq!((fault.code, fault.line), (FaultCode::CharsetError, Some(2)));
    let fault = all(b"a\0b", Charset::Utf8, false).expect_err("NUL");
    assert_eq!(fault.code, FaultCode::CharsetError);
    let fault = all(
        "cut €".as_bytes().split_last().expect("bytes").1,
        Charset::Utf8,
        false,
    );
    assert_eq!(fault.expect_err("cut").code, FaultCode::CharsetError);
}

#[test]
fn character_sets_become_utf_8() {
    assert_eq!(
        all(b"M\xfcller \x80", Charset::Windows1252, false)
            .expect("text")
            .0,
        "Müller €"
    );
    assert_eq!(
        all(b"M\xfcller", Charset::Latin1, false).expect("text").0,
        "Müller"
    );
    assert_eq!(
        all(b"\xef\xbb\xbfM", Charset::Latin1, false)
            .expect("text")
            .0,
        "M"
    );
    let (text, deviations) = all(b"M\xfcller \xe2\x82\xac\n", Charset::Utf8, true).expect("text");
    assert_eq!(text, "Müller €\n");
    assert_eq!(deviations, [Deviation::CharsetFallback]);
}

#[test]
fn lines_are_counted_and_bounded() {
    let text = b"one\r\ntwo\n\nfour";
    let mut input = Source::open(&text[..], WIDE)
        .expect("opens")
        .text(Charset::Utf8, false);
    let mut line = String::new();
    let mut seen = Vec::new();
    while input.read_line(&mut line).expect("reads") {
        seen.push((input.line(), line.clone()));
    }
    let expected = [(2, "one"), (3, "two"), (4, ""), (4, "four")];
    assert_eq!(seen, expected.map(|(at, text)| (at, text.to_owned())));
    let long = vec![b'x'; LINE_BYTES_MAX + 1];
    let mut input = Source::open(&long[..], WIDE)
        .expect("opens")
        .text(Charset::Utf8, false);
    let fault = input.read_line(&mut line).expect_err("too long");
    assert_eq!(fault.code, FaultCode::StatementUnreadable);
}
