//! `--tls-cert`, `--tls-key` and `--tls-ca`: whom they let in, what is wrong with them, and reading them again.

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::Signal;
use rustls::{ALL_VERSIONS, ClientConfig};

use crate::process::{Launch, Server};
use crate::secure::{Papers, Secure};

#[test]
fn files_that_are_no_good_are_refused_in_one_line() {
    let launch = Launch::new().shards(1);
    let papers = Papers::new(&launch);
    papers.make_server("other");
    let path = |file: &str| papers.path(file);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("broken"), "-----BEGIN CERTIFICATE-----\nnot base 64\n-----END CERTIFICATE-----\n").unwrap();
    let locked = Command::new("openssl")
        .args(["pkey", "-aes256", "-passout", "pass:word", "-in", &path("server.key"), "-out", &path("locked")])
        .status();
    assert!(locked.unwrap().success());
    let (cert, key) = (path("server.pem"), path("server.key"));
    let table = [
        (vec!["--tls-cert", &cert], vec!["--tls-key is missing"]),
        (vec!["--tls-key", &key], vec!["--tls-cert is missing"]),
        (vec!["--tls-cert", "/none", "--tls-key", &key], vec!["--tls-cert /none", "No such file"]),
        (vec!["--tls-cert", "/dev", "--tls-key", &key], vec!["--tls-cert /dev", "it is no file"]),
        (vec!["--tls-cert", &cert, "--tls-key", "/none"], vec!["--tls-key /none", "No such file"]),
        (vec!["--tls-cert", &key, "--tls-key", &key], vec!["--tls-cert ", "it has no certificate"]),
        (vec!["--tls-cert", &cert, "--tls-key", &cert], vec!["--tls-key ", "it has no private key"]),
    ];
    for (options, words) in table {
        launch.clone().with(&options).refused().assert_one_line(&words);
    }
    for (cert, key, ca, words) in [
        ("broken", "server.key", None, ["--tls-cert ", "broken"]),
        ("server.pem", "empty", None, ["--tls-key ", "it has no private key"]),
        ("server.pem", "locked", None, ["--tls-key ", "passphrase"]),
        ("server.pem", "other.key", None, ["--tls-key ", "is not the key of --tls-cert"]),
        ("server.pem", "server.key", Some("empty"), ["--tls-ca ", "it has no certificate"]),
    ] {
        let (cert, key, ca) = (path(cert), path(key), ca.map(path));
        let mut options = vec!["--tls-cert", cert.as_str(), "--tls-key", key.as_str()];
        ca.as_deref().into_iter().for_each(|ca| options.extend(["--tls-ca", ca]));
        launch.clone().with(&options).refused().assert_one_line(&words);
    }
}

/// As `openssl` writes them today, as it wrote them, and with what older ones put before them.
#[test]
fn keys_come_in_three_forms() {
    let launch = Launch::new().shards(1);
    let papers = Papers::new(&launch);
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").current_dir(papers.folder()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    openssl(&["ec", "-in", "server.key", "-out", "sec1.key"]);
    openssl(&["genrsa", "-traditional", "-out", "rsa.key", "2048"]);
    openssl(&["req", "-x509", "-key", "rsa.key", "-out", "rsa.pem", "-days", "2", "-subj", "/CN=localhost"]);
    for (cert, key, beginning) in
        [("server.pem", "sec1.key", "BEGIN EC PRIVATE KEY"), ("rsa.pem", "rsa.key", "BEGIN RSA PRIVATE KEY")]
    {
        assert!(fs::read_to_string(papers.path(key)).unwrap().contains(beginning));
        let options = ["--tls-cert", &papers.path(cert), "--tls-key", &papers.path(key)];
        launch.clone().with(&options).start().terminate();
    }
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let launch = Launch::new().shards(1);
    let papers = Papers::new(&launch);
    let options = papers.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    for (mode, warns) in [(0o640, true), (0o600, false)] {
        fs::set_permissions(papers.path("server.key"), Permissions::from_mode(mode)).unwrap();
        let mut server = launch.clone().with(&options).start();
        let found = server.said().iter().any(|line| line.contains("WARN") && line.contains("0640"));
        assert_eq!(found, warns, "{:#?}", server.said());
        server.terminate();
    }
}

/// Whether a client with this is served. TLS 1.3 has a client learn of it with its first read.
fn is_served(server: &Server, config: &Arc<ClientConfig>) -> io::Result<()> {
    let mut client = Secure::connect(server.address(), config)?;
    client.send("get none\r\n");
    let mut answer = [0; 5];
    client.read(&mut answer)?;
    assert_eq!(&answer, b"END\r\n");
    Ok(())
}

#[test]
fn a_client_without_the_right_certificate_does_not_get_in() {
    let launch = Launch::new();
    let papers = Papers::new(&launch);
    papers.make_client("client", "ca");
    papers.make_client("stranger", "another-ca");
    let options = papers.options();
    let ca = papers.path("ca.pem");
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["--tls-ca", &ca, "-v"]);
    let mut server = launch.with(&options).start();
    let mut failed = 0;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for own in [None, Some("stranger")] {
            let refused = is_served(&server, &papers.client(own, &[version])).unwrap_err().to_string();
            assert!(refused.contains("alert"), "{own:?}: {refused}");
            failed += 1;
        }
        is_served(&server, &papers.client(Some("client"), &[version])).unwrap();
    }
    server.wait_for_line("no TLS: peer sent no certificates");
    let config = papers.client(Some("client"), ALL_VERSIONS);
    let mut client = Secure::connect(server.address(), &config).unwrap();
    assert_eq!(client.figure("ssl_handshake_errors"), failed);
    server.terminate();
}

#[test]
fn the_files_are_read_again_at_sighup() {
    let launch = Launch::new();
    let papers = Papers::new(&launch);
    let options = papers.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut server = launch.with(&options).start();
    let shown = |server: &Server| {
        let client = papers.connect(server.address());
        client.tls.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let first = papers.certificate("server");
    assert_eq!(shown(&server), first);
    let mut old = papers.connect(server.address());
    fs::write(papers.path("server.pem"), "nothing").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("stays in force");
    assert!(line.contains("ERROR") && line.contains(&papers.path("server.pem")), "{line}");
    assert_eq!(shown(&server), first);
    papers.make_server("server");
    assert_ne!(papers.certificate("server"), first);
    server.signal(Signal::SIGHUP);
    server.wait_for_line("is read again, for new connections");
    assert_eq!(shown(&server), papers.certificate("server"));
    assert_eq!(old.command("get none"), "END");
    server.terminate();
}

/// openssl's own client, which is not rustls.
#[test]
fn openssl_gets_in() {
    let launch = Launch::new().shards(1);
    let papers = Papers::new(&launch);
    let options = papers.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut server = launch.with(&options).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile", &papers.path("ca.pem"), version])
            .args(["-connect", &server.address().to_string(), "-servername", "localhost"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        io::Write::write_all(&mut input, b"set q 0 0 5\r\nhello\r\nget q\r\nquit\r\n").unwrap();
        let mut output = String::new();
        client.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        client.wait().unwrap();
        assert_eq!(output, "STORED\r\nVALUE q 0 5\r\nhello\r\nEND\r\n", "{version}");
    }
    server.terminate();
}
