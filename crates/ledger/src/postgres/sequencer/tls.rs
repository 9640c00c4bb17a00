//! Encryption of a link, and who is at its other end: a certificate made for the term, whose
//! bytes the sequencer leaves in the ledger's own database, where only processes of this ledger
//! read. No name and no authority outside takes part.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The name in every certificate.
const NAME: &str = "sequencer.florin.internal";

/// Why no encryption could be set up.
pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A new certificate: what accepts connections by it, and its bytes.
///
/// # Errors
/// No key could be made.
pub(super) fn acceptor() -> Result<(TlsAcceptor, Vec<u8>), Error> {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.to_vec()))
}

/// What connects to whoever has the key of a certificate, and to nobody else.
///
/// # Errors
/// Bytes that are no certificate.
pub(super) fn connector(
    certificate: Vec<u8>,
) -> Result<(TlsConnector, ServerName<'static>), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(NAME)?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
