//! PostgreSQL, Redis, a broker and the roles as processes, as `./dev run-distributed` has them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use florin_platform::testing::postgres::TestPostgres;
use florin_platform::testing::process::free_port;
use florin_platform::testing::redis::TestRedis;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::server::{Launch, Server, program};

/// Replicas of role wallets.
pub const REPLICAS: usize = 3;

/// 32 bytes in hex that only tests know: every process signs with it.
const SIGNING_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// A broker in a process of its own.
pub struct Broker {
    child: Child,
    url: String,
}

impl Broker {
    /// Starts it; `None`, said by name, in a program without Kafka.
    pub fn start() -> Option<Self> {
        let mut child = program()
            .args(["kafka", "mock-broker", "--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout");
        let Ok(ready) = serde_json::from_str::<serde_json::Value>(&line) else {
            child.wait().expect("ends");
            println!("SKIPPED the Kafka part: this binary was built without feature kafka");
            return None;
        };
        let url = ready["url"].as_str().expect("url").to_owned();
        Some(Self { child, url })
    }

    /// `host:port` of the brokers.
    pub fn brokers(&self) -> &str {
        self.url.trim_start_matches("kafka://")
    }

    /// Each message of a topic from its beginning, in the form that `format` says (kcat's).
    pub fn messages(&self, topic: &str, format: &str) -> Vec<String> {
        let output = Command::new("kcat")
            .args(["-C", "-q", "-e", "-b", self.brokers(), "-t", topic])
            .args(["-o", "beginning", "-f", format])
            .output()
            .expect("kcat runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Stops the process as it is, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).expect("the process is ours");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One replica of role wallets: always on the same port and folder.
struct Replica {
    server: Option<Server>,
    name: String,
    port: u16,
}

/// Everything, stopped when dropped.
pub struct Cluster {
    /// Speaks through the gateway, with the demo credentials.
    pub gateway: Server,
    pub fleet: Fleet,
}

/// What is behind the gateway.
pub struct Fleet {
    replicas: Vec<Replica>,
    workers: Replica,
    pub broker: Option<Broker>,
    pub redis: TestRedis,
    pub postgres: Arc<TestPostgres>,
    stores: Stores,
    home: TempDir,
}

impl Cluster {
    /// Starts everything; `None`, said by name, where a component is missing.
    pub fn start(test: &str) -> Option<Self> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let Some(postgres) = runtime.block_on(TestPostgres::start()) else {
            println!(
                "SKIPPED {test}: PostgreSQL's server is not installed (apt install postgresql)"
            );
            return None;
        };
        // Waits until the server answers.
        drop(runtime.block_on(postgres.fresh()));
        let Some(redis) = TestRedis::start() else {
            println!("SKIPPED {test}: Redis is not installed (apt install redis-server)");
            return None;
        };
        let broker = Broker::start();
        let gateway_port = free_port();
        let stores = Stores {
            postgres: postgres.url(),
            redis: redis.url(),
            broker: broker.as_ref().map(|broker| broker.url.clone()),
            public: format!("http://127.0.0.1:{gateway_port}"),
        };
        let replica = |name: String| Replica {
            server: None,
            name,
            port: free_port(),
        };
        let mut fleet = Fleet {
            replicas: (0..REPLICAS)
                .map(|number| replica(format!("wallets-{number}")))
                .collect(),
            workers: replica("workers".to_owned()),
            broker,
            redis,
            postgres,
            stores,
            home: tempfile::tempdir().expect("temporary folder"),
        };
        let first = fleet
            .launch(&fleet.replicas[0], "wallets")
            .arg("--demo")
            .start();
        let demo = first.ready["demo"].clone();
        fleet.replicas[0].server = Some(first);
        for number in 1..REPLICAS {
            fleet.start_replica(number);
        }
        fleet.start_workers();
        let upstreams: Vec<String> = fleet
            .replicas
            .iter()
            .map(|replica| format!("wallets=http://127.0.0.1:{}", replica.port))
            .chain([format!("workers=http://127.0.0.1:{}", fleet.workers.port)])
            .collect();
        let mut gateway = fleet
            .launch(
                &Replica {
                    server: None,
                    name: "gateway".to_owned(),
                    port: gateway_port,
                },
                "gateway",
            )
            .env("FLORIN__GATEWAY__UPSTREAMS", upstreams.join(","))
            .env("FLORIN__GATEWAY__PROBE_INTERVAL", "100ms")
            .start();
        gateway.ready["demo"] = demo;
        Some(Self { gateway, fleet })
    }
}

impl Fleet {
    /// A replica that runs.
    pub fn replica(&self, number: usize) -> &Server {
        self.replicas[number].server.as_ref().expect("runs")
    }

    /// Starts a replica on its port and folder.
    pub fn start_replica(&mut self, number: usize) {
        let server = self.launch(&self.replicas[number], "wallets").start();
        self.replicas[number].server = Some(server);
    }

    /// SIGKILL to a replica, and waits for its end.
    pub fn kill_replica(&mut self, number: usize) {
        drop(self.replicas[number].server.take().expect("runs"));
    }

    /// SIGTERM to a replica, and waits for its end.
    pub fn stop_replica(&mut self, number: usize) {
        let server = self.replicas[number].server.take().expect("runs");
        let (status, _) = server.stop();
        assert!(status.success(), "clean stop: {status}");
    }

    /// Starts the workers.
    pub fn start_workers(&mut self) {
        let server = self.launch(&self.workers, "workers").start();
        self.workers.server = Some(server);
    }

    /// SIGKILL to the workers, and waits for their end.
    pub fn kill_workers(&mut self) {
        drop(self.workers.server.take().expect("runs"));
    }

    fn launch(&self, replica: &Replica, role: &'static str) -> Launch {
        let dir = self.home.path().join(&replica.name);
        std::fs::create_dir_all(&dir).expect("a folder");
        self.stores.tell(
            Launch::new()
                .without("--demo")
                .without("--unsafe-dev")
                .without("--dev-clock")
                .arg("--role")
                .arg(role)
                .dir(&dir)
                .port(replica.port),
        )
    }
}

/// What every process is told.
struct Stores {
    postgres: String,
    redis: String,
    broker: Option<String>,
    public: String,
}

impl Stores {
    fn tell(&self, launch: Launch) -> Launch {
        let launch = launch
            .env("FLORIN__SERVER__PUBLIC_URL", &*self.public)
            .env("FLORIN__SERVER__TRUSTED_PROXIES", "127.0.0.1")
            .env("FLORIN__SERVER__DRAIN_DELAY", "1s")
            .env("FLORIN__AUTH__SIGNING_KEY", SIGNING_KEY)
            .env("FLORIN__DATABASE__URL", &*self.postgres)
            .env("FLORIN__LEDGER__URL", &*self.postgres)
            .env("FLORIN__CACHE__URL", &*self.redis);
        match &self.broker {
            Some(broker) => launch
                .env("FLORIN__BUS__URL", &**broker)
                .env("FLORIN__BUS__CREATE_TOPICS", "false"),
            None => launch,
        }
    }
}
