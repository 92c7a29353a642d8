//! A gate in memory that breaks one of its promises, if it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use memchr::memchr;

/// What the gate does wrong, once all is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Breach {
    #[default]
    None,
    /// Gives a ticket more than there are.
    OneMore,
    /// Gives this seat to two buyers.
    SeatTwice(u32),
    /// Looks at the stock before the buyer: a winner that asks again is refused.
    RefuseAgain,
    /// Gives a winner that asks again the next seat.
    SecondTicket,
    /// Refuses the first who asks.
    RefuseFirst,
    /// The message of this seat is not in the queue.
    LoseMessage(u32),
    /// It is there twice.
    DoubleMessage(u32),
    /// The last message is in front of the first.
    LastFirst,
    /// Forgets the first ticket, with its message, whenever it hangs up.
    ForgetFirst,
    /// Cannot pay.
    ForgetPaid,
}

#[derive(Debug, Default)]
struct State {
    tickets: u32,
    seats: BTreeMap<Vec<u8>, u32>,
    queue: VecDeque<Vec<u8>>,
    breach: Breach,
    /// By its own count.
    given: u32,
    refused: u32,
    /// Asks that are told to try again.
    not_now: u32,
    connections: Vec<TcpStream>,
}

#[derive(Clone, Debug)]
pub(crate) struct FakeGate {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeGate {
    pub(crate) fn start(breach: Breach) -> FakeGate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State { breach, ..State::default() };
        let fake = FakeGate { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let accepting = fake.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, fake) = (socket.unwrap(), accepting.clone());
                fake.state.lock().unwrap().connections.push(socket.try_clone().unwrap());
                thread::spawn(move || fake.serve(socket));
            }
        });
        fake
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Tells so many buyers to try again.
    pub(crate) fn not_now(&self, times: u32) {
        self.state.lock().unwrap().not_now = times;
    }

    /// Hangs up on all clients each time that `file` grows.
    pub(crate) fn restart_at(&self, file: PathBuf) {
        let fake = self.clone();
        thread::spawn(move || {
            let mut length = 0;
            loop {
                thread::sleep(Duration::from_millis(1));
                let now = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
                if now > length {
                    length = now;
                    fake.state.lock().unwrap().hang_up();
                }
            }
        });
    }

    fn serve(&self, mut socket: TcpStream) {
        let (mut input, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        while let Ok(bytes @ 1..) = socket.read(&mut buffer) {
            input.extend_from_slice(&buffer[..bytes]);
            let mut output = Vec::new();
            let mut state = self.state.lock().unwrap();
            while let Some(newline) = memchr(b'\n', &input) {
                let line: Vec<u8> = input.drain(..=newline).collect();
                state.line(line.trim_ascii_end(), &mut output);
            }
            drop(state);
            if socket.write_all(&output).is_err() {
                return;
            }
        }
    }
}

impl State {
    /// A command, or the body of one.
    fn line(&mut self, line: &[u8], output: &mut Vec<u8>) {
        let text = str::from_utf8(line).unwrap();
        if let Some(tickets) = text.split(' ').find_map(|word| word.strip_prefix("tickets=")) {
            self.tickets = tickets.parse().unwrap();
            return output.extend_from_slice(b"STORED\r\n");
        }
        let Some(key) = text.strip_prefix("get ") else {
            assert!(text.starts_with("set "), "{text}");
            return;
        };
        let (_, option) = key.split_once('/').unwrap_or((key, ""));
        let body = match option.split_once('=').unwrap_or((option, "")) {
            ("ticket", _) if self.not_now > 0 => {
                self.not_now -= 1;
                return output.extend_from_slice(b"SERVER_ERROR try again\r\n");
            }
            ("ticket", buyer) => self.join(buyer.as_bytes()),
            ("paid", buyer) => self.seats.get(buyer.as_bytes()).copied().filter(|_| self.breach != Breach::ForgetPaid),
            ("peek", _) => None,
            ("gate", _) if self.tickets == 0 => None,
            ("gate", _) => {
                let figures = format!("tickets={} given={}", self.tickets, self.given);
                return write!(output, "VALUE {key} 0 {}\r\n{figures}\r\nEND\r\n", figures.len()).unwrap();
            }
            _ => {
                if let Some(body) = self.queue.pop_front() {
                    write!(output, "VALUE {key} 0 {}\r\n", body.len()).unwrap();
                    output.extend_from_slice(&body);
                    output.extend_from_slice(b"\r\n");
                }
                return output.extend_from_slice(b"END\r\n");
            }
        };
        if let Some(seat) = body.map(|seat| seat.to_string()) {
            write!(output, "VALUE {key} 0 {}\r\n{seat}\r\n", seat.len()).unwrap();
        }
        output.extend_from_slice(b"END\r\n");
    }

    fn join(&mut self, buyer: &[u8]) -> Option<u32> {
        let given = self.seats.len() as u32;
        match self.seats.get(buyer) {
            Some(_) if self.breach == Breach::RefuseAgain && given == self.tickets => return None,
            Some(seat) if self.breach == Breach::SecondTicket && *seat == 1 => return Some(2),
            Some(seat) => return Some(*seat),
            None => {}
        }
        let more = u32::from(self.breach == Breach::OneMore);
        if given == self.tickets + more || (self.breach == Breach::RefuseFirst && self.refused == 0) {
            self.refused += 1;
            return None;
        }
        let seat = if self.breach == Breach::SeatTwice(given) { given } else { given + 1 };
        self.seats.insert(buyer.to_vec(), seat);
        self.given += 1;
        if self.breach != Breach::LoseMessage(seat) {
            self.queue.push_back(buyer.to_vec());
        }
        match self.breach {
            Breach::DoubleMessage(double) if double == seat => self.queue.push_back(buyer.to_vec()),
            Breach::LastFirst if seat == self.tickets => self.queue.rotate_right(1),
            _ => {}
        }
        Some(seat)
    }

    fn hang_up(&mut self) {
        for connection in self.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        let first = self.queue.front().cloned().filter(|_| self.breach == Breach::ForgetFirst);
        if let Some(buyer) = first {
            self.queue.pop_front();
            self.seats.remove(&buyer);
            self.given -= 1;
        }
    }
}
