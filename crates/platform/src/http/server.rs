//! Listening, connections, TLS and the orderly end.
//!
//! Invariants: connections are bounded (above the bound: 503 at once and closed); a client that
//! sends nothing, or dribbles its request head, is cut off; draining lets requests in progress
//! finish until the deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::guard::Peer;
use super::shutdown::Shutdown;
use super::tls::{TlsError, TlsMaterial};

/// Pending connections that the kernel keeps.
const BACKLOG: u32 = 4096;
/// How often certificate files are looked at.
const TLS_RELOAD_EVERY: Duration = Duration::from_secs(30);
/// Wait after a failed accept (too many open files), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\n\
content-length: 140\r\n\r\n\
{\"type\":\"urn:florin:problem:overloaded\",\"title\":\"Overloaded\",\"status\":503,\
\"detail\":\"The server has no connection left.\",\"code\":\"overloaded\"}";

/// Settings of a listener.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Certificate; `None` serves plain HTTP.
    pub tls: Option<Arc<TlsMaterial>>,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Time for a TLS handshake and for the first byte of a connection.
    pub handshake_timeout: Duration,
    /// Time from the end of one request to the end of the next one's head: bounds both idle
    /// connections and dribbled heads. The default is above the 60 s for which common load
    /// balancers keep connections, so that they never send into a closed one.
    pub idle_timeout: Duration,
    /// Time after the first signal in which new connections are still taken, so that a load
    /// balancer sees `/ready` say 503 before it meets a closed port.
    pub drain_delay: Duration,
    /// Time for requests in progress after that.
    pub drain_deadline: Duration,
    /// Most HTTP/2 streams of one connection.
    pub max_streams: u32,
}

impl ServerConfig {
    /// Defaults for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(30),
            max_streams: 256,
        }
    }
}

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("{addr} is in use by another process")]
    PortInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// Ports below 1024 need a privilege.
    #[error("no permission to listen on {addr}")]
    Permission {
        /// The address.
        addr: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("{addr} is not an address of this machine")]
    AddressNotLocal {
        /// The address.
        addr: SocketAddr,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Anything else.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// The address.
        addr: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

impl BindError {
    fn from_io(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { addr },
            io::ErrorKind::PermissionDenied => Self::Permission { addr },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotLocal { addr },
            _ => Self::Other { addr, source },
        }
    }
}

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections cut off at the deadline or by the second signal.
    pub cut_off: usize,
}

/// A listener that does not accept yet.
pub struct Server {
    config: ServerConfig,
    listener: TcpListener,
    local: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

impl Server {
    /// Takes the address. Connections wait in the backlog until [`Server::serve`].
    pub fn bind(config: ServerConfig) -> Result<Self, BindError> {
        let addr = config.listen;
        let failed = |source| BindError::from_io(addr, source);
        let acceptor = match &config.tls {
            Some(material) => Some(TlsAcceptor::from(material.server_config()?)),
            None => None,
        };
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let socket = socket.map_err(failed)?;
        socket.set_reuseaddr(true).map_err(failed)?;
        socket.bind(addr).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        Ok(Self {
            config,
            listener,
            local,
            acceptor,
        })
    }

    /// The address in use, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.acceptor {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Serves until the shutdown drains, then finishes what is in progress.
    pub async fn serve(self, router: Router, shutdown: Shutdown) -> DrainReport {
        let connection = Connection::new(&self.config, self.acceptor, router);
        let graceful = GracefulShutdown::new();
        let mut tasks = JoinSet::new();
        let mut reload = tokio::time::interval(TLS_RELOAD_EVERY);
        let mut closing = std::pin::pin!(close_time(&shutdown, self.config.drain_delay));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = tasks.join_next() => continue,
                _ = reload.tick() => {
                    reload_certificate(self.config.tls.as_deref());
                    continue;
                }
                () = &mut closing => break,
            };
            match accepted {
                Ok((stream, _)) if tasks.len() >= self.config.max_connections => {
                    refuse(stream, self.config.tls.is_some());
                }
                Ok((stream, peer)) => {
                    let connection = connection.clone();
                    tasks.spawn(connection.run(stream, peer, graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        // New connections are refused by the kernel from here on.
        drop(self.listener);
        drain(graceful, tasks, self.config.drain_deadline, &shutdown).await
    }
}

/// Returns when no new connection should be taken any more.
async fn close_time(shutdown: &Shutdown, delay: Duration) {
    shutdown.drain().await;
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = shutdown.stop() => {}
    }
}

async fn drain(
    graceful: GracefulShutdown,
    mut tasks: JoinSet<()>,
    deadline: Duration,
    shutdown: &Shutdown,
) -> DrainReport {
    let finished = async {
        graceful.shutdown().await;
        while tasks.join_next().await.is_some() {}
    };
    tokio::select! {
        () = finished => {}
        () = tokio::time::sleep(deadline) => {}
        () = shutdown.stop() => {}
    }
    while tasks.try_join_next().is_some() {}
    let cut_off = tasks.len();
    tasks.shutdown().await;
    DrainReport { cut_off }
}

fn reload_certificate(material: Option<&TlsMaterial>) {
    match material.map(TlsMaterial::reload) {
        Some(Ok(true)) => tracing::info!("a new certificate is in force"),
        Some(Err(error)) => {
            tracing::error!(%error, "the changed certificate cannot be used; the old one stays");
        }
        _ => {}
    }
}

/// Tells a client that there is no room, without spending a task on it.
fn refuse(mut stream: TcpStream, tls: bool) {
    metrics::counter!("http_server_connections_refused_total").increment(1);
    if !tls {
        tokio::spawn(async move {
            let send = stream.write_all(FULL);
            // The client's fault if it does not take 300 bytes.
            let _ = tokio::time::timeout(Duration::from_secs(1), send).await;
        });
    }
}

#[derive(Clone)]
struct Connection {
    http1: Arc<Builder<TokioExecutor>>,
    http2: Arc<Builder<TokioExecutor>>,
    acceptor: Option<TlsAcceptor>,
    handshake_timeout: Duration,
    router: Router,
}

impl Connection {
    fn new(config: &ServerConfig, acceptor: Option<TlsAcceptor>, router: Router) -> Self {
        let mut http1 = Builder::new(TokioExecutor::new()).http1_only();
        http1
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.idle_timeout);
        let mut http2 = Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_streams)
            .keep_alive_interval(Some(config.idle_timeout))
            .keep_alive_timeout(config.handshake_timeout);
        Self {
            http1: Arc::new(http1),
            http2: Arc::new(http2),
            acceptor,
            handshake_timeout: config.handshake_timeout,
            router,
        }
    }

    async fn run(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        if stream.set_nodelay(true).is_err() {
            // Only a connection that is gone already refuses this.
            return;
        }
        match &self.acceptor {
            Some(acceptor) => {
                let handshake = acceptor.accept(stream);
                let Ok(Ok(stream)) = tokio::time::timeout(self.handshake_timeout, handshake).await
                else {
                    tracing::debug!("a TLS handshake failed");
                    return;
                };
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.talk(stream, peer, http2, watcher).await;
            }
            None => {
                let mut first = [0; 3];
                let peek = stream.peek(&mut first);
                let Ok(Ok(len)) = tokio::time::timeout(self.handshake_timeout, peek).await else {
                    return;
                };
                // The HTTP/2 preface starts with a method that HTTP/1 never had.
                let http2 = &first[..len] == b"PRI";
                self.talk(stream, peer, http2, watcher).await;
            }
        }
    }

    async fn talk<I>(&self, stream: I, peer: SocketAddr, http2: bool, watcher: Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            router.clone().call(request)
        });
        let builder = if http2 { &self.http2 } else { &self.http1 };
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection.into_owned()).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_length() {
        let text = std::str::from_utf8(FULL).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{}",
            body.len()
        );
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let any = "127.0.0.1:0".parse().expect("address");
        let first = Server::bind(ServerConfig::new(any)).expect("free port");
        let taken = first.local_addr();
        match Server::bind(ServerConfig::new(taken)) {
            Err(BindError::PortInUse { addr }) => assert_eq!(addr, taken),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the port was free"),
        }
        let foreign = "192.0.2.1:8080".parse().expect("address");
        let error = Server::bind(ServerConfig::new(foreign))
            .err()
            .expect("not local");
        assert!(
            matches!(error, BindError::AddressNotLocal { .. }),
            "{error}"
        );
    }
}
