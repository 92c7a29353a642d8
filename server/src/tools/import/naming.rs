//! What a queue is called here that another server calls `q`, `q+child` or `q/dead`.

use std::borrow::Cow;

use protocol::KeyRules;
use shards::names;

/// The name to store a queue under. `is_key`: the other server reads a `+` and a `/` as this one does; where it does not,
/// they are bytes of the name, and a start says what to do with such a queue.
pub(super) fn stored(name: &[u8], is_key: bool, rules: KeyRules) -> Cow<'_, [u8]> {
    if !is_key {
        return Cow::Borrowed(name);
    }
    let (of_whom, is_dead) = match name.strip_suffix(b"/dead").filter(|_| rules.options) {
        Some(of_whom) => (of_whom, true),
        None => (name, false),
    };
    let plus = of_whom.iter().position(|byte| *byte == b'+').filter(|_| rules.fanout);
    let stored = match plus.map(|plus| (&of_whom[..plus], &of_whom[plus + 1..])) {
        Some((queue, child)) if !queue.is_empty() && !child.is_empty() => {
            Cow::Owned(names::child(queue, child).into_vec())
        }
        _ => Cow::Borrowed(of_whom),
    };
    if is_dead { Cow::Owned(names::dead(&stored).into_vec()) } else { stored }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_dead_letters_are_what_they_were() {
        let rules = KeyRules::default();
        for (name, wanted) in [
            ("q", "q"),
            ("a/b", "a/b"),
            ("q+child", "q +child"),
            ("q/dead", "q dead"),
            ("q+child/dead", "q +child dead"),
            ("+x", "+x"),
            ("x+", "x+"),
        ] {
            assert_eq!(stored(name.as_bytes(), true, rules), wanted.as_bytes(), "{name}");
            assert_eq!(stored(name.as_bytes(), false, rules), name.as_bytes());
        }
        let off = KeyRules { options: false, fanout: false };
        assert_eq!(stored(b"q+child/dead", true, off), &b"q+child/dead"[..]);
    }
}
