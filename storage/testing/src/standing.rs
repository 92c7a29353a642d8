//! Where the model's messages stand: waiting, open, kept back, on their way to the dead letters; what holds for their
//! queues, and what time it is.

use std::collections::BTreeMap;

use storage::settings::{Dead, Expire, Full, Patterns, Settings, Ttl, Words};
use storage::{GiveBack, Seq, Standing, Store};

use crate::model::{Expected, Message, Name, Op, Passed};

/// The tries of a message that was buried.
pub const BURIED: u8 = u8::MAX;
/// Dead letters that one kick puts back at most.
const KICKED_AT_ONCE: u32 = 1000;
/// An exptime up to this is counted from now.
const EXPTIME_RELATIVE_MAX: i64 = 30 * 24 * 60 * 60;

/// What a message has beside its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// The second since 1970 in which it was put; 0: it is not known.
    pub put_s: u32,
    /// Tries that have failed, or [`BURIED`].
    pub tries: u8,
    /// It is not handed out before, in milliseconds since 1970.
    pub not_before: u64,
    /// It is worth nothing from then on, in milliseconds since 1970.
    pub expires: u64,
}

impl Kept {
    /// What of it counts at a time: a delay that is over is none.
    #[must_use]
    pub fn at(self, now_ms: u64) -> Kept {
        let not_before = if self.not_before > now_ms { self.not_before } else { 0 };
        Kept { not_before, ..self }
    }
}

/// What all messages have beside their bodies.
pub type AllKept<N = u8> = BTreeMap<N, BTreeMap<Seq, Kept>>;

/// What an open finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// This message, of which so many tries have failed.
    Message(Message, u8),
    /// None.
    Empty,
    /// As many are open as may be.
    Full,
}

/// What the messages of a store have beside their bodies, and where they stand.
pub fn inspected<N: Name>(store: &mut Store) -> BTreeMap<N, BTreeMap<Seq, (Kept, Standing)>> {
    let names: Vec<Vec<u8>> = store.names().map(<[u8]>::to_vec).collect();
    let mut all = BTreeMap::new();
    for name in names {
        let messages: BTreeMap<Seq, (Kept, Standing)> = store
            .inspect(&name)
            .into_iter()
            .map(|it| {
                let put_s = it.put_second.unwrap_or(0);
                let kept = Kept { put_s, tries: it.tries, not_before: it.not_before, expires: it.expires };
                (it.seq, (kept, it.standing))
            })
            .collect();
        if !messages.is_empty() {
            all.insert(N::of(&name), messages);
        }
    }
    all
}

/// What the messages of a store have beside their bodies.
pub fn kept<N: Name>(store: &mut Store) -> AllKept<N> {
    let without =
        |messages: BTreeMap<Seq, (Kept, Standing)>| messages.into_iter().map(|(seq, it)| (seq, it.0)).collect();
    inspected(store).into_iter().map(|(name, messages)| (name, without(messages))).collect()
}

/// What of it counts at a time.
pub fn kept_at<N: Name>(all: &AllKept<N>, now_ms: u64) -> AllKept<N> {
    let at = |messages: &BTreeMap<Seq, Kept>| messages.iter().map(|(seq, kept)| (*seq, kept.at(now_ms))).collect();
    all.iter().map(|(name, messages)| (name.clone(), at(messages))).collect()
}

impl<N: Name> Expected<N> {
    /// What holds for a queue.
    pub fn rules(&self, name: &N) -> Settings {
        let own = self.queues.get(name).map_or(&[][..], |queue| &queue.settings);
        Settings::of(name.bytes(), &Words::parse(own).unwrap_or_default(), &Patterns::default())
    }

    /// Where a message stands.
    pub fn standing(&self, name: &N, seq: Seq) -> Standing {
        self.standing.get(&(name.clone(), seq)).copied().unwrap_or(Standing::Waiting)
    }

    /// What a message has beside its body.
    pub fn kept_of(&self, name: &N, seq: Seq) -> Kept {
        self.kept.get(name).and_then(|kept| kept.get(&seq)).copied().unwrap_or_default()
    }

    /// The numbers of a queue's messages that stand somewhere, in order.
    pub fn numbers(&self, name: &N, standing: Standing) -> Vec<Seq> {
        let messages = self.queues.get(name).map(|queue| &queue.messages);
        let numbers = messages.into_iter().flatten().map(|message| message.seq);
        numbers.filter(|seq| self.standing(name, *seq) == standing).collect()
    }

    /// What an open finds.
    pub fn opened_by(&self, name: &N) -> Opens {
        let Some(message) = self.first_waiting(name).filter(|_| !self.rules(name).pause) else { return Opens::Empty };
        let open = self.numbers(name, Standing::Open).len();
        if open >= self.rules(name).open as usize {
            return Opens::Full;
        }
        Opens::Message(message.clone(), self.kept_of(name, message.seq).tries)
    }

    /// The message that is handed out next.
    pub fn first_waiting(&self, name: &N) -> Option<&Message> {
        self.queues.get(name)?.messages.iter().find(|message| self.standing(name, message.seq) == Standing::Waiting)
    }

    /// The oldest messages that make room for another; `None`: the queue refuses it.
    pub fn make_room(&self, name: &N, body_bytes: usize) -> Option<Vec<Seq>> {
        let (rules, body_bytes) = (self.rules(name), body_bytes as u64);
        let queue = self.queues.get(name);
        let messages = || queue.iter().flat_map(|queue| &queue.messages);
        let (mut depth, mut bytes) = (messages().count() as u64, messages().map(|m| m.body.len() as u64).sum::<u64>());
        let mut waiting = messages().filter(|message| self.standing(name, message.seq) == Standing::Waiting);
        let mut goes = Vec::new();
        let never = rules.bytes.is_some_and(|max| body_bytes > max);
        while rules.depth.is_some_and(|max| depth >= max) || rules.bytes.is_some_and(|max| bytes + body_bytes > max) {
            let oldest = waiting.next().filter(|_| rules.full == Full::Drop && !never)?;
            (depth, bytes) = (depth - 1, bytes - oldest.body.len() as u64);
            goes.push(oldest.seq);
        }
        Some(goes)
    }

    /// The delay and the end that a message gets that is put now; `None`: it is worth nothing.
    fn begins(&self, name: &N, delay_s: Option<u32>, exptime: i64) -> Option<(u64, u64)> {
        let rules = self.rules(name);
        let expires = match exptime {
            0 => 0,
            _ if rules.ttl == Ttl::Off => 0,
            ..0 => return None,
            _ if exptime <= EXPTIME_RELATIVE_MAX => self.now_ms + exptime as u64 * 1000,
            _ if exptime as u64 * 1000 <= self.now_ms => return None,
            _ => exptime as u64 * 1000,
        };
        let delay_ms = u64::from(delay_s.unwrap_or(rules.delay)) * 1000;
        Some((if delay_ms > 0 { self.now_ms + delay_ms } else { 0 }, expires))
    }

    /// Puts a message by the rules of its queue.
    pub(crate) fn put(&mut self, name: &N, flags: u32, body: &[u8], delay_s: Option<u32>, exptime: i64) {
        let Some((not_before, expires)) = self.begins(name, delay_s, exptime) else { return };
        let Some(goes) = self.make_room(name, body.len()) else { return };
        for seq in goes {
            self.remove(name, seq);
        }
        let seq = self.append(name, flags, body);
        let kept = self.kept.entry(name.clone()).or_default().get_mut(&seq).expect("just put");
        (kept.not_before, kept.expires) = (not_before, expires);
        if not_before > 0 {
            self.standing.insert((name.clone(), seq), Standing::Delayed);
        }
    }

    /// Has an open message come back.
    fn give_back(&mut self, name: &N, seq: Seq, back: GiveBack) {
        if self.standing(name, seq) != Standing::Open {
            return;
        }
        let (rules, before, is_dead_letter) = (self.rules(name), self.kept_of(name, seq), name.is_dead());
        let tries = before.tries.saturating_add(u8::from(back.counts)).min(BURIED - 1);
        let is_over = before.expires > 0 && before.expires <= self.now_ms;
        let is_tried = !is_dead_letter && back.counts && rules.tries.is_some_and(|max| tries >= max);
        let (ends, dies) = match is_over {
            true => (true, rules.expire == Expire::Dead && !is_dead_letter),
            false => ((back.bury && !is_dead_letter) || is_tried, rules.dead == Dead::Keep),
        };
        self.standing.remove(&(name.clone(), seq));
        if ends && !dies {
            self.remove(name, seq);
            return;
        }
        let backoff_s = if back.counts { rules.backoff_s(tries) } else { 0 };
        let not_before = back.not_before.unwrap_or(self.now_ms + 1000 * u64::from(backoff_s));
        let not_before = if not_before > self.now_ms && !ends { not_before } else { 0 };
        let kept = self.kept.entry(name.clone()).or_default().entry(seq).or_default();
        (kept.tries, kept.not_before) = (if ends { BURIED } else { tries }, not_before);
        let standing = if ends { Standing::Dying } else { Standing::Delayed };
        if ends || not_before > 0 {
            self.standing.insert((name.clone(), seq), standing);
        }
    }

    /// Moves a message to the end of another queue.
    fn move_to(&mut self, name: &N, seq: Seq, to: &N) {
        let message = self.remove(name, seq).expect("it is there");
        self.append(to, message.flags, &message.body);
    }

    /// What comes of the passing of time.
    fn pass(&mut self, name: &N, seq: Seq, what: Passed) {
        match what {
            Passed::Waits => drop(self.standing.remove(&(name.clone(), seq))),
            Passed::Goes => drop(self.remove(name, seq)),
            Passed::Dies => {
                self.standing.insert((name.clone(), seq), Standing::Dying);
                let kept = self.kept.entry(name.clone()).or_default().entry(seq).or_default();
                (kept.tries, kept.not_before) = (BURIED, 0);
            }
            Passed::Moves => self.move_to(name, seq, &name.dead()),
        }
    }

    /// Whether the dead letters of a queue are dropped.
    pub fn drops_dead(&self, name: &N) -> bool {
        self.rules(name).dead == Dead::Drop
    }

    /// Whether this may come of a message by the passing of time.
    pub fn may_pass(&self, name: &N, seq: Seq, what: Passed) -> bool {
        let is_over =
            self.standing(name, seq) == Standing::Delayed && self.kept_of(name, seq).not_before <= self.now_ms;
        self.due(name, seq) == Some(what) || (what == Passed::Waits && is_over)
    }

    /// Whether something comes of the time that has passed.
    pub fn is_something_due(&self) -> bool {
        self.messages_of_all().any(|(name, seq)| self.due(name, seq).is_some())
    }

    /// When something comes of the passing of time that can be told by now.
    pub fn next_due(&self) -> Option<u64> {
        let times = self.messages_of_all().filter_map(|(name, seq)| {
            let kept = self.kept_of(name, seq);
            let delay = Some(kept.not_before).filter(|_| self.standing(name, seq) == Standing::Delayed);
            let is_out = matches!(self.standing(name, seq), Standing::Open | Standing::Dying);
            let expiry = Some(kept.expires).filter(|expires| *expires > 0 && !is_out);
            let age = self.rules(name).age.filter(|_| self.standing(name, seq) == Standing::Waiting);
            let age = age.map(|age| (u64::from(kept.put_s) + u64::from(age)) * 1000);
            [delay, expiry, age].into_iter().flatten().min()
        });
        times.min()
    }

    fn messages_of_all(&self) -> impl Iterator<Item = (&N, Seq)> {
        self.kept.iter().flat_map(|(name, messages)| messages.keys().map(move |seq| (name, *seq)))
    }

    /// What would come of a message by the passing of time, if something does.
    pub fn due(&self, name: &N, seq: Seq) -> Option<Passed> {
        let (rules, kept, standing) = (self.rules(name), self.kept_of(name, seq), self.standing(name, seq));
        let is_worthless = kept.expires > 0 && kept.expires <= self.now_ms;
        let is_too_old = rules.age.is_some_and(|age| (u64::from(kept.put_s) + u64::from(age)) * 1000 <= self.now_ms);
        let dies = rules.expire == Expire::Dead && !name.is_dead();
        match standing {
            Standing::Open => None,
            Standing::Dying if rules.dead == Dead::Drop => Some(Passed::Goes),
            Standing::Dying => Some(Passed::Moves),
            _ if is_worthless => Some(if dies { Passed::Dies } else { Passed::Goes }),
            Standing::Delayed if kept.not_before <= self.now_ms => Some(Passed::Waits),
            Standing::Waiting if is_too_old => Some(if dies { Passed::Dies } else { Passed::Goes }),
            _ => None,
        }
    }

    /// Applies what only messages that come back know.
    pub(crate) fn apply_standing(&mut self, op: &Op<N>) {
        match op {
            Op::Open { name } => {
                if let Opens::Message(message, _) = self.opened_by(name) {
                    self.standing.insert((name.clone(), message.seq), Standing::Open);
                }
            }
            Op::Acknowledge { name, seq } if self.standing(name, *seq) == Standing::Open => {
                self.remove(name, *seq);
            }
            Op::GiveBack { name, seq, back } => self.give_back(name, *seq, *back),
            Op::Kick { name, count } => {
                let dead = name.dead();
                for _ in 0..(*count).min(KICKED_AT_ONCE) {
                    let Some(seq) = self.first_waiting(&dead).map(|message| message.seq) else { break };
                    self.move_to(&dead, seq, name);
                }
            }
            Op::SetTime { unix_ms } => self.now_ms = *unix_ms,
            Op::Restart { kept } => {
                self.kept.clone_from(kept);
                self.restart();
            }
            Op::Pass { name, seq, what } => self.pass(name, *seq, *what),
            _ => {}
        }
    }

    /// What came of the passing of time in a store, which is one thing at most, and as it should be.
    ///
    /// # Panics
    /// When it is another.
    pub fn passed(&self, store: &mut Store) -> Option<Op<N>> {
        let found = inspected::<N>(store);
        let standing = |name: &N, seq| found.get(name).and_then(|messages| messages.get(&seq)).map(|it| it.1);
        let mut passed = Vec::new();
        for (name, seq) in self.messages_of_all() {
            let before = self.standing(name, seq);
            let what = match standing(name, seq) {
                Some(now) if now == before => continue,
                Some(Standing::Waiting) => Passed::Waits,
                Some(Standing::Dying) => Passed::Dies,
                Some(now) => panic!("message {seq} of {name:?} is {now:?}, and was {before:?}"),
                None if before == Standing::Dying && !self.drops_dead(name) => Passed::Moves,
                None => Passed::Goes,
            };
            assert!(self.may_pass(name, seq, what), "{what:?} of message {seq} of {name:?}");
            passed.push(Op::Pass { name: name.clone(), seq, what });
        }
        assert!(passed.len() < 2, "one at a time: {passed:?}");
        passed.pop()
    }

    /// A store was opened anew: nothing is open, and what has a delay is kept back until its time is looked at.
    pub fn restart(&mut self) {
        self.standing.clear();
        for (name, messages) in &self.kept {
            for (seq, kept) in messages {
                let standing = match kept {
                    Kept { tries: BURIED, .. } => Standing::Dying,
                    Kept { not_before: 1.., .. } => Standing::Delayed,
                    _ => continue,
                };
                self.standing.insert((name.clone(), *seq), standing);
            }
        }
    }

    /// Holds what messages have beside their bodies, and where they stand, against this. `now_ms`: a delay up to then is
    /// over.
    pub fn check_standing(&self, store: &mut Store) {
        let found = inspected::<N>(store);
        let expected: BTreeMap<N, BTreeMap<Seq, (Kept, Standing)>> = self
            .kept
            .iter()
            .filter(|(_, messages)| !messages.is_empty())
            .map(|(name, messages)| {
                let with = |(seq, kept): (&Seq, &Kept)| (*seq, (kept.at(self.now_ms), self.standing(name, *seq)));
                (name.clone(), messages.iter().map(with).collect())
            })
            .collect();
        let found: BTreeMap<N, BTreeMap<Seq, (Kept, Standing)>> = found
            .into_iter()
            .map(|(name, messages)| {
                (name, messages.into_iter().map(|(seq, it)| (seq, (it.0.at(self.now_ms), it.1))).collect())
            })
            .collect();
        assert_eq!(found, expected);
    }
}
