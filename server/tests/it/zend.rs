//! Zend_Queue's memcacheQ adapter, byte for byte: a connection of PHP's memcache extension for messages, and a raw socket
//! for `stats queue` and `delete`, which it reads line by line until one of the words it knows.

use crate::client::Client;
use crate::process::{Launch, Server};

struct Adapter {
    cache: Client,
    socket: Client,
}

impl Adapter {
    fn new(server: &Server) -> Adapter {
        Adapter { cache: server.connect(), socket: server.connect() }
    }

    /// Every line up to END, as the adapter keeps them: without `STAT `.
    fn get_queues(&mut self) -> Vec<String> {
        self.socket.send("stats queue\r\n");
        let lines = std::iter::from_fn(|| Some(self.socket.line()).filter(|line| line != "END"));
        lines.map(|line| line.replace("STAT ", "")).collect()
    }

    fn is_exists(&mut self, queue: &str) -> bool {
        self.get_queues().iter().any(|listed| listed == queue)
    }

    /// It never finds its queue, since it knows the listing of memcacheQ 0.1, and so makes it anew each time.
    fn create(&mut self, queue: &str) {
        assert!(!self.is_exists(queue));
        self.cache.send(format!("set {queue} 0 15 14\r\ncreating queue\r\n"));
        self.cache.expect("STORED\r\n");
        self.cache.send(format!("get {queue}\r\n"));
        self.cache.expect(&format!("VALUE {queue} 0 14\r\ncreating queue\r\nEND\r\n"));
    }

    fn send(&mut self, queue: &str, message: &str) {
        self.cache.send(format!("set {queue} 0 0 {}\r\n{message}\r\n", message.len()));
        self.cache.expect("STORED\r\n");
    }

    fn receive(&mut self, queue: &str, message: Option<&str>) {
        self.cache.send(format!("get {queue}\r\n"));
        if let Some(message) = message {
            self.cache.expect(&format!("VALUE {queue} 0 {}\r\n{message}\r\n", message.len()));
        }
        self.cache.expect("END\r\n");
    }

    fn delete(&mut self, queue: &str, answer: &str) {
        self.socket.send(format!("delete {queue}\r\n"));
        assert_eq!(self.socket.line(), answer);
    }
}

#[test]
fn the_adapter_loses_no_message_and_never_waits() {
    let server = Launch::new().start();
    for queue in ["orders", "mail", "q3", "q4"] {
        let mut first = Adapter::new(&server);
        first.create(queue);
        first.send(queue, "one");
        first.send(queue, "creating queue");
        // Each PHP process begins like this, and used to throw away the message at the head.
        for _ in 0..5 {
            Adapter::new(&server).create(queue);
        }
        let mut last = Adapter::new(&server);
        last.create(queue);
        last.send(queue, "two");
        assert!(last.get_queues().contains(&format!("{queue} 3/0")));
        for message in ["one", "creating queue", "two"] {
            last.receive(queue, Some(message));
        }
        last.receive(queue, None);
        assert!(first.get_queues().contains(&format!("{queue} 3/3")));
        last.delete(queue, "DELETED");
        last.delete(queue, "NOT_FOUND");
        assert_eq!(last.get_queues(), Vec::<String>::new());
    }
}

/// Two processes that begin at the same time, each between its own set and get.
#[test]
fn greetings_of_two_adapters_do_not_meet() {
    let server = Launch::new().start();
    let (mut one, mut other) = (Adapter::new(&server), Adapter::new(&server));
    for adapter in [&mut one, &mut other] {
        adapter.cache.send("set q 0 15 14\r\ncreating queue\r\n");
        adapter.cache.expect("STORED\r\n");
    }
    one.send("q", "precious");
    for adapter in [&mut one, &mut other] {
        adapter.cache.send("get q\r\n");
        adapter.cache.expect("VALUE q 0 14\r\ncreating queue\r\nEND\r\n");
    }
    other.receive("q", Some("precious"));
}

#[test]
fn the_greeting_can_be_a_message_like_any_other() {
    let server = Launch::new().with(&["--no-zend-greeting"]).start();
    let mut adapter = Adapter::new(&server);
    adapter.send("q", "head");
    adapter.cache.send("set q 0 15 14\r\ncreating queue\r\n");
    adapter.cache.expect("STORED\r\n");
    adapter.receive("q", Some("head"));
    adapter.receive("q", Some("creating queue"));
}
