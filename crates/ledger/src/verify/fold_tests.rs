//! One broken rule each: the fold finds it without any checkpoint.

use super::{
    fixture::Book,
    random::{Random, random_book},
    *,
};
use crate::model::{AccountChange, Body, Floor, Mode, Slot, Status, Transfer};

/// `ext` is debit-normal without a floor; `a` and `b` are liabilities with floor 0.
const EXT: Slot = 0;
const A: Slot = 1;
const B: Slot = 2;

fn check(book: &Book) -> Result<Report, VerifyError> {
    let lines = book.lines();
    let export: Vec<u8> = lines
        .iter()
        .flat_map(|l| [l.as_slice(), b"\n"].concat())
        .collect();
    verify_export(&mut &export[..], &Evidence::default(), &mut |_| {})
}

/// `a` holds 100, and the next batch is open.
fn funded() -> Book {
    let mut book = Book::new();
    book.commit();
    let t = book.single("in", EXT, A, 100);
    book.post(t);
    book.commit();
    book
}

#[track_caller]
fn found(kind: Kind, make: impl FnOnce(&mut Book)) -> Violation {
    let mut book = funded();
    make(&mut book);
    match check(&book) {
        Err(VerifyError::Violation(violation)) => {
            assert_eq!(violation.kind, kind, "{violation}");
            *violation
        }
        other => panic!("expected {kind}: {other:?}"),
    }
}

#[track_caller]
fn good(make: impl FnOnce(&mut Book)) -> Report {
    let mut book = funded();
    make(&mut book);
    check(&book).expect("good")
}

#[track_caller]
fn found_transfer(kind: Kind, make: impl FnOnce(&Book) -> Transfer) -> Violation {
    found(kind, |book| {
        let t = make(book);
        book.post(t);
    })
}

fn update(book: &mut Book, slot: Slot, version: u32, change: AccountChange) {
    let body = Body::AccountUpdated {
        slot,
        version,
        change,
    };
    book.push(body, &[(slot, false)]);
}

fn status(book: &mut Book, slot: Slot, version: u32, status: Status) {
    let change = AccountChange {
        status: Some(status),
        ..AccountChange::default()
    };
    update(book, slot, version, change);
}

#[test]
fn inv_l7_gaps_and_time() {
    let at = found(Kind::SeqGap, |book| book.records[4].seq = 6);
    assert_eq!((at.batch, at.seq), (1, 5));
    found(Kind::BatchGap, |book| {
        book.batch += 1;
        let t = book.single("t", EXT, A, 1);
        book.post(t);
    });
    found(Kind::BatchGap, |book| {
        book.batch = 1;
        let t = book.single("t", EXT, A, 1);
        book.post(t);
    });
    found(Kind::TimeFell, |book| {
        book.now.0 -= 1_000_000;
        let t = book.single("t", EXT, A, 1);
        book.post(t);
    });
    found(Kind::TimeFell, |book| {
        let t = book.single("t", EXT, A, 1);
        book.post(t);
        book.now.0 += 1;
        let t = book.single("u", EXT, A, 1);
        book.post(t);
    });
}

#[test]
fn inv_l4_floors_and_their_exceptions() {
    let at = found_transfer(Kind::FloorPassed, |book| book.single("t", A, B, 101));
    assert_eq!((at.batch, at.seq), (3, 6));
    found_transfer(Kind::FloorPassed, |book| book.pending("t", (A, B), 101, 60));
    found(Kind::FloorPassed, |book| {
        let t = book.pending("p", (A, B), 60, 60);
        book.post(t);
        let t = book.single("t", A, B, 41);
        book.post(t);
    });
    // What comes in as a reservation cannot be spent.
    found(Kind::FloorPassed, |book| {
        let t = book.pending("p", (A, B), 60, 60);
        book.post(t);
        let t = book.single("t", B, EXT, 1);
        book.post(t);
    });
    let deeper = AccountChange {
        floor: Some(Floor::Minus(5)),
        ..AccountChange::default()
    };
    good(|book| {
        update(book, A, 2, deeper.clone());
        let t = book.single("t", A, B, 105);
        book.post(t);
    });
    found(Kind::FloorPassed, |book| {
        update(book, A, 2, deeper.clone());
        let t = book.single("t", A, B, 106);
        book.post(t);
    });
    let report = good(|book| {
        let mut t = book.single("t", A, B, 150);
        t.floor_skipped = true;
        book.post(t);
        let mut t = book.single("u", B, A, 20);
        t.floor_skipped = true;
        book.post(t);
    });
    let names =
        |ids: &[crate::model::AccountId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(report.floor_skipped_records, 2);
    assert_eq!(names(&report.floor_skipped), ["a", "b"]);
    assert_eq!(names(&report.below_floor), ["a"]);
}

#[test]
fn inv_l5_ids_are_used_once() {
    found_transfer(Kind::IdUsedTwice, |book| book.single("in", EXT, A, 100));
    found(Kind::IdUsedTwice, |book| book.add_asset("BRL"));
    found(Kind::IdUsedTwice, |book| {
        book.open("a", crate::model::AccountKind::Liability, Floor::Zero);
    });
    found(Kind::IdUsedTwice, |book| {
        let t = book.pending("p", (A, B), 1, 1);
        book.post(t);
        let t = book.single("p:exp", EXT, A, 1);
        book.post(t);
        book.commit();
        book.expire("p");
    });
}

#[test]
fn transfers_keep_the_grammar_and_their_assets() {
    for (change, field) in [
        ((|t| t.amount = 0) as fn(&mut Transfer), "amountMinor"),
        (|t| t.id = "a b".into(), "id"),
        (|t| t.code = "Rent".into(), "code"),
        (|t| t.credit = t.debit, "creditAccountId"),
        (|t| t.pending_id = Some("in".into()), "pendingId"),
        (|t| t.timeout_seconds = Some(1), "timeoutSeconds"),
        (|t| t.expires_at = Some(t.effective_at), "expiresAt"),
        (
            |t| t.description = Some("x".repeat(501).into()),
            "description",
        ),
        (|t| t.reversal_of = Some("in".into()), "reversalOf"),
    ] {
        let at = found_transfer(Kind::FieldInvalid, |book| {
            let mut t = book.single("t", EXT, A, 1);
            change(&mut t);
            t
        });
        assert!(at.detail.ends_with(field), "{at}");
    }
    found_transfer(Kind::FieldInvalid, |book| {
        let mut t = book.pending("t", (EXT, A), 1, 60);
        t.expires_at = Some(book.now);
        t
    });
    found_transfer(Kind::EffectiveTime, |book| {
        let mut t = book.single("t", EXT, A, 1);
        t.effective_at.0 += 1;
        t
    });
    found(Kind::AssetMismatch, |book| {
        book.add_asset("USD");
        let mut t = book.single("t", EXT, A, 1);
        t.asset = 1;
        book.post(t);
    });
    let mut lines = funded().lines();
    let line = String::from_utf8(lines.pop().expect("not empty")).expect("UTF-8");
    for (from, to, kind) in [
        ("\"a\"", "\"z\"", Kind::AccountUnknown),
        ("BRL", "EUR", Kind::AssetUnknown),
        ("\"seq\":5", "\"seq\":5,\"x\":1", Kind::LineMalformed),
        ("\"v\":1", "\"v\": 1", Kind::LineNotCanonical),
        ("\\u0001", "\\u0001\\u0041", Kind::LineNotCanonical),
        (".000000Z\",\"id\"", "Z\",\"id\"", Kind::LineNotCanonical),
    ] {
        assert!(line.contains(from), "{from} in {line}");
        let mut export: Vec<u8> = lines
            .iter()
            .flat_map(|l| [l.as_slice(), b"\n"].concat())
            .collect();
        export.extend_from_slice(line.replacen(from, to, 1).as_bytes());
        export.push(b'\n');
        let result = verify_export(&mut &export[..], &Evidence::default(), &mut |_| {});
        let Err(VerifyError::Violation(violation)) = result else {
            panic!("{to}: {result:?}")
        };
        // The batch of a line that cannot be read is not known: the one before is named.
        let batch = if kind == Kind::LineMalformed { 1 } else { 2 };
        let at = (violation.kind, violation.batch, violation.seq);
        assert_eq!(at, (kind, batch, 5), "{violation}");
    }
}

#[test]
fn inv_l8_pending_transfers_are_resolved_once_in_time_and_within_bounds() {
    let with_pending = |book: &mut Book| {
        let t = book.pending("p", (A, B), 60, 5);
        book.post(t);
        book.commit();
    };
    let resolve = |kind: Kind, change: fn(&mut Transfer)| {
        found(kind, |book| {
            with_pending(book);
            let mut t = book.resolution("post", "p", Some(60));
            change(&mut t);
            book.post(t);
        })
    };
    resolve(Kind::PendingExceeded, |t| t.amount = 61);
    resolve(Kind::PendingMismatch, |t| t.credit = EXT);
    resolve(Kind::PendingMismatch, |t| t.code = "other".into());
    resolve(Kind::PendingNotOpen, |t| t.pending_id = Some("in".into()));
    resolve(Kind::PendingNotOpen, |t| {
        t.pending_id = Some("never".into())
    });
    resolve(Kind::EffectiveTime, |t| t.effective_at.0 -= 2_000_000);
    resolve(Kind::FieldInvalid, |t| t.mode = Mode::Single);
    resolve(Kind::PendingExceeded, |t| {
        t.mode = Mode::Void;
        t.amount = 59;
    });
    found(Kind::PendingNotOpen, |book| {
        with_pending(book);
        let t = book.resolution("post", "p", Some(10));
        let again = Transfer {
            id: "again".into(),
            ..t.clone()
        };
        book.post(t);
        book.post(again);
    });
    found(Kind::PendingNotOpen, |book| {
        with_pending(book);
        let t = book.resolution("void", "p", None);
        let p = book.pendings["p"].clone();
        book.post(t);
        book.pendings.insert("p".into(), p);
        (0..5).for_each(|_| book.commit_gap());
        book.expire("p");
    });
    found(Kind::PendingExpired, |book| {
        with_pending(book);
        (0..4).for_each(|_| book.commit_gap());
        let t = book.resolution("post", "p", Some(10));
        book.post(t);
    });
    found(Kind::EffectiveTime, |book| {
        with_pending(book);
        book.expire("p");
    });
    good(|book| {
        with_pending(book);
        (0..4).for_each(|_| book.commit_gap());
        book.expire("p");
    });
}

#[test]
fn statuses_forbid_what_they_should() {
    found(Kind::AccountFrozen, |book| {
        status(book, A, 2, Status::Frozen);
        let t = book.single("t", A, B, 1);
        book.post(t);
    });
    good(|book| {
        status(book, A, 2, Status::Frozen);
        let t = book.single("t", EXT, A, 1);
        book.post(t);
        let t = book.single("in", EXT, A, 100);
        let t = book.reversal(&t);
        book.post(t);
        status(book, A, 3, Status::Open);
    });
    found(Kind::AccountClosed, |book| {
        status(book, B, 2, Status::Closed);
        let t = book.single("t", EXT, B, 1);
        book.post(t);
    });
    found(Kind::AccountClosed, |book| {
        status(book, B, 2, Status::Closed);
        status(book, B, 3, Status::Open);
    });
    found(Kind::AccountNotEmpty, |book| {
        status(book, A, 2, Status::Closed)
    });
    found(Kind::VersionWrong, |book| {
        status(book, A, 3, Status::Frozen)
    });
    found(Kind::AccountFrozen, |book| {
        let wallet = book.wallet(7);
        let t = book.single("t", EXT, wallet, 5);
        book.post(t);
        book.wallet_status(wallet, 2, Status::Frozen);
        let t = book.single("u", wallet, EXT, 5);
        book.post(t);
    });
    found(Kind::VersionWrong, |book| {
        let wallet = book.wallet(7);
        book.wallet_status(wallet, 1, Status::Frozen);
    });
}

#[test]
fn case_20_totals_stop_at_the_largest_number() {
    good(|book| {
        let t = book.single("t", EXT, B, u128::MAX - 100);
        book.post(t);
    });
    found_transfer(Kind::Overflow, |book| {
        book.single("t", EXT, B, u128::MAX - 99)
    });
}

fn chain(book: &Book, ids: &[&str]) -> Vec<Transfer> {
    let leg = |(index, id): (usize, &&str)| Transfer {
        chain: Some((ids[0].into(), index as u32)),
        ..book.single(id, EXT, A, 1 + index as u128)
    };
    ids.iter().enumerate().map(leg).collect()
}

#[test]
fn inv_l9_chains_are_whole_and_neighbouring() {
    let post = |book: &mut Book, legs: Vec<Transfer>| legs.into_iter().for_each(|t| book.post(t));
    good(|book| post(book, chain(book, &["x", "y", "z"])));
    good(|book| {
        post(book, chain(book, &["x", "y"]));
        post(book, chain(book, &["v", "w"]));
    });
    let without = |at: usize| {
        found(Kind::ChainBroken, |book| {
            let mut legs = chain(book, &["x", "y", "z"]);
            legs.remove(at);
            post(book, legs);
        })
    };
    without(0);
    without(1);
    found(Kind::ChainBroken, |book| {
        let legs = chain(book, &["x", "y"]);
        post(book, legs[..1].to_vec());
    });
    found(Kind::ChainBroken, |book| {
        let mut legs = chain(book, &["x", "y"]);
        legs.insert(1, book.single("between", EXT, A, 1));
        post(book, legs);
    });
    found(Kind::ChainBroken, |book| {
        let legs = chain(book, &["x", "y"]);
        book.post(legs[0].clone());
        book.commit();
        book.post(legs[1].clone());
    });
    found(Kind::ChainBroken, |book| {
        let mut legs = chain(book, &["x", "y"]);
        legs.iter_mut()
            .for_each(|t| t.chain = t.chain.take().map(|(_, i)| ("q".into(), i)));
        post(book, legs);
    });
}

#[test]
fn inv_l16_reversals_are_exact_opposites_once() {
    let original = |book: &Book| book.single("in", EXT, A, 100);
    good(|book| {
        let t = book.reversal(&original(book));
        book.post(t);
    });
    let reversed = |change: fn(&mut Transfer)| {
        found(Kind::ReversalWrong, |book| {
            let mut t = book.reversal(&original(book));
            change(&mut t);
            book.post(t);
        })
    };
    reversed(|t| t.amount = 99);
    reversed(|t| t.debit = B);
    reversed(|t| std::mem::swap(&mut t.debit, &mut t.credit));
    reversed(|t| t.effective_at.0 -= 10_000_000);
    found(Kind::ReversalWrong, |book| {
        let never = book.single("never", EXT, A, 100);
        let t = book.reversal(&never);
        book.post(t);
    });
    found(Kind::ReversalWrong, |book| {
        let first = book.reversal(&original(book));
        let again = book.reversal(&first);
        book.post(first);
        book.post(again);
    });
    found(Kind::ReversalWrong, |book| {
        let p = book.pending("p", (A, B), 60, 5);
        let t = book.reversal(&p);
        book.post(p);
        book.post(t);
    });
}

#[test]
fn case_45_a_chain_is_reversed_as_a_whole_in_reverse_order() {
    let reverse = |order: &[usize]| {
        let mut book = funded();
        let legs = chain(&book, &["x", "y", "z"]);
        legs.iter().for_each(|t| book.post(t.clone()));
        book.commit();
        let first = format!("{}:rev", legs[order[0]].id);
        for (index, at) in order.iter().enumerate() {
            let mut t = book.reversal(&legs[*at]);
            if order.len() > 1 {
                t.chain = Some((first.as_str().into(), index as u32));
            }
            book.post(t);
        }
        match check(&book) {
            Ok(_) => None,
            Err(VerifyError::Violation(v)) => Some(v.kind),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(reverse(&[2, 1, 0]), None);
    for wrong in [&[0, 1, 2][..], &[2, 1], &[1, 0], &[1], &[2, 0, 1]] {
        assert_eq!(reverse(wrong), Some(Kind::ReversalWrong), "{wrong:?}");
    }
}

#[test]
fn a_random_history_is_good_in_every_prefix_of_batches() {
    let book = random_book(&mut Random(21), 30);
    let lines = book.lines();
    for batch in 1..book.batch {
        let count = book.records.iter().filter(|r| r.batch <= batch).count();
        let export: Vec<u8> = lines[..count]
            .iter()
            .flat_map(|l| [l.as_slice(), b"\n"].concat())
            .collect();
        let report = verify_export(&mut &export[..], &Evidence::default(), &mut |_| {});
        assert_eq!(report.expect("good").records, count as u64);
    }
}
