//! Further listeners of the compat profile on 127.0.0.1, for clients that know each service of an
//! older system by its port (shadow-ledger contract, section 0). Each serves every route.

use std::net::{Ipv4Addr, SocketAddr};

use florin_platform::http::router::App;
use florin_platform::http::server::{Server, ServerConfig};
use florin_platform::http::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::fail::failure;

/// Takes the ports; none outside the compat profile.
///
/// # Errors
/// A port that is taken.
pub fn listen(config: &Config) -> anyhow::Result<Vec<Server>> {
    let settings = &config.server;
    let bind = |port: u16| {
        let mut server = ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        server.max_connections = settings.max_connections;
        server.idle_timeout = settings.idle_timeout;
        server.drain_delay = settings.drain_delay;
        server.drain_deadline = settings.drain_timeout;
        Server::bind(server).map_err(|error| {
            failure(
                format!("`shadow.compat_ports`: {error}"),
                "leave the port out, or end who has it",
            )
        })
    };
    config
        .shadow
        .compat_ports()?
        .into_iter()
        .map(bind)
        .collect()
}

/// Serves until it is told to stop.
pub fn serve(listeners: Vec<Server>, app: &App, shutdown: &Shutdown) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    for server in listeners {
        let (router, shutdown) = (app.router(), shutdown.clone());
        serving.spawn(async move {
            server.serve(router, shutdown).await;
        });
    }
    serving
}
