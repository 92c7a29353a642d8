//! What may happen to an index behind its back, and the index's format once more, from its description.
//!
//! The script's letters: `x` changes a byte of a value, `t` cuts one, `d` removes a pair, `s` swaps two values, `r`
//! writes raw bytes, `k` adds a pair of raw bytes; `g` takes a pair from what the index had earlier, and `G` all that
//! it had then. `u` changes a byte as somebody would who makes all checksums right again.

use std::collections::BTreeMap;

use storage_testing::Pairs;

use super::damage::Damaged;
use super::script::Script;

const PAGE_HEADER_BYTES: usize = 12;
/// Where the sums of the list and of the records stand in a checkpoint's value.
const SUMS_AT: usize = 4 + 6 * 8 + 4 * 4;

/// Does what the script says to the last of the indexes.
pub(crate) fn damage(indexes: &[Pairs], mut script: Script<'_>) -> (Pairs, Damaged) {
    let last = indexes.last().expect("the end is one");
    let (mut pairs, mut knowingly) = (last.clone(), false);
    for _ in 0..100 {
        let Some(letter) = script.next() else { break };
        if !b"xtdsrkgGu".contains(&letter) {
            continue;
        }
        let which = usize::from(script.byte().wrapping_sub(b'0'));
        if letter == b'k' {
            let many = usize::from(script.byte() % 32);
            let key = script.bytes(many).to_vec();
            pairs.insert(key, script.bytes(which).to_vec());
            continue;
        }
        if letter == b'G' {
            pairs = indexes[which % indexes.len()].clone();
            continue;
        }
        if letter == b'g' {
            let earlier = &indexes[usize::from(script.byte().wrapping_sub(b'0')) % indexes.len()];
            pairs.extend(
                earlier.iter().nth(which % earlier.len().max(1)).map(|(key, value)| (key.clone(), value.clone())),
            );
            continue;
        }
        let Some(key) = pairs.keys().nth(which % pairs.len().max(1)).cloned() else { continue };
        pair(&mut pairs, &key, letter, &mut script);
        if letter == b'u' {
            knowingly = true;
            reseal(&mut pairs);
        }
    }
    let damaged = match (pairs == *last, knowingly) {
        (true, _) => Damaged::Not,
        (false, false) => Damaged::Blindly,
        (false, true) => Damaged::Knowingly,
    };
    (pairs, damaged)
}

/// Damages a pair.
fn pair(pairs: &mut Pairs, key: &[u8], letter: u8, script: &mut Script<'_>) {
    match letter {
        b'd' => drop(pairs.remove(key)),
        b's' => {
            let other = usize::from(script.byte().wrapping_sub(b'0')) % pairs.len();
            let other = pairs.keys().nth(other).expect("one of them").clone();
            let (one, two) = (pairs[key].clone(), pairs[&other].clone());
            pairs.insert(key.to_vec(), two);
            pairs.insert(other, one);
        }
        _ => {
            let value = pairs.get_mut(key).expect("it is there");
            match letter {
                b't' => value.truncate(value.len() * usize::from(script.byte()) / 256),
                b'r' => {
                    let many = usize::from(script.byte());
                    *value = script.bytes(many).to_vec();
                }
                _ => {
                    let (offset, with) = (usize::from(script.byte()), script.byte().max(1));
                    let offset = offset % value.len().max(1);
                    if let Some(byte) = value.get_mut(offset) {
                        *byte ^= with;
                    }
                }
            }
        }
    }
}

fn seal(value: &mut [u8]) {
    if let Some((checksum, rest)) = value.split_first_chunk_mut() {
        *checksum = crc32fast::hash(rest).to_le_bytes();
    }
}

/// The number of pages that follow one upon the other, and the checksum of their checksums.
fn sum(pairs: &Pairs, sequence: &[u8]) -> (u32, u32) {
    let mut checksums = Vec::new();
    let mut pages = 0u32;
    while let Some(value) = pairs.get(&[sequence, &pages.to_be_bytes()].concat()) {
        checksums.extend_from_slice(&value[..value.len().min(4)]);
        pages += 1;
    }
    (pages, crc32fast::hash(&checksums))
}

/// Makes all checksums right again: of pages, of the list of directories, of the checkpoint.
fn reseal(pairs: &mut Pairs) {
    pairs.values_mut().for_each(|value| seal(value));
    let of_list: BTreeMap<_, _> = pairs.iter().filter(|(key, _)| key.first() == Some(&b'C')).collect();
    let mut lists = Pairs::new();
    for (key, value) in of_list {
        let Some((header, mut items)) = value.split_at_checked(PAGE_HEADER_BYTES) else { continue };
        let mut list = header.to_vec();
        while let (Some(segment), Some(generation), Some(_), Some(_)) =
            (varint(&mut items), varint(&mut items), varint(&mut items), varint(&mut items))
        {
            let directory = [b"D".as_slice(), &(segment as u32).to_be_bytes(), &generation.to_be_bytes()].concat();
            let (pages, checksum) = sum(pairs, &directory);
            for number in [segment, generation, pages.into(), checksum.into()] {
                put_varint(&mut list, number);
            }
        }
        seal(&mut list);
        lists.insert(key.clone(), list);
    }
    pairs.extend(lists);
    let Some(meta) = pairs.get(b"c".as_slice()).filter(|meta| meta.len() >= SUMS_AT + 16).cloned() else { return };
    let generation = u64::from_le_bytes(meta[4..12].try_into().expect("eight bytes")).to_be_bytes();
    let mut sums = Vec::new();
    for kind in [b"C", b"R"] {
        let (pages, checksum) = sum(pairs, &[kind.as_slice(), &generation].concat());
        sums.extend([pages.to_le_bytes(), checksum.to_le_bytes()].concat());
    }
    let meta = pairs.get_mut(b"c".as_slice()).expect("looked at above");
    meta[SUMS_AT..SUMS_AT + 16].copy_from_slice(&sums);
    seal(meta);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
