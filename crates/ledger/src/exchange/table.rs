//! The CSV rows of an export (contract A10): transfers only, RFC 4180.

use florin_base::money::format_minor;

use crate::{
    model::{Body, Record},
    record::line::Names,
};

/// The header row with its line end.
pub const CSV_HEADER: &str = "seq,batch,id,mode,debitAccountId,creditAccountId,amountMinor,amount,\
asset,code,effectiveAt,recordedAt,pendingId,reversalOf,chainId,description\r\n";

/// Appends the row of a record with its line end; `false` and nothing for records that are no
/// transfers. `scale` is the number of decimals of the transfer's asset.
pub fn write_csv_row(record: &Record, names: &impl Names, scale: u8, out: &mut Vec<u8>) -> bool {
    let Body::Transfer(t) = &record.body else {
        return false;
    };
    let mut name = Vec::new();
    let mut row = Row { out, first: true };
    row.plain(&record.seq.to_string());
    row.plain(&record.batch.to_string());
    row.text(&t.id);
    row.text(t.mode.word());
    for slot in [t.debit, t.credit] {
        name.clear();
        names.account(slot, &mut name);
        row.text(&String::from_utf8_lossy(&name));
    }
    row.plain(&t.amount.to_string());
    row.plain(&format_minor(t.amount, scale));
    name.clear();
    names.asset(t.asset, &mut name);
    row.text(&String::from_utf8_lossy(&name));
    row.text(&t.code);
    row.plain(&t.effective_at.to_string());
    row.plain(&record.recorded_at.to_string());
    row.text(t.pending_id.as_deref().unwrap_or_default());
    row.text(t.reversal_of.as_deref().unwrap_or_default());
    row.text(t.chain.as_ref().map_or("", |(id, _)| id));
    row.text(t.description.as_deref().unwrap_or_default());
    row.out.extend_from_slice(b"\r\n");
    true
}

struct Row<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Row<'_> {
    /// Numbers and times, which need no quotes and cannot start a formula.
    fn plain(&mut self, cell: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.extend_from_slice(cell.as_bytes());
    }

    /// Text; a spreadsheet must not take it for a formula.
    fn text(&mut self, cell: &str) {
        self.plain("");
        let guarded = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let quoted = cell.contains(['"', ',', '\r', '\n']);
        if quoted {
            self.out.push(b'"');
        }
        if guarded {
            self.out.push(b'\'');
        }
        for byte in cell.bytes() {
            if byte == b'"' {
                self.out.push(b'"');
            }
            self.out.push(byte);
        }
        if quoted {
            self.out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use florin_base::Timestamp;

    use super::*;
    use crate::model::{AssetNo, Metadata, Mode, Slot, Touches, Transfer};

    struct Numbers;
    impl Names for Numbers {
        fn account(&self, slot: Slot, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("acc:{slot}").as_bytes());
        }
        fn asset(&self, _: AssetNo, out: &mut Vec<u8>) {
            out.extend_from_slice(b"BRL");
        }
        fn asset_of(&self, _: Slot) -> AssetNo {
            0
        }
    }

    fn row(id: &str, description: Option<&str>) -> String {
        let at = Timestamp::parse("2026-01-31T12:00:00Z").expect("valid");
        let transfer = Transfer {
            id: id.into(),
            mode: Mode::Single,
            debit: 1,
            credit: 2,
            amount: 1_005,
            asset: 0,
            code: "deposit".into(),
            effective_at: at,
            pending_id: None,
            timeout_seconds: None,
            expires_at: None,
            chain: Some(("c".into(), 0)),
            reversal_of: None,
            description: description.map(Into::into),
            metadata: Metadata::default(),
            source_recorded_at: None,
            origin: None,
            floor_skipped: false,
            reserved: None,
            limit_window: None,
        };
        let record = Record {
            seq: 7,
            batch: 3,
            recorded_at: at,
            actor: None,
            body: Body::Transfer(Box::new(transfer)),
            touches: Touches::default(),
        };
        let mut out = Vec::new();
        assert!(write_csv_row(&record, &Numbers, 2, &mut out));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_row_has_the_columns_of_the_header() {
        let row = row("t1", Some("rent"));
        assert_eq!(
            row,
            "7,3,t1,single,acc:1,acc:2,1005,10.05,BRL,deposit,2026-01-31T12:00:00.000000Z,\
             2026-01-31T12:00:00.000000Z,,,c,rent\r\n"
        );
        assert_eq!(CSV_HEADER.split(',').count(), row.split(',').count());
        assert_eq!(CSV_HEADER.split(',').count(), 16);
    }

    #[test]
    fn text_that_starts_a_formula_is_guarded_and_special_text_is_quoted() {
        let cell = |text: &str| {
            let row = row("-id", Some(text));
            assert!(row.starts_with("7,3,'-id,"), "{row}");
            row.split_once(",c,")
                .expect("the last cell")
                .1
                .trim_end_matches("\r\n")
                .to_owned()
        };
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("+x"), "'+x");
        assert_eq!(cell("-x"), "'-x");
        assert_eq!(cell("@x"), "'@x");
        assert_eq!(cell("\tx"), "'\tx");
        assert_eq!(cell("\rx"), "\"'\rx\"");
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(cell("a=b"), "a=b");
    }
}
