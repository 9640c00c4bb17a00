//! Server certificates: from PEM files, read again when they change, or made on the spot for
//! development.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of the right kind.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key is of an unknown kind or does not belong to the certificate.
    #[error("certificate and key cannot be used together: {0}")]
    Key(rustls::Error),
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    SelfSigned(rcgen::Error),
    /// The TLS configuration was refused.
    #[error("TLS configuration: {0}")]
    Config(rustls::Error),
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// A chain and its key, PEM.
    Files {
        /// Certificate chain, the server's first.
        certificate: PathBuf,
        /// PKCS#8, PKCS#1 or SEC1 key.
        key: PathBuf,
    },
    /// A new self-signed certificate for these names; for development.
    SelfSigned {
        /// DNS names and addresses.
        names: Vec<String>,
    },
}

/// The certificate in force; new connections see a replaced one at once.
pub struct TlsMaterial {
    source: TlsSource,
    current: RwLock<Loaded>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    changed: Option<SystemTime>,
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMaterial")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl TlsMaterial {
    /// Reads or makes the certificate.
    pub fn load(source: TlsSource) -> Result<Arc<Self>, TlsError> {
        let loaded = load(&source)?;
        Ok(Arc::new(Self {
            source,
            current: RwLock::new(loaded),
        }))
    }

    /// Reads the files again if they changed; true when a new certificate is in force. On an
    /// error the old one stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let TlsSource::Files { certificate, key } = &self.source else {
            return Ok(false);
        };
        if newest(certificate, key) == self.current.read().changed {
            return Ok(false);
        }
        let loaded = load(&self.source)?;
        *self.current.write() = loaded;
        Ok(true)
    }

    /// The server's own certificate, DER.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.current.read().key.cert[0].clone()
    }

    /// The same as PEM, to be trusted by clients of a self-signed server.
    pub fn certificate_pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(self.certificate());
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for start in (0..text.len()).step_by(64) {
            pem.push_str(&text[start..text.len().min(start + 64)]);
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[derive(Debug)]
struct Resolver(Arc<TlsMaterial>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.read().key))
    }
}

fn load(source: &TlsSource) -> Result<Loaded, TlsError> {
    match source {
        TlsSource::Files { certificate, key } => {
            // Taken before reading, so that a change in between is seen next time.
            let changed = newest(certificate, key);
            let chain = read_chain(certificate)?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(|e| file_error(key, &e))?;
            Ok(Loaded {
                key: certified(chain, private)?,
                changed,
            })
        }
        TlsSource::SelfSigned { names } => {
            let made =
                rcgen::generate_simple_self_signed(names.clone()).map_err(TlsError::SelfSigned)?;
            let private = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            let chain = vec![made.cert.der().clone()];
            Ok(Loaded {
                key: certified(chain, private.into())?,
                changed: None,
            })
        }
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(path, &error))?;
    match chain.is_empty() {
        true => Err(file_error(path, &"holds no certificate")),
        false => Ok(chain),
    }
}

fn file_error(path: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let provider = ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map(Arc::new)
        .map_err(TlsError::Key)
}

fn newest(certificate: &Path, key: &Path) -> Option<SystemTime> {
    let changed = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|meta| meta.modified())
            .ok()
    };
    changed(certificate).max(changed(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(dir: &Path) -> TlsSource {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]);
        let made = made.expect("certificate");
        let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("write");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("write");
        TlsSource::Files { certificate, key }
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let dir = tempfile::tempdir().expect("directory");
        let source = write_pair(dir.path());
        let material = TlsMaterial::load(source).expect("loads");
        let first = material.certificate();
        assert!(!material.reload().expect("unchanged"));
        let TlsSource::Files { certificate, .. } = write_pair(dir.path()) else {
            unreachable!("files were written");
        };
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
        let file = std::fs::File::options().write(true).open(&certificate);
        file.and_then(|file| file.set_modified(later))
            .expect("touch");
        assert!(material.reload().expect("changed"));
        assert_ne!(material.certificate(), first);
        std::fs::write(&certificate, "nonsense").expect("write");
        let current = material.certificate();
        assert!(material.reload().is_err());
        assert_eq!(material.certificate(), current, "the old one stays");
    }

    #[test]
    fn a_missing_file_is_named() {
        let source = TlsSource::Files {
            certificate: "/nonexistent/cert.pem".into(),
            key: "/nonexistent/key.pem".into(),
        };
        let error = TlsMaterial::load(source).expect_err("missing");
        assert!(
            error.to_string().starts_with("/nonexistent/cert.pem: "),
            "{error}"
        );
    }
}
