//! Reads of the past against the naive ledger's folds.

use florin_base::Timestamp;
use florin_ledger::{
    Query, View,
    engine::{EntryPage, IdLookup},
    model as own,
};

use super::{
    model::{Mode, Move, Totals, apply},
    property::World,
    property_calls::{floor, status},
};

pub fn totals(t: &own::Totals) -> Totals {
    Totals {
        debits: t.debits_posted,
        credits: t.credits_posted,
        debits_pending: t.debits_pending,
        credits_pending: t.credits_pending,
        postings: t.postings,
        events: t.events,
    }
}

fn without_events(t: Totals) -> Totals {
    Totals { events: 0, ..t }
}

/// A random account at random times, its history on both axes, and an answer given before.
pub fn compare_one(world: &mut World) {
    let place = world.random.below(world.model.accounts.len());
    let view = world.bank().read();
    let account = &world.model.accounts[place];
    let now = world.model.now;
    let fold = |e: Option<i64>, r: Option<i64>| {
        without_events(account.fold(e.unwrap_or(i64::MAX), r.unwrap_or(i64::MAX)))
    };
    let at = |e: Option<i64>, r: Option<i64>| {
        let found = view.totals_at(place as u32, e.map(Timestamp), r.map(Timestamp));
        without_events(totals(&found.expect("readable")))
    };
    assert_eq!(at(None, None), without_events(account.totals), "INV-L15");
    let random = &mut world.random;
    let mut time = || {
        let moves = &account.moves;
        let shift = random.below(3) as i64 - 1;
        match (random.below(4), moves.is_empty()) {
            (0, _) => None,
            (1, false) => Some(moves[random.below(moves.len())].effective + shift),
            (2, false) => Some(moves[random.below(moves.len())].at + shift),
            _ => Some(now - random.below(1 << 34) as i64),
        }
    };
    for _ in 0..3 {
        let (e, r) = (time(), time());
        assert_eq!(
            at(e, r),
            fold(e, r),
            "INV-L14: {} at {e:?}, {r:?}",
            account.id
        );
        if let (Some(e), Some(r)) = (e, r.filter(|r| *r < now)) {
            let answered = (place, e, r, at(Some(e), Some(r)));
            if world.sampled.len() < 500 {
                world.sampled.push(answered);
            }
        }
    }
    let (from, to) = (time(), time());
    for effective in [false, true] {
        compare_entries(world, place, effective, from, to);
    }
}

fn compare_entries(
    world: &mut World,
    place: usize,
    effective: bool,
    from: Option<i64>,
    to: Option<i64>,
) {
    let view = world.bank().read();
    let limit = 1 + world.random.below(30);
    let descending = world.random.one_in(2);
    let up_to = world.random.one_in(3).then(|| {
        world.model.seq() - world.random.below(200).min(world.model.seq() as usize) as u64
    });
    let account = &world.model.accounts[place];
    let mut moves: Vec<&Move> = account
        .moves
        .iter()
        .filter(|m| up_to.is_none_or(|up_to| m.seq <= up_to))
        .collect();
    let time = |m: &Move| if effective { m.effective } else { m.at };
    if effective {
        moves.sort_by_key(|m| (m.effective, m.seq));
    }
    let mut sum = Totals::default();
    let mut expected = Vec::new();
    for m in moves {
        // Back-dated releases may come before their reservation on this axis only in the order
        // of equal times, where the smaller `seq` goes first.
        apply(&mut sum, m);
        if from.is_none_or(|f| time(m) >= f) && to.is_none_or(|t| time(m) < t) {
            expected.push((m.seq, m.effective, m.is_debit, sum));
        }
    }
    if descending {
        expected.reverse();
    }
    expected.truncate(limit);
    let page = EntryPage {
        effective,
        from: from.map(Timestamp),
        to: to.map(Timestamp),
        descending,
        after: None,
        up_to_seq: up_to,
        limit,
    };
    let found = view.entries(place as u32, &page).expect("readable");
    let actual: Vec<_> = found
        .iter()
        .map(|e| {
            let is_debit = e.side == own::Side::Debit;
            (
                e.seq,
                e.effective_at.0,
                is_debit,
                without_events(totals(&e.after)),
            )
        })
        .collect();
    assert_eq!(actual, expected, "{} {page:?}", account.id);
    // The rest of the walk starts where this page ended.
    if let Some(last) = found.last() {
        let rest = EntryPage {
            after: Some((last.effective_at.0, last.seq)),
            limit: 20,
            ..page
        };
        let whole = EntryPage {
            limit: found.len() + 20,
            ..page
        };
        let seqs = |page: &EntryPage| -> Vec<u64> {
            let entries = view.entries(place as u32, page).expect("readable");
            entries.iter().map(|e| e.seq).collect()
        };
        let (whole, rest) = (seqs(&whole), seqs(&rest));
        assert_eq!(whole[found.len()..], rest, "pages join");
    }
}

/// After a restart: accounts, wallets, limits, identities, resolutions, answers about the past.
pub fn compare_all(world: &mut World) {
    let bank = world.bank.as_ref().expect("open");
    let ask = |query| {
        bank.runtime
            .block_on(bank.ledger.query(query))
            .expect("an answer")
    };
    for (place, account) in world.model.accounts.iter().enumerate() {
        let id = own::AccountId::parse(&account.id).expect("an id");
        let View::Account(Some(view)) = ask(Query::Account(id)) else {
            panic!("{} is missing", account.id);
        };
        assert_eq!(view.slot as usize, place, "{}", account.id);
        assert_eq!(
            (totals(&view.totals), view.status, view.floor, view.version),
            (
                account.totals,
                status(account.status),
                floor(account.floor),
                account.version
            ),
            "INV-L3 {}",
            account.id
        );
    }
    for (id, wallet) in &world.model.wallets.by_id {
        let View::Limits(Some(view)) = ask(Query::Limits {
            id: *id,
            owner: None,
        }) else {
            panic!("wallet {id} is missing");
        };
        let t = &view.wallet.totals;
        assert_eq!(
            totals(t),
            world.model.accounts[wallet.account].totals,
            "INV-L18: a wallet is its account"
        );
        assert_eq!(&*view.wallet.user_id, wallet.user.as_str());
        let (out, inward) = (world.model.used(*id, true), world.model.used(*id, false));
        let used = &view.used;
        assert_eq!(
            ((used.out_day, used.out_month), (used.in_day, used.in_month)),
            (out, inward),
            "INV-L19: use of limits"
        );
    }
    let view = bank.read();
    for (id, code) in &world.model.refused {
        let IdLookup::Refused(found) = view.transfer(id).expect("readable") else {
            panic!("{id} was refused");
        };
        assert_eq!(found.word(), *code, "INV-L5");
    }
    // A thousand of the transfers, others each time.
    let skip = world.model.transfers.len() / 1_000;
    for t in world.model.transfers.values() {
        if !world.sample.one_in(skip + 1) {
            continue;
        }
        let IdLookup::Recorded(record) = view.transfer(&t.id).expect("readable") else {
            panic!("{} was recorded", t.id);
        };
        assert_eq!(record.seq, t.seq, "INV-L5");
        let state = view.state(&record).expect("readable").state;
        let expected = match (t.mode, t.resolved.map(|(how, _)| how)) {
            (Mode::Pending, None) => "pending",
            (Mode::Pending, Some("pending_transfer_already_posted")) => "posted",
            (Mode::Pending, Some("pending_transfer_already_voided")) => "voided",
            (Mode::Pending, Some(_)) => "expired",
            _ => "recorded",
        };
        assert_eq!(state, expected, "INV-L8: {}", t.id);
    }
    for (place, e, r, answered) in &world.sampled {
        let found = view.totals_at(*place as u32, Some(Timestamp(*e)), Some(Timestamp(*r)));
        let found = without_events(totals(&found.expect("readable")));
        assert_eq!(found, *answered, "INV-L14: the past does not change");
    }
    world.compare_balance();
}
