//! Gates: first come, first served, one ticket a buyer, also over crashes.

use storage::{Durability, GateAct, GateAnswer, GateCurve};
use storage_testing::{CrashDisk, CrashTree, Random, for_seeds};

use crate::crowd::{BEGINS_MS, Crowd, GATE};
use crate::crowd_state::Rules;
use crate::driver::{Crash, options};

const TWO: Rules = Rules { tickets: 2, hold_s: 0, hold_max: 1, line: 0, put_paid: false };

fn open(disk: &CrashDisk, with_index: bool, durability: Durability) -> Crowd {
    Crowd::open(disk, with_index.then(|| CrashTree::new(disk)), options(durability, 0)).unwrap()
}

fn live(crowd: &mut Crowd, steps: usize, random: &mut Random) {
    for _ in 0..steps {
        if crowd.random_step(random).is_err() {
            assert!(crowd.disk.has_crashed());
            break;
        }
    }
}

#[test]
fn who_has_a_ticket_is_never_told_that_none_is_left() {
    let mut crowd = open(&CrashDisk::default(), false, Durability::Synced);
    assert_eq!(crowd.join(1).unwrap(), GateAnswer::NotNow, "there is no gate");
    crowd.tell(TWO).unwrap();
    let joins = [1, 2, 3, 1, 2, 3].map(|buyer| crowd.join(buyer).unwrap());
    let [one, two, none] = [GateAnswer::Seat(1), GateAnswer::Seat(2), GateAnswer::SoldOut];
    assert_eq!(joins, [one, two, none, one, two, none]);
    crowd.crash(Crash::Kill, &mut Random::new(1)).unwrap();
}

#[test]
fn a_refusal_waits_for_the_last_ticket_and_then_for_nothing() {
    let mut crowd = open(&CrashDisk::default(), false, Durability::Synced);
    crowd.tell(TWO).unwrap();
    let waits = |crowd: &mut Crowd, buyer: &[u8]| {
        let join = GateAct::Join { message: None, admits: true };
        let answered = crowd.store.at_once(|store| store.ask_gate(crate::crowd::GATE, buyer, join));
        answered.unwrap().unwrap().waits
    };
    crowd.join(1).unwrap();
    crowd.join(2).unwrap();
    assert!(waits(&mut crowd, b"late") && waits(&mut crowd, b"buyer-1"), "the tickets are not safe");
    crowd.commit().unwrap();
    let (bytes, live) = (crowd.store.totals().log_bytes, crowd.store.totals().live_bytes);
    assert!(!waits(&mut crowd, b"late") && !waits(&mut crowd, b"buyer-1"));
    for n in 0..1000 {
        assert!(!waits(&mut crowd, format!("refused-{n}").as_bytes()));
    }
    assert!(!crowd.store.wants_commit(), "a refusal writes nothing");
    assert_eq!((crowd.store.totals().log_bytes, crowd.store.totals().live_bytes), (bytes, live));
}

#[test]
fn the_curve_of_a_gate_has_what_was_given_and_refused_since_the_start() {
    let mut crowd = open(&CrashDisk::default(), false, Durability::Synced);
    let curve = |crowd: &Crowd| crowd.store.gate_figures(GATE).unwrap().curve;
    crowd.tell(TWO).unwrap();
    assert_eq!(curve(&crowd), GateCurve::EMPTY);
    for (buyer, wait_ms) in [(1, 300), (2, 0), (2, 0), (3, 1000), (4, 0), (3, 0)] {
        crowd.join(buyer).unwrap();
        crowd.pass_time(wait_ms).unwrap();
    }
    let told = curve(&crowd);
    assert_eq!((told.start_ms, told.width_ms), (BEGINS_MS, 125));
    let (given, refused) = ([1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!((&*told.given, &*told.refused), (&given[..], &refused[..]), "a repeat is neither");
    crowd.commit().unwrap();
    let crowd = crowd.crash(Crash::Kill, &mut Random::new(1)).unwrap();
    assert_eq!(curve(&crowd), GateCurve::EMPTY, "it is of this process");
}

/// A gate with one ticket, which a buyer gives back while the queue was told these words, and another one in line.
fn returned_under(words: &[u8]) -> (Crowd, impl Fn(&mut Crowd, &[u8], GateAct<'_>) -> GateAnswer) {
    let ask = |crowd: &mut Crowd, buyer: &[u8], act: GateAct<'_>| {
        crowd.store.at_once(|store| store.ask_gate(b"g", buyer, act)).unwrap().unwrap().answer
    };
    let mut crowd = open(&CrashDisk::default(), false, Durability::Synced);
    crowd.store.set_time(BEGINS_MS);
    tell(&mut crowd, b"tickets=1 line=1");
    let join = GateAct::Join { message: None, admits: true };
    assert_eq!(ask(&mut crowd, b"one", join), GateAnswer::Seat(1));
    assert_eq!(ask(&mut crowd, b"two", join), GateAnswer::InLine(1));
    tell(&mut crowd, words);
    assert_eq!(ask(&mut crowd, b"one", GateAct::Return), GateAnswer::Done);
    for _ in 0..10 {
        crowd.store.pass_time(1).unwrap();
    }
    assert_eq!(ask(&mut crowd, b"two", GateAct::Look), GateAnswer::InLine(1));
    (crowd, ask)
}

fn tell(crowd: &mut Crowd, words: &[u8]) {
    crowd.store.at_once(|store| store.configure(b"g", words)).unwrap().unwrap().unwrap();
}

#[test]
fn a_line_whose_gate_is_taken_away_has_nothing_due_until_there_is_one_again() {
    let (mut crowd, ask) = returned_under(b"");
    assert!(crowd.store.next_due().is_some_and(|at_ms| at_ms > 1 << 60), "what is kept back is, for ever");
    tell(&mut crowd, b"tickets=1");
    crowd.store.pass_time(1).unwrap();
    assert_eq!(ask(&mut crowd, b"two", GateAct::Look), GateAnswer::Paid { seat: 1 });
}

#[test]
fn a_line_gets_its_seats_when_the_time_of_its_gate_comes() {
    let (mut crowd, ask) = returned_under(b"tickets=1 open=1800000005");
    assert_eq!(crowd.store.next_due(), Some(BEGINS_MS + 5000));
    crowd.store.set_time(BEGINS_MS + 4999);
    assert!(!crowd.store.pass_time(9).unwrap());
    assert_eq!(ask(&mut crowd, b"two", GateAct::Look), GateAnswer::InLine(1));
    crowd.store.set_time(BEGINS_MS + 5000);
    while crowd.store.pass_time(1).unwrap() {}
    assert_eq!(ask(&mut crowd, b"two", GateAct::Look), GateAnswer::Paid { seat: 1 });
    assert_eq!(crowd.store.next_due(), None);
}

/// Nothing but a checkpoint, or nothing but copies, may say who has what.
#[test]
fn a_ticket_outlives_its_segment_and_is_in_a_checkpoint() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(1));
        let mut crowd = open(&disk, with_index, Durability::Synced);
        crowd.tell(Rules { tickets: 6, hold_s: 1000, hold_max: 3, line: 3, put_paid: true }).unwrap();
        for buyer in 0..10 {
            crowd.join(buyer).unwrap();
        }
        crowd.act(1, GateAct::Pay).unwrap();
        crowd.act(2, GateAct::Return).unwrap();
        crowd.act(7, GateAct::Return).unwrap();
        crowd.act(3, GateAct::Extend { seconds: 100 }).unwrap();
        crowd.go_round().unwrap();
        if with_index {
            crowd.checkpoint().unwrap();
        }
        crowd = crowd.crash(Crash::PowerCut, &mut random).unwrap();
        crowd.pass_time(1_000_000).unwrap();
        crowd.go_round().unwrap();
        crowd.crash(Crash::Kill, &mut random).unwrap();
    }
}

#[test]
fn a_gate_crashes_at_every_operation() {
    for_seeds(1, |seed| {
        for (durability, crash) in [(Durability::Synced, Crash::PowerCut), (Durability::Written, Crash::Kill)] {
            let mut crash_at = 0;
            loop {
                crash_at += 1;
                let mut random = Random::new(seed);
                let disk = CrashDisk::default();
                let mut crowd = open(&disk, crash_at % 2 == 0, durability);
                disk.crash_at(disk.operations() + crash_at);
                live(&mut crowd, 3000, &mut random);
                if !disk.has_crashed() {
                    break;
                }
                let mut random = Random::new(seed + crash_at);
                let mut crowd = crowd.crash(crash, &mut random).unwrap();
                live(&mut crowd, 100, &mut random);
                crowd.crash(Crash::PowerCut, &mut random).unwrap();
            }
            assert!(crash_at > 100, "a workload that does something");
        }
    });
}

#[test]
fn many_lives_of_a_gate() {
    for_seeds(60, |seed| {
        let mut random = Random::new(seed);
        let disk = CrashDisk::default();
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let mut crowd = open(&disk, random.chance(2), durability);
        for _ in 0..6 {
            disk.crash_at(disk.operations() + 1 + random.below(300));
            live(&mut crowd, 1500, &mut random);
            crowd = crowd.crash(random.pick(&[Crash::Kill, Crash::PowerCut]), &mut random).unwrap();
            if random.chance(3) {
                crowd.go_round().unwrap();
                crowd = crowd.crash(Crash::PowerCut, &mut random).unwrap();
            }
        }
    });
}
