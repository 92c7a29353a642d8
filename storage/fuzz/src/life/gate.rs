//! Buyers at the gates of a life.

use storage::{GateAct, GateAnswer};

use super::super::gates;
use super::super::script::Script;
use super::now::{Act, Change};
use super::{BEGINS_MS, Life, Op, name};

/// What the queue of a gate is told: one of these.
const GATE_WORDS: [&[u8]; 12] = [
    b"tickets=1",
    b"tickets=2 hold=1",
    b"tickets=2 hold=2 put=paid line=2",
    b"tickets=1 line=3",
    b"tickets=3 hold=1 hold_max=2 put=paid",
    b"tickets=0 line=1",
    b"tickets=2 close=1700000002 line=2",
    b"tickets=3 open=1700000002 line=1",
    b"tickets=4 depth=2",
    b"hold=1",
    b"tickets=5 depth=2 full=drop hold=1 delay=1",
    b"tickets=100 age=2 hold=60 put=paid line=9",
];
const _: () = assert!(BEGINS_MS == 1_700_000_000_000, "some words say a moment");

/// Eight buyers, one of them with the longest name.
fn buyer(byte: u8) -> Vec<u8> {
    let letter = b'a' + byte.wrapping_sub(b'a') % 8;
    if letter == b'h' { vec![letter; 250] } else { vec![letter] }
}

impl Life {
    pub(super) fn gate_step(&mut self, letter: u8, script: &mut Script<'_>) {
        let name = name(script.byte());
        if letter == b'Q' {
            let words = GATE_WORDS[script.number() as usize % GATE_WORDS.len()].to_vec();
            return self.apply(Op::Configure { name, words });
        }
        let buyer = buyer(script.byte());
        let act = match letter {
            b'T' => {
                // A digit is 33 bytes of a message, and none the buyer's name.
                let how = script.number() as usize % 256;
                self.puts += 1;
                let body = format!("order {} ", self.puts).into_bytes();
                let body = body.into_iter().cycle().take(how * 33).take(self.options.body_bytes_max).collect();
                let (flags, body) = if how == 0 { (0, buyer.clone()) } else { (self.puts, body) };
                Act::Join { buyer, flags, body, admits: how != 255 }
            }
            b'P' => Act::Pay { buyer },
            b'E' => Act::Extend { buyer, seconds: script.number() as u32 % 1000 + 1 },
            _ => Act::Return { buyer },
        };
        // A join finds what is free given to the line, and so does this.
        if letter == b'T' && self.now.is_to_serve(&name) {
            self.pass_time(0);
        }
        // The line may get the seat that comes back, in the same frame or in the one behind it.
        let is_for_line =
            matches!(act, Act::Return { .. }) && self.now.gates.get(&name).is_some_and(|gate| !gate.line.is_empty());
        if is_for_line {
            self.finish_commit();
            while self.store.wants_commit() {
                self.begin_commit();
                self.finish_commit();
            }
        }
        let before = self.store.changed();
        let answer = self.ask(&name, &act);
        let change = Change::Gate { name: name.clone(), act };
        let expected = self.now.apply(&change).1;
        assert_eq!(answer, expected, "{change:?} in {:?}", self.now.gates.get(&name));
        let changed = self.store.changed();
        self.history.ops.push((change, if is_for_line { changed.min(before + 1) } else { changed }));
        while self.note_gates() {}
        gates::check(&mut self.store, &self.now.gates, self.history.now_ms);
    }

    /// What the store tells a buyer; `None`: there is no room.
    fn ask(&mut self, name: &[u8], act: &Act) -> Option<GateAnswer> {
        let (buyer, act) = match act {
            Act::Join { buyer, flags, body, admits } => {
                let message = Some((*flags, &**body)).filter(|_| *flags > 0);
                (buyer, GateAct::Join { message, admits: *admits })
            }
            Act::Pay { buyer } => (buyer, GateAct::Pay),
            Act::Extend { buyer, seconds } => (buyer, GateAct::Extend { seconds: *seconds }),
            Act::Return { buyer } => (buyer, GateAct::Return),
            Act::Lapse | Act::Serve => unreachable!("no buyer asks for that"),
        };
        let answered = self.store.at_once(|store| store.ask_gate(name, buyer, act)).expect("the disk is good");
        answered.map(|answered| answered.answer)
    }

    /// Notes one thing that has come of the gates by themselves. Returns whether there was one.
    pub(super) fn note_gates(&mut self) -> bool {
        let found = self.now.gates.iter().find_map(|(name, gate)| {
            let figures = self.store.gate_figures(name).expect("a gate goes with its queue");
            let act = match (figures.given > gate.given, figures.lapsed > gate.lapsed) {
                (_, true) => Act::Lapse,
                (true, false) => Act::Serve,
                (false, false) => return None,
            };
            Some(Change::Gate { name: name.clone(), act })
        });
        let is_one = found.is_some();
        found.into_iter().for_each(|change| self.note(change));
        is_one
    }
}
