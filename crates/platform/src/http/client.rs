//! The one way out: HTTP clients for webhooks, identity providers and telemetry.
//!
//! Invariant: with [`Targets::PublicOnly`] no connection is made to an address of the machine,
//! its networks or the cloud's metadata service, whatever a name resolves to: addresses are
//! judged after resolution and the judged ones are used. Redirects are not followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};

/// Which targets may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Only addresses of the public internet.
    PublicOnly,
    /// Any (`--unsafe-dev`, and targets that the operator configured).
    Any,
}

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which targets.
    pub targets: Targets,
    /// For connecting, TLS included.
    pub connect_timeout: Duration,
    /// For the whole call.
    pub timeout: Duration,
    /// Extra root certificates, PEM, beside the system's.
    pub extra_roots: Vec<Vec<u8>>,
}

impl ClientConfig {
    /// 5 s to connect, 10 s for the call.
    pub fn new(targets: Targets) -> Self {
        Self {
            targets,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            extra_roots: Vec::new(),
        }
    }
}

/// Why a call cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not `http` or `https`, without a host, or with a user name inside.
    #[error("the URL must be http or https with a host and without credentials")]
    Url,
    /// A target on a private network.
    #[error("{0} is not a public address")]
    PrivateTarget(String),
    /// The client cannot be built.
    #[error("HTTP client: {0}")]
    Build(#[from] reqwest::Error),
}

/// A client bound to its policy; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing {
    client: Client,
    targets: Targets,
}

impl Outgoing {
    /// Builds the client.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        install_crypto();
        let mut builder = Client::builder()
            .user_agent(concat!("florin/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(60));
        if config.targets == Targets::PublicOnly {
            builder = builder.dns_resolver(PublicResolver);
        }
        let roots = config.extra_roots.iter();
        let roots = roots.map(|pem| reqwest::Certificate::from_pem(pem));
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        Ok(Self {
            client: builder.build()?,
            targets: config.targets,
        })
    }

    /// A request to a URL that the policy allows. The trace context of the running request
    /// goes along.
    pub fn request(
        &self,
        method: reqwest::Method,
        url: &str,
    ) -> Result<reqwest::RequestBuilder, ClientError> {
        let url = check_url(url, self.targets)?;
        let request = self.client.request(method, url);
        Ok(match super::trace::current() {
            Some(current) => {
                let mut headers = http::HeaderMap::new();
                current.context().inject(&mut headers);
                request.headers(headers)
            }
            None => request,
        })
    }

    /// GET.
    pub fn get(&self, url: &str) -> Result<reqwest::RequestBuilder, ClientError> {
        self.request(reqwest::Method::GET, url)
    }

    /// POST.
    pub fn post(&self, url: &str) -> Result<reqwest::RequestBuilder, ClientError> {
        self.request(reqwest::Method::POST, url)
    }
}

/// Judges a URL without resolving names: for telling a user at once. Names that resolve to
/// private addresses are refused when the call is made.
pub fn check_url(url: &str, targets: Targets) -> Result<Url, ClientError> {
    let url = Url::parse(url).map_err(|_| ClientError::Url)?;
    let scheme = matches!(url.scheme(), "http" | "https");
    let bare = url.username().is_empty() && url.password().is_none();
    let (true, true, Some(host)) = (scheme, bare, url.host_str()) else {
        return Err(ClientError::Url);
    };
    if targets == Targets::PublicOnly {
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let private = match literal.parse::<IpAddr>() {
            Ok(address) => !is_public(address),
            Err(_) => is_local_name(host),
        };
        if private {
            return Err(ClientError::PrivateTarget(host.to_string()));
        }
    }
    Ok(url)
}

/// Names that never lead outside (RFC 6761, RFC 6762).
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let suffixes = [".localhost", ".local", ".internal"];
    host == "localhost" || suffixes.iter().any(|suffix| host.ends_with(suffix))
}

/// True for addresses of the public internet (IANA special-purpose registries). Addresses that
/// carry an IPv4 one inside are judged by it.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let segments = address.segments();
    let inside = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(inside(high, low)),
        [0x2002, high, low, ..] => is_public_v4(inside(high, low)),
        // Teredo, benchmarking, ORCHID and other protocol assignments; documentation.
        [0x2001, second, ..] if second < 0x0200 => false,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Only 2000::/3 is global unicast; this leaves out ::1, fc00::/7, fe80::/10, ff00::/8.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Resolves with the system's resolver and hands on only public addresses.
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_string();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|addr| is_public(addr.ip())).collect();
            if public.is_empty() {
                return Err(ClientError::PrivateTarget(host).into());
            }
            let addrs: Addrs = Box::new(public.into_iter());
            Ok(addrs)
        })
    }
}

/// Makes ring the provider of everything that does not name one; safe to call often.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a provider was installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_pass() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().expect("address")), "{private}");
        }
        for public in ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(is_public(public.parse().expect("address")), "{public}");
        }
    }

    #[test]
    fn urls_are_judged() {
        let public = |url| check_url(url, Targets::PublicOnly);
        assert!(public("https://example.com/hook").is_ok());
        for private in [
            "http://127.0.0.1/",
            "http://[::1]:80/",
            "http://localhost:9/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://db.internal/",
        ] {
            assert!(
                matches!(public(private), Err(ClientError::PrivateTarget(_))),
                "{private}"
            );
            assert!(check_url(private, Targets::Any).is_ok(), "{private}");
        }
        for bad in [
            "ftp://example.com",
            "https://",
            "x",
            "https://u:p@example.com/",
        ] {
            assert!(matches!(public(bad), Err(ClientError::Url)), "{bad}");
        }
    }

    /// `localhost` is refused by name above; here the name passes and the resolver refuses.
    #[tokio::test]
    async fn names_are_judged_after_resolution() {
        let resolver = PublicResolver;
        let name = "localhost".parse().expect("name");
        let error = resolver.resolve(name).await.err().expect("refused");
        assert!(
            error.to_string().contains("not a public address"),
            "{error}"
        );
    }
}
