//! A queue server in memory that commits one fault, if it is told to.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use memchr::memchr;

use crate::fake_opens::{Connection, Holder, Lapse, Opens, Queues};

/// What the server does wrong. Numbers count the sets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mischief {
    #[default]
    None,
    /// Answers STORED, and forgets the message.
    Drop(u64),
    /// Stores the message twice.
    Double(u64),
    /// Stores a message before the one that the same producer sent before; it waits for one from this number on.
    Swap(u64),
    /// Changes a byte of the message.
    Corrupt(u64),
    /// Answers nobody for a while.
    Stall(u64, Duration),
    /// The same at each set that is so many after the last.
    StallEach(u64, Duration),
    Refuse,
    Fail,
    /// Closes the connection.
    HangUp(u64),
    Babble,
}

#[derive(Debug, Default)]
struct Store {
    queues: Queues,
    opens: Opens,
    /// How long the last get waits in vain.
    pause: Duration,
    sets: u64,
    mischief: Mischief,
    done: bool,
    connections: Vec<TcpStream>,
}

#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    store: Arc<Mutex<Store>>,
}

impl Fake {
    pub(crate) fn start(mischief: Mischief) -> Fake {
        Fake::start_with(Store { mischief, ..Store::default() })
    }

    /// A server that does this wrong with what is open.
    pub(crate) fn start_lapsing(lapse: Lapse) -> Fake {
        Fake::start_with(Store { opens: Opens::new(lapse), ..Store::default() })
    }

    fn start_with(store: Store) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake { address: listener.local_addr().unwrap(), store: Arc::new(Mutex::new(store)) };
        fake.listen(listener);
        fake
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The messages in all queues, and those that are open.
    pub(crate) fn len(&self) -> usize {
        let store = self.store();
        store.queues.values().map(VecDeque::len).sum::<usize>() + store.opens.len()
    }

    /// The fault was committed.
    pub(crate) fn is_done(&self) -> bool {
        let store = self.store();
        store.done || store.opens.done
    }

    /// Puts a message into a queue.
    pub(crate) fn put(&self, queue: &str, body: &[u8]) {
        self.store().queues.entry(queue.as_bytes().to_vec()).or_default().push_back(body.into());
    }

    /// Hangs up on all clients once `file` is there, loses so many messages, and drops the one that comes so many sets
    /// later.
    pub(crate) fn restart_at(&self, file: PathBuf, losses: usize, drop_later: Option<u64>) {
        let fake = self.clone();
        thread::spawn(move || {
            while !file.exists() {
                thread::sleep(Duration::from_millis(1));
            }
            let mut store = fake.store();
            for connection in store.connections.drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
            for _ in 0..losses {
                let queue = store.queues.values_mut().find(|queue| !queue.is_empty()).unwrap();
                queue.pop_front();
            }
            if let Some(later) = drop_later {
                store.mischief = Mischief::Drop(store.sets + later);
            }
        });
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    fn listen(&self, listener: TcpListener) {
        let fake = self.clone();
        thread::spawn(move || {
            for (socket, connection) in listener.incoming().zip(0..) {
                let (socket, fake) = (socket.unwrap(), fake.clone());
                socket.set_nodelay(true).unwrap();
                fake.store().connections.push(socket.try_clone().unwrap());
                thread::spawn(move || {
                    fake.serve(socket, connection);
                    let mut store = fake.store();
                    let Store { opens, queues, .. } = &mut *store;
                    opens.end(queues, connection);
                });
            }
        });
    }

    /// Until the client or the server hangs up.
    fn serve(&self, mut socket: TcpStream, connection: Connection) {
        let mut input = Vec::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut output = Vec::new();
        while let Ok(bytes @ 1..) = socket.read(&mut buffer) {
            input.extend_from_slice(&buffer[..bytes]);
            let mut used = 0;
            let mut store = self.store();
            while let Some(bytes) = store.command(&input[used..], connection, &mut output) {
                used += bytes;
            }
            let hangs_up = matches!(store.mischief, Mischief::HangUp(after) if store.sets > after);
            let pause = std::mem::take(&mut store.pause);
            drop(store);
            thread::sleep(pause);
            input.drain(..used);
            if hangs_up || socket.write_all(&output).is_err() {
                let _ = socket.shutdown(Shutdown::Both);
                return;
            }
            output.clear();
        }
    }
}

impl Store {
    /// Handles the first command, if it is whole, and returns its length.
    fn command(&mut self, input: &[u8], connection: Connection, output: &mut Vec<u8>) -> Option<usize> {
        let newline = memchr(b'\n', input)?;
        let mut words = input[..newline - 1].split(|byte| *byte == b' ');
        let verb = words.next()?;
        let answer: Option<&[u8]> = match verb {
            b"version" => Some(b"VERSION fake\r\n"),
            b"get" | b"set" | b"delete" => None,
            _ => Some(b"ERROR\r\n"),
        };
        if let Some(answer) = answer {
            output.extend_from_slice(answer);
            return Some(newline + 1);
        }
        let queue = words.next()?;
        if queue.contains(&b'/') {
            self.with_options(verb, queue, connection, output);
            return Some(newline + 1);
        }
        if verb == b"delete" {
            self.queues.remove(queue);
            output.extend_from_slice(b"DELETED\r\n");
            return Some(newline + 1);
        }
        if verb == b"get" {
            self.opens.end_leases(&mut self.queues);
            let body = self.queues.get_mut(queue).and_then(VecDeque::pop_front);
            append_value(output, queue, body.as_deref());
            return Some(newline + 1);
        }
        let bytes: usize = str::from_utf8(words.nth(2)?).unwrap().parse().unwrap();
        let start = newline + 1;
        let is_silent = words.next() == Some(b"noreply");
        let body = input.get(start..start + bytes + 2)?;
        if is_silent {
            self.set(queue, &body[..bytes]);
            return Some(start + bytes + 2);
        }
        output.extend_from_slice(match self.mischief {
            Mischief::Refuse => b"NOT_STORED\r\n",
            Mischief::Fail => b"SERVER_ERROR <b>out of memory</b>\r\n",
            Mischief::Babble => b"HTTP/1.1 400 Bad Request\r\n",
            _ => {
                self.set(queue, &body[..bytes]);
                b"STORED\r\n"
            }
        });
        Some(start + bytes + 2)
    }

    /// A get or a delete of a key with options. One that waits does so to the end.
    fn with_options(&mut self, verb: &[u8], key: &[u8], connection: Connection, output: &mut Vec<u8>) {
        let mut parts = key.split(|byte| *byte == b'/');
        let queue = parts.next().unwrap();
        let options: Vec<&[u8]> = parts.collect();
        let value = |name: &[u8]| options.iter().find_map(|option| option.strip_prefix(name));
        let holder = value(b"as=").map_or(Holder::Connection(connection), |name| Holder::Name(name.to_vec()));
        let Store { queues, opens, .. } = self;
        opens.end_leases(queues);
        if verb == b"delete" {
            let is_held = opens.acknowledge(queues, queue, &holder);
            output.extend_from_slice(if is_held { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" });
            return;
        }
        if options.contains(&&b"close"[..]) {
            opens.acknowledge(queues, queue, &holder);
        }
        let seconds = value(b"for=").map(|digits| str::from_utf8(digits).unwrap().parse().unwrap());
        let wait_ms = value(b"t=").map_or(0, |digits| str::from_utf8(digits).unwrap().parse().unwrap());
        if queues.get(queue).is_none_or(VecDeque::is_empty) {
            self.pause += Duration::from_millis(wait_ms);
        }
        if !options.contains(&&b"open"[..]) {
            let body = queues.get_mut(queue).filter(|_| wait_ms > 0).and_then(VecDeque::pop_front);
            return append_value(output, key, body.as_deref());
        }
        match opens.open(queues, queue, holder, seconds.map(Duration::from_secs)) {
            Ok(body) => append_value(output, key, body.as_deref()),
            Err(()) => output.extend_from_slice(b"CLIENT_ERROR close current item first\r\n"),
        }
    }

    fn set(&mut self, queue: &[u8], body: &[u8]) {
        let number = self.sets;
        self.sets += 1;
        if !self.queues.contains_key(queue) {
            self.queues.insert(queue.to_vec(), VecDeque::new());
        }
        let messages = self.queues.get_mut(queue).unwrap();
        messages.push_back(body.into());
        let last = messages.len() - 1;
        self.done |= match self.mischief {
            Mischief::Drop(at) if at == number => messages.pop_back().is_some(),
            Mischief::Double(at) if at == number => {
                messages.push_back(body.into());
                true
            }
            Mischief::Swap(from) if number >= from && !self.done && last > 0 => {
                // The stamp begins with the run and the producer.
                let same = messages[last - 1][4..20] == body[4..20];
                if same {
                    messages.swap(last - 1, last);
                }
                same
            }
            Mischief::Corrupt(at) if at == number => {
                messages[last][body.len() - 1] ^= 1;
                true
            }
            Mischief::Stall(at, time) if at == number => {
                thread::sleep(time);
                true
            }
            Mischief::StallEach(after, time) if number.is_multiple_of(after) => {
                thread::sleep(time);
                true
            }
            _ => false,
        };
    }
}

fn append_value(output: &mut Vec<u8>, key: &[u8], body: Option<&[u8]>) {
    if let Some(body) = body {
        write!(output, "VALUE {} 0 {}\r\n", str::from_utf8(key).unwrap(), body.len()).unwrap();
        output.extend_from_slice(body);
        output.extend_from_slice(b"\r\n");
    }
    output.extend_from_slice(b"END\r\n");
}
