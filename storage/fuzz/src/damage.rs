//! What may happen to the files of a log behind its back.
//!
//! The script's letters: `x` changes a byte of a frame, `z` zeros the beginning of one, `n` zeros everything from one on,
//! `w` writes one over another; `h` changes a byte of a file's header, `t` cuts a file, `a` makes it longer, `d` removes
//! it, `m` swaps two, `v` gives one another number, `r` writes raw bytes. Frames are counted from the last. `u` changes a
//! byte of a frame as somebody would who knows the checksum, and `l` makes those behind it continue it.

use storage_testing::Images;

use super::format::{Frame, LOG_ID, SEGMENT_HEADER_BYTES, seal, segment_name};
use super::script::Script;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// Nothing.
    Not,
    /// What a disk may do.
    Blindly,
    /// Something that takes knowledge of the log's id: a forgery.
    Knowingly,
}

/// Where a frame is.
#[derive(Debug, Clone)]
struct Place {
    file: String,
    from: usize,
    to: usize,
}

/// Does what the script says.
pub(crate) fn damage(images: &mut Images, mut script: Script<'_>) -> Damaged {
    let places = places(images);
    let before = images.clone();
    let mut knowingly = false;
    for _ in 0..100 {
        let Some(letter) = script.next() else { break };
        match letter {
            b'x' | b'u' | b'z' | b'n' | b'w' | b'l' => {
                let which = usize::from(script.byte().wrapping_sub(b'0'));
                if !places.is_empty() {
                    let at = which % places.len();
                    knowingly |= matches!(letter, b'u' | b'l');
                    frame(images, &places, at, letter, &mut script);
                }
            }
            b'h' | b't' | b'a' | b'd' | b'm' | b'v' | b'r' => {
                let which = usize::from(script.byte().wrapping_sub(b'0'));
                if !images.is_empty() {
                    let name = images.keys().nth(which % images.len()).expect("one of them").clone();
                    file(images, name, letter, &mut script);
                }
            }
            _ => {}
        }
    }
    match (*images == before, knowingly) {
        (true, _) => Damaged::Not,
        (false, false) => Damaged::Blindly,
        (false, true) => Damaged::Knowingly,
    }
}

/// The frames that follow one upon the other in each file; the last one first.
fn places(images: &Images) -> Vec<Place> {
    let mut places = Vec::new();
    for (file, image) in images {
        let mut from = SEGMENT_HEADER_BYTES;
        while let Some(bytes) = Frame::bytes_at(image, from) {
            let to = from + bytes.len();
            places.push(Place { file: file.clone(), from, to });
            from = to;
        }
    }
    places.reverse();
    places
}

/// Damages the frame at `places[at]`, as far as its file is still there.
fn frame(images: &mut Images, places: &[Place], at: usize, letter: u8, script: &mut Script<'_>) {
    let place = &places[at];
    let Some(image) = images.get_mut(&place.file).filter(|image| image.len() >= place.to) else { return };
    let bytes = &mut image[place.from..place.to];
    match letter {
        b'x' | b'u' => {
            let offset = (usize::from(script.byte()) | usize::from(script.byte() & 7) << 8) % bytes.len();
            bytes[offset] ^= script.byte().max(1);
            if letter == b'u' {
                seal(LOG_ID, place.from, bytes);
            }
        }
        b'z' => {
            let many = usize::from(script.byte()).clamp(1, bytes.len());
            bytes[..many].fill(0);
        }
        b'w' => {
            let which = usize::from(script.byte().wrapping_sub(b'0'));
            let other = &places[which % places.len()];
            let instead = images.get(&other.file).and_then(|image| image.get(other.from..other.to));
            let instead = instead.unwrap_or_default().to_vec();
            write(images.get_mut(&place.file).expect("looked at above"), place.from, &instead);
        }
        b'n' => {
            image[place.from..].fill(0);
            for (_, image) in images.iter_mut().filter(|(name, _)| **name > place.file) {
                image.iter_mut().skip(SEGMENT_HEADER_BYTES).for_each(|byte| *byte = 0);
            }
        }
        _ => continue_from(images, places, at),
    }
}

/// Makes a frame continue the one in front of it, and so on to the last.
fn continue_from(images: &mut Images, places: &[Place], at: usize) {
    for at in (0..=at).rev() {
        let bytes = |place: &Place| images.get(&place.file)?.get(place.from..place.to);
        let (Some(before), Some(bytes)) = (places.get(at + 1).and_then(bytes), bytes(&places[at])) else { return };
        let mut frame = bytes.to_vec();
        frame[40..44].copy_from_slice(&before[44..48]);
        seal(LOG_ID, places[at].from, &mut frame);
        write(images.get_mut(&places[at].file).expect("looked at above"), places[at].from, &frame);
    }
}

/// Writes over what is there, and no further.
fn write(image: &mut [u8], from: usize, bytes: &[u8]) {
    let to = image.len().min(from + bytes.len());
    image[from..to].copy_from_slice(&bytes[..to - from]);
}

/// Damages a file.
fn file(images: &mut Images, name: String, letter: u8, script: &mut Script<'_>) {
    let mut image = images.remove(&name).expect("it is there");
    match letter {
        b'h' => {
            let offset = usize::from(script.byte()) % SEGMENT_HEADER_BYTES;
            if let Some(byte) = image.get_mut(offset) {
                *byte ^= script.byte().max(1);
            }
        }
        b't' => image.truncate(image.len() * usize::from(script.byte()) / 256),
        b'a' => image.resize(image.len() + usize::from(script.byte()), script.byte()),
        b'd' => return,
        b'm' => {
            let which = usize::from(script.byte().wrapping_sub(b'0'));
            let others = images.len().max(1);
            if let Some(other) = images.values_mut().nth(which % others) {
                std::mem::swap(other, &mut image);
            }
        }
        b'v' => {
            images.insert(segment_name(u32::from(script.byte() % 16)), image);
            return;
        }
        _ => {
            let offset = (usize::from(script.byte()) * 16).min(image.len());
            let many = usize::from(script.byte() % 32);
            let raw = script.bytes(many);
            write(&mut image, offset, raw);
        }
    }
    images.insert(name, image);
}
