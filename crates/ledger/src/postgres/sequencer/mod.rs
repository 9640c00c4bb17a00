//! One process decides for all: the others hand their calls over to it.
//!
//! **Why.** Processes that each commit their own batches hand the head's lock around: with three
//! a call waits for the commits of two others, and with eight each commit carries an eighth of
//! the calls. One that gathers the calls of all commits as seldom as if it were alone.
//!
//! **How.** Whoever holds the ledger's advisory lock is the sequencer: it listens, leaves its
//! address, a certificate and a token in the database (`sequencer`), and takes calls into its
//! queue as if they had come from its own callers. The others keep a link to it; without one
//! (nobody elected yet, nobody to be reached, another build) they commit by themselves.
//!
//! **Fencing.** Nothing about the election decides about money: every commit still stands in the
//! transaction that holds the head, so two sequencers, or one that was paused, do no harm. What a
//! lost link leaves open is which of its calls were decided. Each link therefore has a row of
//! `writers`, in which every commit notes the link's last call that it holds. Deleting the row
//! ends the link: it waits for a commit under way, fails every later one, and tells which calls
//! were decided. The rest are decided here. A call that was decided is sent again, which answers
//! what was recorded under its identity; one without an identity is answered `commit_unknown`.

mod ended;
mod link;
mod serve;
mod table;
mod tls;
mod wire;

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use sqlx::PgConnection;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, timeout},
};

pub(super) use self::link::Link;
use self::{serve::Term, table::Place};
use super::Shared;
use crate::engine::{ClockState, OpenError};
use florin_base::IdSource;

/// How often is looked who the sequencer is, and whether this process still is.
const LOOK: Duration = Duration::from_millis(500);
/// How long a sequencer without its store is left alone.
const LEFT: Duration = Duration::from_secs(3);
/// Longest wait for tasks at the end.
const END: Duration = Duration::from_secs(6);

/// Whether and where a process takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequencing {
    /// It may be elected.
    pub candidate: bool,
    /// Where it listens when it is; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How others reach it, `host:port`; `None` = the address under which the database server
    /// sees this process, or that of `listen` where it names one.
    pub advertise: Option<String>,
}

/// The part that a process plays at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part {
    /// It commits by itself.
    #[default]
    Alone,
    /// Others hand their calls over to it.
    Sequencer {
        /// Number of the election.
        term: i64,
        /// Where it listens.
        address: String,
    },
    /// It hands its calls over.
    Linked {
        /// Number of the election.
        term: i64,
        /// The sequencer's address.
        address: String,
    },
}

/// The thread that elects, links and serves.
pub(super) struct Sequencer {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Sequencer {
    pub(super) fn start(
        shared: Arc<Shared>,
        settings: Sequencing,
        calls_max: usize,
    ) -> Result<Self, OpenError> {
        let refused = |e: std::io::Error| OpenError::Refused(format!("no thread: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(refused)?;
        let (stop, stopped) = watch::channel(false);
        let election = Election {
            shared,
            settings,
            calls_max,
            session: None,
            leading: None,
            linked: JoinSet::new(),
            woken: Arc::new(Notify::new()),
            left: None,
            following: None,
            told: None,
        };
        let thread = std::thread::Builder::new()
            .name("florin-sequencer".into())
            .spawn(move || runtime.block_on(election.run(stopped)))
            .map_err(refused)?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Takes no more calls from others and hands none over; what is on its way is answered.
    pub(super) fn stop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Sequencer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A term of this process.
struct Leading {
    open: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

struct Election {
    shared: Arc<Shared>,
    settings: Sequencing,
    calls_max: usize,
    session: Option<PgConnection>,
    leading: Option<Leading>,
    /// Links, also those that are being given up.
    linked: JoinSet<()>,
    /// Something happened that is worth a look.
    woken: Arc<Notify>,
    /// A term whose sequencer had no store, and when it was left.
    left: Option<(i64, Instant)>,
    /// The newest link.
    following: Option<Arc<Link>>,
    /// What was last logged about a sequencer that cannot be reached.
    told: Option<(i64, String)>,
}

impl Election {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            if let Err(error) = self.look().await {
                // The lock is gone with the session. Whoever hands calls over still hears from
                // here what becomes of them, until another process has the lock.
                tracing::debug!(%error, "the sequencer was not looked for");
                self.session = None;
            }
            let woken = self.woken.clone();
            tokio::select! {
                _ = stopped.changed() => {}
                () = woken.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.leave_link();
        // The lock goes with the session, so that another one takes over meanwhile.
        self.session = None;
        let leave = async {
            self.resign().await;
            while self.linked.join_next().await.is_some() {}
        };
        drop(timeout(END, leave).await);
    }

    /// Takes part in the election, and links to whoever won it.
    async fn look(&mut self) -> Result<(), sqlx::Error> {
        while self.linked.try_join_next().is_some() {}
        let kept = self.session.take();
        let is_new = kept.is_none();
        let mut session = match kept {
            Some(session) => session,
            None => self.shared.connections.writer().await?,
        };
        if self.leading.is_some() {
            let has_lock = match is_new {
                true => table::try_lock(&mut session, self.shared.ledger_id).await?,
                false => table::lives(&mut session).await.map(|()| true)?,
            };
            if !has_lock || !self.is_sound() {
                tracing::warn!("this process is the ledger's sequencer no more");
                self.resign().await;
                return Ok(());
            }
        } else if self.settings.candidate
            && self.is_sound()
            && table::try_lock(&mut session, self.shared.ledger_id).await?
        {
            self.lead(&mut session).await?;
        } else if let Some(place) = table::place(&mut session).await? {
            self.follow(&mut session, place).await;
        }
        self.session = Some(session);
        Ok(())
    }

    /// It may decide: its batcher runs and its clock is good.
    fn is_sound(&self) -> bool {
        let status = self.shared.status.lock();
        status.failed.is_none() && status.clock != ClockState::Unsafe
    }

    async fn lead(&mut self, session: &mut PgConnection) -> Result<(), sqlx::Error> {
        let other = |error: tls::Error| sqlx::Error::Configuration(error);
        let (acceptor, certificate) = tls::acceptor().map_err(other)?;
        let token = IdSource::random_32();
        let listener = TcpListener::bind(self.settings.listen).await?;
        let address = self.address(session, listener.local_addr()?).await?;
        let place = Place {
            term: 0,
            address: address.clone(),
            certificate,
            token: token.to_vec(),
        };
        let now = self.shared.clock.wall_micros();
        let term = table::publish(session, &place, now).await?;
        tracing::info!(term, address, "this process is the ledger's sequencer");
        self.leave_link();
        *self.shared.part.lock() = Part::Sequencer { term, address };
        let (open, opened) = watch::channel(true);
        let of_term = Term {
            shared: self.shared.clone(),
            token: token.as_slice().into(),
            open: opened,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(of_term, acceptor, listener));
        self.leading = Some(Leading { open, tasks });
        Ok(())
    }

    /// How others reach a port of this process.
    async fn address(
        &self,
        session: &mut PgConnection,
        bound: SocketAddr,
    ) -> Result<String, sqlx::Error> {
        if let Some(address) = &self.settings.advertise {
            return Ok(address.clone());
        }
        if !bound.ip().is_unspecified() {
            return Ok(bound.to_string());
        }
        let seen = table::own_address(session).await?;
        let host = seen.unwrap_or_else(|| "127.0.0.1".to_owned());
        Ok(match host.contains(':') {
            true => format!("[{host}]:{}", bound.port()),
            false => format!("{host}:{}", bound.port()),
        })
    }

    /// Ends the own term: calls taken are answered first.
    async fn resign(&mut self) {
        let Some(mut leading) = self.leading.take() else {
            return;
        };
        *self.shared.part.lock() = Part::Alone;
        leading.open.send_replace(false);
        let ended = async { while leading.tasks.join_next().await.is_some() {} };
        drop(timeout(END, ended).await);
    }

    async fn follow(&mut self, session: &mut PgConnection, place: Place) {
        if let Some(link) = self.following.take_if(|link| link.is_sick()) {
            self.left = Some((link.term, Instant::now()));
        }
        let linked = self.shared.link.read().as_ref().map(|link| link.term);
        let was_left = |(term, at): (i64, Instant)| term == place.term && at.elapsed() < LEFT;
        if linked == Some(place.term) || self.left.is_some_and(was_left) {
            return;
        }
        self.leave_link();
        let (term, address) = (place.term, place.address.clone());
        match link::connect(&self.shared, session, place, self.calls_max).await {
            Ok((link, stream)) => {
                tracing::info!(term, address, "calls go to the ledger's sequencer");
                self.told = None;
                *self.shared.part.lock() = Part::Linked { term, address };
                *self.shared.link.write() = Some(link.clone());
                let (shared, woken) = (self.shared.clone(), self.woken.clone());
                self.following = Some(link.clone());
                self.linked.spawn(async move {
                    link::run(shared, link, stream).await;
                    woken.notify_one();
                });
            }
            Err(error) => {
                let now = Some((term, error.to_string()));
                if self.told != now {
                    tracing::warn!(term, address, %error, "the ledger's sequencer cannot be reached; calls are decided here");
                    self.told = now;
                }
            }
        }
    }

    /// New calls are decided here; those on their way still get their answers.
    fn leave_link(&self) {
        let link = self.shared.link.write().take();
        if let Some(link) = link {
            link.retire();
            *self.shared.part.lock() = Part::Alone;
        }
    }
}

async fn accept(term: Term, acceptor: tokio_rustls::TlsAcceptor, listener: TcpListener) {
    let mut links = JoinSet::new();
    let mut open = term.open.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serve::ended(&mut open) => break,
        };
        while links.try_join_next().is_some() {}
        match accepted {
            Ok((socket, _)) => {
                drop(links.spawn(serve::serve(term.clone(), acceptor.clone(), socket)))
            }
            // Out of file descriptors, say: the others commit by themselves meanwhile.
            Err(error) => {
                tracing::warn!(%error, "a link was not accepted");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
    drop(listener);
    while links.join_next().await.is_some() {}
}
