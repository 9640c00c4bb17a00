//! What a secret holds: a key, or a JSON object with user, password and the URLs made of them.
//! Pure but for the random source.

use florin_base::ids::IdSource;
use serde_json::{Map, Value, json};

/// Characters of a password; letters and digits alone, so that it stands in a URL as it is.
const PASSWORD_CHARS: usize = 40;
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// Where the authorities of RDS lie in the image.
const AUTHORITIES: &str = "/etc/ssl/certs/rds.pem";

/// A new password.
pub fn password() -> String {
    let mut text = String::with_capacity(PASSWORD_CHARS);
    // Bytes past the last whole multiple would make some letters likelier.
    let fair = 256 - 256 % LETTERS.len();
    while text.len() < PASSWORD_CHARS {
        for byte in IdSource::random_32() {
            let at = usize::from(byte);
            if at < fair && text.len() < PASSWORD_CHARS {
                text.push(char::from(LETTERS[at % LETTERS.len()]));
            }
        }
    }
    text
}

/// A new key: 32 bytes as 64 hex digits, as `auth.signing_key` and `ledger.checkpoint_key` are.
pub fn key() -> String {
    hex::encode(IdSource::random_32())
}

/// Keys that sign tokens: one that does, the one after it, and the one before.
pub fn signing_keys() -> Value {
    json!({"current": key(), "next": key(), "former": key()})
}

/// The same a change later; `None` for another shape. Every key is known for a period before it
/// signs, and for one after.
fn next_keys(value: &Value) -> Option<Value> {
    let seed = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    let (current, next) = (seed("current")?, seed("next")?);
    Some(json!({"current": next, "next": key(), "former": current}))
}

/// Whether a value holds keys that sign tokens.
fn are_signing_keys(value: &Value) -> bool {
    let is_seed = |name: &str| {
        let seed = value.get(name).and_then(Value::as_str).unwrap_or_default();
        seed.len() == 64 && seed.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    ["current", "next", "former"].into_iter().all(is_seed)
}

/// Hosts of the stores of an environment; empty: not known.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// Writer of the database.
    pub writer: String,
    /// Readers of the database.
    pub readers: String,
    /// Database on it.
    pub database: String,
    /// Primary of the cache.
    pub cache: String,
    /// Brokers to ask first, `host:port` joined by commas.
    pub brokers: String,
    /// Their cluster.
    pub kafka_arn: String,
    /// Writer of the database in the recovery region.
    pub dr_writer: String,
}

fn postgres(user: &str, password: &str, host: &str, database: &str) -> String {
    format!(
        "postgres://{user}:{password}@{host}:5432/{database}?sslmode=verify-full&sslrootcert={AUTHORITIES}"
    )
}

/// First of the two users of a unit in the database.
pub fn database_user(unit: &str) -> String {
    format!("{}_a", unit.replace('-', "_"))
}

/// User, password and URLs of a unit in the database.
pub fn database(unit: &str, hosts: &Hosts) -> Value {
    let (user, password) = (database_user(unit), password());
    let url = |host: &str| postgres(&user, &password, host, &hosts.database);
    let mut value = json!({
        "username": user,
        "password": password,
        "url": url(&hosts.writer),
        "replica_url": url(&hosts.readers),
        // By way of a pooler on the same machine (option pgbouncer).
        "pooled_url": format!("postgres://{user}:{password}@127.0.0.1:6432/{}", hosts.database),
    });
    add_recovery(&mut value, hosts);
    value
}

/// Adds the URLs of the recovery region; says whether something changed.
pub fn add_recovery(value: &mut Value, hosts: &Hosts) -> bool {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(user), Some(password)) = (text(value, "username"), text(value, "password")) else {
        return false;
    };
    if hosts.dr_writer.is_empty() {
        return false;
    }
    let url = Value::String(postgres(
        &user,
        &password,
        &hosts.dr_writer,
        &hosts.database,
    ));
    let Some(members) = value.as_object_mut() else {
        return false;
    };
    // One writer serves reads as well there, until readers are added.
    let members_new = ["dr_url", "dr_replica_url"];
    let changed = members_new
        .iter()
        .any(|name| members.get(*name) != Some(&url));
    for name in members_new {
        members.insert(name.to_owned(), url.clone());
    }
    changed
}

/// User, password and URL of a unit in the cache.
pub fn cache(user: &str, hosts: &Hosts) -> Value {
    let password = password();
    let url = format!("rediss://{user}:{password}@{}:6379/0", hosts.cache);
    json!({"username": user, "password": password, "url": url})
}

/// First of the two users of a unit at the brokers, of whom the unit is told one.
pub fn brokers(user: &str, hosts: &Hosts) -> Value {
    json!({
        "username": format!("{user}_a"),
        "password": password(),
        "url": format!("kafkas://{}", hosts.brokers),
    })
}

/// What the brokers themselves read: user and password, and nothing else.
pub fn broker_user(value: &Value) -> Value {
    json!({"username": value["username"], "password": value["password"]})
}

/// Name of the secret that the brokers read a user from, by the name of the unit's own secret and
/// the user's; `None` for other names.
pub fn broker_secret(own: &str, user: &str) -> Option<String> {
    let (environment, unit) = own.strip_prefix("florin/")?.split_once('/')?;
    let unit = unit.strip_suffix("/kafka")?;
    let which = user.strip_suffix("_a").map(|_| 'a');
    let which = which.or_else(|| user.strip_suffix("_b").map(|_| 'b'))?;
    Some(format!("AmazonMSK_florin_{environment}_{unit}_{which}"))
}

/// What a secret is about, and so what changing it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the two users one gets a new password.
    Database,
    /// One user with two passwords.
    Cache,
    /// Of the two users one gets a new password.
    Brokers,
    /// Keys that move on by one.
    SigningKeys,
}

/// Of what kind a value is: by its URL, or as keys that sign tokens.
pub fn kind(value: &Value) -> Option<Kind> {
    let Some(url) = value.get("url") else {
        return are_signing_keys(value).then_some(Kind::SigningKeys);
    };
    match url.as_str()?.split_once("://")?.0 {
        "postgres" => Some(Kind::Database),
        "rediss" | "redis" => Some(Kind::Cache),
        "kafkas" => Some(Kind::Brokers),
        _ => None,
    }
}

/// The next value of a secret. With a user: another password, and where two take turns the other of
/// them; every member that is a URL with a user gets them. `None` for another shape.
pub fn next(current: &Value) -> Option<Value> {
    let alternates = match kind(current)? {
        Kind::SigningKeys => return next_keys(current),
        Kind::Database | Kind::Brokers => true,
        Kind::Cache => false,
    };
    let members = current.as_object()?;
    let user = members.get("username")?.as_str()?;
    members.get("password")?.as_str()?;
    let user = match (alternates, user.strip_suffix("_a"), user.strip_suffix("_b")) {
        (false, _, _) => user.to_owned(),
        (true, Some(unit), _) => format!("{unit}_b"),
        (true, None, Some(unit)) => format!("{unit}_a"),
        (true, None, None) => return None,
    };
    let password = password();
    let mut changed = Map::new();
    for (name, value) in members {
        let value = match value
            .as_str()
            .and_then(|text| with_user(text, &user, &password))
        {
            Some(url) => Value::String(url),
            None => value.clone(),
        };
        changed.insert(name.clone(), value);
    }
    changed.insert("username".to_owned(), Value::String(user));
    changed.insert("password".to_owned(), Value::String(password));
    Some(Value::Object(changed))
}

/// A URL with another user and password; `None` for what is no URL with both.
pub fn with_user(url: &str, user: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (_, place) = rest.split_once('@')?;
    Some(format!("{scheme}://{user}:{password}@{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts {
            writer: "w.example".to_owned(),
            readers: "r.example".to_owned(),
            database: "florin".to_owned(),
            cache: "c.example".to_owned(),
            brokers: "b-1.example:9096,b-2.example:9096".to_owned(),
            kafka_arn: "arn:aws:kafka:us-west-2:111122223333:cluster/florin-staging-kafka/1"
                .to_owned(),
            dr_writer: String::new(),
        }
    }

    #[test]
    fn dep_094_values_are_long_and_new_each_time() {
        let (one, two) = (password(), password());
        assert_eq!((one.len(), two.len()), (40, 40));
        assert_ne!(one, two);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let key = key();
        assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn dep_066_urls_of_the_database_verify_whom_they_talk_to() {
        let value = database("ticketing-orders", &hosts());
        let (user, password) = (
            &value["username"],
            value["password"].as_str().expect("text"),
        );
        assert_eq!(user, "ticketing_orders_a");
        assert_eq!(
            value["url"],
            format!(
                "postgres://ticketing_orders_a:{password}@w.example:5432/florin?sslmode=verify-full&sslrootcert=/etc/ssl/certs/rds.pem"
            )
        );
        assert!(
            value["replica_url"]
                .as_str()
                .expect("text")
                .contains("@r.example:5432/florin?sslmode=verify-full")
        );
        assert!(value.get("dr_url").is_none());
    }

    #[test]
    fn dep_095_two_users_take_turns_and_all_urls_follow() {
        let mut first = database("wallets", &hosts());
        assert!(!add_recovery(&mut first, &hosts()));
        let recovery = Hosts {
            dr_writer: "d.example".to_owned(),
            ..hosts()
        };
        assert!(add_recovery(&mut first, &recovery));
        assert!(!add_recovery(&mut first, &recovery), "nothing new");
        let second = next(&first).expect("a user and a password");
        assert_eq!(second["username"], "wallets_b");
        let password = second["password"].as_str().expect("text");
        assert_ne!(second["password"], first["password"]);
        for (member, host) in [("url", "w"), ("replica_url", "r"), ("dr_url", "d")] {
            let start = format!("postgres://wallets_b:{password}@{host}.example:5432/florin?");
            assert!(
                second[member].as_str().expect("text").starts_with(&start),
                "{member}"
            );
        }
        assert_eq!(next(&second).expect("fine")["username"], "wallets_a");
    }

    #[test]
    fn dep_077_a_user_of_the_cache_keeps_its_name() {
        let first = cache("florin-staging-kyc", &hosts());
        let second = next(&first).expect("fine");
        assert_eq!(first["username"], second["username"]);
        assert!(
            second["url"]
                .as_str()
                .expect("text")
                .starts_with("rediss://florin-staging-kyc:")
        );
        assert_eq!(next(&json!({"key": "x"})), None);
        let master = json!({"username": "master", "password": "x", "url": "postgres://x"});
        assert_eq!(next(&master), None);
    }

    #[test]
    fn dep_095_two_users_of_the_brokers_take_turns() {
        let first = brokers("florin-staging-ticketing-orders", &hosts());
        assert_eq!(first["username"], "florin-staging-ticketing-orders_a");
        let second = next(&first).expect("a user and a password");
        assert_eq!(second["username"], "florin-staging-ticketing-orders_b");
        assert_ne!(second["password"], first["password"]);
        assert_eq!(second["url"], "kafkas://b-1.example:9096,b-2.example:9096");
        assert_eq!(
            broker_user(&second),
            json!({"username": second["username"], "password": second["password"]})
        );
        let own = "florin/staging/ticketing-orders/kafka";
        let user = |value: &Value| value["username"].as_str().expect("text").to_owned();
        assert_eq!(
            broker_secret(own, &user(&second)).as_deref(),
            Some("AmazonMSK_florin_staging_ticketing-orders_b")
        );
        assert_eq!(broker_secret(own, "florin"), None);
        assert_eq!(broker_secret("florin/staging/kyc/db", "kyc_a"), None);
    }

    #[test]
    fn dep_095_keys_are_known_before_they_sign_and_after() {
        let first = signing_keys();
        assert!(are_signing_keys(&first));
        let second = next(&first).expect("keys");
        assert!(are_signing_keys(&second));
        assert_eq!(second["current"], first["next"]);
        assert_eq!(second["former"], first["current"]);
        for name in ["current", "next", "former"] {
            assert_ne!(second["next"], first[name], "{name}");
        }
        assert!(!are_signing_keys(&json!({"current": key(), "next": key()})));
    }
}
