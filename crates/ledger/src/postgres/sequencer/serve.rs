//! The sequencer's end of a link: puts the calls of another process into the own queue, in their
//! order, and sends back what became of them.

use std::{sync::Arc, time::Duration};

use florin_base::Timestamp;
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::{Notify, oneshot, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::{
    super::{
        Shared,
        queue::Message,
        reply::{Far, Origin, Reply},
        schema::in_time,
    },
    wire::{self, Ask, Hello, Known, Tell, Told},
};
use crate::{
    call::{Answer, Call, Outcome, Unavailable},
    model::{Body, Record, Slot},
};

/// How long a caller may take to say who it is.
const HELLO: Duration = Duration::from_secs(2);
/// After so long without a sign of life the other side is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How long calls on their way may take once the sequencer leaves.
const LEAVE: Duration = Duration::from_secs(5);
/// How long the other side may take to hang up once it has all answers.
const LINGER: Duration = Duration::from_secs(1);
/// How long it waits for calls in doubt before it looks again whether it must leave.
const LOOK: Duration = Duration::from_millis(100);

/// What a link needs of its term.
#[derive(Clone)]
pub(super) struct Term {
    pub shared: Arc<Shared>,
    pub token: Arc<[u8]>,
    /// Becomes `false` when the term ends.
    pub open: watch::Receiver<bool>,
}

impl Term {
    fn is_open(&self) -> bool {
        *self.open.borrow()
    }
}

/// One connection from its first byte to its last.
pub(super) async fn serve(term: Term, acceptor: TlsAcceptor, socket: TcpStream) {
    // A caller that is not one of ours is no news.
    if let Err(error) = carry(term, acceptor, socket).await {
        tracing::debug!(%error, "a link from another process ended");
    }
}

async fn carry(term: Term, acceptor: TlsAcceptor, socket: TcpStream) -> std::io::Result<()> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    socket.set_nodelay(true)?;
    let stream = timeout(HELLO, acceptor.accept(socket))
        .await
        .map_err(late)??;
    let (reading, mut writing) = tokio::io::split(stream);
    let mut reading = BufReader::with_capacity(64 << 10, reading);
    let hello = timeout(HELLO, wire::read::<Hello, _>(&mut reading)).await;
    let hello = hello.map_err(late)??;
    let ledger = term.shared.ledger_id;
    if let Some(why) = refusal(&hello, &term.token, ledger, term.is_open()) {
        return wire::write(&mut writing, &Tell::Refused(why.to_owned())).await;
    }
    wire::write(&mut writing, &Tell::Welcome).await?;
    let origin = Arc::new(Origin::new(Uuid::from_u128(hello.link)));
    let signs = Signs::default();
    metrics::gauge!("ledger_sequencer_links").increment(1.0);
    let ended = tokio::select! {
        ended = take_calls(&term, &origin, &signs, &mut reading) => ended,
        ended = send_answers(&term, &origin, &signs, &mut writing) => ended,
    };
    metrics::gauge!("ledger_sequencer_links").decrement(1.0);
    ended?;
    // Closed with calls unread, the socket would be reset, and answers that the other side has not
    // read yet would be lost with it.
    writing.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let drained = tokio::io::copy(&mut reading, &mut nowhere);
    timeout(LINGER, drained).await.map_err(late)?.map(drop)
}

/// Why a caller is not let in.
fn refusal(hello: &Hello, token: &[u8], ledger: Uuid, is_open: bool) -> Option<&'static str> {
    if !bool::from(hello.token.ct_eq(token)) {
        return Some("the token is not that of this term");
    }
    if hello.ledger != ledger.as_u128() {
        return Some("this is another ledger");
    }
    if Some(&*hello.build) != wire::build() {
        return Some("this is another build");
    }
    (!is_open).then_some("the term is over")
}

/// Waits for the end of a term.
pub(super) async fn ended(open: &mut watch::Receiver<bool>) {
    // A sender that is gone ends it as well.
    drop(open.wait_for(|open| !open).await);
}

/// Ledger times that the batcher owes, by number.
type Times = Vec<(u64, oneshot::Receiver<Result<Timestamp, Unavailable>>)>;

/// What the reading half leaves for the writing half.
#[derive(Default)]
struct Signs {
    pong: std::sync::atomic::AtomicBool,
    times: parking_lot::Mutex<Times>,
    given: Notify,
}

async fn take_calls<R: AsyncRead + Unpin>(
    term: &Term,
    origin: &Arc<Origin>,
    signs: &Signs,
    reading: &mut R,
) -> std::io::Result<()> {
    let queue = &term.shared.queue;
    let mut open = term.open.clone();
    loop {
        let asked = tokio::select! {
            biased;
            // Reads no more; what was taken is still answered by the writing half.
            () = ended(&mut open) => return std::future::pending().await,
            asked = in_time(SILENCE, wire::read::<Ask<Box<Call>>, _>(reading)) => asked,
        };
        match asked.ok_or(std::io::ErrorKind::TimedOut)?? {
            Ask::Calls(calls) => {
                for (number, call) in calls {
                    metrics::counter!("ledger_forwarded_calls_total").increment(1);
                    let reply = Reply::There(Far::new(origin, number));
                    queue.push_or_refuse(Message::Call(call, reply));
                }
            }
            Ask::Time(number) => {
                let (sender, receiver) = oneshot::channel();
                signs.times.lock().push((number, receiver));
                queue.push_or_refuse(Message::Time(sender));
                signs.given.notify_one();
            }
            Ask::Ping => {
                signs.pong.store(true, std::sync::atomic::Ordering::SeqCst);
                signs.given.notify_one();
            }
        }
    }
}

async fn send_answers<W: AsyncWrite + Unpin>(
    term: &Term,
    origin: &Arc<Origin>,
    signs: &Signs,
    writing: &mut W,
) -> std::io::Result<()> {
    let mut leave_by = None;
    let mut times = Vec::new();
    loop {
        // In this order: a closed term takes no more calls, and the answers of calls that wait no
        // more are among those taken.
        let is_closed = !term.is_open();
        let none_waits = origin.waiting() == 0;
        let answers = origin.take();
        if !answers.is_empty() {
            let told = answers
                .into_iter()
                .map(|(number, answer)| (number, Told::Call(answer)));
            wire::write(writing, &answers_of(&term.shared, told.collect())).await?;
            continue;
        }
        if signs.pong.swap(false, std::sync::atomic::Ordering::SeqCst) {
            wire::write(writing, &Tell::Pong).await?;
        }
        times.append(&mut signs.times.lock());
        if origin.is_broken() {
            return Err(std::io::Error::other(
                "the link was ended by its other side, or a call was dropped",
            ));
        }
        if is_closed {
            let by = *leave_by.get_or_insert_with(|| tokio::time::Instant::now() + LEAVE);
            if (none_waits && times.is_empty()) || tokio::time::Instant::now() > by {
                return Ok(());
            }
        }
        tokio::select! {
            () = origin.filled.notified() => {}
            () = signs.given.notified() => {}
            told = first_time(&mut times) => {
                let answers = vec![(told.0, Told::Time(told.1))];
                wire::write(writing, &answers_of(&term.shared, answers)).await?;
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// The first of the times asked for that is there.
async fn first_time(times: &mut Times) -> (u64, Result<Timestamp, Unavailable>) {
    let Some((number, receiver)) = times.first_mut() else {
        return std::future::pending().await;
    };
    let time = receiver.await.unwrap_or(Err(Unavailable::StoreUnavailable));
    let number = *number;
    times.remove(0);
    (number, time)
}

/// Answers with what the other process needs to read them.
fn answers_of(shared: &Shared, answers: Vec<(u64, Told)>) -> Tell {
    let mut slots = Vec::new();
    for (_, told) in &answers {
        if let Told::Call(Ok(answer)) = told {
            slots_of(answer, &mut slots);
        }
    }
    slots.sort_unstable();
    slots.dedup();
    let rows = slots.into_iter().filter_map(|slot| {
        let row = shared.directory.row(slot)?;
        Some(Known::of(slot, &row))
    });
    Tell::Answers {
        rows: rows.collect(),
        head: shared.status.lock().head,
        assets: shared.directory.assets().len(),
        answers,
    }
}

fn slots_of(answer: &Answer, out: &mut Vec<Slot>) {
    if let Outcome::Done(records) = &answer.outcome {
        records
            .iter()
            .for_each(|record| slots_of_record(record, out));
    }
    out.extend(answer.wallet.as_ref().map(|wallet| wallet.slot));
    out.extend(answer.account.as_ref().map(|account| account.slot));
}

fn slots_of_record(record: &Record, out: &mut Vec<Slot>) {
    out.extend(record.touches.iter().map(|touch| touch.slot));
    match &record.body {
        Body::Transfer(transfer) => out.extend([transfer.debit, transfer.credit]),
        Body::Expired { debit, credit, .. } => out.extend([*debit, *credit]),
        Body::AccountUpdated { slot, .. } | Body::WalletUpdated { slot, .. } => out.push(*slot),
        Body::WalletCreated(wallet) => out.push(wallet.slot),
        Body::AssetCreated(_) | Body::AccountCreated(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            build: wire::build().expect("the test's own program").to_owned(),
            ledger: 7,
            link: 1,
            token: vec![1, 2, 3],
        }
    }

    #[test]
    fn only_processes_of_this_ledger_this_term_and_this_build_are_let_in() {
        let ask = |hello: &Hello, is_open| refusal(hello, &[1, 2, 3], Uuid::from_u128(7), is_open);
        assert_eq!(ask(&hello(), true), None);
        assert_eq!(ask(&hello(), false), Some("the term is over"));
        for token in [vec![], vec![1, 2], vec![1, 2, 4], vec![1, 2, 3, 0]] {
            let wrong = Hello { token, ..hello() };
            assert_eq!(
                ask(&wrong, true),
                Some("the token is not that of this term")
            );
        }
        let wrong = Hello {
            ledger: 8,
            ..hello()
        };
        assert_eq!(ask(&wrong, true), Some("this is another ledger"));
        let wrong = Hello {
            build: "0.0.0".to_owned(),
            ..hello()
        };
        assert_eq!(ask(&wrong, true), Some("this is another build"));
    }
}
