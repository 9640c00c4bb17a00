//! One call judged and its answer worded: the same for both engines.

use crate::{
    call::{AccountView, Answer, Call, Outcome, WalletView},
    codes::ResultCode,
    model::{AccountId, Slot},
    rules::{
        Judge, Judged, Start,
        book::{Book, Fault},
    },
};

/// A book that can show accounts and wallets as answers do.
pub(crate) trait Shown: Book {
    /// The wallet of an account, as of a `seq`.
    fn wallet_view(&self, slot: Slot, seq: u64) -> Option<WalletView>;
    /// An account, as of a `seq`.
    fn account_view(&self, slot: Slot, seq: u64) -> Option<AccountView>;
}

/// What a call's answer shows beside its outcome.
enum Subject {
    Nothing,
    Wallet(u128),
    Account(AccountId),
}

fn subject(call: &Call) -> Subject {
    match call {
        Call::CreateWallet(c) => Subject::Wallet(c.id),
        Call::UpdateWallet(c) => Subject::Wallet(c.id),
        Call::CreateAccount(c) => Subject::Account(c.id.clone()),
        Call::PatchAccount(c) => Subject::Account(c.id.clone()),
        _ => Subject::Nothing,
    }
}

type Views = (Option<Box<WalletView>>, Option<Box<AccountView>>);

fn views(book: &impl Shown, subject: Subject, outcome: &Outcome, seq: u64) -> Views {
    let Outcome::Done(records) = outcome else {
        return (None, None);
    };
    // A replay may name another id than this call made up.
    let touched = records.last().and_then(|r| r.touches.first).map(|t| t.slot);
    match subject {
        Subject::Nothing => (None, None),
        Subject::Wallet(id) => {
            let slot = touched.or_else(|| book.slot(&AccountId::Wallet(id)));
            let view = slot.and_then(|slot| book.wallet_view(slot, seq));
            (view.map(Box::new), None)
        }
        Subject::Account(id) => {
            let slot = touched.or_else(|| book.slot(&id));
            let view = slot.and_then(|slot| book.account_view(slot, seq));
            (None, view.map(Box::new))
        }
    }
}

/// Judges one call and words its answer.
///
/// # Errors
/// [`Fault`]: nothing of the call was done.
pub(crate) fn judge_one<B: Shown>(
    judge: &mut Judge<'_, B>,
    start: Start,
    call: Call,
) -> Result<Answer, Fault> {
    let before = judge.staged().0;
    let subject = subject(&call);
    let judged = judge.call(call)?;
    let after = judge.staged().0;
    let seq = start.last_seq + after as u64;
    let (wallet, account) = views(judge.book(), subject, &judged.outcome, seq);
    let Judged {
        outcome,
        replayed,
        first,
    } = judged;
    let (batch, recorded_at) = match (first, &outcome) {
        // A stored answer comes back unchanged, commit and time included.
        (Some((batch, at)), Outcome::Items(results)) => {
            let recorded = results.iter().any(|r| r.code == ResultCode::Created);
            (recorded.then_some(batch), at)
        }
        _ => ((after > before).then_some(start.batch), start.now),
    };
    Ok(Answer {
        outcome,
        replayed,
        batch,
        recorded_at,
        seq,
        wallet,
        account,
    })
}
