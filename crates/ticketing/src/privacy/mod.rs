//! Personal fields: sealed under one key per person, so that destroying the key erases them in
//! the tables, in backups and in the log (contract G, "Privacy").
//!
//! A person's key is itself sealed under a key of the installation. Sealing is AES-256-GCM with a
//! random nonce; the name of the field is authenticated with it, so that a value cannot be moved
//! to another field.

pub mod people;

use std::collections::BTreeMap;

use florin_base::IdSource;
use florin_platform::http::problem::Problem;
use florin_platform::sql::{Arg, Db, Query, Row, Tx, query};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::model::buyer::BuyerKey;
use crate::room::Secrets;
use crate::store::{Store, bulk};

/// Persons whose keys are read at a time.
const LOAD_MAX: usize = 500;

/// Makes and opens the keys of persons.
#[derive(Clone)]
pub struct Vault {
    wrapping: [u8; 32],
    secrets: Secrets,
}

/// A person: an id that stands in other tables, and the key, unless it was destroyed.
#[derive(Clone)]
pub struct Person {
    /// Id in `tk_people`; stays when the person is erased.
    pub id: String,
    key: Option<[u8; 32]>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Person {
    /// The key was destroyed: fields read null with `erased: true`.
    pub fn is_erased(&self) -> bool {
        self.key.is_none()
    }

    /// Seals a field's text. Of an erased person nothing is kept: the bytes are empty.
    pub fn seal(&self, field: &str, text: &str) -> Vec<u8> {
        self.key
            .as_ref()
            .map_or_else(Vec::new, |key| seal(key, field, text.as_bytes()))
    }

    /// The text of a sealed field; `None` once the person is erased, or for bytes that were not
    /// sealed so.
    pub fn open(&self, field: &str, sealed: &[u8]) -> Option<String> {
        let plain = open(self.key.as_ref()?, field, sealed)?;
        String::from_utf8(plain).ok()
    }
}

impl Vault {
    /// With the keys of the installation.
    pub fn new(secrets: &Secrets) -> Self {
        Self {
            wrapping: secrets.derive("privacy/wrap"),
            secrets: secrets.clone(),
        }
    }

    /// The digest under which tables may look for a buyer key.
    pub fn lookup(&self, key: &BuyerKey) -> [u8; 32] {
        self.secrets
            .digest("privacy/lookup", key.as_str().as_bytes())
    }

    /// The person of a buyer key, made when there is none yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn person(
        &self,
        store: &Store,
        tx: &mut Tx,
        key: &BuyerKey,
    ) -> Result<Person, Problem> {
        let lookup = self.lookup(key);
        if let Some(row) = tx.fetch_optional(by_lookup(&lookup)).await? {
            return self.read(&row);
        }
        let person = Person {
            id: store.id(),
            key: Some(IdSource::random_32()),
        };
        let sealed = person
            .key
            .as_ref()
            .map(|key| seal(&self.wrapping, &person.id, key));
        let text = "INSERT INTO tk_people (id, lookup, sealed_key, created_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let statement = query(text)
            .bind(&person.id)
            .bind(lookup)
            .bind(sealed)
            .bind(store.now());
        if tx.execute(statement).await? == 1 {
            return Ok(person);
        }
        // Another event's transaction made the person in this moment.
        let row = tx.fetch_optional(by_lookup(&lookup)).await?;
        let row = row.ok_or_else(|| Problem::internal("a person is there and is not"))?;
        self.read(&row)
    }

    /// [`Vault::person`] for many buyers at a time; by buyer key.
    ///
    /// # Errors
    /// The store's.
    pub async fn persons(
        &self,
        store: &Store,
        tx: &mut Tx,
        keys: &[&BuyerKey],
    ) -> Result<BTreeMap<BuyerKey, Person>, Problem> {
        let mut lookups: BTreeMap<[u8; 32], &BuyerKey> = BTreeMap::new();
        for key in keys {
            lookups.insert(self.lookup(key), key);
        }
        let mut found = self.known(store, tx, &lookups).await?;
        let mut rows = Vec::new();
        let mut fresh = BTreeMap::new();
        for (lookup, key) in &lookups {
            if found.contains_key(*key) {
                continue;
            }
            let secret = IdSource::random_32();
            let person = Person {
                id: store.id(),
                key: Some(secret),
            };
            rows.push(vec![
                Arg::from(&person.id),
                Arg::from(lookup),
                Arg::from(seal(&self.wrapping, &person.id, &secret)),
                Arg::from(store.now()),
            ]);
            fresh.insert((*key).clone(), person);
        }
        let asked = rows.len() as u64;
        let prefix = "INSERT INTO tk_people (id, lookup, sealed_key, created_at)";
        let suffix = "ON CONFLICT DO NOTHING";
        let made = bulk::insert(tx, store.marks(), prefix, suffix, rows).await?;
        if made < asked {
            // Another event's transaction made one of them in this moment.
            return self.known(store, tx, &lookups).await;
        }
        found.extend(fresh);
        Ok(found)
    }

    async fn known(
        &self,
        store: &Store,
        tx: &mut Tx,
        lookups: &BTreeMap<[u8; 32], &BuyerKey>,
    ) -> Result<BTreeMap<BuyerKey, Person>, Problem> {
        let prefix = "SELECT id, lookup, sealed_key FROM tk_people WHERE lookup IN";
        let args = lookups.keys().map(Arg::from).collect();
        let mut found = BTreeMap::new();
        for row in bulk::select(tx, store.marks(), prefix, "", &[], args).await? {
            let lookup: Vec<u8> = row.get("lookup")?;
            let key = <[u8; 32]>::try_from(lookup).ok();
            if let Some(key) = key.and_then(|lookup| lookups.get(&lookup)) {
                found.insert((*key).clone(), self.read(&row)?);
            }
        }
        Ok(found)
    }

    /// The person of a buyer key, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, db: &Db, key: &BuyerKey) -> Result<Option<Person>, Problem> {
        let row = db.fetch_optional(by_lookup(&self.lookup(key))).await?;
        row.as_ref().map(|row| self.read(row)).transpose()
    }

    /// Persons by their ids; unknown ids are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self, db: &Db, ids: &[String]) -> Result<BTreeMap<String, Person>, Problem> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(LOAD_MAX) {
            for row in db.fetch_all(by_ids(some)).await? {
                let person = self.read(&row)?;
                found.insert(person.id.clone(), person);
            }
        }
        Ok(found)
    }

    /// As [`Vault::load`], inside a transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn load_in(
        &self,
        tx: &mut Tx,
        ids: &[String],
    ) -> Result<BTreeMap<String, Person>, Problem> {
        let mut found = BTreeMap::new();
        for some in ids.chunks(LOAD_MAX) {
            for row in tx.fetch_all(by_ids(some)).await? {
                let person = self.read(&row)?;
                found.insert(person.id.clone(), person);
            }
        }
        Ok(found)
    }

    fn read(&self, row: &Row) -> Result<Person, Problem> {
        let id: String = row.get("id")?;
        let sealed: Option<Vec<u8>> = row.get("sealed_key")?;
        let key = match sealed {
            None => None,
            Some(sealed) => {
                let plain = open(&self.wrapping, &id, &sealed);
                let key = plain.and_then(|plain| plain.try_into().ok());
                Some(key.ok_or_else(|| {
                    Problem::internal("a person's key does not open: ticketing.secret was changed")
                })?)
            }
        };
        Ok(Person { id, key })
    }
}

fn by_lookup(lookup: &[u8; 32]) -> Query {
    query("SELECT id, sealed_key FROM tk_people WHERE lookup = $1").bind(lookup)
}

fn by_ids(ids: &[String]) -> Query {
    let names: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
    let text = format!(
        "SELECT id, sealed_key FROM tk_people WHERE id IN ({})",
        names.join(", ")
    );
    ids.iter().fold(Query::assembled(text), Query::bind)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256"))
}

/// Seals bytes under a key; the label must be the same when they are opened.
pub fn seal(key: &[u8; 32], label: &str, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&IdSource::random_32()[..NONCE_LEN]);
    let mut body = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(label.as_bytes()),
            &mut body,
        )
        .expect("a field is far smaller than the cipher's bound");
    [&nonce[..], &body].concat()
}

/// Opens what [`seal`] made; `None` if key, label or bytes are not those.
pub fn open(key: &[u8; 32], label: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    let plain = cipher(key)
        .open_in_place(nonce, Aad::from(label.as_bytes()), &mut body)
        .ok()?;
    Some(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_field_opens_only_as_itself() {
        let person = Person {
            id: "p".into(),
            key: Some([3; 32]),
        };
        let sealed = person.seal("name", "Ana");
        assert_eq!(person.open("name", &sealed).as_deref(), Some("Ana"));
        assert_eq!(person.open("email", &sealed), None);
        let other = Person {
            id: "p".into(),
            key: Some([4; 32]),
        };
        assert_eq!(other.open("name", &sealed), None);
        let erased = Person {
            id: "p".into(),
            key: None,
        };
        assert!(erased.is_erased() && erased.open("name", &sealed).is_none());
        assert!(erased.seal("name", "Ana").is_empty());
    }
}
