//! One process behind the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::{Client, Url};

use super::{ForwardConfig, ForwardError};

/// Idle connections kept to one process.
const IDLE_CONNECTIONS: usize = 256;

/// An upstream as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// `scheme://host:port`.
    pub(super) text: String,
    /// Host without brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Result<Self, ForwardError> {
        let refused = || ForwardError::Url(text.to_owned());
        let url = Url::parse(text).map_err(|_| refused())?;
        let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let scheme = matches!(url.scheme(), "http" | "https");
        let (Some(host), Some(port), true, true) =
            (url.host_str(), url.port_or_known_default(), plain, scheme)
        else {
            return Err(refused());
        };
        Ok(Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        })
    }
}

/// One address of an upstream, with connections of its own.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) address: SocketAddr,
    client: Client,
    ready: AtomicBool,
    busy: AtomicUsize,
}

/// Counts a request as under way.
pub(super) struct Busy(Arc<Target>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Target {
    /// Ready until a look says otherwise: the first request finds out as well as a probe.
    pub(super) fn new(
        config: &ForwardConfig,
        origin: Origin,
        address: SocketAddr,
    ) -> Result<Self, ForwardError> {
        crate::http::client::install_crypto();
        let roots = config.extra_roots.iter();
        let roots = roots.map(|pem| reqwest::Certificate::from_pem(pem));
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tcp_nodelay(true)
            .resolve(&origin.host, address);
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self {
            client: builder.build()?,
            origin,
            address,
            ready: AtomicBool::new(true),
            busy: AtomicUsize::new(0),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The URL of a path, unless URL rules would make another path of it.
    pub(super) fn url(&self, path_and_query: &str) -> Option<Url> {
        let url = Url::parse(&format!("{}{path_and_query}", self.origin.text)).ok()?;
        let path = path_and_query.split('?').next().unwrap_or_default();
        (url.path() == path).then_some(url)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(super) fn set_ready(&self, ready: bool) {
        let before = self.ready.swap(ready, Ordering::Relaxed);
        if before != ready {
            tracing::info!(address = %self.address, ready, "an upstream changed");
        }
    }

    pub(super) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    pub(super) fn enter(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_scheme_a_host_and_a_port() {
        let origin = Origin::parse("http://wallets.internal:8084").expect("fine");
        assert_eq!(
            (origin.host.as_str(), origin.port),
            ("wallets.internal", 8084)
        );
        assert_eq!(Origin::parse("https://[::1]/").expect("fine").port, 443);
        for wrong in [
            "wallets:8084",
            "ftp://a:1",
            "http://a/api",
            "http://u@a:1",
            "http://a?x",
            "",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_path_that_means_another_is_refused() {
        let config = ForwardConfig::new("wallets", Vec::new());
        let origin = Origin::parse("http://127.0.0.1:1").expect("fine");
        let target = Target::new(&config, origin, ([127, 0, 0, 1], 1).into()).expect("built");
        let url = |path| target.url(path).map(|url| url.to_string());
        assert_eq!(
            url("/api/v1/wallets/a%20b?x=1&y=%2F").as_deref(),
            Some("http://127.0.0.1:1/api/v1/wallets/a%20b?x=1&y=%2F")
        );
        assert_eq!(url("/api/v1/wallets/%2e%2e/ledger"), None);
        assert_eq!(url("/api/v1/wallets/../ledger"), None);
    }
}
