//! The stores on servers: PostgreSQL of the service tables, of the ledger and its replica, and the
//! Redis server of the cache, when they are configured.

use florin_base::Secret;
use florin_platform::cache::{Cache, Probed};
use florin_platform::http::client::install_crypto;
use florin_platform::sql::{
    PostgresAddress, PostgresProbe, PostgresSettings, PostgresTrouble, probe_postgres,
};

use super::{Finding, bad, note, ok};
use crate::config::{CacheSetting, Config};

/// The oldest server that this version was made for: 13.
const OLDEST_POSTGRES: i32 = 130_000;

/// Connections of the server that one process may take before a note is made.
const POOL_SHARE_MAX: i32 = 2;

/// What a server is to this process: the name of its check, and the settings that lead to it.
#[derive(Clone, Copy)]
struct Use {
    check: &'static str,
    url: &'static str,
    pool_max: &'static str,
}

const TABLES: Use = Use {
    check: "database",
    url: "database.url",
    pool_max: "database.pool_max",
};
const LEDGER: Use = Use {
    check: "ledger database",
    url: "ledger.url",
    pool_max: "ledger.pool_max",
};
const REPLICA: Use = Use {
    check: "ledger replica",
    url: "ledger.replica_url",
    pool_max: "ledger.pool_max",
};

/// All findings about the servers.
pub fn examine(config: &Config) -> Vec<Finding> {
    let (database, cache) = (config.database.postgres(), &config.cache);
    let ledger = |url: Option<Secret<String>>| {
        url.map(|url| PostgresSettings {
            schema: config.ledger.schema.clone(),
            pool_max: config.ledger.pool_max,
            ..PostgresSettings::new(url)
        })
    };
    let primary = ledger(config.ledger.postgres());
    let replica = ledger(config.ledger.replica());
    if database.is_none() && primary.is_none() && cache.redis().is_none() {
        return Vec::new();
    }
    install_crypto();
    let looked = crate::cli::block_on(async {
        let mut findings = Vec::new();
        if let Some(settings) = &database {
            findings.push(server(TABLES, settings).await);
            findings.extend(keys(config));
        }
        if let Some(settings) = &primary {
            findings.push(server(LEDGER, settings).await);
        }
        if let (Some(settings), Some(_)) = (&replica, &primary) {
            findings.push(server(REPLICA, settings).await);
        }
        findings.extend(shared_memory(cache).await);
        Ok(findings)
    });
    looked.unwrap_or_else(|error| {
        let what = format!("the servers could not be asked: {error:#}");
        vec![bad("database", what, "see the limits of this process")]
    })
}

async fn server(of: Use, settings: &PostgresSettings) -> Finding {
    let address = match settings.address() {
        Ok(address) => address,
        Err(error) => {
            let remedy = "such as postgres://user:password@host:5432/name?sslmode=verify-full";
            return bad(of.check, format!("{}: {error}", of.url), remedy);
        }
    };
    match probe_postgres(settings).await {
        Ok(seen) if of.check == REPLICA.check => judge_replica(&address, &seen),
        Ok(seen) => judge(of, settings, &address, &seen),
        Err((trouble, words)) => {
            let what = format!("{}: {words}", place(&address));
            let remedy = remedy_of(of, trouble, &address);
            match of.check == REPLICA.check {
                // A helper: reads go to the server of ledger.url instead.
                true => note(of.check, what, remedy),
                false => bad(of.check, what, remedy),
            }
        }
    }
}

fn judge_replica(address: &PostgresAddress, seen: &PostgresProbe) -> Finding {
    let version = format!("{}.{}", seen.version / 10_000, seen.version % 10_000);
    let what = format!("{}: PostgreSQL {version}", place(address));
    match seen.is_standby {
        true => ok(REPLICA.check, format!("{what}, a standby")),
        false => note(
            REPLICA.check,
            format!("{what}; it is no standby"),
            "ledger.replica_url is for a streaming standby of ledger.url: reads from the same server spare it nothing",
        ),
    }
}

fn place(address: &PostgresAddress) -> String {
    let database = address.database.as_deref().unwrap_or(&address.user);
    format!("{}:{}/{database}", address.host, address.port)
}

fn remedy_of(of: Use, trouble: PostgresTrouble, address: &PostgresAddress) -> String {
    let database = address.database.as_deref().unwrap_or(&address.user);
    match trouble {
        PostgresTrouble::Unreachable => format!(
            "is the server running, and is {} port {} right and open to this machine?",
            address.host, address.port
        ),
        PostgresTrouble::Silent => {
            "a firewall may drop the packets, or the server hangs".to_owned()
        }
        PostgresTrouble::LogIn => format!(
            "check user {} and the password in {}, and pg_hba.conf",
            address.user, of.url
        ),
        PostgresTrouble::NoDatabase => {
            format!("make it: CREATE DATABASE {database} OWNER {}", address.user)
        }
        PostgresTrouble::Tls => {
            "check sslmode, and sslrootcert for a certificate of your own; the server needs ssl = on"
                .to_owned()
        }
        PostgresTrouble::Full => {
            format!("raise max_connections of the server, or lower {}", of.pool_max)
        }
        PostgresTrouble::NotReady => "it is starting or stopping; look again".to_owned(),
        PostgresTrouble::Other => "see the log of the server".to_owned(),
    }
}

fn judge(
    of: Use,
    settings: &PostgresSettings,
    address: &PostgresAddress,
    seen: &PostgresProbe,
) -> Finding {
    let check = of.check;
    let schema = &settings.schema;
    let version = format!("{}.{}", seen.version / 10_000, seen.version % 10_000);
    let tls = if seen.tls { "with" } else { "without" };
    let what = format!("{}: PostgreSQL {version}, {tls} TLS", place(address));
    let pool = i32::try_from(settings.pool_max).unwrap_or(i32::MAX);
    if seen.version < OLDEST_POSTGRES {
        bad(check, what, "version 13 or newer is needed")
    } else if seen.is_standby {
        let remedy = format!("{} must lead to the server that takes writes", of.url);
        bad(check, format!("{what}; it is a standby"), remedy)
    } else if !seen.may_create {
        let (what, remedy) = match seen.has_schema {
            true => (
                format!(
                    "{what}; {} may not make tables in schema {schema}",
                    address.user
                ),
                format!("GRANT CREATE, USAGE ON SCHEMA {schema} TO {}", address.user),
            ),
            false => (
                format!(
                    "{what}; schema {schema} is missing and {} may not make it",
                    address.user
                ),
                format!("CREATE SCHEMA {schema} AUTHORIZATION {}", address.user),
            ),
        };
        bad(check, what, remedy)
    } else if !seen.is_durable {
        note(
            check,
            format!("{what}; it answers before a change is on its disk"),
            "set fsync = on and full_page_writes = on",
        )
    } else if pool.saturating_mul(POOL_SHARE_MAX) > seen.max_connections {
        note(
            check,
            format!("{what}; it takes {} connections", seen.max_connections),
            format!(
                "{pool} ({}) for each process must fit, and some for people",
                of.pool_max
            ),
        )
    } else {
        ok(check, what)
    }
}

/// What processes that share the tables must share too. The cursors of lists are made from it.
fn keys(config: &Config) -> Option<Finding> {
    config.auth.signing_key.is_none().then(|| {
        note(
            "signing key",
            "each data directory has its own: a process does not accept the tokens and cursors of another",
            "fine for one process; else give all of them the same auth.signing_key",
        )
    })
}

async fn shared_memory(setting: &CacheSetting) -> Option<Finding> {
    let cache = match Cache::redis(&setting.redis()?) {
        Ok(cache) => cache,
        Err(error) => {
            let remedy = "such as rediss://user:password@host:6379/0";
            return Some(bad("cache", error.to_string(), remedy));
        }
    };
    Some(match cache.probe().await? {
        Ok(seen) => judge_cache(&seen),
        // A helper: the service goes on without it.
        Err(error) => note(
            "cache",
            error.to_string(),
            "is the server of cache.url running, and are user, password and TLS right? Until then rate limits are divided among the processes",
        ),
    })
}

fn judge_cache(seen: &Probed) -> Finding {
    let took = seen.took.as_secs_f64() * 1e3;
    let what = format!("Redis {}; a call takes {took:.2} ms", seen.version);
    match seen.eviction.as_deref() {
        Some("noeviction") | None => note(
            "cache",
            format!("{what}; when it is full it refuses writes"),
            "set maxmemory-policy to volatile-lru: every key has a time to live",
        ),
        Some(_) if seen.took >= florin_platform::cache::CALL_TIMEOUT / 2 => note(
            "cache",
            what,
            "calls are given up after 50 ms: put the server nearer",
        ),
        Some(_) => ok("cache", what),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Health;
    use super::*;

    fn settings() -> PostgresSettings {
        let url = "postgres://ann:hunter2@db:5432/money";
        PostgresSettings::new(Secret::new(url.to_owned()))
    }

    fn good() -> PostgresProbe {
        PostgresProbe {
            version: 150_004,
            is_standby: false,
            is_durable: true,
            tls: true,
            max_connections: 200,
            has_schema: true,
            may_create: true,
        }
    }

    fn judged(change: impl FnOnce(&mut PostgresProbe)) -> Finding {
        let mut seen = good();
        change(&mut seen);
        let address = settings().address().expect("readable");
        judge(TABLES, &settings(), &address, &seen)
    }

    #[test]
    fn each_fault_of_a_server_has_its_remedy() {
        let fine = judged(|_| {});
        assert_eq!(fine.what, "db:5432/money: PostgreSQL 15.4, with TLS");
        assert_eq!(fine.health, Health::Ok);
        type Change = fn(&mut PostgresProbe);
        let cases: [(Change, Health, &str); 6] = [
            (|p| p.version = 120_009, Health::Bad, "13 or newer"),
            (|p| p.is_standby = true, Health::Bad, "takes writes"),
            (|p| p.may_create = false, Health::Bad, "GRANT CREATE"),
            (
                |p| (p.may_create, p.has_schema) = (false, false),
                Health::Bad,
                "CREATE SCHEMA florin AUTHORIZATION ann",
            ),
            (|p| p.is_durable = false, Health::Note, "fsync = on"),
            (|p| p.max_connections = 20, Health::Note, "must fit"),
        ];
        for (change, health, remedy) in cases {
            let finding = judged(change);
            assert_eq!(finding.health, health, "{finding:?}");
            let given = finding.remedy.expect("a remedy");
            assert!(given.contains(remedy), "{given}");
        }
    }

    #[test]
    fn a_replica_is_a_standby() {
        let address = settings().address().expect("readable");
        let mut seen = good();
        assert_eq!(judge_replica(&address, &seen).health, Health::Note);
        seen.is_standby = true;
        let finding = judge_replica(&address, &seen);
        assert_eq!(finding.health, Health::Ok);
        assert_eq!(finding.what, "db:5432/money: PostgreSQL 15.4, a standby");
    }

    #[test]
    fn nothing_secret_is_said() {
        let address = settings().address().expect("readable");
        for trouble in [
            PostgresTrouble::Unreachable,
            PostgresTrouble::Silent,
            PostgresTrouble::LogIn,
            PostgresTrouble::NoDatabase,
            PostgresTrouble::Tls,
            PostgresTrouble::Full,
            PostgresTrouble::NotReady,
            PostgresTrouble::Other,
        ] {
            assert!(!remedy_of(LEDGER, trouble, &address).contains("hunter2"));
        }
        assert!(!place(&address).contains("hunter2"));
    }

    #[test]
    fn a_cache_that_refuses_writes_when_full_is_noted() {
        let seen = |policy: Option<&str>, millis| Probed {
            version: "7.0.15".to_owned(),
            eviction: policy.map(str::to_owned),
            took: Duration::from_millis(millis),
        };
        assert_eq!(
            judge_cache(&seen(Some("volatile-lru"), 1)).health,
            Health::Ok
        );
        for noted in [
            seen(Some("noeviction"), 1),
            seen(None, 1),
            seen(Some("allkeys-lru"), 40),
        ] {
            assert_eq!(judge_cache(&noted).health, Health::Note, "{noted:?}");
        }
    }
}
