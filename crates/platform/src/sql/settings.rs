//! How a PostgreSQL server is reached: the URL, the schema, the bounds.

use std::str::FromStr as _;
use std::time::Duration;

use florin_base::Secret;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{PATIENCE, SqlError};

const URL_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where the service tables lie on a PostgreSQL server.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`, with `sslmode` (`disable`, `prefer`,
    /// `require`, `verify-ca`, `verify-full`) and `sslrootcert` (a PEM file) as the server's own
    /// clients know them.
    pub url: Secret<String>,
    /// The schema that holds the tables; made when it is missing.
    pub schema: String,
    /// Most connections of this process, at least 2.
    pub pool_max: u32,
    /// Longest wait of one call or transaction, from asking for a connection to the answer.
    pub patience: Duration,
}

/// What a URL says, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresAddress {
    /// Name or address, or the folder of a socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// Which database; the server takes the user's name when it is left out.
    pub database: Option<String>,
    /// TLS is insisted on: nobody on the way can read along by refusing it.
    pub tls: bool,
}

impl PostgresAddress {
    /// What is sent may cross a network in the clear.
    pub fn is_exposed(&self) -> bool {
        !self.tls && !is_loopback(&self.host)
    }
}

/// The host is this machine: a loopback address or the folder of a socket.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost"
        || host.starts_with('/')
        || address.is_ok_and(|address| address.is_loopback())
}

impl PostgresSettings {
    /// 16 connections, schema `florin`, the patience of a request.
    pub fn new(url: Secret<String>) -> Self {
        Self {
            url,
            schema: "florin".to_owned(),
            pool_max: 16,
            patience: PATIENCE,
        }
    }

    /// What the URL says.
    ///
    /// # Errors
    /// [`SqlError::Settings`] for a URL that cannot be used.
    pub fn address(&self) -> Result<PostgresAddress, SqlError> {
        let parsed = self.parse()?;
        let mode = parsed.get_ssl_mode();
        Ok(PostgresAddress {
            host: match parsed.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => parsed.get_host().to_owned(),
            },
            port: parsed.get_port(),
            user: parsed.get_username().to_owned(),
            database: parsed.get_database().map(str::to_owned),
            tls: !matches!(
                mode,
                PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
            ),
        })
    }

    /// Whether URL and schema can be used at all.
    ///
    /// # Errors
    /// As [`PostgresSettings::address`].
    pub fn check(&self) -> Result<(), SqlError> {
        self.options().map(drop)
    }

    fn parse(&self) -> Result<PgConnectOptions, SqlError> {
        let url = self.url.expose();
        if !URL_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(refuse("the URL does not begin with postgres://"));
        }
        // The driver's words may quote the URL, which holds the password.
        PgConnectOptions::from_str(url).map_err(|_| refuse("the URL cannot be read"))
    }

    /// Options of every connection. The server gives up a little before this process does, so
    /// that the connection stays usable.
    pub(super) fn options(&self) -> Result<PgConnectOptions, SqlError> {
        if !valid_schema(&self.schema) {
            return Err(refuse(
                "the schema must be 1 to 63 of a-z, 0-9 and _, not beginning with a digit",
            ));
        }
        let statement = format!("{}ms", self.patience.mul_f64(0.9).as_millis());
        let lock = format!("{}ms", self.patience.mul_f64(0.8).as_millis());
        let idle = format!("{}ms", IDLE_IN_TRANSACTION.max(self.patience).as_millis());
        Ok(self
            .parse()?
            .application_name("florin")
            .disable_statement_logging()
            .options([
                ("client_min_messages", "warning"),
                ("search_path", self.schema.as_str()),
                ("statement_timeout", &statement),
                ("lock_timeout", &lock),
                ("idle_in_transaction_session_timeout", &idle),
                ("synchronous_commit", "on"),
                ("tcp_keepalives_idle", "5"),
                ("tcp_keepalives_interval", "2"),
                ("tcp_keepalives_count", "3"),
                ("tcp_user_timeout", "5000"),
                ("default_transaction_isolation", "read committed"),
            ]))
    }
}

/// A process that stops in the middle of a transaction loses it after this time, and with it
/// the writer's lock that others wait for.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(2);

fn valid_schema(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn refuse(why: &'static str) -> SqlError {
    SqlError::Settings(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> PostgresSettings {
        PostgresSettings::new(Secret::new(url.to_owned()))
    }

    #[test]
    fn a_url_is_taken_apart_without_its_secret() {
        let url = "postgres://ann:hunter2@db.example.com:6432/money?sslmode=verify-full";
        let address = settings(url).address().unwrap();
        assert_eq!(
            address,
            PostgresAddress {
                host: "db.example.com".to_owned(),
                port: 6432,
                user: "ann".to_owned(),
                database: Some("money".to_owned()),
                tls: true,
            }
        );
        assert!(!format!("{:?}", settings(url)).contains("hunter2"));
        let exposed = |url| settings(url).address().unwrap().is_exposed();
        assert!(exposed("postgresql://ann@h/money"));
        assert!(exposed("postgres://ann@10.0.0.1/money?sslmode=prefer"));
        for safe in [
            "postgres://ann@h/money?sslmode=require",
            "postgres://ann@127.0.0.1/money",
            "postgres://ann@[::1]/money",
            "postgres://ann@localhost/money",
        ] {
            assert!(!exposed(safe), "{safe}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_quoting_it() {
        for wrong in [
            "mysql://a:hunter2@b/c",
            "hunter2",
            "postgres://a:hunter2@b:port/c",
        ] {
            let error = settings(wrong).address().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        for (schema, good) in [
            ("florin", true),
            ("f_1", true),
            ("1f", false),
            ("F", false),
            ("", false),
        ] {
            assert_eq!(valid_schema(schema), good, "{schema}");
        }
    }
}
