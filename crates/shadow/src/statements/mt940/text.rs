//! Field 86: what the bank says about the line above it. Free text; three structures that are
//! in wide use are understood, and what they do not name stays text.

use super::super::model::{Line, TEXT_MAX, kept, reference};

/// Adds the text, and the parts of it that have a place in the model.
pub(super) fn read(text: &str, line: &mut Line) {
    let bytes = text.as_bytes();
    let coded = bytes.len() > 3
        && bytes[..3].iter().all(u8::is_ascii_digit)
        && bytes[3].is_ascii_punctuation()
        && !matches!(bytes[3], b',' | b'.' | b'-');
    if coded {
        subfields(&text[3..], line);
    } else if text.starts_with('/') {
        let joined: String = text.lines().collect();
        slashes(&joined, line);
        set_text(&joined, line);
    } else {
        set_text(&text.replace('\n', " "), line);
    }
}

fn set_text(text: &str, line: &mut Line) {
    let text = kept(text, TEXT_MAX);
    if text.is_some() {
        line.text = text;
    }
}

/// `166?00text?20…?32name`: the sign after the code parts fields of two digits.
fn subfields(text: &str, line: &mut Line) {
    let mark = text.chars().next().expect("a mark follows the code");
    let joined: String = text.lines().collect();
    let (mut remittance, mut name, mut account) = (String::new(), String::new(), None);
    let mut posting = None;
    for part in joined.split(mark).skip(1) {
        let Some((number, content)) = part.split_at_checked(2) else {
            continue;
        };
        match number {
            "00" => posting = Some(content),
            "20" | "21" | "22" | "23" | "24" | "25" | "26" | "27" | "28" | "29" | "60" | "61"
            | "62" | "63" => remittance.push_str(content),
            "31" => account = reference(content),
            "32" | "33" => name.push_str(content),
            _ => {}
        }
    }
    line.counterparty.name = kept(&name, 140);
    line.counterparty.account = account;
    words(&remittance, line);
    set_text(
        if remittance.is_empty() {
            posting.unwrap_or_default()
        } else {
            &remittance
        },
        line,
    );
}

/// `EREF+…KREF+…SVWZ+…` inside the remittance.
fn words(text: &str, line: &mut Line) {
    const WORDS: [&str; 8] = [
        "EREF+", "KREF+", "MREF+", "CRED+", "DEBT+", "SVWZ+", "ABWA+", "ABWE+",
    ];
    let value = |word: &str| {
        let (_, rest) = text.split_once(word)?;
        let end = WORDS.iter().filter_map(|next| rest.find(next)).min();
        reference(&rest[..end.unwrap_or(rest.len())])
    };
    line.references.end_to_end_id = value("EREF+");
    if let Some(customer) = value("KREF+") {
        line.references.customer_ref = Some(customer);
    }
}

/// `/EREF/…/NAME/…/IBAN/…/`.
fn slashes(text: &str, line: &mut Line) {
    let value = |word: &str| {
        let (_, rest) = text.split_once(word)?;
        // A word of four capitals between slashes ends the value.
        let next = rest.match_indices('/').find_map(|(at, _)| {
            let word = rest.get(at + 1..at + 5)?;
            let ends = word.bytes().all(|byte| byte.is_ascii_uppercase())
                && rest.as_bytes().get(at + 5) == Some(&b'/');
            ends.then_some(at)
        });
        reference(rest[..next.unwrap_or(rest.len())].trim_end_matches('/'))
    };
    line.references.end_to_end_id = value("/EREF/");
    line.counterparty.name = value("/NAME/");
    line.counterparty.account = value("/IBAN/");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_fill_the_model_and_the_rest_is_text() {
        let mut line = Line::default();
        read(
            "166?00SEPA CREDIT?20EREF+E2E-7KREF+K1?21SVWZ+Invoice: 7?30BANKDEFF?31DE99?32ANA\n?33 SILVA",
            &mut line,
        );
        assert_eq!(line.references.end_to_end_id.as_deref(), Some("E2E-7"));
        assert_eq!(line.references.customer_ref.as_deref(), Some("K1"));
        assert_eq!(line.counterparty.name.as_deref(), Some("ANA SILVA"));
        assert_eq!(line.counterparty.account.as_deref(), Some("DE99"));
        let mut line = Line::default();
        read(
            "/TRTP/SEPA/IBAN/NL00BANK/NAME/J DOE/REMI/a/b/EREF/X-1",
            &mut line,
        );
        assert_eq!(line.references.end_to_end_id.as_deref(), Some("X-1"));
        assert_eq!(line.counterparty.name.as_deref(), Some("J DOE"));
        let mut line = Line::default();
        read("Paid: 12:30, see :note:\nsecond", &mut line);
        assert_eq!(line.text.as_deref(), Some("Paid: 12:30, see :note: second"));
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for text in [
            "", "/", "1234", "166?", "166?é", "999é?20", "/EREF/", "166?2",
        ] {
            read(text, &mut Line::default());
        }
    }
}
