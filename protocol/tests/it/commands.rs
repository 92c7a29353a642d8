//! What the protocol's commands look like.

use protocol::{Command, Parse, Parser, Queues};

use crate::transcript::check;

#[test]
fn set() {
    check("set q 0 0 5\r\nhello\r\n", &[r#"set q 0 0 "hello""#]);
    check("set q 4294967295 2147483647 1\r\nx\r\n", &[r#"set q 4294967295 2147483647 "x""#]);
    check("set q 7 -2147483648 1\r\nx\r\n", &[r#"set q 7 -2147483648 "x""#]);
    check("set q 0 0 0\r\n\r\n", &[r#"set q 0 0 """#]);
    check("set q 0 0 -0\r\n\r\n", &[r#"set q 0 0 """#]);
    check("set q 0 0 1 noreply\r\nx\r\n", &[r#"set q 0 0 "x" noreply"#]);
    check("set q 0 0 1 whatever\r\nx\r\n", &[r#"set q 0 0 "x""#]);
    check("set q 0 0 9\r\n\r\nget q\r\n\r\n", &[r#"set q 0 0 "\r\nget q\r\n""#]);
    check(format!("set q 0 0 64\r\n{:64}\r\n", ""), &[&format!(r#"set q 0 0 "{:64}""#, "")]);
}

#[test]
fn get() {
    check("get q\r\n", &["get q"]);
    check("get a a b\r\n", &["get a a b"]);
    check("gets a b\r\n", &["gets a b"]);
    check("get a/b:c=1\r\nget \u{fc}\r\n", &["get a/b:c=1", r"get \xc3\xbc"]);
    let name = "q".repeat(250);
    let line = ["get", &name, &name].join(" ");
    check(format!("{line}\r\n"), &[&line]);
}

/// What is left of a get's line can be kept after each of its names, and gives the others.
#[test]
fn the_names_of_a_get_can_be_taken_up_again_where_they_were_left() {
    for line in ["get a bb c\r\n", "gets a bb c\n", "get  a   bb c  \r\n", "  get a bb c \n"] {
        let wanted = [&b"a"[..], b"bb", b"c"];
        let (used, parsed) = Parser::new(0).next(line.as_bytes());
        let Parse::Command(Command::Get { mut queues, .. }) = parsed else { panic!("{parsed:?}") };
        for done in 0..=wanted.len() {
            let rest = &line.as_bytes()[used - queues.rest_bytes()..used];
            assert!(rest.ends_with(b"\n"), "{line:?}");
            let mut resumed = Queues::resume(rest, false);
            assert_eq!(resumed, queues, "{line:?}");
            assert_eq!(resumed.by_ref().collect::<Vec<_>>(), wanted[done..], "{line:?}");
            queues.next();
        }
    }
}

#[test]
fn delete_and_flush() {
    check("delete q\r\ndelete q 0\r\n", &["delete q", "delete q"]);
    check("delete q noreply\r\ndelete q 0 noreply\r\n", &["delete q noreply", "delete q noreply"]);
    check("delete noreply\r\ndelete 0\r\n", &["delete noreply", "delete 0"]);
    check("flush q\r\nflush noreply\r\n", &["flush q", "flush noreply"]);
    check("flush_all\r\nflush_all 0\r\nflush_all 10\r\nflush_all -1\r\n", &["flush_all"; 4]);
    check("flush_all noreply\r\nflush_all 10 noreply\r\n", &["flush_all noreply"; 2]);
}

#[test]
fn statistics() {
    check("stats\r\nstats queue\r\nstats cores\r\n", &["Stats", "StatsQueue", "StatsCores"]);
    check(
        "stats queues\r\nstats queues jobs-\r\nstats conns\r\n",
        &["stats queues []", "stats queues [jobs-]", "StatsConns"],
    );
    check("stats latency\r\nstats latency \r\n", &["StatsLatency"; 2]);
    check("stats reset\r\nstats settings\r\n", &["StatsReset", "StatsSettings"]);
    check("stats items\r\nstats slabs\r\nstats sizes\r\n", &["StatsOfCache"; 3]);
}

#[test]
fn the_rest() {
    check("version\r\nquit\r\ndb_checkpoint\r\ndb_archive\r\n", &["Version", "Quit", "DbCheckpoint", "DbArchive"]);
    check("verbosity 0\r\nverbosity 4294967295\r\n", &["verbosity 0", "verbosity 4294967295"]);
    check("verbosity 1 noreply\r\n", &["verbosity 1 noreply"]);
}

/// kestrel's clients for node and Python send GET and FLUSH.
#[test]
fn command_words_come_in_any_case() {
    check("SET q 0 0 1\r\nx\r\nSet q 0 0 1 noreply\r\nx\r\n", &[r#"set q 0 0 "x""#, r#"set q 0 0 "x" noreply"#]);
    check("GET q\r\nGets a b\r\ngEt q+c\r\nFLUSH q\r\n", &["get q", "gets a b", "get q+c", "flush q"]);
    check("DELETE q 0\r\nFlush_All\r\nSTATS queue\r\nQUIT\r\n", &["delete q", "flush_all", "StatsQueue", "Quit"]);
    check(
        "Version\r\nVERBOSITY 1\r\nDB_CHECKPOINT\r\nDb_Archive\r\n",
        &["Version", "verbosity 1", "DbCheckpoint", "DbArchive"],
    );
    let line = format!("GETS {}", ["q"; 2000].join(" "));
    check(format!("{line}\r\n"), &[&line.to_ascii_lowercase()]);
}

#[test]
fn a_line_may_end_in_a_bare_newline_and_then_its_body_may_too() {
    check("get q\nstats\nset q 0 0 1\nx\r\n", &["get q", "Stats", r#"set q 0 0 "x""#]);
    check("set q 0 0 1\nx\nget q\nquit\n", &[r#"set q 0 0 "x""#, "get q", "Quit"]);
    check("get q\r\r\n", &["CLIENT_ERROR bad command line format"]);
}

#[test]
fn spaces_are_free() {
    check("get q \r\nget   a  b  \r\n  get q\r\n", &["get q", "get a b", "get q"]);
    check("set q 16 0 1 \r\nx\r\nset  q 1  2 1  noreply \r\nx\r\n", &[r#"set q 16 0 "x""#, r#"set q 1 2 "x" noreply"#]);
    check("stats \r\nstats  queue \r\nversion \r\nquit \n", &["Stats", "StatsQueue", "Version", "Quit"]);
    check("delete q \r\ndelete q  0 \r\ndelete q noreply \r\n", &["delete q", "delete q", "delete q noreply"]);
    check("flush q \r\nflush_all \r\nverbosity 1 \r\n", &["flush q", "flush_all", "verbosity 1"]);
}

#[test]
fn what_is_not_here_yet_is_waited_for() {
    check("", &[]);
    check("get q", &["5 bytes left"]);
    check("get q\r", &["6 bytes left"]);
    check("get q\r\nset q 0 0 5\r\nhello", &["get q", "18 bytes left"]);
    check("set q 0 0 5\r\nhello\r", &["19 bytes left"]);
}
