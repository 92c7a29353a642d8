//! Two instances behind HAProxy, by the configuration in `scripts/haproxy.cfg`, which is as `scripts/fleet.sh` makes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use crate::client::Client;
use crate::process::{Launch, Server, wait_until};

pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The listeners and the variables that say where they are.
const LISTENERS: [(&str, &str); 6] = [
    ("fleet", "RUSHQ_FLEET"),
    ("producers", "RUSHQ_PRODUCERS"),
    ("by_client", "RUSHQ_BY_CLIENT"),
    ("by_queue", "RUSHQ_BY_QUEUE"),
    ("only_a", "RUSHQ_ONLY_A"),
    ("only_b", "RUSHQ_ONLY_B"),
];

/// A port below those that the kernel gives away, so that no other process gets it while an instance is down.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + std::process::id() % 200 * 100;
    loop {
        let port = first as u16 + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[derive(Debug)]
struct Proxy {
    child: Child,
    ports: BTreeMap<&'static str, u16>,
    admin: PathBuf,
    said: PathBuf,
}

impl Proxy {
    fn start(a: &Server, b: &Server) -> Proxy {
        let version = Command::new("haproxy").arg("-v").output();
        assert!(version.is_ok(), "haproxy is missing: apt-get install haproxy");
        let said = a.launch().scratch().join("haproxy");
        let log = File::create(&said).unwrap();
        let ports: BTreeMap<&str, u16> = LISTENERS.iter().map(|(listener, _)| (*listener, free_port())).collect();
        // Not beside the data: the path of a socket must be short.
        let admin = std::env::temp_dir().join(format!("rushq-{}.sock", ports["fleet"]));
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/haproxy.cfg"))
            .env("RUSHQ_A", a.address().to_string())
            .env("RUSHQ_B", b.address().to_string())
            .env("RUSHQ_A_AGENT", a.address_for("agent").port().to_string())
            .env("RUSHQ_B_AGENT", b.address_for("agent").port().to_string())
            .env("RUSHQ_PROXY_ADMIN", &admin)
            .envs(LISTENERS.iter().map(|(listener, variable)| (variable, format!("127.0.0.1:{}", ports[listener]))))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut proxy = Proxy { child, ports, admin, said };
        wait_until("the proxy to answer", EVENT_TIMEOUT, || {
            assert!(proxy.child.try_wait().unwrap().is_none(), "the proxy has ended");
            UnixStream::connect(&proxy.admin).is_ok()
        });
        for (listener, server) in [("fleet", "a"), ("fleet", "b"), ("producers", "a"), ("producers", "b")] {
            // It takes them for up until the first check has failed.
            proxy.wait(listener, server, "L7OK");
        }
        proxy
    }

    /// What the proxy knows about one of a listener's servers.
    fn status(&self, listener: &str, server: &str) -> String {
        let mut admin = UnixStream::connect(&self.admin).unwrap();
        admin.write_all(b"show stat\n").unwrap();
        let mut table = String::new();
        admin.read_to_string(&mut table).unwrap();
        let line = table.lines().find(|line| line.starts_with(&format!("{listener},{server},")));
        String::from(line.unwrap_or_else(|| panic!("no {listener}/{server} in {table}")))
    }

    /// Waits until a server is UP, or DOWN, or has a check that ended in a certain way.
    fn wait(&self, listener: &str, server: &str, word: &str) {
        wait_until(&format!("{listener}/{server} to be {word}"), EVENT_TIMEOUT, || {
            self.status(listener, server).split(',').any(|field| field == word)
        });
    }

    fn address(&self, listener: &str) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[listener]))
    }

    fn connect(&self, listener: &str) -> Client {
        Client::connect(self.address(listener))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.admin);
        if std::thread::panicking() {
            eprintln!("the proxy said:\n{}", fs::read_to_string(&self.said).unwrap_or_default());
        }
    }
}

/// Two instances and the proxy in front of them.
#[derive(Debug)]
pub(crate) struct Fleet {
    // Dropped first, so that what it says when a test fails is about that test.
    proxy: Proxy,
    pub(crate) a: Server,
    pub(crate) b: Server,
}

impl Fleet {
    pub(crate) fn start() -> Fleet {
        let instance = || {
            let agent = free_port().to_string();
            Launch::new().port(free_port()).with(&["--agent-check", &agent]).start()
        };
        let (a, b) = (instance(), instance());
        Fleet { proxy: Proxy::start(&a, &b), a, b }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address("fleet")
    }

    /// Which instance a connection is to. Only `a` may be down meanwhile.
    fn name_of(&self, client: &mut Client) -> &'static str {
        let pid = client.figure("pid");
        if pid == u64::from(self.b.pid()) {
            return "b";
        }
        assert_eq!(pid, u64::from(self.a.pid()), "a process that is not of this fleet");
        "a"
    }

    /// Which instances this many new connections get to.
    fn reached(&self, listener: &str, connections: usize) -> BTreeSet<&'static str> {
        (0..connections).map(|_| self.name_of(&mut self.proxy.connect(listener))).collect()
    }

    /// Waits until new connections get to both.
    fn wait_for_both(&self, listener: &str) {
        wait_until("both to be reached", EVENT_TIMEOUT, || self.reached(listener, 2).len() == 2);
    }

    /// Waits until every listener knows that `a` is UP, or DOWN.
    fn wait_for_all(&self, word: &str) {
        let listeners = LISTENERS.iter().filter(|(listener, _)| *listener != "only_b");
        listeners.for_each(|(listener, _)| self.proxy.wait(listener, "a", word));
    }
}

/// A client at an address of its own.
fn connect_from(number: u8, address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, number], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    Client::over(TcpStream::from(socket))
}

/// Takes messages over new connections until one instance has no more.
fn empty(fleet: &Fleet, instance: &Server, taken: &mut Vec<String>) {
    let mut direct = instance.connect();
    wait_until("an instance to be empty", EVENT_TIMEOUT, || {
        let mut consumer = fleet.proxy.connect("fleet");
        for queue in 0..4 {
            while let Some(body) = consumer.get(&format!("q{queue}")) {
                taken.push(String::from_utf8(body).unwrap());
            }
        }
        direct.figure("curr_items") == 0
    });
}

#[test]
fn the_configuration_is_the_one_that_the_script_makes() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let made = Command::new(scripts.join("fleet.sh")).arg("2").output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let there = fs::read(scripts.join("haproxy.cfg")).unwrap();
    assert!(made.stdout == there, "scripts/fleet.sh 2 > scripts/haproxy.cfg");
}

#[test]
fn an_instance_is_drained_and_taken_out() {
    let mut fleet = Fleet::start();
    let (mut stored, mut taken) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let body = format!("message {number}");
        assert_eq!(fleet.proxy.connect("fleet").set(&format!("q{}", number % 4), body.as_bytes()), "STORED");
        stored.push(body);
    }
    assert!(fleet.a.connect().figure("curr_items") > 0 && fleet.b.connect().figure("curr_items") > 0);
    let mut producer = fleet.proxy.connect("fleet");
    while fleet.name_of(&mut producer) != "a" {
        producer = fleet.proxy.connect("fleet");
    }

    fleet.a.signal(Signal::SIGUSR1);
    wait_until("a to drain", EVENT_TIMEOUT, || fleet.a.connect().figure("draining") == 1);
    assert_eq!(producer.set("q0", b"refused"), "NOT_STORED");
    // What a client does about it: it connects again.
    let mut answers = (0..10).map(|_| fleet.proxy.connect("fleet").set("q0", b"again"));
    assert!(answers.any(|answer| answer == "STORED"), "ten times at the instance that drains");
    stored.push(String::from("again"));
    // Where instances are asked how much they take, no connection is in vain.
    fleet.proxy.wait("producers", "a", "DRAIN (agent)");
    assert_eq!(fleet.reached("producers", 10), BTreeSet::from(["b"]));
    fleet.wait_for_both("fleet");

    empty(&fleet, &fleet.a, &mut taken);
    fleet.a.terminate();
    // Before the health check has seen it, too.
    assert_eq!(fleet.reached("fleet", 4), BTreeSet::from(["b"]));
    fleet.proxy.wait("fleet", "a", "DOWN");
    producer.expect_close();
    assert_eq!(fleet.reached("fleet", 10), BTreeSet::from(["b"]));
    empty(&fleet, &fleet.b, &mut taken);
    stored.sort_unstable();
    taken.sort_unstable();
    assert_eq!(taken, stored);

    fleet.a.start();
    assert_eq!(fleet.a.connect().figure("curr_items"), 0);
    fleet.proxy.wait("producers", "a", "UP");
    fleet.wait_for_both("producers");
    // And an operator who thinks better of it.
    fleet.b.signal(Signal::SIGUSR1);
    fleet.proxy.wait("producers", "b", "DRAIN (agent)");
    fleet.b.signal(Signal::SIGUSR2);
    fleet.proxy.wait("producers", "b", "UP");
    for _ in 0..2 {
        assert_eq!(fleet.proxy.connect("producers").set("q0", b"after"), "STORED");
    }
}

#[test]
fn an_instance_that_hangs_gets_no_new_connections() {
    let fleet = Fleet::start();
    fleet.wait_for_both("fleet");
    fleet.a.signal(Signal::SIGSTOP);
    fleet.proxy.wait("fleet", "a", "DOWN");
    assert_eq!(fleet.reached("fleet", 10), BTreeSet::from(["b"]));
    fleet.a.signal(Signal::SIGCONT);
    fleet.proxy.wait("fleet", "a", "UP");
    fleet.wait_for_both("fleet");
}

#[test]
fn a_client_or_a_queue_stays_on_one_instance() {
    let mut fleet = Fleet::start();
    let by_client = |fleet: &Fleet| -> Vec<&str> {
        let at = |number| fleet.name_of(&mut connect_from(number, fleet.proxy.address("by_client")));
        (1..30).inspect(|number| assert_eq!(at(*number), at(*number))).map(at).collect()
    };
    let by_queue = |fleet: &Fleet| -> Vec<&str> {
        let at = |queue: String| {
            let (mut producer, mut consumer) = (fleet.proxy.connect("by_queue"), fleet.proxy.connect("by_queue"));
            // The name comes in two pieces.
            producer.send(format!("set {}", &queue[..4]));
            assert_eq!(producer.command(&format!("{} 0 0 2\r\nhi", &queue[4..])), "STORED");
            assert_eq!(consumer.get(&queue).as_deref(), Some(&b"hi"[..]));
            let instance = fleet.name_of(&mut producer);
            assert_eq!(instance, fleet.name_of(&mut consumer), "of {queue}");
            instance
        };
        (0..30).map(|number| at(format!("queue-{number}"))).collect()
    };
    let (clients, queues) = (by_client(&fleet), by_queue(&fleet));
    for placed in [&clients, &queues] {
        let at_a = placed.iter().filter(|instance| **instance == "a").count();
        assert!((5..=25).contains(&at_a), "{placed:?}");
    }
    for number in 0..5 {
        assert_eq!(fleet.proxy.connect("only_a").set("ordered", format!("{number}").as_bytes()), "STORED");
    }

    // While one is away the other has it all, but for what is to be found nowhere else.
    fleet.a.terminate();
    fleet.wait_for_all("DOWN");
    assert!(by_client(&fleet).into_iter().chain(by_queue(&fleet)).all(|instance| instance == "b"));
    fleet.proxy.connect("only_a").expect_close();

    fleet.a.start();
    fleet.wait_for_all("UP");
    assert_eq!(by_client(&fleet), clients);
    assert_eq!(by_queue(&fleet), queues);
    let mut consumer = fleet.proxy.connect("only_a");
    for number in 0..5 {
        assert_eq!(consumer.get("ordered"), Some(format!("{number}").into_bytes()));
    }
}
