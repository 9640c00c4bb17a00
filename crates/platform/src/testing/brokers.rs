//! Brokers that want TLS and SCRAM-SHA-512, as Amazon MSK does. Before librdkafka's own cluster
//! stands a house that speaks both, lets nobody else in, and keeps access control lists, which it
//! shows and enlarges but does not follow.

mod house;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use florin_base::Secret;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use crate::bus::BusSettings;
use crate::bus::kafka::mock::MockBroker;
use crate::http::tls::{TlsMaterial, TlsSource};
use house::House;

/// The user that is there at the start, and its password.
pub const USER: &str = "florin-test-workers";
/// Its password.
pub const PASSWORD: &str = "not a secret, only long";

/// How the brokers behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// They let everybody in and do not know the password.
    pub is_impostor: bool,
    /// Milliseconds of a sign-in; 0: without end.
    pub lives: i64,
    /// They keep access control lists.
    pub keeps_lists: bool,
}

/// An entry of a list, in the numbers of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Kind of the resource.
    pub resource: i8,
    /// Its name.
    pub name: String,
    /// How the name is matched.
    pub pattern: i8,
    /// Who.
    pub principal: String,
    /// From where.
    pub host: String,
    /// What.
    pub operation: i8,
    /// Whether it is allowed.
    pub permission: i8,
}

/// A secured cluster. Lives in the runtime that it was started in.
pub struct SecuredBrokers {
    mock: MockBroker,
    house: Arc<House>,
    settings: BusSettings,
    folder: TempDir,
}

impl SecuredBrokers {
    /// Starts brokers with the topics of the table.
    ///
    /// # Panics
    /// When the machine has no port, thread or file for it.
    pub fn start(manner: Manner) -> Self {
        let settings = BusSettings {
            prefix: "t.".to_owned(),
            create_topics: false,
            ..BusSettings::default()
        };
        let mock = MockBroker::start(1, &settings).expect("starts");
        let names = vec![Ipv4Addr::LOCALHOST.to_string()];
        let material = TlsMaterial::load(TlsSource::SelfSigned { names }).expect("made");
        let folder = tempfile::tempdir().expect("a folder");
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, material.certificate_pem()).expect("written");
        let mut config = (*material.server_config().expect("TLS")).clone();
        config.alpn_protocols.clear();
        let house = Arc::new(House::new(manner, TlsAcceptor::from(Arc::new(config))));
        house.let_in(USER, PASSWORD);
        let brokers = mock.brokers();
        let outside = brokers.split(',').map(|broker| {
            let (host, port) = broker.rsplit_once(':').expect("an address");
            let port = house.place(host, port.parse().expect("a port"));
            format!("127.0.0.1:{}", port.expect("a place").1)
        });
        let outside: Vec<String> = outside.collect();
        let settings = BusSettings {
            url: format!("kafkas://{}", outside.join(",")),
            sasl_user: Some(USER.to_owned()),
            sasl_password: Some(Secret::new(PASSWORD.to_owned())),
            tls_ca: Some(authority),
            ..settings
        };
        Self {
            mock,
            house,
            settings,
            folder,
        }
    }

    /// How they are reached, as [`USER`].
    pub fn settings(&self) -> &BusSettings {
        &self.settings
    }

    /// How they are reached without the house.
    pub fn settings_behind(&self) -> BusSettings {
        BusSettings {
            url: format!("kafka://{}", self.mock.brokers()),
            prefix: self.settings.prefix.clone(),
            create_topics: false,
            ..BusSettings::default()
        }
    }

    /// `host:port` of the brokers, joined by commas.
    ///
    /// # Panics
    /// Never.
    pub fn addresses(&self) -> &str {
        self.settings.brokers().expect("valid").expect("some")
    }

    /// File of the certificate that they are believed by.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Gives a user a password; the one before is refused from now on.
    pub fn let_in(&self, user: &str, password: &str) {
        self.house.let_in(user, password);
    }

    /// How often somebody has signed in.
    pub fn signed_in(&self) -> u64 {
        self.house.signed_in.load(Ordering::SeqCst)
    }

    /// How often somebody was refused.
    pub fn refused(&self) -> u64 {
        self.house.refused.load(Ordering::SeqCst)
    }

    /// A call came from somebody who had not signed in.
    pub fn was_trespassed(&self) -> bool {
        self.house.trespassed.load(Ordering::SeqCst)
    }

    /// What is in the lists.
    pub fn lists(&self) -> BTreeSet<Listed> {
        self.house.lists.lock().clone()
    }
}
