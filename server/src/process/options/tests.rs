//! Command lines, and what comes of them.

use super::*;

fn try_parse(line: &str) -> Result<Asked, String> {
    Arguments::parse(line.split_whitespace().map(OsString::from))
}

pub(crate) fn parse(line: &str) -> Arguments {
    match try_parse(line) {
        Ok(Asked::Run(arguments)) => *arguments,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn memcacheq_start_up_lines_are_taken_as_they_are() {
    let line = "-d -r -H /data1/memcacheq -N -R -v -L 1024 -B 1024 -u nobody -c 1024 -P /run/rushq.pid";
    let options = parse(line);
    assert!(options.daemon && options.core_files && options.no_sync && options.remove_logs);
    assert_eq!((options.commit_kilobytes, options.body_bytes, options.connections), (1024, 1024, 1024));
    assert_eq!(options.user.as_deref(), Some("nobody"));
    assert_eq!(options.pid_file, Some(PathBuf::from("/run/rushq.pid")));
    assert_eq!(options.home, PathBuf::from("/data1/memcacheq"));
}

#[test]
fn switches_are_grouped_and_values_glued() {
    let options = parse("-drNvvp22202 -t2 -m64 -H/data");
    assert!(options.daemon && options.core_files && options.no_sync);
    assert_eq!((options.verbose, options.port), (2, Some(22202)));
    assert_eq!((options.threads, options.memory, options.home), (Some(2), 64, PathBuf::from("/data")));
}

/// Start-up scripts append to a line that has the option already.
#[test]
fn the_last_of_two_counts() {
    assert_eq!(parse("-p 1 -p 2 -N -N").port, Some(2));
}

/// But addresses add up, as memcached has it.
#[test]
fn addresses_add_up() {
    assert_eq!(parse("-l a,b:1 -l [::1]").addresses(), ["a", "b:1", "[::1]"]);
    assert_eq!(parse("").addresses(), ["127.0.0.1"]);
}

#[test]
fn what_has_no_effect_is_known_by_name() {
    assert_eq!(parse("-A 4096 -E 16384 -T 30 -e 60 -D 100").without_effect(), ["-A", "-T", "-e", "-D", "-E"]);
    assert!(parse("-N").without_effect().is_empty());
}

#[test]
fn the_mask_is_octal() {
    assert_eq!(parse("-a 0777").unix_mask, 0o777);
    assert_eq!(parse("").unix_mask, 0o700);
    for bad in ["8", "01000", "rw"] {
        assert!(try_parse(&format!("-a {bad}")).is_err(), "{bad}");
    }
}

/// The help has them as text, argh has them as values.
#[test]
fn defaults_are_those_of_the_help() {
    let by_default = format!("{:?}", parse(""));
    let mut checked = 0;
    for option in known() {
        let Some((_, default)) = option.description.split_once("[default: ") else { continue };
        let default = default.split(']').next().expect("words");
        // Those that depend on the machine or on other options are in words of more than one.
        let is_decided_later = default.contains(' ') || ["--segment-bytes", "--listen"].contains(&option.long);
        if !is_decided_later {
            assert_eq!(format!("{:?}", parse(&format!("{} {default}", option.long))), by_default, "{}", option.long);
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
    assert_eq!(parse("").addresses(), [ADDRESS]);
}

#[test]
fn what_is_wrong_with_a_value_is_one_line() {
    for (line, expected) in [
        ("-p x", "option '--port' with value 'x': it is a number from 0 to 65535"),
        ("-p 65536", "option '--port' with value '65536': it is a number from 0 to 65535"),
        ("-t", "-t: its value is missing, it is -t N"),
        ("--idle-timeout=", "option '--idle-timeout' with value '': it is a number from 0 to 4294967295"),
        (
            "-m 18446744073709551616",
            "option '--memory' with value '18446744073709551616': it is a number from 0 to \
                                     18446744073709551615",
        ),
        ("-a 8", "option '--unix-mask' with value '8': it is octal, 0 to 0777"),
        ("--commit never", "option '--commit' with value 'never': it is auto, inline or thread"),
        ("--import-queue q", "--import-queue q: --import is missing, which names the server to take it from"),
        ("--keep-socket s", "--keep-socket: --keep-socket-id is missing"),
        ("--verbos", "--verbos: there is no such option, --verbose perhaps"),
    ] {
        assert_eq!(try_parse(line).map(|_| ()), Err(expected.to_string()), "{line}");
    }
}

/// A path on Linux need not be UTF-8; all else is.
#[test]
fn a_path_may_be_any_bytes() {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let parse = |argument: &[u8]| Arguments::parse(std::iter::once(OsString::from_vec(argument.to_vec())));
    match parse(b"-H/f\xfcr") {
        Ok(Asked::Run(arguments)) => assert_eq!(arguments.home.as_os_str().as_bytes(), b"/f\xfcr"),
        other => panic!("{other:?}"),
    }
    let error = parse(b"-uf\xfcr").expect_err("no path");
    assert_eq!(error, "--user: its value is not UTF-8");
    parse(b"--f\xfcr").expect_err("no option");
}

#[test]
fn help_comes_before_what_else_is_asked() {
    for line in ["-h", "--help", "-p x -h", "-vhd"] {
        assert!(matches!(try_parse(line), Ok(Asked::Text(text)) if text.contains("\nUsage: ")), "{line}");
    }
    assert!(matches!(try_parse("-V"), Ok(Asked::Text(text)) if text.starts_with("rushq ")));
    assert!(matches!(try_parse("--license"), Ok(Asked::Text(text)) if text.contains("MIT")));
}
