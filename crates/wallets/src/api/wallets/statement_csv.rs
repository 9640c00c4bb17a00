//! A statement as CSV, streamed: the whole period in one answer of bounded memory
//! (contract B7).

use axum::{body::Body, response::Response};
use bytes::Bytes;
use florin_base::{Signed, Timestamp};
use florin_ledger::{ReadView, call::WalletView, engine::ReadError, model::Asset};
use florin_platform::http::problem::Problem;
use futures_util::stream;
use http::{
    HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use tokio::sync::mpsc;

use super::{
    statement::{Asked, Line, entries, period},
    walk::STEP,
};
use crate::{
    api::{
        Shared,
        answer::{self, MinSeq, read_failed, unavailable},
    },
    model::{
        Id, Money, MoneyStyle,
        csv::{plain, text},
        statement::{Axis, StatementItem},
    },
};

const HEADER: &[u8] = b"recordedAt,effectiveAt,transactionId,type,direction,amount,currency,balanceAfter,referenceId,description\r\n";
/// Parts waiting for a slow reader.
const PARTS_MAX: usize = 4;

type Part = Result<Bytes, std::io::Error>;

/// Streams the statement.
pub async fn stream(
    api: Shared,
    wallet: Box<WalletView>,
    asked: Asked,
    min_seq: MinSeq,
) -> Result<Response, Problem> {
    let view = api.ledger.read_view().await.map_err(unavailable)?;
    let seq = view.seq();
    min_seq.check(seq)?;
    let asset = api.ledger.asset(wallet.asset);
    let (sender, receiver) = mpsc::channel::<Part>(PARTS_MAX);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(&view, asked, &asset, &sender) {
            // The status is sent; cutting the body short is all that can still be said.
            tracing::error!(%error, "a statement was cut short");
            let _ = sender.blocking_send(Err(std::io::Error::other("statement cut short")));
        }
    });
    let parts = stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((part, receiver))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    let name = format!("attachment; filename=\"statement-{}.csv\"", Id(wallet.id));
    let name = HeaderValue::try_from(name).map_err(read_failed)?;
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(answer::with_seq(response, seq))
}

/// Writes everything; stops early without an error when the reader is gone.
fn write(
    view: &ReadView,
    asked: Asked,
    asset: &Asset,
    sender: &mpsc::Sender<Part>,
) -> Result<(), ReadError> {
    let period = period(view, asked)?;
    let mut running = period.before;
    let mut out = HEADER.to_vec();
    border(
        "OPENING",
        asked.from,
        asked.axis,
        period.before.balance(),
        asset,
        &mut out,
    );
    let mut after = None;
    loop {
        let mut page = entries(asked, view.seq(), after);
        page.limit = STEP;
        let found = view.entries(asked.slot, &page)?;
        for entry in &found {
            after = Some((entry.effective_at.micros(), entry.seq));
            if let Some(line) = Line::of(view, entry, &mut running)? {
                row(&line, asset, &mut out);
            }
        }
        let is_last = found.len() < STEP;
        if is_last {
            border(
                "CLOSING",
                asked.to,
                asked.axis,
                period.end.balance(),
                asset,
                &mut out,
            );
        }
        let part = Bytes::from(std::mem::take(&mut out));
        if sender.blocking_send(Ok(part)).is_err() || is_last {
            return Ok(());
        }
    }
}

/// The first or last row: a balance at a time on the chosen axis.
fn border(
    kind: &str,
    at: Timestamp,
    axis: Axis,
    balance: Signed,
    asset: &Asset,
    out: &mut Vec<u8>,
) {
    let balance = Money::signed(balance, asset, MoneyStyle::Text);
    let currency = &asset.code;
    match axis {
        Axis::Recorded => plain(
            format_args!("{at},,,{kind},,,{currency},{balance},,\r\n"),
            out,
        ),
        Axis::Effective => plain(
            format_args!(",{at},,{kind},,,{currency},{balance},,\r\n"),
            out,
        ),
    }
}

fn row(line: &Line, asset: &Asset, out: &mut Vec<u8>) {
    let Some(transfer) = line.record.transfer() else {
        return;
    };
    let item = StatementItem::new(
        transfer,
        line.direction,
        line.record.recorded_at,
        line.after.balance(),
        asset,
        MoneyStyle::Text,
    );
    plain(
        format_args!("{},{},", item.recorded_at, item.effective_at),
        out,
    );
    text(&item.transaction_id, out);
    plain(
        format_args!(
            ",{},{},{},{},{},",
            item.r#type,
            item.direction.word(),
            item.amount,
            asset.code,
            item.balance_after
        ),
        out,
    );
    text(item.reference_id.unwrap_or_default(), out);
    plain(",", out);
    text(item.description.unwrap_or_default(), out);
    plain("\r\n", out);
}
