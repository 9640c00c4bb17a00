//! The link of a process to the sequencer: hands over calls, brings back answers, and when it is
//! lost, finds out what became of every call that was on its way.
//!
//! Invariant: no call is answered, or sent anywhere again, before its outcome is known: it has
//! its answer, or the link's row of `writers` is gone, after which no commit can hold it.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use florin_base::{IdSource, Timestamp};
use parking_lot::Mutex;
use sqlx::PgConnection;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

use super::{
    super::{
        Shared, load,
        queue::Message,
        reply::Reply,
        schema::{in_time, within},
    },
    table::{self, Place},
    tls,
    wire::{self, Ask, Hello, Tell, Told},
};
use crate::call::{Answer, Call, Unavailable};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(700);
/// How often the other side is asked for a sign of life.
const PING: Duration = Duration::from_millis(200);
/// After so long without one the link is lost.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a link that is given up waits for the answers of calls on their way.
const LEAVE: Duration = Duration::from_secs(5);
/// How long the outcome of lost calls is asked for before it is unknown.
const SETTLE: Duration = Duration::from_secs(4);
/// Wait between two such attempts.
const AGAIN: Duration = Duration::from_millis(100);
/// Most bytes of calls in one message, as their weight tells.
const MESSAGE_WEIGHT: usize = 8 << 20;

/// Something on its way.
enum Sent {
    Call(Box<Call>, Reply),
    Time(oneshot::Sender<Result<Timestamp, Unavailable>>),
}

impl From<Sent> for Message {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Call(call, reply) => Self::Call(call, reply),
            Sent::Time(reply) => Self::Time(reply),
        }
    }
}

#[derive(Default)]
struct Inner {
    closed: bool,
    next: u64,
    /// Not written yet.
    waiting: BTreeMap<u64, Sent>,
    /// Written, or about to be.
    sent: BTreeMap<u64, Sent>,
}

/// A link that takes calls.
pub(in super::super) struct Link {
    id: Uuid,
    /// The sequencer's term and address.
    pub(super) term: i64,
    pub(super) address: String,
    inner: Mutex<Inner>,
    filled: Notify,
    max: usize,
    sick: AtomicBool,
}

type Reading = BufReader<ReadHalf<TlsStream<TcpStream>>>;
type Writing = WriteHalf<TlsStream<TcpStream>>;

/// Both directions of a link that stands.
pub(super) struct Stream {
    reading: Reading,
    writing: Writing,
}

impl Link {
    /// Hands over a message; gives it back when the link takes no more.
    pub(in super::super) fn send(&self, message: Message) -> Result<(), Message> {
        let mut inner = self.inner.lock();
        if inner.closed || matches!(message, Message::AcceptClock(_)) {
            return Err(message);
        }
        if inner.waiting.len() + inner.sent.len() >= self.max {
            drop(inner);
            message.refuse(Unavailable::Overloaded);
            return Ok(());
        }
        let sent = match message {
            Message::Call(call, reply) => Sent::Call(call, reply),
            Message::Time(reply) => Sent::Time(reply),
            message @ Message::AcceptClock(_) => return Err(message),
        };
        inner.next += 1;
        let number = inner.next;
        inner.waiting.insert(number, sent);
        self.filled.notify_one();
        Ok(())
    }

    /// A sequencer without its store is left: the next calls are decided here, where the store
    /// may be well.
    fn note(&self, answer: &Result<Answer, Unavailable>) {
        if let Err(Unavailable::StoreUnavailable) = answer {
            self.sick.store(true, Ordering::SeqCst);
            self.retire();
        }
    }

    /// It was left because the sequencer had no store.
    pub(super) fn is_sick(&self) -> bool {
        self.sick.load(Ordering::SeqCst)
    }

    /// Takes no more calls; those on their way are still answered.
    pub(super) fn retire(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_one();
    }

    fn is_empty(&self) -> bool {
        let inner = self.inner.lock();
        inner.waiting.is_empty() && inner.sent.is_empty()
    }

    fn is_retired(&self) -> bool {
        self.inner.lock().closed
    }

    /// The next message to write, if there is one; its calls count as sent from here on.
    fn next_message(&self) -> std::io::Result<Option<Vec<u8>>> {
        let mut inner = self.inner.lock();
        let Some((number, first)) = inner.waiting.pop_first() else {
            return Ok(None);
        };
        let mut weight = match &first {
            Sent::Time(_) => {
                inner.sent.insert(number, first);
                return wire::frame(&Ask::<&Call>::Time(number)).map(Some);
            }
            Sent::Call(call, _) => call.weight(),
        };
        let mut batch = vec![(number, first)];
        while weight < MESSAGE_WEIGHT
            && let Some(next) = inner.waiting.first_entry()
            && let Sent::Call(call, _) = next.get()
        {
            weight += call.weight();
            batch.push(next.remove_entry());
        }
        let calls: Vec<(u64, &Call)> = batch
            .iter()
            .filter_map(|(number, sent)| match sent {
                Sent::Call(call, _) => Some((*number, &**call)),
                Sent::Time(_) => None,
            })
            .collect();
        let bytes = wire::frame(&Ask::Calls(calls));
        inner.sent.extend(batch);
        bytes.map(Some)
    }

    fn answered(&self, number: u64) -> Option<Sent> {
        self.inner.lock().sent.remove(&number)
    }
}

/// Connects to the sequencer and enlists the link.
///
/// # Errors
/// Whatever stood in the way, in words; calls go on without a link then.
pub(super) async fn connect(
    shared: &Shared,
    connection: &mut PgConnection,
    place: Place,
    max: usize,
) -> Result<(Arc<Link>, Stream), tls::Error> {
    let id = IdSource::new().uuid_v7(shared.clock.wall_micros());
    let (connector, name) = tls::connector(place.certificate)?;
    let build = wire::build().ok_or("the own program cannot be read")?;
    let hello = Hello {
        build: build.to_owned(),
        ledger: shared.ledger_id.as_u128(),
        link: id.as_u128(),
        token: place.token,
    };
    let connecting = async {
        let socket = TcpStream::connect(&place.address).await?;
        socket.set_nodelay(true)?;
        let stream = connector.connect(name, socket).await?;
        let (reading, mut writing) = tokio::io::split(stream);
        wire::write(&mut writing, &hello).await?;
        let mut reading = BufReader::with_capacity(64 << 10, reading);
        match wire::read::<Tell, _>(&mut reading).await? {
            Tell::Welcome => Ok(Stream { reading, writing }),
            Tell::Refused(why) => Err(std::io::Error::other(why)),
            _ => Err(std::io::ErrorKind::InvalidData.into()),
        }
    };
    let stream = timeout(CONNECT, connecting).await??;
    table::begin_link(connection, id, shared.clock.wall_micros()).await?;
    let link = Link {
        id,
        term: place.term,
        address: place.address,
        inner: Mutex::default(),
        filled: Notify::new(),
        max,
        sick: AtomicBool::new(false),
    };
    Ok((Arc::new(link), stream))
}

/// Carries calls and answers until the link is lost or retired, then settles what is left.
pub(super) async fn run(shared: Arc<Shared>, link: Arc<Link>, stream: Stream) {
    let Stream {
        mut reading,
        mut writing,
    } = stream;
    let ended = {
        let mut reads = pin!(read_all(&shared, &link, &mut reading));
        tokio::select! {
            ended = write_all(&link, &mut writing) => {
                if ended.is_err() {
                    // What was answered before the other side hung up is still to be read.
                    link.retire();
                    drop(timeout(LEAVE, reads).await);
                }
                ended
            }
            ended = &mut reads => ended,
        }
    };
    link.retire();
    shared.unlink(&link);
    match ended {
        Ok(()) => tracing::debug!(
            address = link.address,
            "the link to the sequencer was given up"
        ),
        Err(error) => {
            tracing::warn!(%error, address = link.address, "the link to the sequencer was lost");
        }
    }
    drop((reading, writing));
    settle(&shared, &link).await;
}

async fn write_all<W: AsyncWrite + Unpin>(link: &Link, writing: &mut W) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let mut leave_by = None;
    loop {
        while let Some(bytes) = link.next_message()? {
            writing.write_all(&bytes).await?;
            writing.flush().await?;
        }
        if link.is_retired() {
            let by = *leave_by.get_or_insert_with(|| Instant::now() + LEAVE);
            if link.is_empty() || Instant::now() > by {
                return Ok(());
            }
        }
        if timeout(PING, link.filled.notified()).await.is_err() {
            wire::write(writing, &Ask::<&Call>::Ping).await?;
        }
    }
}

async fn read_all<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    reading: &mut R,
) -> std::io::Result<()> {
    loop {
        let told = in_time(SILENCE, wire::read::<Tell, _>(reading));
        let told = told.await.ok_or(std::io::ErrorKind::TimedOut)??;
        let Tell::Answers {
            answers,
            head,
            rows,
            assets,
        } = told
        else {
            continue;
        };
        let rows = rows
            .into_iter()
            .map(|known| (known.slot, Arc::new(known.row())));
        shared.directory.add(rows);
        if assets > shared.directory.assets().len() {
            learn_assets(shared).await?;
        }
        if head.seq > 0 {
            shared.advance(head);
        }
        for (number, told) in answers {
            match (link.answered(number), told) {
                (Some(Sent::Call(call, reply)), Told::Call(answer)) => match answer {
                    // Not done there, and perhaps not its store's fault: the clock here is another.
                    Err(Unavailable::ClockUnsafe) => {
                        shared.take_over(Message::Call(call, reply));
                    }
                    answer => {
                        link.note(&answer);
                        reply.send(answer);
                    }
                },
                (Some(Sent::Time(reply)), Told::Time(time)) => match time {
                    Err(_) => shared.take_over(Message::Time(reply)),
                    time => drop(reply.send(time)),
                },
                _ => return Err(std::io::ErrorKind::InvalidData.into()),
            }
        }
        if link.is_retired() {
            shared.unlink(link);
            link.filled.notify_one();
        }
    }
}

/// The sequencer knows assets that this process never met.
async fn learn_assets(shared: &Shared) -> std::io::Result<()> {
    let mut assets = shared.directory.assets();
    let read = async {
        let mut connection = shared.connections.writer().await?;
        load::assets(&mut connection, assets.len())
            .await
            .map_err(|error| sqlx::Error::Protocol(format!("{error:?}")))
    };
    let newer = within(SILENCE, read).await.map_err(std::io::Error::other)?;
    assets.extend(newer);
    shared.directory.set_assets(&assets);
    Ok(())
}

/// Ends the link and finds out what became of every call on its way: one that was not decided is
/// decided here; one that was is asked for its recorded outcome by its identity.
async fn settle(shared: &Shared, link: &Link) {
    let (waiting, sent) = {
        let mut inner = link.inner.lock();
        (
            std::mem::take(&mut inner.waiting),
            std::mem::take(&mut inner.sent),
        )
    };
    let last = end(shared, link.id, !sent.is_empty()).await;
    let mut asked = Vec::new();
    for (number, sent) in sent {
        match sent {
            Sent::Call(call, reply) if last.is_none_or(|last| number <= last) => {
                match last.is_some() && call.has_identity() {
                    true => asked.push((ask(shared, call), reply)),
                    false => reply.send(Err(Unavailable::CommitUnknown)),
                }
            }
            sent => shared.take_over(sent.into()),
        }
    }
    for waiting in waiting.into_values() {
        shared.take_over(waiting.into());
    }
    for (answer, reply) in asked {
        // It was decided: whatever keeps this process from looking, its caller may not hear that it
        // was not done.
        let answer = answer.await.ok().and_then(Result::ok);
        reply.send(answer.ok_or(Unavailable::CommitUnknown));
    }
}

/// Sends a call again, to the own batcher.
fn ask(shared: &Shared, call: Box<Call>) -> oneshot::Receiver<Result<Answer, Unavailable>> {
    let (sender, answer) = oneshot::channel();
    shared.take_over(Message::Call(call, Reply::Here(sender)));
    answer
}

/// The last call of the link that was decided; `None` when that cannot be found out.
async fn end(shared: &Shared, link: Uuid, matters: bool) -> Option<u64> {
    let begun = Instant::now();
    loop {
        let ended = async {
            let mut connection = shared.connections.writer().await?;
            table::end_link(&mut connection, link).await
        };
        match ended.await {
            Ok(last) => return last.map(|last| u64::try_from(last).unwrap_or(0)),
            Err(error) if !matters || begun.elapsed() > SETTLE => {
                tracing::warn!(%error, "a link to the sequencer was not ended");
                return None;
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
