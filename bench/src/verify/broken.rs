//! What may have become of the requests that were on their way when a connection broke.

use hashbrown::HashSet;

use crate::workload::{Act, Request, Slot};

#[derive(Debug, Default, PartialEq)]
pub(super) struct Broken {
    /// What is open in these slots may be acknowledged.
    pub(super) acknowledging: HashSet<Slot>,
    /// Each may have taken a message of this queue for good that was never seen.
    pub(super) taken: Vec<u32>,
    /// Each may have opened a message of this queue that was never seen, which comes again, behind later ones.
    pub(super) opened: Vec<u32>,
}

impl Broken {
    /// `requests`: those without an answer, in their order.
    pub(super) fn of<'a>(requests: impl Iterator<Item = &'a Request>) -> Broken {
        let mut broken = Broken::default();
        let mut unseen = HashSet::new();
        for request in requests {
            let slot = request.slot();
            if request.act == Act::Get {
                broken.taken.push(request.queue);
            }
            if request.act.acknowledges() {
                if unseen.remove(&slot) {
                    broken.taken.push(request.queue);
                } else {
                    broken.acknowledging.insert(slot);
                }
            }
            if request.act.opens() {
                unseen.insert(slot);
                broken.opened.push(request.queue);
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(acts: &[(Act, u32)]) -> Broken {
        let requests: Vec<Request> =
            acts.iter().map(|(act, queue)| Request { act: *act, queue: *queue, number: 0 }).collect();
        Broken::of(requests.iter())
    }

    #[test]
    fn requests_are_taken_in_their_order() {
        let wanted = |acknowledging: &[Slot], taken: &[u32], opened: &[u32]| Broken {
            acknowledging: acknowledging.iter().copied().collect(),
            taken: taken.to_vec(),
            opened: opened.to_vec(),
        };
        assert_eq!(of(&[(Act::Set, 1)]), Broken::default());
        assert_eq!(of(&[(Act::Get, 1)]), wanted(&[], &[1], &[]));
        assert_eq!(of(&[(Act::Close, 1)]), wanted(&[1], &[], &[]));
        assert_eq!(of(&[(Act::Open, 1)]), wanted(&[], &[], &[1]));
        assert_eq!(of(&[(Act::Open, 1), (Act::Close, 1), (Act::Open, 2)]), wanted(&[], &[1], &[1, 2]));
        assert_eq!(of(&[(Act::Close, 1), (Act::Open, 1)]), wanted(&[1], &[], &[1]));
        // The first closes what is known, the second what the first has opened.
        assert_eq!(of(&[(Act::CloseOpen, 1), (Act::CloseOpen, 1)]), wanted(&[1], &[1], &[1, 1]));
    }
}
