//! Who may have which message, from what the workers saw: what is acknowledged never comes again, what is not does, and
//! no message has two holders.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::Stamp;

/// How much earlier than by the clock here a lease may end: the server's has whole milliseconds.
const CLOCK: Duration = Duration::from_millis(10);

/// One life of a worker: when its connection is gone, the next one is another.
pub(crate) type Life = u64;

#[derive(Debug)]
struct Holder {
    life: Life,
    /// When its lease may end, if it has one.
    until: Option<Instant>,
    /// The acknowledgement is on its way.
    is_acknowledging: bool,
}

#[derive(Debug, Default)]
struct Message {
    /// STORED was received.
    is_stored: bool,
    holder: Option<Holder>,
    /// The acknowledgement was answered.
    is_done: bool,
    /// The acknowledgement was cut off.
    is_in_doubt: bool,
}

/// The messages of one queue.
#[derive(Debug, Default)]
pub(crate) struct OpenModel {
    messages: HashMap<Stamp, Message>,
}

impl OpenModel {
    pub(crate) fn sending(&mut self, stamp: Stamp) {
        assert!(self.messages.insert(stamp, Message::default()).is_none(), "the test used {stamp:?} twice");
    }

    pub(crate) fn stored(&mut self, stamp: Stamp) {
        self.message(stamp).is_stored = true;
    }

    fn message(&mut self, stamp: Stamp) -> &mut Message {
        self.messages.get_mut(&stamp).unwrap_or_else(|| panic!("{stamp:?} was never sent"))
    }

    /// A worker has a message, for so long if its hold is a lease; it asked for it at `asked`.
    pub(crate) fn opened(
        &mut self,
        life: Life,
        stamp: Stamp,
        lease: Option<(Instant, Duration)>,
    ) -> Result<(), String> {
        let message = self.messages.get_mut(&stamp).ok_or_else(|| format!("{stamp:?} was never sent here"))?;
        if message.is_done {
            return Err(format!("{stamp:?} comes after its acknowledgement"));
        }
        if let Some(holder) = &message.holder
            && holder.until.is_none_or(|until| Instant::now() < until)
        {
            return Err(format!("{stamp:?} has two holders: {holder:?}, and {life}"));
        }
        message.is_in_doubt = false;
        let until = lease.map(|(asked, lease)| asked + lease - CLOCK);
        message.holder = Some(Holder { life, until, is_acknowledging: false });
        Ok(())
    }

    pub(crate) fn acknowledging(&mut self, life: Life, stamp: Stamp) {
        if let Some(holder) = self.message(stamp).holder.as_mut().filter(|holder| holder.life == life) {
            holder.is_acknowledging = true;
        }
    }

    /// The acknowledgement was answered: `DELETED`, or the `END` of a close.
    pub(crate) fn acknowledged(&mut self, life: Life, stamp: Stamp) -> Result<(), String> {
        let message = self.message(stamp);
        if message.holder.as_ref().is_none_or(|holder| holder.life != life) {
            return Err(format!("{stamp:?} was acknowledged by {life}, and is held by {:?}", message.holder));
        }
        (message.holder, message.is_done) = (None, true);
        Ok(())
    }

    /// The acknowledgement was refused, or the message is to be given back: it may come to another worker from now on.
    pub(crate) fn let_go(&mut self, life: Life, stamp: Stamp) {
        let message = self.message(stamp);
        if message.holder.as_ref().is_some_and(|holder| holder.life == life) {
            message.holder = None;
        }
    }

    /// The worker's connection is about to go, or is gone. A message that the connection holds comes back.
    pub(crate) fn connection_gone(&mut self, life: Life, stamp: Stamp) {
        let message = self.message(stamp);
        if let Some(holder) = message.holder.take_if(|holder| holder.life == life && holder.until.is_none()) {
            message.is_in_doubt = holder.is_acknowledging;
        }
    }

    /// The server is gone, and all that was open with it.
    pub(crate) fn restarted(&mut self) {
        for message in self.messages.values_mut() {
            if let Some(holder) = message.holder.take() {
                message.is_in_doubt = holder.is_acknowledging;
            }
        }
    }

    /// Everything that the queue had, with nothing open. Nothing is left in it.
    pub(crate) fn drained(&mut self, stamps: &[Stamp]) -> Result<(), String> {
        for stamp in stamps {
            self.opened(Life::MAX, *stamp, None)?;
            self.acknowledged(Life::MAX, *stamp)?;
        }
        for (stamp, message) in &mut self.messages {
            if message.is_stored && !message.is_done && !message.is_in_doubt {
                return Err(format!("{stamp:?} is lost: it was stored, and never acknowledged"));
            }
            // What was not there has no way back.
            message.is_done = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Stamp = (1, 7);

    fn stored() -> OpenModel {
        let mut model = OpenModel::default();
        model.sending(M);
        model.stored(M);
        model
    }

    fn held(lease: Option<(Instant, Duration)>) -> OpenModel {
        let mut model = stored();
        assert_eq!(model.opened(1, M, lease), Ok(()));
        model
    }

    #[test]
    fn each_fault_is_found() {
        assert!(stored().drained(&[]).unwrap_err().contains("lost"));
        assert!(held(None).opened(2, M, None).unwrap_err().contains("two holders"));
        assert!(held(None).opened(2, (9, 9), None).unwrap_err().contains("never sent"));
        assert!(held(None).acknowledged(2, M).unwrap_err().contains("acknowledged by 2"));
        let mut model = held(None);
        assert_eq!(model.acknowledged(1, M), Ok(()));
        assert!(model.opened(2, M, None).unwrap_err().contains("after its acknowledgement"));
        assert!(model.drained(&[M]).is_err());
        let mut model = held(None);
        model.restarted();
        assert!(model.drained(&[]).unwrap_err().contains("lost"), "it was not acknowledged");
    }

    #[test]
    fn what_comes_back_is_no_fault() {
        let mut model = held(None);
        model.connection_gone(1, M);
        assert_eq!(model.opened(2, M, None), Ok(()));
        model.let_go(2, M);
        assert_eq!(model.drained(&[M]), Ok(()));
        let ended = Some((Instant::now() - Duration::from_secs(2), Duration::from_secs(1)));
        assert_eq!(held(ended).opened(2, M, None), Ok(()));
        let mut model = held(Some((Instant::now(), Duration::from_secs(100))));
        model.connection_gone(1, M);
        assert!(model.opened(2, M, None).is_err(), "a lease outlives the connection");
        model.restarted();
        assert_eq!(model.opened(2, M, None), Ok(()), "and not the server");
    }

    #[test]
    fn an_acknowledgement_that_was_cut_off_may_count_or_not() {
        for comes_again in [false, true] {
            let mut model = held(None);
            model.acknowledging(1, M);
            model.connection_gone(1, M);
            assert_eq!(model.drained(if comes_again { &[M] } else { &[] }), Ok(()));
            assert!(model.opened(2, M, None).is_err(), "it is decided by then");
        }
    }
}
