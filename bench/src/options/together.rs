//! Which options cannot be given together, and which need another one. Only what was typed counts: a
//! default excludes nothing.

use super::forms::Given;

/// An option, and those that mean something else or nothing beside it.
const EXCLUDED: [(&str, &[&str]); 12] = [
    ("--requests", &["--test-time"]),
    ("--rate-limiting", &["--rate", "--consumer-rate"]),
    ("--producers", &["--clients", "--ratio", "--rush"]),
    ("--consumers", &["--clients", "--ratio", "--rush"]),
    ("--reliable", &["--rush", "--beside"]),
    ("--rush", &["--test-time", "--ratio", "--rate", "--rate-limiting", "--consumer-rate"]),
    (
        "--gate",
        &[
            "--ratio",
            "--data-size",
            "--data-size-range",
            "--key-maximum",
            "--key-pattern",
            "--producers",
            "--consumers",
            "--reliable",
            "--verify",
            "--rush",
            "--beside",
            "--restart-after",
        ],
    ),
    // Buyers come over one thread, so that what they were told is in one order.
    ("--buyers", &["--threads", "--requests", "--test-time", "--pipeline", "--rate-limiting", "--gate-refusals"]),
    ("--gate-refusals", &["--restart-command"]),
    ("--tls", &["--gate", "--beside"]),
    ("--tls-ca", &["--tls-insecure"]),
    (
        "--beside",
        &[
            "--clients",
            "--threads",
            "--requests",
            "--ratio",
            "--pipeline",
            "--data-size-range",
            "--key-minimum",
            "--key-maximum",
            "--key-pattern",
            "--rate",
            "--rate-limiting",
            "--producers",
            "--consumers",
            "--verify",
            "--rush",
            "--restart-command",
        ],
    ),
];

/// An option, and the one without which it means nothing.
const NEEDED: [(&str, &str); 12] = [
    ("--restart-after", "--restart-command"),
    ("--baseline", "--compare"),
    ("--kill-consumers", "--reliable"),
    ("--kill-consumers", "--consumers"),
    ("--wait", "--consumers"),
    ("--buyers", "--gate"),
    ("--gate-config", "--gate"),
    ("--gate-refusals", "--gate"),
    ("--gate-unread", "--buyers"),
    ("--gate-kills", "--restart-command"),
    ("--tls-ca", "--tls"),
    ("--tls-insecure", "--tls"),
];

/// # Errors
/// When two options exclude each other, or one lacks the option that it belongs to.
pub(super) fn check(given: &[Given]) -> Result<(), String> {
    let is_given = |name: &&str| given.iter().any(|given| given.name == *name);
    for (name, excluded) in EXCLUDED.iter().filter(|(name, _)| is_given(name)) {
        if let Some(other) = excluded.iter().find(|other| is_given(other)) {
            return Err(format!("{name} cannot be used with {other}"));
        }
    }
    for (name, needed) in NEEDED.iter().filter(|(name, _)| is_given(name)) {
        if !is_given(needed) {
            return Err(format!("{name}: {needed} is missing, which it belongs to"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use argh::ArgsInfo;

    use super::*;
    use crate::options::Arguments;
    use crate::options::tests::parse;

    #[test]
    fn every_name_is_an_option() {
        let flags = Arguments::get_args_info().flags;
        let excluded = EXCLUDED.iter().flat_map(|(name, others)| others.iter().chain([name]));
        for name in excluded.chain(NEEDED.iter().flat_map(|(name, needed)| [name, needed])) {
            assert!(flags.iter().any(|flag| flag.long == *name), "{name}");
        }
    }

    #[test]
    fn what_excludes_each_other_is_refused_whatever_comes_first() {
        for (name, others) in EXCLUDED {
            for other in others {
                let word = |name: &str| match name {
                    "--verify" | "--rush" | "--gate-refusals" | "--tls" | "--tls-insecure" => name.to_string(),
                    "--beside" => "--beside sets".to_string(),
                    "--reliable" => "--reliable named".to_string(),
                    name => format!("{name} 1"),
                };
                let lines = [format!("{} {}", word(name), word(other)), format!("{} {}", word(other), word(name))];
                for line in lines {
                    let error = parse(&line).unwrap_err();
                    assert!(error.contains("cannot be used with"), "{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_is_needed_is_named() {
        let error = parse("--baseline x").unwrap_err();
        assert_eq!(error, "--baseline: --compare is missing, which it belongs to");
        parse("--restart-after 1").unwrap_err();
        for line in ["--wait 5", "--kill-consumers 5 --consumers 5", "--kill-consumers 5 --reliable named"] {
            assert!(parse(line).unwrap_err().contains("is missing, which it belongs to"), "{line}");
        }
        assert_eq!(parse("--restart-after 1 --restart-command x").unwrap().restart_after, Some(1.0));
    }
}
