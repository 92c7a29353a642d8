//! Keys with options and children, one case for each row of the tables in the README.

use protocol::KeyRules;

use crate::transcript::{check, check_under};

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";

/// Checks that each of `lines` gets [`BAD_FORMAT`], and that a command behind it is understood.
#[track_caller]
fn lines_rejected(lines: &[&str]) {
    for line in lines {
        check(format!("{line}\r\nget after\r\n"), &[BAD_FORMAT, "get after"]);
    }
}

#[test]
fn opens() {
    check("get q/open\r\ngets q/open\r\n", &["open q as q/open", "open q as q/open with number"]);
    check("get q/open/for=30\r\ngat 30 q\r\n", &["open 30 s q as q/open/for=30", "open 30 s q as q"]);
    check("gets q/open/for=30\r\n", &["open for its number 30 s q as q/open/for=30 with number"]);
    check("gats 30 q\r\n", &["open for its number 30 s q as q with number"]);
    check("get q/open/as=w1\r\n", &["open for w1 q as q/open/as=w1"]);
    check(
        "gat 5 q/as=w1\r\nGATS 0 q/dead\r\n",
        &["open for w1 5 s q as q/as=w1", "open for its number q dead as q/dead with number"],
    );
    check("get q/t=500/open\r\n", &["open wait 500 q as q/t=500/open"]);
    check("get q/close/open/t=500\r\n", &["close and open wait 500 q as q/close/open/t=500"]);
    lines_rejected(&["get q/close/open/as=w1", "gets q/close/open/for=30", "gats 30 q/close/open", "gat 30 q/close"]);
    lines_rejected(&["gat 30 q/for=30", "gat -1 q", "gat x q", "gat 31536001 q", "gat 30 q r", "gat 30 a\tb"]);
}

#[test]
fn ends() {
    check("get q/close\r\nget q/close/as=w1\r\n", &["close mine of q as q/close", "close w1 of q as q/close/as=w1"]);
    check("get q/close/lease=259\r\n", &["close lease 259 of q as q/close/lease=259"]);
    check("get q/abort/delay=5/as=w1\r\n", &["abort after 5 s w1 of q as q/abort/delay=5/as=w1"]);
    check(
        "get q/release\r\nget q/bury/lease=1\r\n",
        &["release mine of q as q/release", "bury lease 1 of q as q/bury/lease=1"],
    );
    check(
        "delete q/as=w1\r\ndelete q/lease=7 0 noreply\r\n",
        &["acknowledge w1 of q", "acknowledge lease 7 of q noreply"],
    );
    check("touch q/as=w1 60\r\nTouch q/lease=7 -1 noreply\r\n", &["touch w1 of q 60", "touch lease 7 of q -1 noreply"]);
    check("touch q+c/dead/as=w1 31536000\r\n", &["touch w1 of q child c dead 31536000"]);
    lines_rejected(&[
        "touch q 60",
        "touch q/open 60",
        "touch q/as=a/lease=7 60",
        "touch q/as=a/open 6",
        "touch q/as= 6",
    ]);
    lines_rejected(&["touch q/as=a x", "touch q/as=a 31536001", "touch q/as=a 6 x", "touch a\tb/as=a 6"]);
    lines_rejected(&[
        "delete q/open",
        "delete q/as=a/lease=7",
        "delete q/as=a 5",
        "delete q/close/as=a",
        "delete q/peek",
    ]);
    check("touch q 60 noreply\r\ndelete q/open noreply\r\nget after\r\n", &["no reply", "no reply", "get after"]);
}

#[test]
fn takes_and_looks() {
    check("get q/t=500\r\ngets q/t=0\r\n", &["take wait 500 q as q/t=500", "take wait 0 q as q/t=0 with number"]);
    check("get q/peek\r\nget q/dead\r\n", &["peek q as q/peek", "take q dead as q/dead"]);
    check(
        "get q/dead/open\r\nget q+c/dead/peek\r\n",
        &["open q dead as q/dead/open", "peek q child c dead as q+c/dead/peek"],
    );
    check("get q/kick=100\r\nget q/config\r\n", &["kick 100 q as q/kick=100", "config of q as q/config"]);
    lines_rejected(&["get q/kick=0", "get q/kick=10001", "get q/dead/kick=1", "get q/dead/config", "get q/peek/t=5"]);
}

#[test]
fn puts() {
    check("set q/delay=30 7 0 1\r\nx\r\n", &[r#"set q delay 30 7 0 "x""#]);
    check("set q/id=a/delay=0 0 9 1 noreply\r\nx\r\n", &[r#"set q delay 0 id a 0 9 "x" noreply"#]);
    check("set q+c 0 0 1\r\nx\r\n", &[r#"set q child c 0 0 "x""#]);
    check("set q/config 0 0 16\r\ndepth=9\ntries=10\r\n", &[r#"configure q "depth=9\ntries=10""#]);
    check("set q+c/config 0 0 0 noreply\n\n", &[r#"configure q child c "" noreply"#]);
    check("set q/todo 0 0 1\r\nx\r\n", &[r#"set q/todo 0 0 "x""#]);
    for key in
        ["q/open", "q/dead", "q/t=5", "q/config/delay=5", "q/delay=x", "q/id=", "q/id=a/id=b", "q/gate", "q/as=a", "+c"]
    {
        check(format!("set {key} 0 0 5\r\nget x\r\nget after\r\n"), &[BAD_FORMAT, "get after"]);
        check(format!("set {key} 0 0 5 noreply\r\nget x\r\nget after\r\n"), &["no reply", "get after"]);
    }
    check(
        "set q/config 0 0 65\r\n".to_owned() + &"x".repeat(65) + "\r\n",
        &["SERVER_ERROR object too large for cache"],
    );
}

#[test]
fn queues_and_their_parts() {
    check(
        "delete q+c\r\ndelete q/dead 0\r\ndelete q/config\r\n",
        &["delete q child c", "delete q dead", "unconfigure q"],
    );
    check("flush q+c\r\nflush q/dead\r\n", &["flush q child c", "flush q dead"]);
    check("get q+c\r\ngets a q+c a+\u{fc}\r\n", &["get q+c", r"gets a q+c a+\xc3\xbc"]);
    lines_rejected(&["flush q/open", "flush q/config", "flush q+", "delete q/dead/config", "get q+", "get a +c"]);
}

#[test]
fn a_key_with_options_stands_alone() {
    lines_rejected(&[
        "get q/open q",
        "get q q/open",
        "get q/t=5 q/t=5",
        "gets q q/dead",
        "get a b+c q/peek",
        "get a b/t=x",
    ]);
    check("get q/todo a+b q\r\n", &["get q/todo a+b q"]);
}

/// With a number or without, one time or two: what is wrong with a key is wrong with the whole command.
#[test]
fn bad_options() {
    lines_rejected(&[
        "get q/t=x",
        "get q/t=",
        "get q/t=86400001",
        "get q/open/open",
        "get q/open/t=1/t=2",
        "get q/as=a",
    ]);
    lines_rejected(&[
        "get q/close/lease=9007199254740992",
        "get q/open/as=",
        "get q/open/for=-1",
        "get q/id=a",
        "get /open",
    ]);
    lines_rejected(&[&format!("get q/open/as={}", "w".repeat(65)), &format!("get {}/open", "q".repeat(246))]);
}

#[test]
fn what_is_asked_of_a_gate() {
    check(
        "get c/ticket=a/b+c\r\ngets c/d/ticket=a\r\n",
        &["join a/b+c of c as c/ticket=a/b+c", "join a of c/d as c/d/ticket=a with number"],
    );
    check("get c/place=a\r\nGET c/paid=a\r\n", &["look a of c as c/place=a", "pay a of c as c/paid=a"]);
    check("incr c/ticket=a 1\r\nIncr c/ticket=a 1 noreply\r\n", &["join a of c", "join a of c noreply"]);
    check("add c/ticket=a 7 -1 4\r\nx\r\ny\r\n", &[r#"join a of c with 7 "x\r\ny""#]);
    check("add c/ticket=a 0 0 0 noreply\n\n", &[r#"join a of c with 0 "" noreply"#]);
    check("touch c/ticket=a 0\r\ntouch c/ticket=a 0 noreply\r\n", &["pay a of c", "pay a of c noreply"]);
    check(
        "touch c/ticket=a 1\r\ntouch c/ticket=a 31536000 noreply\r\n",
        &["extend a of c 1 s", "extend a of c 31536000 s noreply"],
    );
    check("delete c/ticket=a\r\ndelete c/ticket=a 0 noreply\r\n", &["return a of c", "return a of c noreply"]);
    check("get c/gate\r\ngets c/gate\r\n", &["gate of c as c/gate", "gate of c as c/gate with number"]);
    check("stats gate c\r\nstats gate c/todo\r\n", &["stats gate c", "stats gate c/todo"]);
    let longest = format!("c/ticket={}", "b".repeat(241));
    check(format!("delete {longest}\r\n"), &[&format!("return {} of c", "b".repeat(241))]);
    let too_long = format!("incr {longest}b 1");
    lines_rejected(&[&too_long]);
}

#[test]
fn what_a_gate_is_not_asked() {
    lines_rejected(&["get c/ticket=", "get c/place=", "get c/paid=", "get /ticket=a", "incr c/ticket= 1"]);
    lines_rejected(&[
        "get c+d/ticket=a",
        "get c+d/gate",
        "get c/dead/ticket=a",
        "get c/dead/gate",
        "incr c+d/ticket=a 1",
    ]);
    lines_rejected(&[
        "get c/open/ticket=a",
        "get c/t=5/place=a",
        "get c/gate/paid=a",
        "get c/gate/open",
        "get c/gate q",
    ]);
    lines_rejected(&["get q c/ticket=a", "get c/ticket=a c/ticket=b", "gat 30 c/ticket=a", "gats 30 c/gate"]);
    lines_rejected(&["incr c/ticket=a 2", "incr c/ticket=a 0", "incr c/ticket=a -1", "incr c/ticket=a x"]);
    lines_rejected(&["incr c/ticket=a 1 x", "incr c/place=a 1", "incr c/open/ticket=a 1"]);
    lines_rejected(&[
        "touch c/ticket=a x",
        "touch c/ticket=a 31536001",
        "touch c/ticket=a 0 x",
        "touch c/ticket=a 9 9",
    ]);
    lines_rejected(&["touch c/place=a 0", "touch c/paid=a 0", "touch c/gate 0", "touch c/open/ticket=a 0"]);
    lines_rejected(&[
        "delete c/place=a",
        "delete c/paid=a",
        "delete c/gate",
        "delete c/ticket=a 1",
        "delete c/dead/ticket=a",
    ]);
    lines_rejected(&["flush c/gate", "flush c/ticket=a", "stats gate c/dead", "stats gate c+d", "stats gate c/gate"]);
    lines_rejected(&["stats gate c/ticket=a", "stats gate a\tb"]);
    check("touch c/ticket=a -1\r\n", &["CLIENT_ERROR invalid exptime argument"]);
    check("touch c/ticket=a -1 noreply\r\nincr c/ticket=a 2 noreply\r\n", &["no reply", "no reply"]);
    check("incr c/ticket=a\r\nincr c/ticket=a 1 noreply x\r\nstats gate\r\nstats gate c d\r\n", &["ERROR"; 4]);
    for key in ["c/ticket=", "c/place=a", "c/open/ticket=a", "c+d/ticket=a", "/ticket=a"] {
        check(format!("add {key} 0 0 5\r\nget x\r\nget after\r\n"), &[BAD_FORMAT, "get after"]);
    }
    for line in ["set c/ticket=a 0 0 5", "set c/gate 0 0 5", "add c/ticket=a x 0 5", "add c/ticket=a 0 x 5"] {
        check(format!("{line}\r\nget x\r\nget after\r\n"), &[BAD_FORMAT, "get after"]);
        check(format!("{line} noreply\r\nget x\r\nget after\r\n"), &["no reply", "get after"]);
    }
    check(format!("add c/ticket=a 0 0 65\r\n{:65}\r\n", ""), &["SERVER_ERROR object too large for cache"]);
    check("add c/ticket=a 0 0 1\r\nxy\r\nget after\r\n", &["CLIENT_ERROR bad data chunk", "get after"]);
    check("add c/ticket=a 0 0 -1\r\n", &["CLIENT_ERROR bad data chunk, close"]);
    check("add c/ticket=a 0 0\r\n", &["ERROR, close"]);
}

/// What memcached has and a queue has not stays unknown where no buyer is named.
#[test]
fn other_counts_and_adds_are_not_known() {
    for line in ["incr q 1", "incr c/gate 1", "incr q/open 1", "decr c/ticket=a 1", "incr ticket=a 1", "incr"] {
        check(format!("{line}\r\nget after\r\n"), &["ERROR", "get after"]);
    }
    for word in ["add q", "add c/gate", "add q/delay=5", "replace c/ticket=a", "append c/ticket=a"] {
        check(format!("{word} 0 0 5\r\nget x\r\nget after\r\n"), &["ERROR", "get after"]);
    }
}

#[test]
fn with_the_rules_off_a_key_is_a_name_like_any_other() {
    let off = KeyRules { options: false, fanout: false };
    check_under(off, "set q/delay=x 0 0 1\r\nx\r\n", &[r#"set q/delay=x 0 0 "x""#]);
    check_under(off, "get q/open q+ +c q/open/open\r\n", &["get q/open q+ +c q/open/open"]);
    check_under(off, "delete q/lease=x\r\nflush c/gate\r\n", &["delete q/lease=x", "flush c/gate"]);
    check_under(off, "get c/ticket=a c/gate\r\n", &["get c/ticket=a c/gate"]);
    check_under(off, "incr c/ticket=a 1\r\nadd c/ticket=a 0 0 1\r\nx\r\n", &["ERROR", "ERROR"]);
    // These have no options, but commands of their own.
    check_under(off, "gat 30 q/open\r\n", &["open 30 s q/open as q/open"]);
    check_under(off, "touch q/as=a 5\r\n", &[BAD_FORMAT]);
    let no_fanout = KeyRules { fanout: false, ..KeyRules::default() };
    check_under(no_fanout, "get q+c/open\r\nget q+ q\r\n", &["open q+c as q+c/open", "get q+ q"]);
    let no_options = KeyRules { options: false, ..KeyRules::default() };
    check_under(
        no_options,
        "flush q+c/dead\r\nset q/dead 0 0 1\r\nx\r\n",
        &["flush q child c/dead", r#"set q/dead 0 0 "x""#],
    );
}
