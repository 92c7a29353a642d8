//! The files of `--tls-cert`, `--tls-key` and `--tls-ca`: what they come to for rustls, and reading them again.

use std::fmt::{self, Debug, Formatter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{CipherSuite, Error, RootCertStore, ServerConfig};

use crate::process::small_file;

/// The bits of a mode that let others than the owner at a file.
const OTHERS: u32 = 0o077;

/// Where certificates and keys are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The server's certificate, and those between it and one that clients trust.
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Whom clients' certificates must be from. `None`: clients need none.
    pub(crate) ca: Option<PathBuf>,
}

/// What the server does TLS with, for all shards.
pub(crate) struct Certificates {
    files: TlsFiles,
    current: Mutex<Arc<ServerConfig>>,
    /// Handshakes that came to nothing.
    pub(crate) failed_handshakes: AtomicU64,
}

impl Debug for Certificates {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Nothing of a key gets into a log.
        self.files.fmt(f)
    }
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or has not in it what it should, or key and certificate are not of each other. The line
    /// names the option and the file.
    pub(crate) fn read(files: &TlsFiles) -> Result<Certificates, String> {
        let current = Mutex::new(Arc::new(config(files)?));
        Ok(Certificates { files: files.clone(), current, failed_handshakes: AtomicU64::new(0) })
    }

    /// Reads the files again: for new connections. What they were before stays in force when they are no good.
    pub(crate) fn read_again(&self) {
        match config(&self.files) {
            Ok(config) => {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                log::info!("SIGHUP: --tls-cert {} is read again, for new connections", self.files.cert.display());
            }
            Err(what) => log::error!("SIGHUP: {what}; the certificate that was read before stays in force"),
        }
    }

    /// What a new connection is to have.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// ring's ciphers, the cheapest one that is safe first. A queue's server has many small records to do.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    provider
}

fn config(files: &TlsFiles) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider());
    let chain = certificates("--tls-cert", &files.cert)?;
    let key = key(&files.key)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be had: {error}"))?;
    let builder = match &files.ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let failed = |why: &dyn fmt::Display| {
                format!(
                    "--tls-ca {}: {why}; name a file with the certificates of those who sign clients'",
                    path.display()
                )
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("--tls-ca", path)? {
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| failed(&error))?)
        }
    };
    let (cert_path, key_path) = (files.cert.display(), files.key.display());
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            format!("--tls-key {key_path} is not the key of --tls-cert {cert_path}; name the two that belong together")
        }
        error => format!("--tls-cert {cert_path} with --tls-key {key_path}: {error}; have a certificate made anew"),
    })?;
    warn_of_others(&files.key);
    config.ignore_client_order = true;
    // A client that comes again, to any shard, spares both sides the expensive half of a handshake. New files make a new
    // secret, so that a ticket does not outlive the trust that it was given by.
    config.ticketer = ring::Ticketer::new().map_err(|error| format!("TLS cannot be had: {error}"))?;
    Ok(config)
}

/// All certificates in a file.
fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed =
        |why: &dyn fmt::Display| format!("{option} {}: {why}; name a PEM file of certificates", path.display());
    let text = small_file::read(path).map_err(|error| failed(&error))?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(failed(&"it has no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(failed(&error)),
    }
}

/// The key in a file: PKCS8, PKCS1 or SEC1.
fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let failed = |why: &dyn fmt::Display| format!("--tls-key {shown}: {why}; name a PEM file of a private key");
    let text = small_file::read(path).map_err(|error| failed(&error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(&text) => format!(
            "--tls-key {shown}: it has a passphrase, and nothing asks for one here; `openssl pkey -in {shown} -out OTHER` \
             makes one without"
        ),
        pem::Error::NoItemsFound => failed(&"it has no private key"),
        error => failed(&error),
    })
}

/// Warns of a key that others than its owner can read.
fn warn_of_others(path: &Path) {
    let Ok(metadata) = path.metadata() else { return };
    let (mode, shown) = (metadata.permissions().mode() & 0o777, path.display());
    if mode & OTHERS != 0 {
        log::warn!("--tls-key {shown} has the mode {mode:04o}: others than its owner get at the key; `chmod 600` it");
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}
