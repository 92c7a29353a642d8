//! How many connections an address may have, over all shards.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::source::Source;
use crate::process::seldom::Seldom;

/// The connections of each address.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// For each address.
    max: NonZeroU32,
    open: Mutex<HashMap<Source, u32>>,
    refused: Seldom,
}

impl Crowd {
    pub(crate) fn new(max: NonZeroU32) -> Crowd {
        Crowd { max, open: Mutex::default(), refused: Seldom::new() }
    }

    /// Gives a connection a place; `None`: its address has as many as it may, and this one is to be closed.
    pub(crate) fn enter(self: &Arc<Crowd>, from: Source) -> Option<Place> {
        let mut open = self.lock();
        let of_address = open.entry(from).or_default();
        if *of_address < self.max.get() {
            *of_address += 1;
            return Some(Place { crowd: Arc::clone(self), from });
        }
        drop(open);
        if let Some(refused) = self.refused.count(Instant::now()) {
            let max = self.max;
            log::warn!(
                "connections refused: {refused}, the last from {from}, which has {max}; --connections-per-address"
            );
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, u32>> {
        // Nothing panics while it is held, the assertion that a place is given back once apart.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among those of its address; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    from: Source,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.lock();
        let of_address = open.get_mut(&self.from).expect("a place is given back once");
        *of_address -= 1;
        if *of_address == 0 {
            open.remove(&self.from);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn each_address_has_as_many_as_it_may_and_gives_them_back() {
        let crowd = Arc::new(Crowd::new(NonZeroU32::new(2).expect("not 0")));
        let enter = |address: &str| crowd.enter(Source::from(address.parse::<IpAddr>().expect("an address")));
        let (first, second) = (enter("10.0.0.1"), enter("10.0.0.1"));
        assert!(first.is_some() && second.is_some() && enter("10.0.0.1").is_none());
        let other = enter("10.0.0.2");
        assert!(other.is_some());
        drop(first);
        let third = enter("10.0.0.1");
        assert!(third.is_some() && enter("10.0.0.1").is_none());
        drop((second, third, other));
        assert!(crowd.lock().is_empty(), "an address without connections costs nothing");
        let of_network = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(of_network.iter().all(Option::is_some) && enter("2001:db8::3").is_none());
    }
}
