//! kill -9 of the server while buyers are at its gates, most often between the first and the last seat; then they ask again.
//! What each buyer was told, before and after, must agree with what is there in the end. The number of shards changes, and
//! so does whether the server waits for the disk. `scripts/crash.sh` is the long form.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fastrand::Rng;

use crate::crash::arguments_of;
use crate::gate_crowd::{Gate, Rush, finish, let_in, let_in_and_kill};
use crate::gate_model::{Kind, Place};
use crate::process::{Launch, random_seed};

/// How often; `RUSHQ_GATE_KILLS` sets another number.
const ROUNDS: usize = 10;
/// A round in so many has a gate of which tickets lapse, and waits until they have.
const ROUNDS_WITH_LAPSES: usize = 3;

const KINDS: [(Kind, u32, usize, &str); 4] = [
    (Kind::Final, 100, 170, "tickets=100"),
    (Kind::Final, 60, 50, "tickets=60 put=paid"),
    (Kind::Returns, 20, 70, "tickets=20 line=10"),
    (Kind::Paid, 30, 60, "tickets=30 hold=1 put=paid"),
];

fn rush(round: usize, rng: &mut Rng) -> Rush {
    let count = if round.is_multiple_of(ROUNDS_WITH_LAPSES) { KINDS.len() } else { KINDS.len() - 1 };
    let gates = KINDS.iter().take(count).enumerate();
    let gates = gates.map(|(number, (kind, tickets, buyers, words))| {
        Gate::new(format!("rush-{round}-{number}"), *kind, (*tickets, *buyers), words)
    });
    Rush::new(gates.collect(), 4, rng)
}

#[test]
fn what_a_gate_has_told_holds_after_any_kill() {
    let rounds = std::env::var("RUSHQ_GATE_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let mut server = Launch::new().with(&arguments_of(0)).start();
    // The rush of the round before, and what its buyers had.
    let mut before: Option<Arc<Rush>> = None;
    let mut had: Vec<Vec<Option<Place>>> = Vec::new();
    let (mut kills, mut amid) = (0, 0);
    for round in 0..rounds {
        let rush = Arc::new(rush(round, &mut rng));
        let mut client = server.connect();
        for gate in &rush.gates {
            gate.tell(&mut client, gate.words);
        }
        // A kill or two, and then they have their way.
        for _ in 0..rng.u8(1..=2) {
            let tickets: u64 = rush.gates.iter().map(|gate| gate.buyers.min(60) as u64).sum();
            let (so_many, by_refusal) = (rush.told.load(Ordering::SeqCst) + rng.u64(..tickets), rng.u8(..5) == 0);
            rush.refused.store(false, Ordering::SeqCst);
            let_in_and_kill(&mut server, &rush, &mut rng, |rush| {
                if by_refusal {
                    rush.refused.load(Ordering::SeqCst)
                } else {
                    rush.told.load(Ordering::SeqCst) > so_many
                }
            });
            if rush.killed.load(Ordering::SeqCst) {
                let is_amid = rush.gates.iter().any(|gate| gate.model().is_amid());
                (kills, amid) = (kills + 1, amid + usize::from(is_amid));
            } else {
                server.terminate();
            }
            println!("round {round}: {:?}, told {:?}", arguments_of(round), rush.told);
            server.set_arguments(&arguments_of(round + 1));
            if rng.u8(..3) == 0 {
                server.set_shards(rng.u32(1..=3));
            }
            server.start();
        }
        let_in(server.address(), &rush, &mut rng, |_| false, || {});
        let mut client = server.connect();
        // The gates of the round before have been through a kill since, and perhaps to another shard.
        if let Some(rush) = before.take() {
            for (gate, places) in rush.gates.iter().zip(&had) {
                assert_eq!(gate.places(&mut client), *places, "{} after another restart", gate.name);
                assert_eq!(client.command(&format!("delete {}", gate.name)), "DELETED");
            }
        }
        had = rush.gates.iter().map(|gate| finish(gate, &mut client)).collect();
        before = Some(rush);
    }
    println!("{kills} kills, {amid} of them between a gate's first and last seat");
    assert!(amid * 2 > rounds, "only {amid} of {kills} kills were between a gate's first and last seat");
}
