//! TLS to the server, as `--tls` asks for it.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::options::Arguments;

/// How connections are secured.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// Whose certificate the server is to have.
    name: ServerName<'static>,
}

impl Tls {
    /// What the options ask for; `None`: no TLS.
    ///
    /// # Errors
    /// When the file of `--tls-ca` has no certificates, or the server's name cannot be in one.
    pub(crate) fn new(options: &Arguments) -> Result<Option<Tls>, String> {
        if !options.tls {
            return Ok(None);
        }
        let name = ServerName::try_from(options.server.clone())
            .map_err(|_| format!("--tls: {} is no name that a certificate can have", options.server))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("--tls: {error}"))?;
        let config = match &options.tls_ca {
            Some(path) => {
                let failed =
                    |why: String| format!("--tls-ca {}: {why}; name a PEM file of certificates", path.display());
                let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(&text) {
                    let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                    roots.add(certificate).map_err(|error| failed(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(failed(String::from("it has no certificate")));
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            None => {
                let trusts_all = Arc::new(TrustsAll(provider));
                builder.dangerous().with_custom_certificate_verifier(trusts_all).with_no_client_auth()
            }
        };
        Ok(Some(Tls { config: Arc::new(config), name }))
    }

    /// Does the handshake over a socket that blocks.
    pub(crate) fn secure(&self, socket: &mut TcpStream, timeout: Duration) -> io::Result<Box<ClientConnection>> {
        socket.set_read_timeout(Some(timeout))?;
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let mut connection = Box::new(connection.map_err(io::Error::other)?);
        while connection.is_handshaking() {
            connection.complete_io(socket)?;
        }
        Ok(connection)
    }
}

/// Takes any server for the right one, as `--tls-insecure` has it.
#[derive(Debug)]
struct TrustsAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
