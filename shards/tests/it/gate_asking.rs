//! What the clients of the stories about gates ask for, in few words.

use std::task::Waker;

use shards::{Answer, FrameNumber, GateAct, GateAnswer, GateAnswered, Op, Outcome};

use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards};

pub(crate) const JOIN: GateAct<'_> = GateAct::Join { message: None, admits: true };
pub(crate) const DRAINED: GateAct<'_> = GateAct::Join { message: None, admits: false };

pub(crate) fn gate<'a>(buyer: &'a str, act: GateAct<'a>) -> Op<'a> {
    Op::Gate { queue: QUEUE, buyer: buyer.as_bytes(), act }
}

pub(crate) fn answered(answer: GateAnswer, waits: bool) -> Answer {
    Answer::Now(Outcome::Gate(GateAnswered { answer, waits }))
}

impl Shards {
    /// Two shards, and a gate on the one that owns it.
    pub(crate) fn with_gate(words: &str) -> Shards {
        let mut shards = Shards::new();
        shards.configure(words);
        shards
    }

    pub(crate) fn configure(&mut self, words: &str) {
        let admin = self.connect(OTHER);
        assert_eq!(self.tell(admin, Op::Configure { queue: QUEUE, words: words.as_bytes() }), "configured");
        self.run();
    }

    /// Asks for a buyer, and all tasks run until it is answered.
    #[track_caller]
    pub(crate) fn buyer(&mut self, client: Client, buyer: &str, act: GateAct<'_>) -> GateAnswer {
        let outcome = self.get(client, gate(buyer, act));
        self.run();
        let Outcome::Gate(GateAnswered { answer, .. }) = outcome else { panic!("{outcome:?}") };
        answer
    }

    /// Asks the owner for a buyer, and nothing else happens: the answer, and the frame that must be safe first.
    pub(crate) fn buyer_at_once(&mut self, client: Client, buyer: &str, act: GateAct<'_>) -> (Answer, FrameNumber) {
        let (mut frame_needed, now) = (0, self.now);
        let answer =
            self.engine(OWNER).submit(now, client.gather, OWNER, gate(buyer, act), None, &mut frame_needed).unwrap();
        (answer, frame_needed)
    }

    pub(crate) fn commit(&mut self) {
        let mut commit = self.engine(OWNER).begin_commit().expect("a frame");
        commit.run().unwrap();
        self.engine(OWNER).finish_commit(commit, true);
    }

    /// Has the owner apply all that others have sent.
    pub(crate) fn apply(&mut self) {
        let now = self.now;
        while self.engine(OWNER).apply_step(now, |_, _, _, _| {}).unwrap() {}
    }

    pub(crate) fn is_told(&mut self, client: Client) -> bool {
        self.engine(client.shard).is_complete(client.gather, Waker::noop())
    }
}
