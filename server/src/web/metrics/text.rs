//! Prometheus' text format 0.0.4: families of samples, each with what it is, and labels that say whose it is.

use std::fmt::{Display, Write};

/// What the answer says that it is.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the samples of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, until the process ends or its counters are reset.
    Counter,
    Gauge,
    Histogram,
}

/// Appends the two lines that begin a family. Its samples follow, all of them at once: a family has one place.
pub(super) fn family(out: &mut String, name: &str, kind: Kind, help: &str) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Appends a sample without a label.
pub(super) fn sample(out: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(out, "{name} {value}");
}

/// Appends a sample with a label, whose value is written as [`quoted`] has it.
pub(super) fn labeled(out: &mut String, name: &str, label: &str, quoted: impl Display, value: impl Display) {
    let _ = writeln!(out, "{name}{{{label}=\"{quoted}\"}} {value}");
}

/// A queue's name, which may be any bytes, as the value of a label. What is no UTF-8, controls the line, or is a `%`, is
/// written as `%` and two digits for each byte: so two names are never one label, since one label twice costs the whole
/// scrape, and the bytes can be had back.
pub(super) fn quoted(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '"' => out.extend(['\\', c]),
                '%' => out.push_str("%25"),
                c if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| percent(&mut out, byte)),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| percent(&mut out, *byte));
    }
    out
}

fn percent(out: &mut String, byte: u8) {
    let _ = write!(out, "%{byte:02X}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_any_bytes_are_labels_that_can_be_read_back() {
        for (name, label) in [
            (&b"orders"[..], "orders"),
            (b"q+child/dead", "q+child/dead"),
            ("Gr\u{fc}\u{df}e".as_bytes(), "Gr\u{fc}\u{df}e"),
            (br#"a"b\c"#, r#"a\"b\\c"#),
            (b"100%", "100%25"),
            (b"a\xffb", "a%FFb"),
            (b"a\n\x7f", "a%0A%7F"),
            ("\u{85}".as_bytes(), "%C2%85"),
        ] {
            assert_eq!(quoted(name), label);
        }
        // Two names, of which one is what the other would be shown as.
        let names: [&[u8]; 4] = [b"a\xff", b"a%FF", b"a%25FF", "a\u{fffd}".as_bytes()];
        assert_eq!(names.into_iter().map(quoted).collect::<BTreeSet<String>>().len(), names.len());
    }

    #[test]
    fn a_family_is_written_as_the_format_has_it() {
        let mut out = String::new();
        family(&mut out, "rushq_things", Kind::Gauge, "Things.");
        sample(&mut out, "rushq_things", 3);
        labeled(&mut out, "rushq_things", "queue", quoted(b"a\"b"), 0.5);
        assert_eq!(
            out,
            "# HELP rushq_things Things.\n# TYPE rushq_things gauge\nrushq_things 3\nrushq_things{queue=\"a\\\"b\"} 0.5\n"
        );
    }
}
