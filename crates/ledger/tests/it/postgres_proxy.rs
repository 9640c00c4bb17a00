//! A way to the server that a test can cut or block, at the moment a statement passes.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
};

/// What to do when a statement passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The statement never reaches the server.
    CutBefore,
    /// The server answers it, and the answer never arrives.
    CutAfter,
    /// Nothing passes any more, on this and every other connection, until unblocked.
    Block,
}

struct Inner {
    server: u16,
    /// Sprung one after the other.
    traps: Mutex<VecDeque<(&'static str, Action)>>,
    answered: Notify,
    blocked: watch::Sender<bool>,
    closed: AtomicBool,
}

/// A running proxy.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
    pub port: u16,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let inner = Arc::new(Inner {
            server,
            traps: Mutex::default(),
            answered: Notify::new(),
            blocked: watch::channel(false).0,
            closed: AtomicBool::new(false),
        });
        let shared = inner.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.closed.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = shared.clone();
                tokio::spawn(async move {
                    unblocked(&shared).await;
                    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.server)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let muted = Arc::new(AtomicBool::new(false));
                    let back = tokio::spawn(backward(
                        shared.clone(),
                        from_server,
                        to_client,
                        muted.clone(),
                    ));
                    forward(&shared, from_client, to_server, &muted).await;
                    // A cut ends both ways at once.
                    back.abort();
                });
            }
        });
        Self { inner, port }
    }

    /// Arms a trap: the next statement with these bytes (any, when there are none) springs it, once
    /// those before have sprung.
    pub fn trap(&self, bytes: &'static str, action: Action) {
        self.inner.traps.lock().push_back((bytes, action));
    }

    /// Whether every trap has sprung.
    pub fn is_sprung(&self) -> bool {
        self.inner.traps.lock().is_empty()
    }

    pub fn block(&self, blocked: bool) {
        self.inner.blocked.send_replace(blocked);
    }
}

async fn unblocked(inner: &Inner) {
    let mut blocked = inner.blocked.subscribe();
    // The sender lives as long as the proxy.
    drop(blocked.wait_for(|blocked| !blocked).await);
}

async fn forward(
    inner: &Inner,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    muted: &AtomicBool,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        let action = {
            let mut traps = inner.traps.lock();
            let hit = |text: &str| {
                text.is_empty() || bytes.windows(text.len()).any(|w| w == text.as_bytes())
            };
            traps
                .pop_front_if(|(text, _)| hit(text))
                .map(|(_, action)| action)
        };
        match action {
            Some(Action::CutBefore) => return,
            Some(Action::CutAfter) => muted.store(true, Ordering::SeqCst),
            Some(Action::Block) => drop(inner.blocked.send_replace(true)),
            None => {}
        }
        unblocked(inner).await;
        if to.write_all(bytes).await.is_err() {
            return;
        }
        if action == Some(Action::CutAfter) {
            // The other direction says when the server has answered.
            inner.answered.notified().await;
            return;
        }
    }
}

async fn backward(
    inner: Arc<Inner>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    muted: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if muted.load(Ordering::SeqCst) {
            inner.answered.notify_one();
            std::future::pending::<()>().await;
        }
        unblocked(&inner).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
