//! Certificates, and a client that speaks TLS.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, UnboundKey};
use rustls::crypto::cipher::Nonce;
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore, SupportedProtocolVersion};

use crate::process::Launch;

const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// Makes NAME.pem and NAME.key, by the authority SIGNER, with a line of extensions.
const MAKE: &str = r#"
    cd "$1"
    key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    [ -e "$3.pem" ] || openssl req -x509 $key -keyout "$3.key" -out "$3.pem" -days 2 -subj "/CN=$3"
    openssl req $key -keyout "$2.key" -out "$2.csr" -subj "/CN=$2"
    echo "$4" >extensions
    openssl x509 -req -in "$2.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days 2 -extfile extensions -out "$2.pem"
"#;

/// A folder with certificates and keys.
#[derive(Debug, Clone)]
pub(crate) struct Papers(PathBuf);

impl Papers {
    /// For tests of this launch: `server` for localhost, by the authority `ca`.
    pub(crate) fn new(launch: &Launch) -> Papers {
        let papers = Papers(launch.scratch().join("papers"));
        fs::create_dir_all(&papers.0).unwrap();
        papers.make_server("server");
        papers
    }

    pub(crate) fn make_server(&self, name: &str) {
        self.make(name, "ca", "subjectAltName=DNS:localhost,IP:127.0.0.1");
    }

    pub(crate) fn make_client(&self, name: &str, signer: &str) {
        self.make(name, signer, "extendedKeyUsage=clientAuth");
    }

    fn make(&self, name: &str, signer: &str, extensions: &str) {
        let made =
            Command::new("sh").args(["-ec", MAKE, "make"]).arg(&self.0).args([name, signer, extensions]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "is openssl there? {}", String::from_utf8_lossy(&made.stderr));
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_string()
    }

    /// The options of a server that has `server`.
    pub(crate) fn options(&self) -> [String; 4] {
        ["--tls-cert".into(), self.path("server.pem"), "--tls-key".into(), self.path("server.key")]
    }

    pub(crate) fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.0.join(format!("{name}.pem"))).unwrap()
    }

    /// What a client does TLS with that trusts `ca`. `own`: its certificate's name.
    pub(crate) fn client(
        &self,
        own: Option<&str>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate("ca")).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PrivateKeyDer::from_pem_file(self.0.join(format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(vec![self.certificate(name)], key).unwrap()
            }
        };
        config.enable_secret_extraction = true;
        Arc::new(config)
    }

    pub(crate) fn connect(&self, address: SocketAddr) -> Secure {
        Secure::connect(address, &self.client(None, rustls::ALL_VERSIONS)).unwrap()
    }
}

/// A client that blocks.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) tls: ClientConnection,
    pub(crate) socket: TcpStream,
}

impl Secure {
    /// Connects, and does the handshake.
    pub(crate) fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Secure> {
        Secure::over(TcpStream::connect(address)?, config)
    }

    pub(crate) fn over(socket: TcpStream, config: &Arc<ClientConfig>) -> io::Result<Secure> {
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        socket.set_write_timeout(Some(READ_TIMEOUT))?;
        socket.set_nodelay(true)?;
        let tls = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
        let mut secure = Secure { tls, socket };
        while secure.tls.is_handshaking() {
            secure.tls.complete_io(&mut secure.socket)?;
        }
        Ok(secure)
    }

    /// Sends each piece in a record of its own, or in several when it is large.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let taken = self.tls.writer().write(rest).unwrap();
            rest = &rest[taken..];
            while self.tls.wants_write() {
                self.tls.write_tls(&mut self.socket).unwrap();
            }
        }
    }

    /// What `bytes` are as records.
    pub(crate) fn sealed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(bytes).unwrap();
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        records
    }

    /// Seals records by hand, of a kind that no client sends: each is its kind and what is in it. TLS 1.3 with AES-128 alone,
    /// and nothing else can be sent or read then.
    pub(crate) fn seal_by_hand(self, records: &[(u8, &[u8])]) -> (Vec<u8>, TcpStream) {
        let secrets = self.tls.dangerous_extract_secrets().unwrap();
        let (first, ConnectionTrafficSecrets::Aes128Gcm { key, iv }) = secrets.tx else { panic!("another cipher") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap());
        let mut sealed = Vec::new();
        for (number, (kind, bytes)) in records.iter().enumerate() {
            let mut inner = [bytes, &[*kind][..]].concat();
            let length = (inner.len() + AES_128_GCM.tag_len()) as u16;
            let header = [&[0x17, 0x03, 0x03][..], &length.to_be_bytes()].concat();
            let nonce = ring::aead::Nonce::assume_unique_for_key(Nonce::new(&iv, first + number as u64).0);
            key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut inner).unwrap();
            sealed.extend(header);
            sealed.extend(inner);
        }
        (sealed, self.socket)
    }

    /// Reads once. 0: the server has ended by TLS' word for it.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustls::Stream::new(&mut self.tls, &mut self.socket).read(buffer)
    }

    /// Exactly these bytes must come next.
    pub(crate) fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut received = vec![0; expected.len()];
        let mut filled = 0;
        while filled < received.len() {
            match self.read(&mut received[filled..]).unwrap() {
                0 => panic!("the end, behind {} of {} bytes", filled, expected.len()),
                bytes => filled += bytes,
            }
        }
        let differ = received.iter().zip(expected).position(|(a, b)| a != b);
        let shown = |bytes: &[u8], at: usize| bytes[at..bytes.len().min(at + 60)].escape_ascii().to_string();
        assert_eq!(differ.map(|at| shown(&received, at)), differ.map(|at| shown(expected, at)), "at {differ:?}");
    }

    /// Sends one line, and returns the next.
    pub(crate) fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            assert_eq!(self.read(&mut byte).unwrap(), 1, "the end, behind {:?}", line.escape_ascii().to_string());
            line.push(byte[0]);
        }
        String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
    }

    pub(crate) fn figure(&mut self, name: &str) -> u64 {
        self.send("stats\r\n");
        let mut found = None;
        loop {
            let line = self.line();
            if line == "END" {
                return found.unwrap_or_else(|| panic!("stats has no {name}"));
            }
            if let Some(value) = line.strip_prefix(&format!("STAT {name} ")) {
                found = Some(value.parse().unwrap());
            }
        }
    }

    /// Ends this side by TLS' word for it. `closes`: and by that of TCP.
    pub(crate) fn end(&mut self, closes: bool) {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket).unwrap();
        }
        if closes {
            self.socket.shutdown(Shutdown::Write).unwrap();
        }
    }

    /// The server must end by TLS' word for it, without another byte.
    pub(crate) fn expect_end(&mut self) {
        let mut byte = [0];
        assert_eq!(self.read(&mut byte).map_err(|error| error.kind()), Ok::<usize, ErrorKind>(0));
    }
}
