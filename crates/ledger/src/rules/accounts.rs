//! Assets and accounts (contract A1, A6).

use super::{
    Judge, Judged,
    book::{Book, Fault, Note},
    wallets::is_empty,
};
use crate::{
    call::{CreateAccount, ItemResult, Outcome, PatchAccount, Refusal, RefusalCode},
    codes::ResultCode,
    model::{AccountChange, Asset, AssetNo, Body, NewAccount, Slot, Status, Touches},
};

impl<B: Book> Judge<'_, B> {
    pub(super) fn create_asset(
        &mut self,
        actor: Option<Box<str>>,
        asset: Asset,
    ) -> Result<Judged, Fault> {
        self.actor = actor;
        if let Some(no) = self.book.asset_no(&asset.code) {
            let before = self.book.asset(no);
            let checks = [
                (asset.scale == before.scale, "scale"),
                (asset.kind == before.kind, "kind"),
                (asset.name == before.name, "name"),
                (asset.metadata == before.metadata, "metadata"),
            ];
            return Ok(repeated(
                checks.into_iter().find(|(equal, _)| !equal).map(|(_, f)| f),
                Vec::new(),
            ));
        }
        if self.book.asset_count() > usize::from(AssetNo::MAX) {
            let refusal = RefusalCode::TooManyAssets.into();
            return Ok(Judged::new(Outcome::Refused(refusal)));
        }
        self.book.add_asset(asset.clone());
        self.push(Body::AssetCreated(asset), Touches::default());
        let record = self.records.last().cloned().expect("just pushed");
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    pub(super) fn create_account(&mut self, call: CreateAccount) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        if let Some(key) = &call.key
            && let Some(judged) = self.keyed_account(key)?
        {
            return Ok(judged);
        }
        let Some(asset) = self.book.asset_no(&call.asset) else {
            return Ok(Judged::new(Outcome::Refused(Refusal::at(
                RefusalCode::AssetNotFound,
                "asset",
            ))));
        };
        let account = NewAccount {
            normal: call.normal.unwrap_or(call.kind.usual_side()),
            id: call.id,
            asset,
            kind: call.kind,
            floor: call.floor,
            metadata: call.metadata,
        };
        if let Some(slot) = self.book.slot(&account.id) {
            let seq = self.book.created_seq(slot);
            let record = self.load(seq)?;
            let Body::AccountCreated(before) = &record.body else {
                return Err(Fault(format!(
                    "record {seq} does not create account {}",
                    account.id
                )));
            };
            let different = account_difference(&account, before);
            return Ok(repeated(different, vec![record]));
        }
        let id: Box<str> = account.id.to_string().into();
        self.open_account(account);
        let record = self.records.last().cloned().expect("just pushed");
        if let Some(key) = call.key {
            let result = ItemResult {
                id,
                code: ResultCode::Created,
                seq: Some(record.seq),
                field: None,
                first_code: None,
            };
            self.push_note(Note::Answered {
                scope: key.scope,
                key: key.key,
                digests: key.digests,
                results: vec![result],
                batch: self.start.batch,
                recorded_at: self.start.now,
            });
        }
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    fn keyed_account(&mut self, key: &crate::call::CallKey) -> Result<Option<Judged>, Fault> {
        let Some(stored) = self.stored_answer(key)? else {
            return Ok(None);
        };
        Ok(Some(match stored.outcome {
            Outcome::Items(results) => match results.first().and_then(|r| r.seq) {
                Some(seq) => Judged::replay(Outcome::Done(vec![self.load(seq)?])),
                None => Judged::replay(Outcome::Done(Vec::new())),
            },
            _ => Judged::new(Outcome::Refused(RefusalCode::IdempotencyConflict.into())),
        }))
    }

    pub(super) fn patch_account(&mut self, call: PatchAccount) -> Result<Judged, Fault> {
        self.actor = call.actor.clone();
        let Some(slot) = self.book.slot(&call.id) else {
            return Ok(Judged::new(Outcome::Refused(
                RefusalCode::AccountNotFound.into(),
            )));
        };
        let hot = self.book.hot(slot);
        let refusal = if call.if_version.is_some_and(|v| v != hot.version) {
            Some(RefusalCode::VersionMismatch)
        } else if hot.status == Status::Closed {
            Some(RefusalCode::AccountClosed)
        } else if call.change.status == Some(Status::Closed) && !is_empty(&hot.totals) {
            Some(RefusalCode::AccountNotEmpty)
        } else {
            None
        };
        if let Some(code) = refusal {
            return Ok(Judged::new(Outcome::Refused(code.into())));
        }
        if call.change == AccountChange::default() {
            return Ok(Judged::new(Outcome::Done(Vec::new())));
        }
        self.apply_account_change(slot, call.change);
        let record = self.records.last().cloned().expect("just pushed");
        Ok(Judged::new(Outcome::Done(vec![record])))
    }

    pub(super) fn apply_account_change(&mut self, slot: Slot, change: AccountChange) {
        self.save(slot);
        let hot = self.book.hot_mut(slot);
        hot.version += 1;
        if let Some(status) = change.status {
            hot.status = status;
        }
        let version = hot.version;
        if let Some(floor) = change.floor {
            self.book.set_floor(slot, floor);
        }
        if let Some(metadata) = &change.metadata {
            self.book.set_metadata(slot, metadata.clone());
        }
        let touches = self.plain_touch(slot);
        self.push(
            Body::AccountUpdated {
                slot,
                version,
                change,
            },
            touches,
        );
    }
}

/// The first member in which an account differs from the one recorded.
fn account_difference(account: &NewAccount, before: &NewAccount) -> Option<&'static str> {
    let checks = [
        (account.asset == before.asset, "asset"),
        (account.kind == before.kind, "kind"),
        (account.normal == before.normal, "normalSide"),
        (
            account.floor.may_overdraw() == before.floor.may_overdraw(),
            "mayOverdraw",
        ),
        (account.floor == before.floor, "floorMinor"),
        (account.metadata == before.metadata, "metadata"),
    ];
    checks
        .into_iter()
        .find(|(equal, _)| !equal)
        .map(|(_, field)| field)
}

fn repeated(different: Option<&'static str>, records: Vec<crate::model::Record>) -> Judged {
    match different {
        Some(field) => Judged::new(Outcome::Refused(Refusal::at(
            RefusalCode::IdempotencyConflict,
            field,
        ))),
        None => Judged::replay(Outcome::Done(records)),
    }
}
