//! From approved corrections of linked books to transfers of the ledger.

use florin_base::Timestamp;
use florin_ledger::call::{Item, TransfersCall};
use florin_ledger::model::{AccountId, Metadata, Mode, Side, SystemAccount};
use florin_ledger::{Call, Outcome};
use florin_platform::sql::{Query, query};

use super::CODE;
use super::model::Link;
use super::reader::FeedError;
use super::service::Links;
use crate::corrections::model::{COLUMNS, Correction};
use crate::store::{WriteError, failpoint};

/// Corrections that are posted in one round.
const ROUND: i64 = 500;

impl Links {
    /// Posts what is approved and not yet back; answers how many were posted now.
    pub(super) async fn post_approved(&self) -> Result<usize, FeedError> {
        let text = format!(
            "SELECT {COLUMNS} FROM shadow_corrections WHERE status = 'approved'
             AND transfer_id IS NOT NULL ORDER BY made_seq LIMIT $1"
        );
        let rows = self
            .shadow()
            .db()
            .fetch_all(Query::assembled(text).bind(ROUND))
            .await
            .map_err(WriteError::from)?;
        let mut posted = 0;
        for row in &rows {
            let correction = Correction::from_row(row)?;
            posted += usize::from(self.post(&correction).await?);
        }
        Ok(posted)
    }

    async fn post(&self, correction: &Correction) -> Result<bool, FeedError> {
        let Some(link) = self.find(&correction.book).await? else {
            return Ok(false);
        };
        let Some(item) = item(&link, correction, self.shadow().clock().wall_micros()) else {
            return Ok(false);
        };
        let call = TransfersCall {
            actor: correction.approved_by.as_deref().map(Into::into),
            items: vec![item],
            key: None,
        };
        let answer = self.0.ledger.submit(Call::Transfers(call)).await;
        let answer = answer.map_err(|error| FeedError::Ledger(error.to_string()))?;
        failpoint::reach("link.transfer_posted_before_feed");
        let Outcome::Items(results) = answer.outcome else {
            return Ok(false);
        };
        let done = results.iter().all(|result| result.seq.is_some());
        if !done {
            let code = results.first().map(|result| result.code.word());
            let id = correction.id.as_str();
            tracing::error!(
                correction = id,
                code,
                "the ledger refused the transfer of an approved correction"
            );
            self.tell_refusal(correction, code.unwrap_or("refused"))
                .await?;
        }
        Ok(done)
    }

    /// Says once in the log that the ledger refuses; the correction stays approved and is tried
    /// again.
    async fn tell_refusal(&self, correction: &Correction, code: &str) -> Result<(), FeedError> {
        use crate::store::record::kind;
        use crate::store::{Actor, NewRecord};
        let (id, book) = (correction.id.clone(), correction.book.clone());
        let code = code.to_owned();
        self.shadow()
            .write(move |session| {
                Box::pin(async move {
                    let known = "SELECT log_seq FROM shadow_log WHERE subject = $1 AND kind = $2
                        AND kind <> 'event' AND kind <> 'final' LIMIT 1";
                    let known = query(known).bind(&id).bind(kind::INCIDENT);
                    if session.tx().fetch_optional(known).await?.is_none() {
                        let body = serde_json::json!({
                            "action": "incident.transfer_refused", "reason": code,
                        });
                        let record = NewRecord::new(kind::INCIDENT, Actor::system("feed"), &body);
                        session.append(record.about(&book).subject(&id));
                    }
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }
}

/// The transfer between the linked account and `florin:suspense:{asset}`.
fn item(link: &Link, correction: &Correction, now: i64) -> Option<Item> {
    let account = AccountId::parse(&link.ledger_account)?;
    let suspense = AccountId::system(SystemAccount::Suspense, &link.book.currency);
    let (direction, amount) = correction.entry();
    let (debit, credit) = match link.orientation.side(direction) {
        Side::Debit => (account, suspense),
        Side::Credit => (suspense, account),
    };
    let at = correction.timestamp.saturating_mul(1_000);
    Some(Item {
        id: correction.transfer_id.as_deref()?.into(),
        mode: Mode::Single,
        debit: Some(debit),
        credit: Some(credit),
        amount: u128::try_from(amount).ok(),
        asset: Some(link.book.currency.as_str().into()),
        code: Some(CODE.into()),
        pending_id: None,
        timeout_seconds: None,
        effective_at: (at < now).then_some(Timestamp(at)),
        linked: false,
        description: Some(correction.id.as_str().into()),
        metadata: Metadata::default(),
        invalid: None,
    })
}
