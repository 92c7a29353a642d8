//! Consumers that drop their connection with messages open, again and again.

use crate::connection::{CONNECT_TIMEOUT, Connection};
use crate::options::{Arguments, Reliable, Role};
use crate::workload::mixed;

use super::Worker;

/// A consumer lives for so many messages at most.
const LIFE_MAX: u64 = 20;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// With a message in hand.
    WithMessage,
    /// With requests on their way.
    Asking,
}

/// When a consumer's connection ends, from life to life. The same in each run.
#[derive(Debug)]
pub(super) struct Fate {
    client: u64,
    lives: u64,
    /// Messages until the end.
    left: u64,
}

impl Fate {
    /// That of the client `number` of all, whose first ones are the producers.
    pub(super) fn of(options: &Arguments, role: Role, number: usize) -> Option<Fate> {
        let consumer = number.checked_sub(options.producers.unwrap_or(0))?;
        let is_killed = role == Role::Consumer && consumer < options.killed_consumers();
        is_killed.then_some(Fate { client: number as u64, lives: 0, left: 1 })
    }

    /// A message came.
    pub(super) fn live(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// The end that this life has, once it is over.
    pub(super) fn due(&self) -> Option<Death> {
        let death = if self.lives.is_multiple_of(2) { Death::WithMessage } else { Death::Asking };
        (self.left == 0).then_some(death)
    }

    fn be_born_again(&mut self) {
        self.lives += 1;
        self.left = 1 + mixed(self.client << 32 | self.lives) % LIFE_MAX;
    }
}

impl Worker<'_> {
    /// Drops a client's connection, if this is how its life ends, and lets it go on with another. False: it is not.
    pub(super) fn kill_at(&mut self, number: usize, death: Death) -> Result<bool, String> {
        let client = &self.clients[number];
        let is_due = client.fate.as_ref().and_then(Fate::due) == Some(death);
        if !is_due || client.finished || client.connection.is_none() {
            return Ok(false);
        }
        self.kill(number).map(|()| true)
    }

    /// Drops a client's connection, and makes another. What was asked under names is asked again.
    fn kill(&mut self, number: usize) -> Result<(), String> {
        let client = &mut self.clients[number];
        let (Some(mut connection), Some(fate)) = (client.connection.take(), client.fate.as_mut()) else {
            return Ok(());
        };
        fate.be_born_again();
        let asks_again = self.shared.options.reliable == Some(Reliable::Named);
        let mut unanswered = std::mem::take(&mut connection.outstanding);
        client.workload.take_pending();
        client.open.clear();
        client.waits_to_send = false;
        self.ended.kills += 1;
        if let Some(mut verifier) = self.shared.verifier().filter(|_| !asks_again) {
            verifier.dropped(client.consumer, unanswered.iter().map(|asked| &asked.request));
        }
        drop(connection);
        let connected = Connection::new(&self.shared.server, CONNECT_TIMEOUT);
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(_) if self.shared.gap.is_some() => {
                if let Some(mut verifier) = self.shared.verifier().filter(|_| asks_again) {
                    verifier.dropped(self.clients[number].consumer, unanswered.iter().map(|asked| &asked.request));
                }
                self.wait_for_return(number, unanswered.len() as u64);
                return Ok(());
            }
            Err(error) => return Err(format!("cannot connect again: {error}")),
        };
        if asks_again {
            for asked in &mut unanswered {
                asked.is_repeated = true;
                self.dialect.append(&mut connection.outbox, asked.request, self.clients[number].workload.producer);
            }
            connection.outstanding = unanswered;
        } else {
            self.outstanding -= unanswered.len() as u64;
            self.ended.unanswered += unanswered.len() as u64;
        }
        self.listen(number, connection)?;
        self.send(number).or_else(|trouble| self.lose(number, trouble))?;
        self.settle(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    #[test]
    fn a_share_of_the_consumers_dies_and_nothing_else() {
        let options = parse("--reliable named --producers 3 --consumers 10 --kill-consumers 25").unwrap();
        let roles = options.roles().into_iter().enumerate();
        let killed: Vec<usize> = roles
            .filter(|(number, role)| Fate::of(&options, *role, *number).is_some())
            .map(|(number, _)| number)
            .collect();
        assert_eq!(killed, [3, 4, 5]);
        let options = parse("--reliable named --producers 3 --consumers 10").unwrap();
        assert!(Fate::of(&options, Role::Consumer, 3).is_none());
    }

    #[test]
    fn lives_end_in_both_ways_by_turns() {
        let mut fate = Fate { client: 7, lives: 0, left: 1 };
        let mut lengths = std::collections::BTreeSet::new();
        for life in 0..100 {
            let mut length = 0;
            while fate.due().is_none() {
                fate.live();
                length += 1;
            }
            lengths.insert(length);
            assert_eq!(fate.due(), Some(if life % 2 == 0 { Death::WithMessage } else { Death::Asking }));
            fate.be_born_again();
        }
        assert!(lengths.len() > 10 && lengths.iter().all(|length| (1..=LIFE_MAX).contains(length)), "{lengths:?}");
    }
}
