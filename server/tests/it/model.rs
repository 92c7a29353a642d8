//! What a server may and may not have after a crash, from what its clients saw.
//!
//! Every message is known by its producer and its number. A message is outstanding from before its set is sent until a
//! get has handed it out with its whole reply. Only what was not answered when the server died may be either way.

use std::collections::HashMap;

pub(crate) type Stamp = (u32, u64);

/// One of a queue's two totals: what it was after the last restart, and what the clients did since.
#[derive(Debug, Default)]
struct Total {
    known: u64,
    answered: u64,
    unanswered: u64,
}

impl Total {
    /// Takes over the server's figure, which must fit what the clients saw.
    fn settle(&mut self, figure: u64) -> Result<(), String> {
        let least = self.known + self.answered;
        let most = least + self.unanswered;
        if !(least..=most).contains(&figure) {
            return Err(format!("is {figure}, which is not within {least}..={most}"));
        }
        *self = Total { known: figure, ..Total::default() };
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct QueueModel {
    /// Whether STORED was received.
    outstanding: HashMap<Stamp, bool>,
    sets: Total,
    gets: Total,
    /// Messages whose get was cut off by a crash, since the queue was last drained.
    taken_unseen: u64,
    gets_settled: u64,
    handed_out: u64,
}

impl QueueModel {
    pub(crate) fn sending(&mut self, stamp: Stamp) {
        assert!(self.outstanding.insert(stamp, false).is_none(), "the test used {stamp:?} twice");
    }

    pub(crate) fn stored(&mut self, stamp: Stamp) {
        self.sets.answered += 1;
        // A consumer may have been faster than this reply.
        if let Some(acknowledged) = self.outstanding.get_mut(&stamp) {
            *acknowledged = true;
        }
    }

    /// The server died before it answered.
    pub(crate) fn set_unanswered(&mut self) {
        self.sets.unanswered += 1;
    }

    pub(crate) fn get_unanswered(&mut self) {
        self.gets.unanswered += 1;
    }

    /// A get handed this out and its reply is complete.
    pub(crate) fn received(&mut self, stamp: Stamp) -> Result<(), String> {
        self.gets.answered += 1;
        self.handed_out += 1;
        match self.outstanding.remove(&stamp) {
            Some(_) => Ok(()),
            None => Err(format!("message {stamp:?} was handed out before, or never sent here")),
        }
    }

    /// After a restart: the counters that the server shows.
    pub(crate) fn counters(&mut self, sets: u64, gets: u64) -> Result<(), String> {
        self.sets.settle(sets).map_err(|why| format!("sets {why}"))?;
        self.gets.settle(gets).map_err(|why| format!("gets {why}"))?;
        if gets > sets {
            return Err(format!("more gets than sets: {sets}/{gets}"));
        }
        // The messages that went with replies which no client received.
        self.taken_unseen = gets - self.gets_settled - self.handed_out;
        Ok(())
    }

    /// After a restart: everything that the queue had, in the order it came. Nothing else may be left of it.
    pub(crate) fn drained(&mut self, messages: &[Stamp]) -> Result<(), String> {
        let left = self.sets.known - self.gets.known;
        if messages.len() as u64 != left {
            return Err(format!("{} messages where the counters say {left}", messages.len()));
        }
        for &stamp in messages {
            self.received(stamp)?;
        }
        in_producers_order(messages)?;
        let mut lost: Vec<Stamp> =
            self.outstanding.drain().filter(|(_, acknowledged)| *acknowledged).map(|(stamp, _)| stamp).collect();
        if lost.len() as u64 > self.taken_unseen {
            lost.sort_unstable();
            return Err(format!(
                "{} acknowledged messages are gone, of which gets that were cut off explain {}: {lost:?}",
                lost.len(),
                self.taken_unseen
            ));
        }
        self.gets.settle(self.sets.known).map_err(|why| format!("after the drain: gets {why}"))?;
        self.taken_unseen = 0;
        self.gets_settled = self.gets.known;
        self.handed_out = 0;
        Ok(())
    }
}

/// What one connection takes from one queue has every producer's messages in the order they were sent.
pub(crate) fn in_producers_order(messages: &[Stamp]) -> Result<(), String> {
    let mut last: HashMap<u32, u64> = HashMap::new();
    for &(producer, number) in messages {
        if let Some(before) = last.insert(producer, number)
            && before >= number
        {
            return Err(format!("producer {producer}: {number} came after {before}"));
        }
    }
    Ok(())
}

/// The body that carries a stamp; its length and content follow from the stamp, so that damage shows.
pub(crate) fn body_of(stamp: Stamp) -> Vec<u8> {
    let (producer, number) = stamp;
    let mut body = format!("{producer}:{number}:").into_bytes();
    let large = number % 16 == 7;
    let padding = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> if large { 50 } else { 55 };
    body.extend((0..padding).map(|at| (number + at) as u8));
    body
}

pub(crate) fn stamp_of(body: &[u8]) -> Result<Stamp, String> {
    let mut fields = body.splitn(3, |byte| *byte == b':');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse::<u64>().ok();
    let stamp = number().zip(number()).map(|(producer, number)| (producer as u32, number));
    let damaged = || format!("a damaged body: {}", body.escape_ascii());
    let stamp = stamp.ok_or_else(damaged)?;
    if body == body_of(stamp) { Ok(stamp) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_with(count: u64) -> QueueModel {
        let mut queue = QueueModel::default();
        for number in 0..count {
            queue.sending((1, number));
            queue.stored((1, number));
        }
        queue
    }

    #[test]
    fn accepts_what_is_right() {
        let mut queue = queue_with(4);
        queue.sending((1, 4));
        queue.set_unanswered();
        queue.received((1, 0)).unwrap();
        queue.get_unanswered();
        queue.counters(5, 2).unwrap();
        queue.drained(&[(1, 2), (1, 3), (1, 4)]).unwrap();
    }

    #[test]
    fn finds_a_lost_message() {
        let mut queue = queue_with(4);
        assert!(queue.counters(3, 0).is_err());
        let mut queue = queue_with(4);
        queue.sending((2, 0));
        queue.set_unanswered();
        queue.counters(4, 0).unwrap();
        assert!(queue.drained(&[(1, 0), (1, 1), (1, 2), (2, 0)]).is_err());
    }

    #[test]
    fn finds_a_message_that_came_back() {
        let mut queue = queue_with(3);
        queue.received((1, 0)).unwrap();
        assert!(queue.received((1, 0)).is_err());
        let mut queue = queue_with(3);
        queue.received((1, 0)).unwrap();
        queue.counters(3, 1).unwrap();
        assert!(queue.drained(&[(1, 0), (1, 1)]).is_err());
    }

    #[test]
    fn finds_a_wrong_order() {
        let mut queue = queue_with(2);
        queue.counters(2, 0).unwrap();
        assert!(queue.drained(&[(1, 1), (1, 0)]).is_err());
    }

    #[test]
    fn finds_a_damaged_body() {
        let mut body = body_of((3, 17));
        assert_eq!(stamp_of(&body), Ok((3, 17)));
        *body.last_mut().unwrap() ^= 1;
        assert!(stamp_of(&body).is_err());
    }
}
