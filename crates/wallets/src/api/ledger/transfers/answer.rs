//! The answer of the batch form, written by hand: up to 8190 results are rendered without an
//! allocation each.

use florin_ledger::{Answer, call::ItemResult};
use utoipa::ToSchema;

/// Result of one item (contract A3, A4).
#[derive(Debug, ToSchema)]
#[schema(as = LedgerTransferResult, rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "the shape for the OpenAPI file; answers are written by hand"
)]
pub struct ResultBody {
    /// Place of the item in the call, from 0.
    index: u32,
    /// Its id.
    id: String,
    /// What became of it; the closed list of contract A4.
    #[schema(example = "created")]
    code: String,
    /// Its record, now or before.
    seq: Option<u64>,
    /// The member at fault.
    field: Option<String>,
    /// The refusal remembered for the id.
    first_code: Option<String>,
}

/// Answer of the batch form.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerTransfersAnswer, rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "the shape for the OpenAPI file; answers are written by hand"
)]
pub struct BatchBody {
    /// One for each item, in order.
    results: Vec<ResultBody>,
    /// The commit; absent when nothing was recorded.
    batch: Option<u64>,
    /// Ledger time of the decision.
    #[schema(format = DateTime)]
    recorded_at: String,
}

/// Typical size of one result, in bytes.
const RESULT_BYTES: usize = 96;

/// Renders the answer of the batch form.
pub fn batch(answer: &Answer, results: &[ItemResult]) -> Vec<u8> {
    let mut out = Vec::with_capacity(results.len() * RESULT_BYTES + 96);
    out.extend_from_slice(b"{\"results\":[");
    for (index, result) in results.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"index\":");
        number(&mut out, index as u64);
        out.extend_from_slice(b",\"id\":");
        string(&mut out, &result.id);
        out.extend_from_slice(b",\"code\":\"");
        out.extend_from_slice(result.code.word().as_bytes());
        out.push(b'"');
        if let Some(seq) = result.seq {
            out.extend_from_slice(b",\"seq\":");
            number(&mut out, seq);
        }
        if let Some(field) = result.field {
            out.extend_from_slice(b",\"field\":");
            string(&mut out, field);
        }
        if let Some(first) = result.first_code {
            out.extend_from_slice(b",\"firstCode\":\"");
            out.extend_from_slice(first.word().as_bytes());
            out.push(b'"');
        }
        out.push(b'}');
    }
    out.push(b']');
    if let Some(batch) = answer.batch {
        out.extend_from_slice(b",\"batch\":");
        number(&mut out, batch);
    }
    out.extend_from_slice(b",\"recordedAt\":\"");
    answer.recorded_at.write_to(&mut out);
    out.extend_from_slice(b"\"}");
    out
}

/// Longest text of a `u64`.
const DIGITS_MAX: usize = 20;

fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Ids of refused items may hold anything, so that plain ones are only the common case.
fn string(out: &mut Vec<u8>, text: &str) {
    let plain = text
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\'));
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(&mut *out, text).expect("a string always has a JSON form");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_base::Timestamp;
    use florin_ledger::{Outcome, ResultCode};
    use serde_json::json;

    #[test]
    fn members_without_a_value_are_left_out_and_texts_are_escaped() {
        let result = |id: &str, code, seq, field, first_code| ItemResult {
            id: id.into(),
            code,
            seq,
            field,
            first_code,
        };
        let results = vec![
            result("a", ResultCode::Created, Some(u64::MAX >> 12), None, None),
            result("b\"\n", ResultCode::FieldInvalid, None, Some("id"), None),
            result(
                "c",
                ResultCode::IdAlreadyFailed,
                None,
                None,
                Some(ResultCode::Overflow),
            ),
        ];
        let mut answer = Answer {
            outcome: Outcome::Items(Vec::new()),
            replayed: false,
            batch: Some(7),
            recorded_at: Timestamp(0),
            seq: 9,
            wallet: None,
            account: None,
        };
        let value = |answer: &Answer| -> serde_json::Value {
            serde_json::from_slice(&batch(answer, &results)).expect("JSON")
        };
        assert_eq!(
            value(&answer),
            json!({
                "results": [
                    {"index": 0, "id": "a", "code": "created", "seq": 4_503_599_627_370_495_u64},
                    {"index": 1, "id": "b\"\n", "code": "field_invalid", "field": "id"},
                    {"index": 2, "id": "c", "code": "id_already_failed", "firstCode": "overflow"},
                ],
                "batch": 7,
                "recordedAt": "1970-01-01T00:00:00.000000Z",
            })
        );
        answer.batch = None;
        assert!(value(&answer).get("batch").is_none());
    }
}
