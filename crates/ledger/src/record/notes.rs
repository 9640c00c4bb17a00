//! Notes in the journal: refusals and answers that are remembered but are no records.

use florin_base::Timestamp;

use super::{
    bytes::{Malformed, Put, Read, Take},
    codec::{put_metadata, take_metadata},
};
use crate::{
    call::{ItemResult, LimitHit, Refusal, RefusalCode},
    codes::ResultCode,
    model::WalletType,
    rules::book::{Note, WalletAsk},
};

/// The fields a result or refusal can name; the journal keeps their place in this list.
const FIELDS: [&str; 22] = [
    "id",
    "mode",
    "debitAccountId",
    "creditAccountId",
    "amountMinor",
    "asset",
    "code",
    "pendingId",
    "timeoutSeconds",
    "effectiveAt",
    "linked",
    "description",
    "metadata",
    "debitsPosted",
    "creditsPosted",
    "debitsPending",
    "creditsPending",
    "amount",
    "destinationWalletId",
    "currency",
    "rate",
    "operation",
];
const LIMITS: [&str; 6] = [
    "out.perTransaction",
    "out.daily",
    "out.monthly",
    "in.perTransaction",
    "in.daily",
    "in.monthly",
];

fn put_name(name: Option<&str>, names: &[&str], out: &mut Vec<u8>) {
    let place = name.and_then(|name| names.iter().position(|n| *n == name));
    out.push(place.map_or(0, |place| place as u8 + 1));
}

fn take_name<'n>(take: &mut Take<'_>, names: &[&'n str]) -> Read<Option<&'n str>> {
    match take.byte()? {
        0 => Ok(None),
        place => names
            .get(usize::from(place) - 1)
            .copied()
            .map(Some)
            .ok_or(Malformed("unknown name")),
    }
}

fn take_code(take: &mut Take<'_>) -> Read<ResultCode> {
    ResultCode::from_number(take.byte()?).ok_or(Malformed("unknown result code"))
}

pub(super) fn put_note(note: &Note, out: &mut Vec<u8>) {
    match note {
        Note::IdRefused { id, code } => {
            out.push(1);
            out.text(id);
            out.push(*code as u8);
        }
        Note::Answered {
            scope,
            key,
            digests,
            results,
            batch,
            recorded_at,
        } => {
            out.push(2);
            out.text(scope);
            out.text(key);
            out.varint(digests.len() as u128);
            for digest in digests {
                out.extend_from_slice(&digest.to_le_bytes());
            }
            out.varint(results.len() as u128);
            for result in results {
                put_result(result, out);
            }
            out.varint(u128::from(*batch));
            out.micros(recorded_at.0);
        }
        Note::WalletRefused {
            asked,
            refusal,
            recorded_at,
        } => {
            out.push(3);
            put_ask(asked, out);
            put_refusal(refusal, out);
            out.micros(recorded_at.0);
        }
    }
}

pub(super) fn take_note(body: &[u8]) -> Read<Note> {
    let mut take = Take::new(body);
    let note = match take.byte()? {
        1 => Note::IdRefused {
            id: take.text()?,
            code: take_code(&mut take)?,
        },
        2 => {
            let (scope, key) = (take.text()?, take.text()?);
            let count = take.varint_u32()?;
            let digests = (0..count).map(|_| take.u64()).collect::<Read<_>>()?;
            let count = take.varint_u32()?;
            let results = (0..count)
                .map(|_| take_result(&mut take))
                .collect::<Read<_>>()?;
            let batch = take.varint_u64()?;
            Note::Answered {
                scope,
                key,
                digests,
                results,
                batch,
                recorded_at: Timestamp(take.micros()?),
            }
        }
        3 => Note::WalletRefused {
            asked: Box::new(take_ask(&mut take)?),
            refusal: take_refusal(&mut take)?,
            recorded_at: Timestamp(take.micros()?),
        },
        _ => return Err(Malformed("unknown note")),
    };
    if take.is_empty() {
        Ok(note)
    } else {
        Err(Malformed("bytes after a note"))
    }
}

fn put_result(result: &ItemResult, out: &mut Vec<u8>) {
    out.text(&result.id);
    out.push(result.code as u8);
    out.varint(u128::from(result.seq.unwrap_or(0)));
    put_name(result.field, &FIELDS, out);
    out.push(result.first_code.map_or(u8::MAX, |code| code as u8));
}

fn take_result(take: &mut Take<'_>) -> Read<ItemResult> {
    Ok(ItemResult {
        id: take.text()?,
        code: take_code(take)?,
        seq: Some(take.varint_u64()?).filter(|seq| *seq != 0),
        field: take_name(take, &FIELDS)?,
        first_code: match take.byte()? {
            u8::MAX => None,
            number => {
                Some(ResultCode::from_number(number).ok_or(Malformed("unknown result code"))?)
            }
        },
    })
}

fn put_refusal(refusal: &Refusal, out: &mut Vec<u8>) {
    out.push(refusal.code as u8);
    put_name(refusal.field.as_deref(), &FIELDS, out);
    out.push(u8::from(refusal.limit.is_some()));
    if let Some(hit) = &refusal.limit {
        put_name(Some(hit.limit), &LIMITS, out);
        out.push(u8::from(hit.remaining.is_some()) | u8::from(hit.resets_at.is_some()) << 1);
        if let Some(remaining) = hit.remaining {
            out.varint(remaining);
        }
        if let Some(at) = hit.resets_at {
            out.micros(at.0);
        }
    }
}

fn take_refusal(take: &mut Take<'_>) -> Read<Refusal> {
    let code = RefusalCode::from_number(take.byte()?).ok_or(Malformed("unknown refusal"))?;
    let field = take_name(take, &FIELDS)?.map(Into::into);
    let limit = if take.byte()? == 0 {
        None
    } else {
        let limit = take_name(take, &LIMITS)?.ok_or(Malformed("limit without a name"))?;
        let present = take.byte()?;
        let remaining = if present & 1 != 0 {
            Some(take.varint()?)
        } else {
            None
        };
        let resets_at = if present & 2 != 0 {
            Some(Timestamp(take.micros()?))
        } else {
            None
        };
        Some(LimitHit {
            limit,
            remaining,
            resets_at,
        })
    };
    Ok(Refusal { code, field, limit })
}

fn put_ask(ask: &WalletAsk, out: &mut Vec<u8>) {
    let present = [
        ask.destination.is_some(),
        ask.rate.is_some(),
        ask.expires_in_seconds.is_some(),
        ask.effective_at.is_some(),
        ask.description.is_some(),
    ];
    out.push(
        present
            .iter()
            .enumerate()
            .fold(0, |bits, (i, set)| bits | u8::from(*set) << i),
    );
    out.extend_from_slice(&ask.wallet.to_be_bytes());
    out.text(&ask.reference);
    out.push(ask.op as u8);
    out.varint(ask.amount);
    if let Some(id) = ask.destination {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.maybe_text(ask.rate.as_deref());
    if let Some(seconds) = ask.expires_in_seconds {
        out.varint(u128::from(seconds));
    }
    if let Some(at) = ask.effective_at {
        out.micros(at.0);
    }
    out.maybe_text(ask.description.as_deref());
    put_metadata(&ask.metadata, out);
}

fn take_ask(take: &mut Take<'_>) -> Read<WalletAsk> {
    let present = take.byte()?;
    let has = |bit: u8| present >> bit & 1 != 0;
    Ok(WalletAsk {
        wallet: take.u128_be()?,
        reference: take.text()?,
        op: WalletType::from_number(take.byte()?).ok_or(Malformed("unknown operation"))?,
        amount: take.varint()?,
        destination: if has(0) { Some(take.u128_be()?) } else { None },
        rate: if has(1) { Some(take.text()?) } else { None },
        expires_in_seconds: if has(2) {
            Some(take.varint_u32()?)
        } else {
            None
        },
        effective_at: if has(3) {
            Some(Timestamp(take.micros()?))
        } else {
            None
        },
        description: if has(4) { Some(take.text()?) } else { None },
        metadata: take_metadata(take)?,
    })
}
