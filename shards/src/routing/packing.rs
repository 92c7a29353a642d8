//! How an operation is packed into a batch: a number, a name, and what else there is as bytes behind the name.

mod fields;

use storage::GateAct;

use crate::client::Client;
use crate::moment::Moment;
use crate::op::{Fate, Holding, Op, Open};

use fields::{Reader, read_search, write_optional_moment, write_optional_u32, write_search, write_which};

/// An operation, without its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    kind: Kind,
    /// Flags of a put, cursor of a listing, messages of a kick; of a join, whether a ticket may be given.
    number: u32,
    queue_bytes: u32,
    /// Of a put the body, of a join the buyer. Of others what [`write_more`] writes.
    more_bytes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    PutWith,
    Create,
    Take,
    TakeWait,
    Peek,
    Open,
    End,
    Touch,
    Kick,
    /// A join without a message.
    Join,
    Gate,
    GateFigures,
    Configure,
    Config,
    Unconfigure,
    Pause,
    Leave,
    Delete,
    Flush,
    FlushAll,
    List,
    ListFigures,
    ListHolders,
    QueueFigures,
    ListChildren,
    Find,
    PeekAt,
    ListOpens,
    Purge,
    Checkpoint,
    Figures,
    Latency,
    ResetFigures,
}

impl Packed {
    /// Packs an operation, its bytes behind those that are there.
    #[inline]
    pub(super) fn pack(op: &Op<'_>, bytes: &mut Vec<u8>) -> Packed {
        // Those that matter come first, and have nothing that must be written in another form.
        let (kind, number, queue): (_, _, &[u8]) = match *op {
            Op::Put { queue, flags, body } => {
                bytes.extend_from_slice(queue);
                bytes.extend_from_slice(body);
                let (queue_bytes, more_bytes) = (queue.len() as u32, body.len() as u32);
                return Packed { kind: Kind::Put, number: flags, queue_bytes, more_bytes };
            }
            Op::Take { queue } => {
                bytes.extend_from_slice(queue);
                return Packed { kind: Kind::Take, number: 0, queue_bytes: queue.len() as u32, more_bytes: 0 };
            }
            Op::Gate { queue, buyer, act: GateAct::Join { message: None, admits } } => {
                bytes.extend_from_slice(queue);
                bytes.extend_from_slice(buyer);
                let (queue_bytes, more_bytes) = (queue.len() as u32, buyer.len() as u32);
                return Packed { kind: Kind::Join, number: u32::from(admits), queue_bytes, more_bytes };
            }
            Op::Gate { queue, .. } => (Kind::Gate, 0, queue),
            Op::GateFigures { queue } => (Kind::GateFigures, 0, queue),
            Op::PutWith { queue, flags, .. } => (Kind::PutWith, flags, queue),
            Op::Create { queue } => (Kind::Create, 0, queue),
            Op::TakeWait { queue, .. } => (Kind::TakeWait, 0, queue),
            Op::Peek { queue } => (Kind::Peek, 0, queue),
            Op::Open(Open { queue, .. }) => (Kind::Open, 0, queue),
            Op::End { queue, .. } => (Kind::End, 0, queue),
            Op::Touch { queue, .. } => (Kind::Touch, 0, queue),
            Op::Kick { queue, count } => (Kind::Kick, count, queue),
            Op::Configure { queue, .. } => (Kind::Configure, 0, queue),
            Op::Config { queue } => (Kind::Config, 0, queue),
            Op::Unconfigure { queue } => (Kind::Unconfigure, 0, queue),
            Op::Pause { queue, pause } => (Kind::Pause, u32::from(pause), queue),
            Op::Leave => (Kind::Leave, 0, b""),
            Op::Delete { queue } => (Kind::Delete, 0, queue),
            Op::Flush { queue } => (Kind::Flush, 0, queue),
            Op::FlushAll => (Kind::FlushAll, 0, b""),
            Op::List { cursor } => (Kind::List, cursor, b""),
            Op::ListFigures { cursor, prefix } => (Kind::ListFigures, cursor, prefix),
            Op::ListHolders { .. } => (Kind::ListHolders, 0, b""),
            Op::QueueFigures { queue } => (Kind::QueueFigures, 0, queue),
            Op::ListChildren { queue } => (Kind::ListChildren, 0, queue),
            Op::Find { cursor, search } => (Kind::Find, cursor, search.filter),
            Op::PeekAt { queue, body_bytes_max, .. } => (Kind::PeekAt, body_bytes_max, queue),
            Op::ListOpens { queue, .. } => (Kind::ListOpens, 0, queue),
            Op::Purge { queue, count, .. } => (Kind::Purge, count, queue),
            Op::Checkpoint => (Kind::Checkpoint, 0, b""),
            Op::Figures => (Kind::Figures, 0, b""),
            Op::Latency => (Kind::Latency, 0, b""),
            Op::ResetFigures => (Kind::ResetFigures, 0, b""),
        };
        bytes.extend_from_slice(queue);
        let more = bytes.len();
        write_more(op, bytes);
        Packed { kind, number, queue_bytes: queue.len() as u32, more_bytes: (bytes.len() - more) as u32 }
    }

    /// How many bytes it has in the buffer.
    pub(super) fn bytes(self) -> usize {
        self.queue_bytes as usize + self.more_bytes as usize
    }

    /// The operation, from a buffer that begins with its bytes.
    #[inline]
    pub(super) fn unpack(self, bytes: &[u8]) -> Op<'_> {
        let (queue, rest) = bytes.split_at(self.queue_bytes as usize);
        let more = &rest[..self.more_bytes as usize];
        match self.kind {
            Kind::Put => Op::Put { queue, flags: self.number, body: more },
            Kind::Take => Op::Take { queue },
            Kind::Join => {
                let act = GateAct::Join { message: None, admits: self.number == 1 };
                Op::Gate { queue, buyer: more, act }
            }
            Kind::Create => Op::Create { queue },
            Kind::GateFigures => Op::GateFigures { queue },
            Kind::Peek => Op::Peek { queue },
            Kind::Kick => Op::Kick { queue, count: self.number },
            Kind::Configure => Op::Configure { queue, words: more },
            Kind::Config => Op::Config { queue },
            Kind::Unconfigure => Op::Unconfigure { queue },
            Kind::Pause => Op::Pause { queue, pause: self.number == 1 },
            Kind::Leave => Op::Leave,
            Kind::Delete => Op::Delete { queue },
            Kind::Flush => Op::Flush { queue },
            Kind::FlushAll => Op::FlushAll,
            Kind::List => Op::List { cursor: self.number },
            Kind::ListFigures => Op::ListFigures { cursor: self.number, prefix: queue },
            Kind::Checkpoint => Op::Checkpoint,
            Kind::Figures => Op::Figures,
            Kind::Latency => Op::Latency,
            Kind::ResetFigures => Op::ResetFigures,
            Kind::QueueFigures => Op::QueueFigures { queue },
            Kind::ListChildren => Op::ListChildren { queue },
            Kind::PutWith
            | Kind::TakeWait
            | Kind::Open
            | Kind::End
            | Kind::Touch
            | Kind::Gate
            | Kind::ListHolders
            | Kind::Find
            | Kind::PeekAt
            | Kind::ListOpens
            | Kind::Purge => self.read_more(queue, more),
        }
    }

    fn read_more<'a>(self, queue: &'a [u8], more: &'a [u8]) -> Op<'a> {
        let mut more = Reader(more);
        match self.kind {
            Kind::PutWith => {
                let (delay_s, exptime) = (more.optional_u32(), more.i64());
                let id_bytes = more.u32() as usize;
                let (id, body) = more.0.split_at(id_bytes);
                Op::PutWith { queue, flags: self.number, body, delay_s, exptime, id }
            }
            Kind::TakeWait => Op::TakeWait { queue, until: Moment::from_ms(more.u64()) },
            Kind::Open => {
                let [close, holder] = more.array();
                let (lease_s, until) = (more.optional_u32(), more.optional_moment());
                let holder = match holder {
                    CONNECTION => Holding::Connection { max: more.u32() },
                    NAME => Holding::Name(more.0),
                    NUMBER => Holding::Number,
                    _ => unreachable!("written below"),
                };
                Op::Open(Open { queue, holder, lease_s, close: close == 1, until })
            }
            Kind::End => {
                let [fate] = more.array();
                let delay_s = more.optional_u32();
                let fate = match fate {
                    ACKNOWLEDGE => Fate::Acknowledge,
                    ABORT => Fate::Abort { delay_s },
                    RELEASE => Fate::Release { delay_s },
                    BURY => Fate::Bury,
                    _ => unreachable!("written below"),
                };
                Op::End { queue, which: more.which(), fate }
            }
            Kind::Touch => {
                let lease_s = more.i64();
                Op::Touch { queue, which: more.which(), lease_s }
            }
            Kind::Gate => {
                let [act] = more.array();
                let number = more.u32();
                let buyer_bytes = more.u32() as usize;
                let (buyer, body) = more.0.split_at(buyer_bytes);
                Op::Gate { queue, buyer, act: gate_act(act, number, body) }
            }
            Kind::ListHolders => {
                let from = (Client::of_ticket(more.u64()), more.u64());
                Op::ListHolders { from, to: Client::of_ticket(more.u64()) }
            }
            Kind::Find => Op::Find { cursor: self.number, search: read_search(queue, &mut more) },
            Kind::PeekAt => Op::PeekAt { queue, after: more.u64(), body_bytes_max: self.number },
            Kind::ListOpens => Op::ListOpens { queue, after: more.u64() },
            Kind::Purge => Op::Purge { queue, after: more.u64(), count: self.number },
            other => unreachable!("{other:?} has no more"),
        }
    }
}

const CONNECTION: u8 = 0;
const NAME: u8 = 1;
const NUMBER: u8 = 2;

const ACKNOWLEDGE: u8 = 0;
const ABORT: u8 = 1;
const RELEASE: u8 = 2;
const BURY: u8 = 3;

const JOIN: u8 = 0;
const JOIN_DRAINED: u8 = 1;
const LOOK: u8 = 2;
const PAY: u8 = 3;
const EXTEND: u8 = 4;
const RETURN: u8 = 5;

/// What is asked of a gate. `number`: the flags of a message, or seconds.
fn gate_act(act: u8, number: u32, body: &[u8]) -> GateAct<'_> {
    match act {
        JOIN => GateAct::Join { message: Some((number, body)), admits: true },
        JOIN_DRAINED => GateAct::Join { message: Some((number, body)), admits: false },
        LOOK => GateAct::Look,
        PAY => GateAct::Pay,
        EXTEND => GateAct::Extend { seconds: number },
        RETURN => GateAct::Return,
        _ => unreachable!("written below"),
    }
}

/// Writes what an operation has besides its name and number. What is of any length stands at the end.
fn write_more(op: &Op<'_>, bytes: &mut Vec<u8>) {
    match *op {
        Op::PutWith { delay_s, exptime, id, body, .. } => {
            write_optional_u32(delay_s, bytes);
            bytes.extend_from_slice(&exptime.to_le_bytes());
            bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
            bytes.extend_from_slice(id);
            bytes.extend_from_slice(body);
        }
        Op::TakeWait { until, .. } => bytes.extend_from_slice(&until.ms().to_le_bytes()),
        Op::Open(Open { holder, lease_s, close, until, .. }) => {
            let kind = match holder {
                Holding::Connection { .. } => CONNECTION,
                Holding::Name(_) => NAME,
                Holding::Number => NUMBER,
            };
            bytes.extend_from_slice(&[u8::from(close), kind]);
            write_optional_u32(lease_s, bytes);
            write_optional_moment(until, bytes);
            match holder {
                Holding::Connection { max } => bytes.extend_from_slice(&max.to_le_bytes()),
                Holding::Name(name) => bytes.extend_from_slice(name),
                Holding::Number => {}
            }
        }
        Op::End { which, fate, .. } => {
            let (kind, delay_s) = match fate {
                Fate::Acknowledge => (ACKNOWLEDGE, None),
                Fate::Abort { delay_s } => (ABORT, delay_s),
                Fate::Release { delay_s } => (RELEASE, delay_s),
                Fate::Bury => (BURY, None),
            };
            bytes.push(kind);
            write_optional_u32(delay_s, bytes);
            write_which(which, bytes);
        }
        Op::Touch { which, lease_s, .. } => {
            bytes.extend_from_slice(&lease_s.to_le_bytes());
            write_which(which, bytes);
        }
        Op::Gate { buyer, act, .. } => {
            let (act, number, body): (_, _, &[u8]) = match act {
                GateAct::Join { message: Some((flags, body)), admits: true } => (JOIN, flags, body),
                GateAct::Join { message: Some((flags, body)), admits: false } => (JOIN_DRAINED, flags, body),
                GateAct::Join { message: None, .. } => unreachable!("it is packed as a join"),
                GateAct::Look => (LOOK, 0, b""),
                GateAct::Pay => (PAY, 0, b""),
                GateAct::Extend { seconds } => (EXTEND, seconds, b""),
                GateAct::Return => (RETURN, 0, b""),
            };
            bytes.push(act);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&(buyer.len() as u32).to_le_bytes());
            bytes.extend_from_slice(buyer);
            bytes.extend_from_slice(body);
        }
        Op::ListHolders { from: (client, queue), to } => {
            for number in [client.ticket(), queue, to.ticket()] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        Op::Find { ref search, .. } => write_search(search, bytes),
        Op::PeekAt { after, .. } | Op::ListOpens { after, .. } | Op::Purge { after, .. } => {
            bytes.extend_from_slice(&after.to_le_bytes());
        }
        Op::Configure { words, .. } => bytes.extend_from_slice(words),
        _ => {}
    }
}
