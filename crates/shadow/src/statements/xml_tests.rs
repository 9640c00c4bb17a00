//! Well-formed documents step by step, and what is not well-formed.

use std::io::BufReader;

use super::*;
use crate::statements::input::{Charset, Limits, Source};

/// The steps, with the input cut into pieces of `cut` bytes.
fn walk_in(text: &str, cut: usize) -> Result<Vec<String>, StatementFault> {
    let raw = BufReader::with_capacity(cut, text.as_bytes());
    let source = Source::open(raw, Limits::default())?;
    let mut xml = Xml::new(source.text(Charset::Utf8, false));
    let mut seen = Vec::new();
    loop {
        match xml.step()? {
            Step::Open(name) => {
                let attributes: Vec<String> = xml
                    .attributes()
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect();
                seen.push(format!("<{}{}", name.as_str(), attributes.concat()));
            }
            Step::Close => seen.push(">".to_owned()),
            Step::Text => seen.push(xml.taken()),
            Step::End => return Ok(seen),
        }
    }
}

fn walk(text: &str) -> Result<Vec<String>, StatementFault> {
    let whole = walk_in(text, 1 << 20);
    for cut in [1, 2, 7] {
        let joined = |seen: &[String]| seen.concat();
        let again = walk_in(text, cut);
        match (&whole, &again) {
            (Ok(one), Ok(two)) => assert_eq!(joined(one), joined(two), "cut at {cut}"),
            (Err(one), Err(two)) => assert_eq!(one.code, two.code, "cut at {cut}"),
            _ => panic!("cut at {cut}: {whole:?} {again:?}"),
        }
    }
    whole
}

#[test]
fn elements_text_and_references() {
    let seen = walk(
        "<?xml version=\"1.0\"?><n:a x='1' y = \"a>b\"><!-- <c> --><b/>&lt;&#65;&#x42;<![CDATA[<c>]]]></n:a >",
    );
    assert_eq!(seen.expect("reads").join(""), "<a x=1 y=a>b<b><AB<c>]>");
    let seen = walk("<ä><b c=''>é</b\n></ä>\n").expect("reads");
    assert_eq!(seen, ["<ä", "<b c=", "é", ">", ">", "\n"]);
    let seen = walk("<a><!----><!--->--><?p ?></a>").expect("reads");
    assert_eq!(seen, ["<a", ">"]);
}

/// However long a text is and wherever the input is cut, it is one text.
#[test]
fn a_text_over_the_end_of_the_buffer_is_whole() {
    let long = "é".repeat(50_000);
    let seen = walk_in(&format!("<a>{long}</a>"), 4_096).expect("reads");
    assert_eq!(seen, ["<a".to_owned(), long, ">".to_owned()]);
}

#[test]
fn elements_inside_are_passed_over() {
    let text = "<a><b>one<c>two</c> three</b><d><e/><f>x</f></d><g>4</g></a>";
    let source = Source::open(text.as_bytes(), Limits::default()).expect("opens");
    let mut xml = Xml::new(source.text(Charset::Utf8, false));
    assert!(matches!(xml.step(), Ok(Step::Open(_))));
    let mut seen = Vec::new();
    xml.children(&mut |xml, name| {
        match name {
            "d" => seen.push("left".to_owned()),
            _ => seen.push(xml.text()?.to_owned()),
        }
        Ok(())
    })
    .expect("reads");
    assert_eq!(seen, ["one three", "left", "4"]);
    assert!(matches!(xml.step(), Ok(Step::End)));
}

#[test]
fn faults_name_their_line() {
    let fault = walk("<a>\n\n<b>\n</c>").expect_err("crossed");
    assert_eq!(fault.line, Some(4), "{}", fault.detail);
    let fault = walk("<a>\n<b>\n").expect_err("cut");
    assert_eq!(fault.line, Some(3));
}

/// Row 38.
#[test]
fn document_types_and_entities_are_refused() {
    for text in [
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!doctype a><a/>",
        "<a>&x;</a>",
        "<a><!ENTITY x \"y\"></a>",
    ] {
        let fault = walk(text).expect_err(text);
        assert_eq!(fault.code, FaultCode::XmlDtdRefused, "{text}");
    }
}

#[test]
fn what_is_cut_or_crossed_is_unreadable() {
    for text in [
        "<a>",
        "<a",
        "<",
        "<a></b>",
        "<a></ab>",
        "<ab></a>",
        "<a>&#0;</a>",
        "</a>",
        "<a/></a>",
        "<a>&#xD800;</a>",
        "<a>&amp</a>",
        "<a>& b;</a>",
        "<a>&",
        "<a><![CDATA[x",
        "<a><!-- x",
        "<a><?p",
        "<a b='></a>",
        "< a></ a>",
        "<></>",
        "<a<b></a<b>",
    ] {
        let fault = walk(text).expect_err(text);
        let expected = match text {
            // A reference with a name that nobody declared.
            "<a>& b;</a>" => FaultCode::XmlDtdRefused,
            _ => FaultCode::StatementUnreadable,
        };
        assert_eq!(fault.code, expected, "{text}");
        assert!(fault.line.is_some(), "{text}");
    }
    let deep = "<a>".repeat(DEPTH_MAX + 1);
    assert!(walk(&deep).expect_err("deep").detail.contains("deeper"));
    for huge in [
        format!("<a b=\"{}\"/>", "x".repeat(PIECE_BYTES_MAX)),
        format!("<a>{}</a>", "x".repeat(PIECE_BYTES_MAX + 1)),
        format!("<a><!--{}--></a>", "x".repeat(PIECE_BYTES_MAX)),
    ] {
        let fault = walk_in(&huge, 1 << 20).expect_err("huge");
        assert_eq!(fault.code, FaultCode::StatementUnreadable);
        assert!(fault.detail.contains("bound"), "{}", fault.detail);
    }
}
