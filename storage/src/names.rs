//! What stored queues are called. A client's `q`, `q+child`, `q/dead` and `q+child/dead` are stored as `q`, `q +child`,
//! `q dead` and `q +child dead`. A space, which no client's name can have, marks what was made of a name: so a queue
//! that has always been called `a+b` or `a/dead` stays what it is, and is told from a child and from dead letters.

/// Bytes of the longest key of a client.
pub const KEY_BYTES_MAX: usize = 250;
/// Bytes of the longest name of a stored queue: the longest key, the space before a child, and the mark of the dead
/// letters, whose `/dead` a client's key can have beyond.
pub(crate) const NAME_BYTES_MAX: usize = 260;
const DEAD: &[u8] = b" dead";
const _: () = assert!(KEY_BYTES_MAX + 1 + DEAD.len() <= NAME_BYTES_MAX);

/// The stored name of a queue's child.
#[must_use]
pub fn child(queue: &[u8], child: &[u8]) -> Box<[u8]> {
    [queue, b" +", child].concat().into()
}

/// The stored name of the dead letters of a queue or of a child.
#[must_use]
pub fn dead(name: &[u8]) -> Box<[u8]> {
    [name, DEAD].concat().into()
}

/// Whether a stored name is that of dead letters.
#[must_use]
pub fn is_dead(name: &[u8]) -> bool {
    name.ends_with(DEAD)
}

/// The queue of a client that a stored name belongs to: what stands before the first space. It says which shard owns it.
#[must_use]
pub fn base_of(name: &[u8]) -> &[u8] {
    let end = name.iter().position(|byte| *byte == b' ');
    &name[..end.unwrap_or(name.len())]
}

/// What a stored name was made of: of dead letters the queue or the child whose they are, of a child its queue. `None`
/// for a queue that a client named.
#[must_use]
pub fn parent_of(name: &[u8]) -> Option<&[u8]> {
    if let Some(of_whom) = name.strip_suffix(DEAD) {
        return Some(of_whom);
    }
    let base = base_of(name);
    (base.len() < name.len()).then_some(base)
}

/// The queue whose child this is; `None`: it is no child, but a queue that a client named, or dead letters.
#[must_use]
pub fn queue_of(name: &[u8]) -> Option<&[u8]> {
    if is_dead(name) { None } else { parent_of(name) }
}

/// A stored name as a client says it: `q+child/dead`. An old queue's `a+b` is shown as it is called.
#[must_use]
pub fn shown(name: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(name.len());
    show(name, &mut shown);
    shown
}

/// Appends a stored name as a client says it.
pub(crate) fn show(name: &[u8], shown: &mut Vec<u8>) {
    let (of_whom, dead) = match name.strip_suffix(DEAD) {
        Some(of_whom) => (of_whom, &b"/dead"[..]),
        None => (name, &b""[..]),
    };
    shown.extend(of_whom.iter().filter(|byte| **byte != b' ').chain(dead));
}

/// Whether a queue can be stored under this name: one that a client can say, of 1 to [`KEY_BYTES_MAX`] bytes without
/// spaces and control bytes, with the marks of a child, of dead letters, or both.
#[must_use]
pub fn is_stored_name(name: &[u8]) -> bool {
    let of_whom = name.strip_suffix(DEAD).unwrap_or(name);
    let base = base_of(of_whom);
    let child = match &of_whom[base.len()..] {
        b"" => None,
        [b' ', b'+', child @ ..] if !child.is_empty() => Some(child),
        _ => return false,
    };
    let key_bytes = base.len() + child.map_or(0, |child| 1 + child.len());
    let is_said = |part: &[u8]| part.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    (1..=KEY_BYTES_MAX).contains(&key_bytes) && !base.is_empty() && is_said(base) && child.is_none_or(is_said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_names_and_shown_as_clients_say_them() {
        let (of_q, of_child) = (dead(b"q"), dead(&child(b"q", b"a")));
        for (name, stored, base, parent, is_dead_letters, is_shown) in [
            (&b"q"[..], "q", "q", None, false, "q"),
            (&child(b"q", b"a"), "q +a", "q", Some("q"), false, "q+a"),
            (&of_q, "q dead", "q", Some("q"), true, "q/dead"),
            (&of_child, "q +a dead", "q", Some("q +a"), true, "q+a/dead"),
            // Old queues, and children that a name with a second plus makes.
            (b"q+a", "q+a", "q+a", None, false, "q+a"),
            (b"q/dead", "q/dead", "q/dead", None, false, "q/dead"),
            (b"dead", "dead", "dead", None, false, "dead"),
            (&child(b"q", b"a+b"), "q +a+b", "q", Some("q"), false, "q+a+b"),
            (&child(b"q", b"dead"), "q +dead", "q", Some("q"), false, "q+dead"),
        ] {
            assert_eq!(name, stored.as_bytes());
            assert_eq!(base_of(name), base.as_bytes(), "{stored}");
            assert_eq!(parent_of(name), parent.map(str::as_bytes), "{stored}");
            assert_eq!(is_dead(name), is_dead_letters, "{stored}");
            assert_eq!(queue_of(name), parent.map(str::as_bytes).filter(|_| !is_dead_letters), "{stored}");
            assert_eq!(shown(name), is_shown.as_bytes(), "{stored}");
            assert!(is_stored_name(name), "{stored}");
        }
    }

    #[test]
    fn what_no_key_makes_is_no_stored_name() {
        for name in [
            &b""[..],
            b" ",
            b" dead",
            b" +a",
            b"q ",
            b"q +",
            b"q + dead",
            b"q a",
            b"q  dead",
            b"q dead dead",
            b"q dead +a",
            b"q +a +b",
            b"q +a b",
            b"q\t",
            b"q +\r",
            b"q\x7f dead",
        ] {
            assert!(!is_stored_name(name), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn the_longest_key_has_a_child_and_dead_letters() {
        let longest = [b'x'; KEY_BYTES_MAX];
        let of_child = child(&longest[..100], &longest[..149]);
        for name in [&longest[..], &of_child, &dead(&longest), &dead(&of_child)] {
            assert!(is_stored_name(name) && name.len() <= NAME_BYTES_MAX, "{} bytes", name.len());
        }
        let too_long = [b'x'; KEY_BYTES_MAX + 1];
        let of_child = child(&longest[..100], &longest[..150]);
        for name in [&too_long[..], &of_child, &dead(&too_long), &dead(&of_child)] {
            assert!(!is_stored_name(name), "{} bytes", name.len());
        }
    }
}
