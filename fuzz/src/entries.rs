//! One entry for each reader of foreign bytes: no input may panic, and what was read must hold
//! what the readers behind it rely on.

use florin_ledger::{
    csv::{Profile, parse},
    exchange::{csv_lines, parse_line},
    journal::parse_frames,
    model::Mode,
    record::codec,
    rules::prepare::{RawItem, prepare},
};

/// A segment image of the journal.
pub fn journal(data: &[u8]) {
    if let Ok(segment) = parse_frames(data) {
        let mut end = 0;
        for frame in &segment.frames {
            assert!(frame.payload.start >= end && frame.payload.end <= data.len());
            end = frame.payload.end;
        }
    }
}

/// The payload of a commit: what can be read is written back as something equal.
pub fn record(data: &[u8]) {
    if let Ok(commit) = codec::decode(data) {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        codec::encode(
            &commit.header,
            &commit.records,
            &commit.notes,
            &mut bytes,
            &mut offsets,
        );
        let again = codec::decode(&bytes).expect("own bytes are readable");
        assert_eq!(again.records, commit.records);
        assert_eq!(again.notes, commit.notes);
    }
    if let Ok(header) = codec::decode_header(data) {
        // A result that is an error is as good as one that is not.
        drop(codec::decode_record(data, &header, 1));
    }
    drop(codec::decode_note(data));
    let _head = codec::decode_entry_head(data);
}

/// One item or a list of items of a transfer call.
pub fn body(data: &[u8]) {
    let items: Vec<RawItem<'_>> = match serde_json::from_slice(data) {
        Ok(items) => items,
        Err(_) => match serde_json::from_slice(data) {
            Ok(item) => vec![item],
            Err(_) => return,
        },
    };
    for raw in items {
        let item = prepare(raw, || "made-by-server".into());
        if item.invalid.is_some() {
            continue;
        }
        assert!(!item.id.is_empty() && item.id.len() <= 100);
        assert!(item.amount != Some(0));
        match item.mode {
            Mode::Single | Mode::Pending => {
                assert!(item.debit.is_some() && item.credit.is_some() && item.debit != item.credit);
                assert!(item.amount.is_some() && item.asset.is_some() && item.code.is_some());
                assert!(item.pending_id.is_none());
            }
            Mode::Post | Mode::Void => {
                assert!(item.pending_id.is_some() && item.timeout_seconds.is_none());
                assert!(item.mode == Mode::Post || item.amount.is_none());
            }
        }
    }
}

const PROFILE: &str = r#"
asset = "EUR"
scale = 2
transfer_id = "t{id}"
account = "acc:{acct}"
[date]
column = "day"
[amount]
column = "amount"
[balance]
column = "bal"
"#;

/// A CSV file; a profile may stand before it, ended by a zero byte.
pub fn csv(data: &[u8]) {
    let (profile, file) = match data.iter().position(|b| *b == 0) {
        Some(end) => (std::str::from_utf8(&data[..end]).ok(), &data[end + 1..]),
        None => (Some(PROFILE), data),
    };
    let Some(profile) = profile.and_then(|text| toml::from_str::<Profile>(text).ok()) else {
        return;
    };
    if let Ok(import) = parse(file, &profile) {
        let rows = import.transfers.len();
        let lines = csv_lines(import, None);
        assert!(lines.count() >= rows);
    }
}

/// A line of an NDJSON import.
pub fn line(data: &[u8]) {
    drop(parse_line(data, Some("fuzz")));
}
