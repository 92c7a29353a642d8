//! What operations have besides names and bodies, as bytes.

use storage::{Search, SortBy};

use super::{CONNECTION, NAME, NUMBER};
use crate::moment::Moment;
use crate::op::Which;

pub(super) fn write_optional_u32(value: Option<u32>, bytes: &mut Vec<u8>) {
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(&value.unwrap_or(0).to_le_bytes());
}

pub(super) fn write_optional_moment(value: Option<Moment>, bytes: &mut Vec<u8>) {
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(&value.map_or(0, Moment::ms).to_le_bytes());
}

pub(super) fn write_which(which: Which<'_>, bytes: &mut Vec<u8>) {
    match which {
        Which::Mine => bytes.push(CONNECTION),
        Which::Name(name) => {
            bytes.push(NAME);
            bytes.extend_from_slice(name);
        }
        Which::Lease(number) => {
            bytes.push(NUMBER);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

pub(super) fn write_search(search: &Search<'_>, bytes: &mut Vec<u8>) {
    let sort = SortBy::ALL.iter().position(|sort| *sort == search.sort).expect("all are listed");
    bytes.extend_from_slice(&[sort as u8, u8::from(search.descending)]);
    bytes.extend_from_slice(&search.limit.to_le_bytes());
    for place in [search.behind, search.before] {
        bytes.push(u8::from(place.is_some()));
        let (key, name) = place.unwrap_or_default();
        bytes.extend_from_slice(&key.to_le_bytes());
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name);
    }
}

pub(super) fn read_search<'a>(filter: &'a [u8], more: &mut Reader<'a>) -> Search<'a> {
    let [sort, descending] = more.array();
    let limit = more.u32();
    let mut place = || {
        let [is_some] = more.array();
        let key = more.u64();
        let name_bytes = more.u32() as usize;
        let (name, rest) = more.0.split_at(name_bytes);
        more.0 = rest;
        (is_some == 1).then_some((key, name))
    };
    let (behind, before) = (place(), place());
    Search { filter, sort: SortBy::ALL[usize::from(sort)], descending: descending == 1, behind, before, limit }
}

/// Reads what was written above.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().expect("written above");
        self.0 = rest;
        *array
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    pub(super) fn optional_u32(&mut self) -> Option<u32> {
        let [is_some] = self.array();
        let value = self.u32();
        (is_some == 1).then_some(value)
    }

    pub(super) fn optional_moment(&mut self) -> Option<Moment> {
        let [is_some] = self.array();
        let ms = self.u64();
        (is_some == 1).then_some(Moment::from_ms(ms))
    }

    pub(super) fn which(&mut self) -> Which<'a> {
        let [kind] = self.array();
        match kind {
            CONNECTION => Which::Mine,
            NAME => Which::Name(self.0),
            NUMBER => Which::Lease(self.u64()),
            _ => unreachable!("written above"),
        }
    }
}
