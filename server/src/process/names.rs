//! The names of the queues that a start finds, held against the options `--no-options` and `--no-fanout`: none of them
//! may mean something else than when it was made.

use protocol::{KeyRules, is_queue_name, reads_as_name};
use shards::names::{base_of, is_dead, shown};

use crate::process::settings::Settings;

/// Names that a line shows.
const SHOWN_MAX: usize = 3;

/// Names of one kind: the first few, and how many there are.
#[derive(Debug, Default)]
struct Names {
    first: Vec<String>,
    count: u64,
}

impl Names {
    fn add(&mut self, name: &[u8]) {
        self.count += 1;
        if self.first.len() < SHOWN_MAX {
            self.first.push(shown(name).escape_ascii().to_string());
        }
    }

    /// `a, b, c and 4 more`
    fn list(&self) -> String {
        let more = self.count - self.first.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.first.join(", ") + &more
    }
}

/// What is wrong with names, under some rules.
#[derive(Debug, Default)]
struct Found {
    /// Old names that would be read as a key with options.
    as_options: Names,
    /// Old names that would be read as a child.
    as_child: Names,
    /// Of them, those that would be read as a child with options.
    as_both: u64,
    /// Children and dead letters that no key leads to.
    unreachable: Names,
}

/// Holds names against rules.
fn look<'a>(names: impl Iterator<Item = &'a [u8]>, rules: KeyRules) -> Found {
    let mut found = Found::default();
    for name in names {
        let base = base_of(name);
        if base.len() < name.len() {
            let has_child = name[base.len()..].starts_with(b" +");
            if (is_dead(name) && !rules.options) || (has_child && !rules.fanout) {
                found.unreachable.add(name);
            }
        } else if is_queue_name(name) && !reads_as_name(name, rules) {
            let without_options = reads_as_name(name, KeyRules { options: false, ..rules });
            let without_fanout = reads_as_name(name, KeyRules { fanout: false, ..rules });
            match (without_options, without_fanout) {
                (true, _) => found.as_options.add(name),
                (false, true) => found.as_child.add(name),
                (false, false) => {
                    found.as_options.add(name);
                    found.as_child.add(name);
                    found.as_both += 1;
                }
            }
        }
    }
    found
}

/// What keeps a start from going on, and what is worth a warning.
fn verdict(found: &Found) -> Result<Option<String>, String> {
    let Found { as_options, as_child, as_both, unreachable } = found;
    if as_options.count + as_child.count > 0 {
        let names = if as_options.count > 0 { as_options } else { as_child };
        let (count, list) = (as_options.count + as_child.count - as_both, names.list());
        let (what, options) = match (as_options.count > 0, as_child.count > 0) {
            (true, false) => ("with options behind a /", "--no-options"),
            (false, true) => ("of children behind a +", "--no-fanout"),
            _ => ("with options or of children", "--no-options and --no-fanout"),
        };
        return Err(format!(
            "the names of {count} queues would be read as keys {what}: {list}; start with {options}, which keeps them as \
             they are"
        ));
    }
    Ok((unreachable.count > 0).then(|| {
        format!(
            "{} children and dead letters cannot be reached with --no-options or --no-fanout: {}; they stay as they are, \
             and a start without these has them again",
            unreachable.count,
            unreachable.list()
        )
    }))
}

/// Looks at the names of all queues.
///
/// # Errors
/// When one of them would be read as something else than that queue. The line names a few, and the remedy.
pub(crate) fn check<'a>(names: impl Iterator<Item = &'a [u8]>, settings: &Settings) -> Result<(), String> {
    let rules = KeyRules { options: settings.options, fanout: settings.fanout };
    if let Some(warning) = verdict(&look(names, rules))? {
        log::warn!("{warning}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(names: &[&str], options: bool, fanout: bool) -> Result<Option<String>, String> {
        verdict(&look(names.iter().map(|name| name.as_bytes()), KeyRules { options, fanout }))
    }

    #[test]
    fn names_that_mean_what_they_always_did_are_good() {
        let old = ["q", "jobs/todo", "a/b/c", "x:y", "t=5", "q/"];
        assert_eq!(verdict_of(&old, true, true), Ok(None));
        let own = ["q", "q +child", "q dead", "q +child dead"];
        assert_eq!(verdict_of(&own, true, true), Ok(None));
        // No command could ever name it.
        assert_eq!(verdict_of(&["a\tb/open"], true, true), Ok(None));
        let any = ["a+b", "a/open", "a+b/open", "+", "/dead", "q/t=x"];
        assert_eq!(verdict_of(&any, false, false), Ok(None));
    }

    #[test]
    fn names_that_would_mean_something_else_are_refused() {
        for (names, count, words) in [
            (&["q", "a/open"][..], 1, &["a/open", "--no-options"][..]),
            (&["a/t=x", "/dead"], 2, &["a/t=x, /dead;", "--no-options"]),
            (&["a+b"], 1, &["a+b", "--no-fanout"]),
            (&["+", "a+", "b+c", "c+d", "d+e"], 5, &["+, a+, b+c and 2 more", "--no-fanout"]),
            (&["a+b", "c/open"], 2, &["c/open", "--no-options and --no-fanout"]),
            (&["a+b/open"], 1, &["a+b/open", "--no-options and --no-fanout"]),
        ] {
            let line = verdict_of(names, true, true).expect_err("refused");
            assert!(line.contains(&format!("{count} queues")), "{line}");
            for word in words {
                assert!(line.contains(word), "no {word:?} in: {line}");
            }
            let both = line.contains("--no-options and");
            assert_eq!(both || !line.contains("--no-fanout"), words.last() != Some(&"--no-fanout"), "{line}");
            // The remedy is one.
            let (options, fanout) = (!line.contains("--no-options"), !line.contains("--no-fanout"));
            assert_eq!(verdict_of(names, options, fanout), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_reached_is_a_warning() {
        let own = ["q", "q +child", "q dead", "q +child dead"];
        let warning = |options, fanout| verdict_of(&own, options, fanout).expect("no refusal").expect("a warning");
        assert!(warning(false, true).contains("2 children and dead letters"));
        assert!(warning(false, true).contains("q/dead, q+child/dead;"));
        assert!(warning(true, false).contains("q+child, q+child/dead;"));
        assert!(warning(false, false).contains("q+child, q/dead, q+child/dead;"));
    }
}
