//! Answers from the writer's memory.

use florin_base::Timestamp;

use super::{deciding::Shown, directory::Row, state::State};
use crate::{
    call::{AccountView, AssetSums, Head, LimitsView, Query, View, WalletView},
    model::{AccountFacts, AccountId, Slot},
    policy::Policy,
    rules::{Start, book::Book, limits_in_force},
};

/// Most rows one query looks at before it answers with what it has.
const SCAN_MAX: usize = 50_000;

impl Shown for State {
    fn wallet_view(&self, slot: Slot, seq: u64) -> Option<WalletView> {
        wallet_view(self, slot, seq)
    }

    fn account_view(&self, slot: Slot, seq: u64) -> Option<AccountView> {
        account_view(self, slot, seq)
    }
}

/// `seq` counts what the batch in progress recorded so far; `before` is the head before it.
pub(super) fn answer(
    state: &State,
    policy: &Policy,
    query: Query,
    seq: u64,
    start: Start,
    before: Head,
) -> View {
    match query {
        Query::Account(id) => {
            let view = state
                .slot(&id)
                .and_then(|slot| account_view(state, slot, seq));
            View::Account(view.map(Box::new))
        }
        Query::Wallet { id, owner } => {
            View::Wallet(visible(state, id, owner.as_deref(), seq).map(Box::new))
        }
        Query::Limits { id, owner } => {
            let wallet = visible(state, id, owner.as_deref(), seq);
            View::Limits(
                wallet
                    .and_then(|w| limits_view(state, policy, w, start.now))
                    .map(Box::new),
            )
        }
        Query::Wallets {
            user_id,
            status,
            asset,
            after,
            limit,
        } => {
            let wanted = |w: &WalletView| {
                status.is_none_or(|s| s == state.hot(w.slot).status)
                    && asset.is_none_or(|a| a == w.asset)
            };
            let (found, more) = match user_id {
                Some(user) => {
                    let slots = state
                        .directory
                        .wallets_of(&user)
                        .into_iter()
                        .filter(|s| after.is_none_or(|a| *s > a));
                    collect(slots, limit, |slot| {
                        wallet_view(state, slot, seq).filter(wanted)
                    })
                }
                None => collect(slots_after(state, after), limit, |slot| {
                    wallet_view(state, slot, seq).filter(wanted)
                }),
            };
            View::Wallets(found, more)
        }
        Query::Accounts {
            asset,
            kind,
            status,
            id_prefix,
            metadata,
            after,
            limit,
        } => {
            let wanted = |slot: Slot| {
                let hot = state.hot(slot);
                let matches = |row: &Row| {
                    kind.is_none_or(|k| k == row.kind)
                        && id_prefix
                            .as_deref()
                            .is_none_or(|prefix| row.id.to_string().starts_with(prefix))
                };
                asset.is_none_or(|a| a == hot.asset)
                    && status.is_none_or(|s| s == hot.status)
                    && state.directory.with_row(slot, matches)
                    && metadata.iter().all(|(key, value)| {
                        state.rare.get(&slot).and_then(|r| r.metadata.get(key)) == Some(&**value)
                    })
            };
            let (found, more) = collect(slots_after(state, after), limit, |slot| {
                if wanted(slot) {
                    account_view(state, slot, seq)
                } else {
                    None
                }
            });
            View::Accounts(found, more)
        }
        Query::TrialBalance => View::TrialBalance(trial_balance(state), head(seq, start, before)),
        Query::Head => View::Head(head(seq, start, before)),
        Query::Time => View::Time(start.now),
    }
}

fn head(seq: u64, start: Start, before: Head) -> Head {
    if seq > start.last_seq {
        Head {
            seq,
            batch: start.batch,
            recorded_at: start.now,
        }
    } else {
        before
    }
}

fn slots_after(state: &State, after: Option<Slot>) -> std::ops::Range<Slot> {
    after.map_or(0, |slot| slot.saturating_add(1))..state.accounts.len() as Slot
}

/// Up to `limit` of those found, and where to go on when there may be more.
fn collect<T>(
    slots: impl Iterator<Item = Slot>,
    limit: usize,
    mut view: impl FnMut(Slot) -> Option<T>,
) -> (Vec<T>, Option<Slot>) {
    let mut found = Vec::new();
    let mut slots = slots.peekable();
    for _ in 0..SCAN_MAX {
        let Some(slot) = slots.next() else {
            return (found, None);
        };
        found.extend(view(slot));
        if found.len() == limit {
            return (found, slots.peek().map(|_| slot));
        }
        if slots.peek().is_none() {
            return (found, None);
        }
    }
    let last = slots.peek().map(|next| next - 1);
    (found, last)
}

fn visible(state: &State, id: u128, owner: Option<&str>, seq: u64) -> Option<WalletView> {
    let slot = state.slot(&AccountId::Wallet(id))?;
    let view = wallet_view(state, slot, seq)?;
    owner
        .is_none_or(|user| *view.user_id == *user)
        .then_some(view)
}

fn wallet_view(state: &State, slot: Slot, seq: u64) -> Option<WalletView> {
    let info = state.wallet(slot)?;
    let hot = state.hot(slot);
    let rare = state.rare(slot);
    let (id, created_at) = state
        .directory
        .with_row(slot, |row| (row.id.wallet(), row.created_at));
    Some(WalletView {
        id: id?,
        slot,
        user_id: (&*info.user_id).into(),
        asset: hot.asset,
        totals: hot.totals,
        status: hot.status,
        tier: (&*info.tier).into(),
        limits: info.limits.as_deref().copied(),
        label: rare.label,
        metadata: rare.wallet_metadata,
        version: hot.version,
        created_at,
        updated_at: info.updated_at,
        as_of_seq: seq,
    })
}

fn account_view(state: &State, slot: Slot, seq: u64) -> Option<AccountView> {
    let hot = state.hot(slot);
    let row = state.directory.row(slot)?;
    Some(AccountView {
        slot,
        facts: AccountFacts {
            id: row.id,
            asset: row.asset,
            kind: row.kind,
            normal: row.normal,
            created_at: row.created_at,
        },
        totals: hot.totals,
        status: hot.status,
        floor: state.floor(slot),
        metadata: state.rare(slot).metadata,
        version: hot.version,
        as_of_seq: seq,
    })
}

fn limits_view(
    state: &State,
    policy: &Policy,
    wallet: WalletView,
    now: Timestamp,
) -> Option<LimitsView> {
    let asset = state.asset(wallet.asset);
    let limits = limits_in_force(policy, state.wallet(wallet.slot)?, &asset.code);
    let used = state.windows(wallet.slot).at(now).used;
    Some(LimitsView {
        wallet,
        limits,
        used,
        day_resets_at: now.next_day(),
        month_resets_at: now.next_month(),
    })
}

/// A real sum over all accounts; nothing is kept that could hide a difference.
fn trial_balance(state: &State) -> Vec<AssetSums> {
    let assets = state.directory.assets();
    let mut sums: Vec<AssetSums> = assets
        .iter()
        .map(|asset| AssetSums {
            asset: asset.code.clone(),
            ..AssetSums::default()
        })
        .collect();
    for account in state.accounts.iter() {
        let sum = &mut sums[usize::from(account.hot.asset)];
        let t = &account.hot.totals;
        sum.accounts += 1;
        sum.totals.debits_posted = sum.totals.debits_posted.saturating_add(t.debits_posted);
        sum.totals.credits_posted = sum.totals.credits_posted.saturating_add(t.credits_posted);
        sum.totals.debits_pending = sum.totals.debits_pending.saturating_add(t.debits_pending);
        sum.totals.credits_pending = sum.totals.credits_pending.saturating_add(t.credits_pending);
    }
    sums
}
