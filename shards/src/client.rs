//! Who asks, as decisions get it, and where the outcome goes.

use std::fmt;
use std::str::FromStr;

use crate::owner::ShardId;

/// Bits of a ticket that count the clients of one shard: enough for a million connections a second over eight years.
const NUMBER_BITS: u32 = 48;
// The rest is the shard's.
const _: () = assert!(NUMBER_BITS + u16::BITS == u64::BITS);

/// A client's ticket: the shard that serves its connection, and a number that no other client of that shard gets while
/// the process lives. What a client has open on a shard is kept under its ticket, and ends with it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(u64);

impl Client {
    pub(crate) fn new(shard: ShardId, number: u64) -> Client {
        assert!(shard.0 < u16::MAX, "the highest tickets are no client's");
        assert!(number >> NUMBER_BITS == 0, "a shard has had more clients than it can count");
        Client(u64::from(shard.0) << NUMBER_BITS | number)
    }

    /// The ticket as a number, below the highest two.
    pub(crate) fn ticket(self) -> u64 {
        self.0
    }

    /// The client of a [ticket](Self::ticket).
    pub(crate) fn of_ticket(ticket: u64) -> Client {
        Client(ticket)
    }

    /// The shard that serves it.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId((self.0 >> NUMBER_BITS) as u16)
    }
}

/// As an operator names it: its shard and its number there, as in `0-17`.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard(), self.0 & ((1 << NUMBER_BITS) - 1))
    }
}

/// A text names no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoClient;

impl FromStr for Client {
    type Err = NoClient;

    /// Reads what [`Display`](fmt::Display) writes. There need not be such a client, nor such a shard.
    fn from_str(text: &str) -> Result<Client, NoClient> {
        let parts = text.split_once('-').and_then(|(shard, number)| Some((shard.parse().ok()?, number.parse().ok()?)));
        let (shard, number): (u16, u64) = parts.ok_or(NoClient)?;
        if shard == u16::MAX || number >> NUMBER_BITS != 0 {
            return Err(NoClient);
        }
        Ok(Client::new(ShardId(shard), number))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} of shard {}", self.0 & ((1 << NUMBER_BITS) - 1), self.shard())
    }
}

/// Names the outcomes that one connection gets from other shards, on the connection's own shard. Used again when it is
/// gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GatherId(pub(crate) u32);

/// Where an outcome goes on the shard that has sent the operation: to a connection, as one of its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection. Its operations stand one after the other in a batch.
    pub gather: GatherId,
    /// Which of its outcomes.
    pub slot: u32,
}

/// The client that asks for an operation, and where its shard expects the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The client.
    pub client: Client,
    /// Where the outcome goes on the client's shard.
    pub address: Address,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_names_a_client_by_its_shard_and_number() {
        let client = Client::new(ShardId(3), 17);
        assert_eq!(client.to_string(), "3-17");
        assert_eq!("3-17".parse(), Ok(client));
        for bad in ["", "3", "3-", "-17", "3-x", "65535-1", "65536-1", "0-281474976710656", "0-18446744073709551616"] {
            assert_eq!(bad.parse::<Client>(), Err(NoClient), "{bad}");
        }
        assert_eq!("0-281474976710655".parse::<Client>().expect("the last").to_string(), "0-281474976710655");
    }
}
