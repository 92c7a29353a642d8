//! What the clients of the stories about open messages ask for, in few words.

use shards::{Answer, Fate, Holding, Op, Open, Outcome, Which};

use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards, text};

pub(crate) const MINE: Holding<'_> = Holding::Connection { max: 1 };
pub(crate) const ABORT: Fate = Fate::Abort { delay_s: None };

pub(crate) fn open(holder: Holding<'_>) -> Op<'_> {
    Op::Open(Open { queue: QUEUE, holder, lease_s: None, close: false, until: None })
}

pub(crate) fn open_for(holder: Holding<'_>, lease_s: u32) -> Op<'_> {
    Op::Open(Open { queue: QUEUE, holder, lease_s: Some(lease_s), close: false, until: None })
}

pub(crate) fn close_open() -> Op<'static> {
    Op::Open(Open { queue: QUEUE, holder: MINE, lease_s: None, close: true, until: None })
}

pub(crate) fn end(which: Which<'_>, fate: Fate) -> Op<'_> {
    Op::End { queue: QUEUE, which, fate }
}

pub(crate) fn close() -> Op<'static> {
    end(Which::Mine, Fate::Acknowledge)
}

pub(crate) const TAKE: Op<'static> = Op::Take { queue: QUEUE };

impl Shards {
    pub(crate) fn wait_to_open(&mut self, client: Client, holder: Holding<'_>, ms: u64) {
        let until = Some(self.now.after_ms(ms));
        let open = Open { queue: QUEUE, holder, lease_s: None, close: false, until };
        assert_eq!(self.ask(client, Op::Open(open)), Answer::Later);
        self.run();
    }

    pub(crate) fn put_all(&mut self, bodies: &[&str]) {
        let producer = self.connect(OWNER);
        for body in bodies {
            assert_eq!(self.tell(producer, Op::Put { queue: QUEUE, flags: 0, body: body.as_bytes() }), "stored");
        }
    }

    /// What is there, in order. It is gone by that.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let client = self.connect(OTHER);
        std::iter::from_fn(|| Some(self.tell(client, TAKE)).filter(|body| body != "nothing")).collect()
    }

    pub(crate) fn leave(&mut self, client: Client) {
        self.engine(client.shard).close(client.gather);
        self.run();
    }

    /// Opens a message, and gives its text and the number of its lease.
    pub(crate) fn opened(&mut self, client: Client, op: Op<'_>) -> (String, u64) {
        let outcome = self.get(client, op);
        let Outcome::Opened { lease, .. } = outcome else { panic!("{outcome:?}") };
        (text(outcome), lease)
    }
}
