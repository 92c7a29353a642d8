//! Command lines, and what becomes of them.

use super::*;

pub(crate) fn parse(line: &str) -> Result<Arguments, String> {
    match Arguments::read(line.split_whitespace().map(OsString::from))? {
        Asked::Run(arguments) => arguments.check().map(|()| *arguments),
        Asked::Text(text) => panic!("{line}: {text}"),
    }
}

#[test]
fn the_defaults_are_those_that_the_help_names() {
    let mut line = String::new();
    for flag in help::flags() {
        if let Some((_, default)) = flag.description.split_once("[default: ") {
            line.push_str(&format!("{} {} ", flag.long, default.trim_end_matches(']')));
        }
    }
    assert_eq!(parse("").unwrap(), parse(&line).unwrap(), "{line}");
    assert_eq!(line.matches("--").count(), 12, "{line}");
}

#[test]
fn what_is_no_value_is_named_in_a_line() {
    for (line, expected) in [
        ("-n x", "option '--requests' with value 'x': it is a whole number from 0 to 18446744073709551615"),
        ("-p65536", "option '--port' with value '65536': it is a whole number from 0 to 65535"),
        ("--ratio=0:0", "option '--ratio' with value '0:0': a ratio is two numbers, sets:gets, that are not both 0"),
        ("--rate fast", "option '--rate' with value 'fast': it is a number"),
        ("-P telnet", "option '--protocol' with value 'telnet': it is memcache_text or redis"),
    ] {
        assert_eq!(parse(line).unwrap_err(), expected);
    }
    assert!(parse("--beside sets,nothing").unwrap_err().contains("'nothing': it is one of none, sets-noreply, "));
}

#[test]
fn loads_have_commas_or_spaces_between_them() {
    for line in ["--beside none,sets", "--beside none sets", "--beside=none --beside sets"] {
        assert_eq!(parse(line).unwrap().beside, [Load::None, Load::Sets], "{line}");
    }
}

#[test]
fn defaults_are_for_queues() {
    let options = parse("").unwrap();
    assert_eq!((options.server.as_str(), options.port, options.clients), ("127.0.0.1", 22201, 50));
    assert_eq!((options.time_max(), options.ratio), (TEST_TIME_DEFAULT, Ratio { sets: 1, gets: 1 }));
    assert_eq!((options.queues(), options.sizes()), (64, Sizes { min: 100, max: 100 }));
    assert_eq!(options.roles(), [Role::Mixed; 50]);
}

#[test]
fn what_memtier_users_type() {
    let line = "-s host -p 1 -P redis -c 2 -t 3 -n 4 --ratio=6:0 --pipeline=7 --data-size-range=8-9 \
                --key-prefix=k --key-minimum=5 --key-maximum=14 --rate-limiting 10 --hide-histogram \
                --json-out-file=out.json --key-pattern=S:S";
    let options = parse(line).unwrap();
    assert_eq!((options.protocol, options.threads, options.requests), (Protocol::Redis, 3, Some(4)));
    assert_eq!((options.ratio, options.sizes()), (Ratio { sets: 6, gets: 0 }, Sizes { min: 8, max: 9 }));
    assert_eq!((options.queues(), options.roles().len()), (10, 6));
    assert_eq!((options.rate_limiting, options.key_pattern), (Some(10.0), Pattern::Sequential));
    assert!(parse("-n 10 --test-time 1").is_err());
}

#[test]
fn producers_and_consumers_are_in_all() {
    let options = parse("--producers 2 --consumers 3 -t 2 -n 7").unwrap();
    assert_eq!(options.roles(), [vec![Role::Producer; 2], vec![Role::Consumer; 3]].concat());
    assert_eq!((options.requests_of(Role::Producer), options.requests_of(Role::Consumer)), (Some(7), None));
    assert_eq!(parse("--consumers 3 -n 7").unwrap().requests_of(Role::Consumer), Some(7));
    parse("--producers 2 -c 3").unwrap_err();
}

#[test]
fn a_rush_is_for_one_queue_at_once() {
    let options = parse("--rush -c 100 -n 3").unwrap();
    assert_eq!((options.roles(), options.queues(), options.batch()), (vec![Role::Producer; 100], 1, 3));
    assert!(options.verifies());
    assert_eq!(parse("--rush").unwrap().requests_of(Role::Producer), Some(1));
}

#[test]
fn a_run_always_has_an_end() {
    assert_eq!(parse("-n 10").unwrap().time_max(), REQUESTS_TIME_MAX);
    assert_eq!(parse("--test-time 0.5").unwrap().time_max(), Duration::from_millis(500));
    assert_eq!(parse("--test-time 8 --restart-command x").unwrap().restart_at(), Duration::from_secs(4));
}
