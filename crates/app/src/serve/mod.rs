//! `florin serve`: configuration → parts in order → routes and workers → listening → draining.
//!
//! Invariants: the address is taken before anything is opened, so that a taken port leaves no
//! trace; parts stop in the reverse of their start order, after the last request was answered.

mod age;
mod aliases;
pub mod announce;
mod checks;
mod compat;
mod console;
pub mod database_watch;
mod dev_clock;
mod emf;
pub mod files;
mod gateway;
pub mod offline;
pub mod parts;
mod refuse;
pub mod shadow;
pub mod ticketing;
pub mod watch;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use florin_base::{Clock, DevClock, SystemClock};
use florin_platform::http::guard::{Kit, KitConfig};
use florin_platform::http::health;
use florin_platform::http::proxy::TrustedProxies;
use florin_platform::http::router::App;
use florin_platform::http::server::{BindError, Server, ServerConfig};
use florin_platform::http::shutdown::{self, Shutdown};
use florin_platform::http::tls::{TlsMaterial, TlsSource};
use florin_platform::telemetry::logs::{self, LogConfig, LogFormat, LogGuard};
use florin_platform::telemetry::metrics::{self, MetricsHandle};
use florin_platform::telemetry::otel::{OtelConfig, Tracer};
use tokio::task::JoinSet;

use crate::config::production::DevSwitches;
use crate::config::{self, Config, Loaded, LogForm};
use crate::demo::{self, Credentials};
use crate::fail::failure;
use crate::inproc::InProcess;
use crate::out::Output;
use crate::reference::api_info;
use crate::roles::{self, PartRow, Role};
use parts::Wired;

/// Workers that have not ended by then are left behind.
const WORKERS_END: Duration = Duration::from_secs(10);
/// Signs that have a self-signed certificate, in the data directory.
const SELF_SIGNED: &str = "tls/self-signed.pem";

/// What the command line adds to the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Switches that only development has.
    pub switches: DevSwitches,
    /// How readiness is told.
    pub output: Output,
}

/// Serves until it is told to stop.
pub async fn run(loaded: Loaded, options: Options) -> anyhow::Result<()> {
    refuse::check(&loaded.config, options.switches)?;
    let _log = install_logs(&loaded.config)?;
    let selected = roles::select(&loaded.config.roles)?;
    let data_dir = loaded.data_dir()?;
    let server = listen(&loaded.config, &selected, &data_dir)?;
    let compat = compat::listen(&loaded.config)?;
    let url = url_of(&loaded.config, &server);
    let (trigger, shutdown) = shutdown::on_signals().context("signals cannot be caught")?;
    let settings = config::secret::listed(&loaded.layers);
    let mut config = with_issuer(loaded, &url);
    config.auth.dev_auth = options.switches.dev_auth;
    let dev_clock = options
        .switches
        .dev_clock
        .then(|| Arc::new(DevClock::new()));
    let clock: Arc<dyn Clock> = match &dev_clock {
        Some(clock) => Arc::clone(clock) as Arc<dyn Clock>,
        None => Arc::new(SystemClock),
    };
    let _aging = age::watch(config.server.max_lifetime, trigger);
    let unsafe_dev = options.switches.unsafe_dev;
    let mut wired = Wired::new(config, &data_dir, clock, shutdown.clone(), unsafe_dev)?;
    wired.settings = settings.into();
    let order = roles::start_order(&selected);
    let served = match start_parts(&mut wired, &order).await {
        Ok(()) => {
            let listeners = Listeners { server, compat };
            serve(&wired, &selected, listeners, dev_clock, &url, options).await
        }
        Err(error) => Err(error),
    };
    for row in order.iter().rev() {
        wired.stop(row).await;
    }
    served
}

/// What this process listens on.
struct Listeners {
    server: Server,
    compat: Vec<Server>,
}

async fn start_parts(wired: &mut Wired, order: &[&'static PartRow]) -> anyhow::Result<()> {
    for row in order {
        wired.start(row).await?;
    }
    Ok(())
}

async fn serve(
    wired: &Wired,
    selected: &[&'static Role],
    listeners: Listeners,
    dev_clock: Option<Arc<DevClock>>,
    url: &str,
    options: Options,
) -> anyhow::Result<()> {
    let metrics = metrics::install()?;
    let tracer = start_tracer(&wired.config)?;
    let names: Vec<&str> = selected.iter().map(|role| role.name).collect();
    wired.health.inform("roles", names);
    let app = build_app(wired, selected, dev_clock, &metrics, tracer.clone()).await?;
    wired.give_console(app.router());
    let demo = match options.switches.demo {
        true => Some(make_demo(wired, &app, url).await?),
        false => None,
    };
    let shutdown = wired.shutdown.clone();
    let mut workers = start_workers(wired, selected, &shutdown);
    let upkeep = metrics.keep_up();
    let embedded = emf::start(wired, selected, &metrics);
    let followers = wired.follow();
    let draining = tokio::spawn({
        let (shutdown, health) = (shutdown.clone(), Arc::clone(&wired.health));
        async move {
            shutdown.drain().await;
            health.set_draining();
            tracing::info!("draining: finishing what was accepted; a second signal stops at once");
        }
    });
    let ready = announce::Ready {
        url,
        data_dir: &wired.data_dir,
        roles: selected.iter().map(|role| role.name).collect(),
        environment: wired.config.environment.word(),
        certificate: wired
            .config
            .server
            .tls_self_signed
            .then(|| wired.data_dir.join(SELF_SIGNED)),
        users: has_users(wired, selected).await,
        demo: demo.as_ref(),
    };
    announce::ready(options.output, &ready)?;
    let further = compat::serve(listeners.compat, &app, &shutdown);
    let report = listeners.server.serve(app.router(), shutdown.clone()).await;
    further.join_all().await;
    if report.cut_off > 0 {
        tracing::warn!(
            connections = report.cut_off,
            "cut off before they were finished"
        );
    }
    end_workers(&mut workers, &shutdown).await;
    draining.abort();
    drop(followers);
    upkeep.abort();
    if let Some(embedded) = embedded {
        embedded.abort();
    }
    if let Some(tracer) = tracer {
        tracer.flush().await;
    }
    Ok(())
}

/// Joins the routes of the roles under one kit.
async fn build_app(
    wired: &Wired,
    selected: &[&'static Role],
    dev_clock: Option<Arc<DevClock>>,
    metrics: &MetricsHandle,
    tracer: Option<Tracer>,
) -> anyhow::Result<App> {
    let server = &wired.config.server;
    let trusted = server.trusted_proxies.iter().map(|range| range.parse());
    let kit = Kit::new(KitConfig {
        max_in_progress: server.max_in_progress,
        body_timeout: server.body_timeout,
        slow: server.slow_request,
        trusted: TrustedProxies::new(trusted.collect::<Result<_, _>>()?),
    })
    .with_authenticator(wired.authenticator())
    .with_limits(Arc::clone(&wired.limits))
    .with_tracer(tracer);
    let mut app = App::builder(kit);
    for role in selected {
        for routes in (role.mount)(wired) {
            app = app.mount(routes);
        }
    }
    for routes in gateway::forwards(wired, selected).await? {
        app = app.mount(routes);
    }
    app = app.with_openapi(&api_info());
    if let Some(clock) = dev_clock {
        app = app.mount(dev_clock::routes(clock));
    }
    if wired.config.shadow.root_aliases {
        let health = Arc::clone(&wired.health);
        app = app.mount(aliases::actuator(health, metrics.clone()));
        if selected.iter().any(|role| role.name == "gateway") {
            app = app.mount(aliases::auth(wired.identity_api()));
        }
    }
    app = app.mount(health::routes(
        Arc::clone(&wired.health),
        Some(metrics.clone()),
    ));
    Ok(app.build()?)
}

async fn make_demo(wired: &Wired, app: &App, url: &str) -> anyhow::Result<Credentials> {
    let identity = wired.identity();
    let caller = InProcess::new(app.router());
    let credentials = demo::credentials(&identity, &caller, &wired.data_dir, url).await?;
    if wired.open_ledger().is_some()
        && let Err(error) = demo::fill(&caller.with_key(&credentials.service_api_key)).await
    {
        tracing::warn!("the demo data could not be made: {error:#}");
    }
    Ok(credentials)
}

async fn has_users(wired: &Wired, selected: &[&'static Role]) -> bool {
    let brings_users = selected.iter().any(|role| role.name == "gateway");
    if !brings_users {
        return true;
    }
    let found = wired.identity().users(&Default::default(), None, 1).await;
    found.is_ok_and(|users| !users.is_empty())
}

fn start_workers(
    wired: &Wired,
    selected: &[&'static Role],
    shutdown: &Shutdown,
) -> JoinSet<&'static str> {
    let mut running = JoinSet::new();
    for worker in selected.iter().flat_map(|role| role.workers) {
        let work = (worker.start)(wired, shutdown.clone());
        let name = worker.name;
        running.spawn(async move {
            work.await;
            name
        });
    }
    running
}

async fn end_workers(workers: &mut JoinSet<&'static str>, shutdown: &Shutdown) {
    let ended = async {
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a worker broke off");
            }
        }
    };
    tokio::select! {
        () = ended => {}
        () = shutdown.stop() => {}
        () = tokio::time::sleep(WORKERS_END) => tracing::warn!("a worker did not end in time"),
    }
    workers.shutdown().await;
}

/// Takes the address. Certificates are read first, so that their errors come first.
fn listen(config: &Config, selected: &[&'static Role], data_dir: &Path) -> anyhow::Result<Server> {
    let settings = &config.server;
    let port = settings
        .port
        .unwrap_or_else(|| roles::default_port(selected));
    let mut server = ServerConfig::new(SocketAddr::new(settings.listen, port));
    server.tls = certificate(config, data_dir)?;
    server.max_connections = settings.max_connections;
    server.handshake_timeout = settings.handshake_timeout;
    server.idle_timeout = settings.idle_timeout;
    server.drain_delay = settings.drain_delay;
    server.drain_deadline = settings.drain_timeout;
    Server::bind(server).map_err(|error| {
        let hint = match &error {
            BindError::PortInUse { .. } => "choose another with --port N; 0 picks a free one",
            BindError::Permission { .. } => {
                "ports below 1024 need a privilege: choose another with --port N"
            }
            BindError::AddressNotLocal { .. } => {
                "ip addr lists the addresses of this machine; 0.0.0.0 is all of them"
            }
            BindError::Tls(_) => "florin doctor looks at certificate and key",
            BindError::Other { .. } => "florin doctor looks closer",
        };
        failure(error.to_string(), hint)
    })
}

fn certificate(config: &Config, data_dir: &Path) -> anyhow::Result<Option<Arc<TlsMaterial>>> {
    let server = &config.server;
    let source = match (&server.tls_certificate, &server.tls_key) {
        (Some(certificate), Some(key)) => TlsSource::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        _ if server.tls_self_signed => TlsSource::SelfSigned {
            names: vec![
                "localhost".into(),
                "127.0.0.1".into(),
                server.listen.to_string(),
            ],
        },
        _ => return Ok(None),
    };
    let material = TlsMaterial::load(source).map_err(|error| {
        failure(
            error.to_string(),
            "florin doctor looks at certificate and key",
        )
    })?;
    if server.tls_self_signed {
        files::make_data_dir(data_dir)?;
        let path = data_dir.join(SELF_SIGNED);
        files::make_data_dir(path.parent().unwrap_or(data_dir))?;
        files::write_private(&path, &material.certificate_pem())?;
    }
    Ok(Some(material))
}

/// The URL under which callers reach the server.
fn url_of(config: &Config, server: &Server) -> String {
    if let Some(url) = &config.server.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let local = server.local_addr();
    let host = match local.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(v6) => format!("[{v6}]"),
        IpAddr::V4(v4) => v4.to_string(),
    };
    format!("{}://{host}:{}", server.scheme(), local.port())
}

/// Tokens are issued under the server's URL unless the configuration says otherwise.
fn with_issuer(loaded: Loaded, url: &str) -> Config {
    let given = loaded.layers.origin("auth.issuer").is_some();
    let mut config = loaded.config;
    if !given {
        config.auth.issuer = url.to_owned();
    }
    config
        .server
        .public_url
        .get_or_insert_with(|| url.to_owned());
    config
}

fn start_tracer(config: &Config) -> anyhow::Result<Option<Tracer>> {
    let settings = &config.telemetry;
    let Some(endpoint) = settings.endpoint.clone() else {
        return Ok(None);
    };
    let headers = settings
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let tracer = Tracer::start(OtelConfig {
        endpoint,
        service_name: settings.service_name.clone(),
        service_version: env!("CARGO_PKG_VERSION").to_owned(),
        headers: headers.collect(),
        sample_ratio: settings.sample_ratio,
    })?;
    Ok(Some(tracer))
}

fn install_logs(config: &Config) -> anyhow::Result<LogGuard> {
    let format = match config.log.format {
        LogForm::Auto => LogFormat::Auto,
        LogForm::Json => LogFormat::Json,
        LogForm::Text => LogFormat::Text,
    };
    let filter = config.log.filter.clone();
    let guard = logs::install(&LogConfig { filter, format })
        .map_err(|error| failure(error.to_string(), "see log.filter in florin config default"))?;
    logs::install_panic_hook();
    Ok(guard)
}

/// The configuration of this process for commands other than `serve`.
pub fn load(args: &config::ConfigArgs) -> anyhow::Result<Loaded> {
    config::load(args, Vec::new())
}
