//! TLS and SASL/SCRAM between the Kafka client and its brokers.
//!
//! librdkafka has both only with OpenSSL, which stays out of this program. So the client speaks to
//! listeners of this process on loopback, one for each broker, and every connection of it is
//! carried over TLS (rustls) to its broker and signed in there. Answers that name brokers are
//! changed to name the listeners ([`wire`]).
//!
//! **Invariants.**
//! - Nothing of the client goes to a broker before that has shown its certificate and, with SCRAM,
//!   that it knows the password.
//! - Nobody but the own client gets through a listener: each connection signs in there with a word
//!   that was made at the start and never leaves the process.
//! - Bytes of records are carried as they are; no message is held as a whole but those that are
//!   changed.

pub(crate) mod scram;
pub(crate) mod sign_in;
pub(crate) mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use florin_base::{IdSource, Secret};
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use sign_in::Credentials;
use sign_in::{Door, at_the_door, read_small, with_broker, write};
use wire::{Call, malformed};

/// How long it may take to be connected and signed in with a broker.
const SET_UP: Duration = Duration::from_secs(5);
/// How long the own client may take to sign in.
const DOOR: Duration = Duration::from_secs(10);
/// Most brokers of a cluster.
const BROKERS_MAX: usize = 1_000;
/// Longest answer that is changed: metadata of a large cluster.
const CHANGED_MAX: usize = 64 << 20;
/// Bytes under way in one direction.
const BUFFER: usize = 64 << 10;
/// User of the own client at the listeners.
pub const USER: &str = "florin";

/// How brokers are entered.
pub struct Gate {
    /// With TLS, and whom it believes.
    pub tls: Option<TlsConnector>,
    /// As whom.
    pub who: Option<Credentials>,
}

impl Gate {
    /// Connected, believed and signed in; and for how many milliseconds (0: without end).
    ///
    /// # Errors
    /// The connection's, TLS's and those of the sign-in.
    pub async fn enter(&self, host: &str, port: u16) -> io::Result<(Box<dyn Stream>, i64)> {
        let entered = timeout(SET_UP, self.try_enter(host, port)).await;
        entered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn try_enter(&self, host: &str, port: u16) -> io::Result<(Box<dyn Stream>, i64)> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                Box::new(tls.connect(name, socket).await?)
            }
        };
        let lives = match &self.who {
            Some(who) => with_broker(&mut stream, who).await?,
            None => 0,
        };
        Ok((stream, lives))
    }
}

/// Host and port of a broker of a list.
pub fn address(broker: &str) -> Option<(&str, u16)> {
    let (host, port) = broker.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

/// Listeners on loopback; they end when it is dropped.
pub struct Tunnel {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    /// `host:port` of the listeners of the first brokers, joined by commas.
    pub brokers: String,
    /// What the own client signs in with, as [`USER`].
    pub password: Secret<String>,
}

struct Shared {
    handle: Handle,
    gate: Arc<Gate>,
    /// The whole word of the own client.
    word: Secret<String>,
    /// Ports of the listeners by broker.
    places: Mutex<BTreeMap<(String, u16), u16>>,
    trouble: Mutex<Option<String>>,
}

/// Which certificates are believed: those of a file, or those that the system believes.
///
/// # Errors
/// In words, for a file that cannot be read or holds none.
pub fn trust(file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    match file {
        None => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(format!("the system has no roots: {:?}", found.errors));
            }
        }
        Some(file) => {
            let unread = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            let found = CertificateDer::pem_file_iter(file).map_err(|error| unread(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| unread(&error))?;
                roots.add(certificate).map_err(|error| unread(&error))?;
            }
            if roots.is_empty() {
                return Err(unread(&"no certificate in it"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Tunnel {
    /// Listens for the brokers of a list.
    ///
    /// # Errors
    /// When there is no port or thread.
    pub fn start(brokers: &str, gate: Arc<Gate>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("florin-kafka-tls")
            .enable_all()
            .build()?;
        let password = hex::encode(IdSource::random_32());
        let shared = Arc::new(Shared {
            handle: runtime.handle().clone(),
            gate,
            word: Secret::new(format!("\0{USER}\0{password}")),
            places: Mutex::default(),
            trouble: Mutex::default(),
        });
        let mut own = Vec::new();
        for broker in brokers.split(',') {
            let (host, port) = address(broker).ok_or_else(|| malformed("an address"))?;
            let port = shared.place(host, port)?;
            own.push(format!("{}:{port}", Ipv4Addr::LOCALHOST));
        }
        Ok(Self {
            runtime: Some(runtime),
            shared,
            brokers: own.join(","),
            password: Secret::new(password),
        })
    }

    /// Why the last connection to a broker came to nothing, if it did.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Port of the listener of a broker; it is made when the broker is named first.
    fn place(self: &Arc<Self>, host: &str, port: u16) -> io::Result<u16> {
        let mut places = self.places.lock();
        let broker = (host.to_owned(), port);
        if let Some(own) = places.get(&broker) {
            return Ok(*own);
        }
        if places.len() >= BROKERS_MAX {
            return Err(malformed("it names too many brokers"));
        }
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let own = listener.local_addr()?.port();
        let entered = self.handle.enter();
        let listener = TcpListener::from_std(listener)?;
        drop(entered);
        places.insert(broker.clone(), own);
        let shared = Arc::clone(self);
        self.handle.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((client, _)) => {
                        let (shared, broker) = (Arc::clone(&shared), broker.clone());
                        tokio::spawn(async move { shared.carry(client, &broker).await });
                    }
                    // Too many open files: one that ends makes room.
                    Err(error) => {
                        tracing::warn!(%error, "a connection to a broker cannot be taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(own)
    }

    async fn carry(self: Arc<Self>, client: TcpStream, (host, port): &(String, u16)) {
        let ended = match self.gate.enter(host, *port).await {
            Ok((broker, lives)) => {
                *self.trouble.lock() = None;
                self.join(client, broker, lives).await
            }
            Err(error) => {
                let why = format!("{host}:{port}: {error}");
                tracing::warn!(why, "no connection to a broker");
                *self.trouble.lock() = Some(why);
                return;
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, host, port, "a connection to a broker ended");
        }
    }

    /// Carries both directions until one ends.
    async fn join(
        self: &Arc<Self>,
        client: TcpStream,
        mut broker: Box<dyn Stream>,
        lives: i64,
    ) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = BufReader::with_capacity(BUFFER, client);
        let entered = timeout(DOOR, self.let_in(&mut client, &mut broker)).await;
        if !entered.map_err(|_| io::ErrorKind::TimedOut)?? {
            return Ok(());
        }
        let (from_client, to_client) = tokio::io::split(client);
        let (from_broker, to_broker) = tokio::io::split(broker);
        // A broker that lets a user in for a time ends the connection at its end: the client
        // connects again before.
        let time = match u64::try_from(lives) {
            Ok(millis) if millis > 0 => Duration::from_millis(millis / 10 * 8),
            _ => Duration::MAX,
        };
        let calls = Mutex::default();
        let mut own = |host: &str, port| self.own(host, port);
        tokio::select! {
            ended = up(from_client, to_broker, &calls) => ended,
            ended = down(from_broker, to_client, &calls, &mut own) => ended,
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// The own client asks which versions there are, and signs in. False: it did not.
    async fn let_in<C>(&self, client: &mut C, broker: &mut Box<dyn Stream>) -> io::Result<bool>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let message = read_small(client).await?;
            let call = Call::read(&message)?;
            if call.key == wire::API_VERSIONS {
                write(broker, &message).await?;
                let answer = read_small(broker).await?;
                let (number, body) = answer
                    .split_at_checked(4)
                    .ok_or_else(|| malformed("it ends early"))?;
                let mut nowhere = |_: &str, _| Err(malformed("a broker among versions"));
                let changed = call.change(body, &mut nowhere)?;
                write(client, &[number, &changed].concat()).await?;
                continue;
            }
            match at_the_door(&message, self.word.expose())? {
                Door::Wait(answer) => write(client, &answer).await?,
                Door::Open(answer) => {
                    write(client, &answer).await?;
                    return Ok(true);
                }
                Door::Shut(answer) => {
                    write(client, &answer).await?;
                    return Ok(false);
                }
            }
        }
    }

    /// What the client is told instead of a broker's address.
    fn own(self: &Arc<Self>, host: &str, port: i32) -> io::Result<(String, i32)> {
        let port = u16::try_from(port).map_err(|_| malformed("a port"))?;
        let own = self.place(host, port)?;
        Ok((Ipv4Addr::LOCALHOST.to_string(), i32::from(own)))
    }
}

/// From the broker to the client; `place` gives each broker another address.
pub(crate) async fn down<R, W>(
    reading: R,
    writing: W,
    calls: &Mutex<HashMap<i32, Call>>,
    place: &mut impl FnMut(&str, i32) -> io::Result<(String, i32)>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reading = BufReader::with_capacity(BUFFER, reading);
    let mut writing = BufWriter::with_capacity(BUFFER, writing);
    loop {
        let length = length_after(reading.read_i32().await?, 4)?;
        let number = reading.read_i32().await?;
        let call = calls.lock().remove(&number);
        let Some(call) = call else {
            writing.write_i32(total(length, 4)?).await?;
            writing.write_i32(number).await?;
            carry_on(&mut reading, &mut writing, length).await?;
            continue;
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > CHANGED_MAX {
            return Err(malformed("an answer that is too long"));
        }
        let mut answer = vec![0; length];
        reading.read_exact(&mut answer).await?;
        let changed = call.change(&answer, place)?;
        write(&mut writing, &[&number.to_be_bytes(), &*changed].concat()).await?;
    }
}

/// From the client to the broker.
pub(crate) async fn up<R, W>(
    reading: R,
    writing: W,
    calls: &Mutex<HashMap<i32, Call>>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reading = BufReader::with_capacity(BUFFER, reading);
    let mut writing = BufWriter::with_capacity(BUFFER, writing);
    loop {
        let length = length_after(reading.read_i32().await?, wire::CALL_BYTES)?;
        let mut head = [0; wire::CALL_BYTES];
        reading.read_exact(&mut head).await?;
        let call = Call::read(&head)?;
        if call.is_changed() {
            calls.lock().insert(call.correlation, call);
        }
        writing.write_i32(total(length, wire::CALL_BYTES)?).await?;
        writing.write_all(&head).await?;
        carry_on(&mut reading, &mut writing, length).await?;
    }
}

/// Bytes of a message that are left after its beginning.
fn length_after(length: i32, beginning: usize) -> io::Result<u64> {
    let length = usize::try_from(length).ok();
    let left = length.and_then(|length| length.checked_sub(beginning));
    let left = left.ok_or_else(|| malformed("its length"))?;
    Ok(left as u64)
}

fn total(left: u64, beginning: usize) -> io::Result<i32> {
    i32::try_from(left + beginning as u64).map_err(|_| malformed("its length"))
}

async fn carry_on<R, W>(reading: &mut R, writing: &mut W, length: u64) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let carried = tokio::io::copy(&mut reading.take(length), writing).await?;
    if carried < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    writing.flush().await
}

/// Either kind of connection to a broker.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
