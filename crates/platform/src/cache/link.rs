//! The connection to a Redis server, and whether it may be used.
//!
//! One multiplexed connection carries all calls. Calls never connect: the keeper does, every
//! [`BEAT`], and takes the connection away when the server does not answer it. Calls take it
//! away too, after [`FAILURES_MAX`] of them failed in a row, so that a server that hangs costs
//! few of them [`CALL_TIMEOUT`].

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use florin_base::IdSource;
use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, Script,
};

use super::{CALL_TIMEOUT, CacheError, CacheSettings, Probed};

/// Time between two looks of the keeper.
const BEAT: Duration = Duration::from_millis(500);
/// Longest wait of the keeper for a connection or an answer.
const BEAT_TIMEOUT: Duration = Duration::from_millis(500);
/// Calls that may fail in a row.
const FAILURES_MAX: u32 = 3;
/// A process that has not been heard of for so long shares no more, in milliseconds.
const REPLICA_MILLIS: u64 = 10_000;
/// Processes assumed before the server was ever asked: rather too many than too few.
const REPLICAS_UNKNOWN: u32 = 8;

/// Announces this process and counts all of them; also proves that the server takes writes.
static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local t = redis.call('TIME')
         local now = t[1] * 1000 + math.floor(t[2] / 1000)
         redis.call('ZADD', KEYS[1], now, ARGV[1])
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
         redis.call('PEXPIRE', KEYS[1], ARGV[2])
         return redis.call('ZCARD', KEYS[1])",
    )
});

/// The server is away: use what there is without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away;

/// The connection of one process.
pub(super) struct Link {
    client: Client,
    prefix: String,
    /// Names this process among those that share the server.
    id: String,
    connection: RwLock<Option<MultiplexedConnection>>,
    failures: AtomicU32,
    replicas: AtomicU32,
}

impl Link {
    pub fn try_new(settings: &CacheSettings) -> Result<Self, CacheError> {
        let url = settings.url.expose().as_str();
        if !["redis://", "rediss://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(CacheError::Url(
                "it does not begin with redis:// or rediss://",
            ));
        }
        // The driver's words may quote the URL, which holds the password.
        let client = Client::open(url).map_err(|_| CacheError::Url("it cannot be read"))?;
        let prefix = &settings.prefix;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:".contains(&b);
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(allowed) {
            return Err(CacheError::Url(
                "cache.prefix must be 1 to 64 of letters, digits and _-.:",
            ));
        }
        Ok(Self {
            client,
            prefix: prefix.clone(),
            id: hex::encode(&IdSource::random_32()[..16]),
            connection: RwLock::new(None),
            failures: AtomicU32::new(0),
            replicas: AtomicU32::new(REPLICAS_UNKNOWN),
        })
    }

    /// The way to the server leaves the machine without TLS.
    pub fn is_exposed(&self) -> bool {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) => !crate::sql::is_loopback(host),
            _ => false,
        }
    }

    /// The server answered when it was asked last.
    pub fn is_up(&self) -> bool {
        self.connection.read().is_some()
    }

    /// Processes that share the server, as last counted; at least 1.
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    /// A key of this installation.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// Makes a call, if the server is there.
    pub async fn call<T, F>(&self, work: impl FnOnce(MultiplexedConnection) -> F) -> Result<T, Away>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let connection = self.connection.read().clone().ok_or(Away)?;
        match tokio::time::timeout(CALL_TIMEOUT, work(connection)).await {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(&describe(&error), error.is_connection_dropped())),
            Err(_) => Err(self.failed("no answer in time", false)),
        }
    }

    fn failed(&self, why: &str, broken: bool) -> Away {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= FAILURES_MAX || broken {
            self.lose(why);
        }
        Away
    }

    fn lose(&self, why: &str) {
        if self.connection.write().take().is_some() {
            tracing::warn!(why, "the cache server is away; going on without it");
        }
    }

    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, Away> {
        let key = self.key(name);
        let found: Option<Vec<u8>> = self
            .call(async |mut connection| {
                redis::cmd("GET")
                    .arg(key)
                    .query_async(&mut connection)
                    .await
            })
            .await?;
        Ok(found.map(Bytes::from))
    }

    pub async fn put(&self, name: &str, value: &[u8], ttl: Duration) -> Result<(), Away> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(name)).arg(value);
        set.arg("PX").arg(millis(ttl));
        self.call(async |mut connection| set.query_async(&mut connection).await)
            .await
    }

    pub async fn forget(&self, name: &str) -> Result<(), Away> {
        let mut del = redis::cmd("DEL");
        del.arg(self.key(name));
        self.call(async |mut connection| del.query_async(&mut connection).await)
            .await
    }

    /// Tells everybody who listens on a channel.
    pub async fn publish(&self, channel: &str) -> Result<(), Away> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(self.key(channel)).arg("");
        self.call(async |mut connection| publish.query_async(&mut connection).await)
            .await
    }

    /// A connection that listens on a channel.
    pub async fn listen(&self, channel: &str) -> Result<redis::aio::PubSub, Away> {
        let listening = async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            pubsub.subscribe(self.key(channel)).await?;
            Ok::<_, RedisError>(pubsub)
        };
        match tokio::time::timeout(BEAT_TIMEOUT, listening).await {
            Ok(Ok(pubsub)) => Ok(pubsub),
            _ => Err(Away),
        }
    }

    /// Connects, asks, counts, for ever.
    pub async fn keep(&self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let known = self.connection.read().clone();
            let asked = tokio::time::timeout(BEAT_TIMEOUT, self.ask(known)).await;
            match asked {
                Ok(Ok(connection)) => {
                    let mut held = self.connection.write();
                    if held.is_none() {
                        tracing::info!("the cache server answers");
                        self.failures.store(0, Ordering::Relaxed);
                        *held = Some(connection);
                    }
                }
                Ok(Err(error)) => self.lose(&describe(&error)),
                Err(_) => self.lose("no answer in time"),
            }
        }
    }

    async fn ask(
        &self,
        known: Option<MultiplexedConnection>,
    ) -> RedisResult<MultiplexedConnection> {
        let mut connection = match known {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let count: u32 = ANNOUNCE
            .key(self.key("replicas"))
            .arg(&self.id)
            .arg(REPLICA_MILLIS)
            .invoke_async(&mut connection)
            .await?;
        self.replicas.store(count, Ordering::Relaxed);
        metrics::gauge!("cache_processes").set(f64::from(count));
        Ok(connection)
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The bounds are those of `call` and `keep`.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    pub async fn probe(&self) -> Result<Probed, CacheError> {
        let look = async {
            let mut connection = self.connect().await?;
            let started = Instant::now();
            redis::cmd("PING").exec_async(&mut connection).await?;
            let took = started.elapsed();
            // Its user may lack the right to ask.
            let info = redis::cmd("INFO").query_async(&mut connection).await;
            let info: String = info.unwrap_or_default();
            let field = |name: &str| {
                let line = info.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.strip_prefix(':'))
                    .map(str::to_owned)
            };
            // Leaves no trace but proves that writes are taken.
            let mut set = redis::cmd("SET");
            set.arg(self.key("probe")).arg("").arg("PX").arg(1_000);
            set.exec_async(&mut connection).await?;
            Ok::<_, RedisError>(Probed {
                version: field("redis_version").unwrap_or_else(|| "?".to_owned()),
                eviction: field("maxmemory_policy"),
                took,
            })
        };
        match tokio::time::timeout(BEAT_TIMEOUT * 4, look).await {
            Ok(done) => done.map_err(|error| CacheError::Away(describe(&error))),
            Err(_) => Err(CacheError::Away("no answer in time".to_owned())),
        }
    }
}

/// Milliseconds, at least one.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What is wrong, without the address and what stands in it.
fn describe(error: &RedisError) -> String {
    match error.kind() {
        ErrorKind::AuthenticationFailed => "the log-in was refused".to_owned(),
        ErrorKind::Io if error.is_connection_refusal() => "the connection was refused".to_owned(),
        ErrorKind::Io if error.is_timeout() => "no answer in time".to_owned(),
        _ => match (error.code(), error.detail()) {
            (Some(code), _) => format!("it answers {code}"),
            (None, _) => format!("{:?}", error.kind()),
        },
    }
}
