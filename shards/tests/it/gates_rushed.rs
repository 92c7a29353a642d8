//! Gates with many buyers at once, on connections of two shards.

use std::collections::BTreeSet;

use shards::{Answer, GateAct, GateAnswer, GateAnswered, Outcome};

use crate::gate_asking::{JOIN, gate};
use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards};

impl Shards {
    /// All of them ask at once, each for a buyer, and all tasks run until they are answered.
    fn all_ask(&mut self, asks: &[(Client, String)], act: GateAct<'_>) -> Vec<GateAnswer> {
        let answers: Vec<Answer> = asks.iter().map(|(client, buyer)| self.ask(*client, gate(buyer, act))).collect();
        self.run();
        let told = |(answer, (client, _)): (Answer, &(Client, String))| {
            let outcome = match answer {
                Answer::Now(outcome) => outcome,
                Answer::Later => {
                    assert!(self.is_told(*client));
                    self.engine(client.shard).next_outcome(client.gather).expect("an outcome for each")
                }
                Answer::Stalled => panic!("there is room"),
            };
            let Outcome::Gate(GateAnswered { answer, .. }) = outcome else { panic!("{outcome:?}") };
            answer
        };
        answers.into_iter().zip(asks).map(told).collect()
    }

    fn on_two_shards(&mut self, clients: usize) -> Vec<Client> {
        (0..clients).map(|n| self.connect(if n % 2 == 0 { OWNER } else { OTHER })).collect()
    }
}

#[test]
fn a_buyer_on_a_hundred_connections_at_once_has_one_ticket() {
    let mut shards = Shards::with_gate("tickets=50");
    let asks: Vec<(Client, String)> =
        shards.on_two_shards(100).into_iter().map(|client| (client, "ann".to_owned())).collect();
    assert_eq!(shards.all_ask(&asks, JOIN), vec![GateAnswer::Seat(1); 100]);
    let figures = shards.engine(OWNER).store().gate_figures(QUEUE).expect("a gate");
    assert_eq!((figures.given, figures.repeats), (1, 99));
    assert_eq!(shards.drain(), ["ann"]);
}

/// Seats come back and go again while ten times as many ask: none is given twice, and none is left over.
#[test]
fn seats_that_come_back_are_given_again_each_once() {
    const TICKETS: usize = 100;
    let mut shards = Shards::with_gate("tickets=100 hold=5");
    let clients = shards.on_two_shards(400);
    let (mut given, mut back, mut holders) = (0, 0, BTreeSet::new());
    for round in 0..50 {
        let asks: Vec<_> = clients.iter().enumerate().map(|(n, client)| (*client, format!("b{round}-{n}"))).collect();
        let answers = shards.all_ask(&asks, JOIN);
        let seats: Vec<_> =
            asks.into_iter().zip(&answers).filter(|(_, answer)| **answer != GateAnswer::SoldOut).collect();
        for (ask, answer) in seats {
            let GateAnswer::Seat(seat) = *answer else { panic!("{answer:?}") };
            assert!(holders.insert((seat, ask.1.clone())), "{seat} is given twice");
            given += 1;
        }
        let seats: BTreeSet<u32> = holders.iter().map(|(seat, _)| *seat).collect();
        assert_eq!((seats.len(), holders.len()), (TICKETS, TICKETS), "all are given, each to one");
        if round % 2 == 0 {
            // Half of them are returned, by any connection.
            let returned: Vec<_> = holders.iter().take(TICKETS / 2).cloned().collect();
            let asks: Vec<_> = clients.iter().copied().zip(returned.iter().map(|(_, buyer)| buyer.clone())).collect();
            assert_eq!(shards.all_ask(&asks, GateAct::Return), vec![GateAnswer::Done; TICKETS / 2]);
            back += returned.len();
            returned.iter().for_each(|held| assert!(holders.remove(held)));
        } else {
            // And all of them lapse.
            shards.pass(5000);
            back += holders.len();
            holders.clear();
        }
    }
    let figures = shards.engine(OWNER).store().gate_figures(QUEUE).expect("a gate");
    assert_eq!((figures.given, figures.returned + figures.lapsed), (given, back as u64));
    assert_eq!(shards.drain().len() as u64, given, "as many messages as tickets");
}
