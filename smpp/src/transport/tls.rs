//! Lives here: TLS settings of both ends, made from PEM text (TLS 1.2 and 1.3, ring).
//! Never here: files; whoever reads the configuration reads them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Why TLS settings cannot be used; always a mistake of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds a broken PEM block.
    #[error("unreadable PEM: {0}")]
    Pem(String),
    /// The text holds no certificate.
    #[error("no certificate in the PEM text")]
    NoCertificate,
    /// The name to be verified is neither a DNS name nor an address.
    #[error("{0:?} is no server name")]
    ServerName(String),
    /// The library refuses the certificate, the key or their combination.
    #[error("certificate or key refused: {0}")]
    Rustls(#[from] rustls::Error),
    /// The roots for the other side cannot serve to verify it.
    #[error("roots refused: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Whom a client trusts.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// The public certificate authorities (Mozilla's list, compiled in).
    WebPki,
    /// Only what leads to one of these certificates, in PEM: a carrier's private authority, or the machine's own list
    /// (`/etc/ssl/certs/ca-certificates.crt`), read by the caller.
    Pem(&'a [u8]),
    /// Only a server that shows one of these very certificates, in PEM. Its name, dates and issuer do not count: the
    /// pin says it all, and a new certificate of the carrier needs a new pin.
    Pinned(&'a [u8]),
}

/// TLS settings of a client; cheap to clone.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// `identity` is our own certificate chain and key, both PEM, for servers that want one. `server_name` is the
    /// name in the server's certificate, when it is not the host we connect to.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(
        roots: Roots<'_>,
        identity: Option<(&[u8], &[u8])>,
        server_name: Option<&str>,
    ) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let verify = |store: RootCertStore| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build()
        };
        let builder = match roots {
            Roots::WebPki => builder.with_webpki_verifier(verify(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            })?),
            Roots::Pem(pem) => builder.with_webpki_verifier(verify(root_store(pem)?)?),
            Roots::Pinned(pem) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned {
                    certificates: certificates(pem)?,
                    provider: provider(),
                })),
        };
        let config = match identity {
            Some((chain, key)) => {
                builder.with_client_auth_cert(certificates(chain)?, private_key(key)?)?
            }
            None => builder.with_no_client_auth(),
        };
        let server_name = server_name.map(parse_name).transpose()?;
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }

    /// The connector, and the name to verify when connecting to `host`.
    pub(crate) fn connector(
        &self,
        host: &str,
    ) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host)?,
        };
        Ok((TlsConnector::from(Arc::clone(&self.config)), name))
    }
}

/// TLS settings of a server; cheap to clone.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
}

impl TlsServer {
    /// `chain` and `key` are the server's certificate chain and private key, both PEM. With `client_roots` (PEM) a
    /// client must show a certificate that leads to one of them.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(chain: &[u8], key: &[u8], client_roots: Option<&[u8]>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match client_roots {
            Some(pem) => {
                let roots = Arc::new(root_store(pem)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(certificates(chain)?, private_key(key)?)?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// Trusts exactly these certificates; that the server holds their key is verified as always.
#[derive(Debug)]
struct Pinned {
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificates.iter().any(|pinned| pinned == end_entity) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| TlsError::Pem(error.to_string()))?;
    if chain.is_empty() {
        Err(TlsError::NoCertificate)
    } else {
        Ok(chain)
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::Pem(error.to_string()))
}

fn root_store(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate)?;
    }
    Ok(store)
}
