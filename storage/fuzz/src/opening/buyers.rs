//! What buyers ask of the gates of a log that was opened.

use storage::{GateAct, GateAnswer};
use storage_testing::{CrashDisk, try_drain};

use super::super::gates::{self, Gate, Has, Ticket};
use super::super::reference::Found;
use super::super::{State, options};
use super::{PUT_MS, open};

/// A message that was buried.
const BURIED: u8 = u8::MAX;

/// All that buyers have is given back: what was kept back for it goes, and nothing else.
pub(super) fn return_all(disk: &CrashDisk, left: &Found) {
    if left.gates.is_empty() {
        return;
    }
    let disk = CrashDisk::with(&disk.images());
    let (mut store, _) = open(&disk, options()).expect("it was opened before");
    let (mut state, mut gates) = (left.state.clone(), left.gates.clone());
    for (name, gate) in &mut gates {
        let (seats, line) = (std::mem::take(&mut gate.seats), std::mem::take(&mut gate.line));
        gate.returned += seats.len() as u64;
        // Those in line are not to get what comes back.
        let told = store.at_once(|store| store.configure(name, b"tickets=0")).expect("the disk is good");
        assert!(told.is_some_and(|told| told.is_ok()), "there is room for good words");
        state.get_mut(name).expect("a gate goes with its queue").settings = b"tickets=0".to_vec();
        for ticket in line.values().chain(seats.values()) {
            let asked = store.at_once(|store| store.ask_gate(name, &ticket.buyer, GateAct::Return));
            let answered = asked.expect("the disk is good").expect("there is room");
            assert_eq!(answered.answer, GateAnswer::Done, "{}", ticket.buyer.escape_ascii());
            let kept = left.kept.get(name).and_then(|messages| messages.get(&ticket.seq));
            if ticket.kept_back && kept.is_some_and(|kept| kept.not_before > 0 && kept.tries != BURIED) {
                let queue = state.get_mut(name).expect("a gate goes with its queue");
                queue.gets += 1;
                queue.messages.retain(|message| message.seq != ticket.seq);
            }
        }
    }
    gates::check(&mut store, &gates, 0);
    store.settle().expect("the disk is good");
    drop(store);
    let (mut store, _) = open(&disk, options()).expect("the store itself wrote it");
    gates::check(&mut store, &gates, 0);
    let found: State = try_drain(&mut store).expect("the store itself wrote it");
    assert_eq!(found, state, "after all was given back");
}

/// One more buyer gets the lowest seat that is free.
pub(super) fn join_one_more(disk: &CrashDisk, left: &Found) {
    const BUYER: &[u8] = b"was not there before";
    let mut gates = left.gates.clone();
    let is_asked =
        |(name, gate): &(&Vec<u8>, &mut Gate)| name.len() <= 250 && gate.line.is_empty() && gate.find(BUYER).is_none();
    let Some((name, gate)) = gates.iter_mut().find(is_asked) else { return };
    let disk = CrashDisk::with(&disk.images());
    let (mut store, _) = open(&disk, options()).expect("it was opened before");
    store.set_time(PUT_MS);
    let told = store.at_once(|store| store.configure(name, b"tickets=100000000")).expect("the disk is good");
    assert!(told.is_some_and(|told| told.is_ok()), "there is room for good words");
    let join = GateAct::Join { message: None, admits: true };
    let answered = store.at_once(|store| store.ask_gate(name, BUYER, join)).expect("the disk is good");
    let seat = (1..).find(|seat| !gate.seats.contains_key(seat)).expect("there is always one");
    assert_eq!(answered.map(|answered| answered.answer), Some(GateAnswer::Seat(seat as u32)));
    gate.given += 1;
    gate.first_ms = if gate.given == 1 || gate.first_ms == 0 { PUT_MS } else { gate.first_ms.min(PUT_MS) };
    gate.last_ms = gate.last_ms.max(PUT_MS);
    gate.seats.insert(seat, Ticket { buyer: BUYER.to_vec(), until: 0, seq: 0, extended: 0, kept_back: false });
    assert_eq!(gate.find(BUYER), Some(Has::Seat(seat)));
    gates::check(&mut store, &gates, PUT_MS);
    store.settle().expect("the disk is good");
    drop(store);
    let (mut store, _) = open(&disk, options()).expect("the store itself wrote it");
    gates::check(&mut store, &gates, 0);
}
