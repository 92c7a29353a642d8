//! Small things that real clients depend on.

use crate::process::Launch;
use crate::transcript::run;

#[test]
fn trailing_spaces_and_wide_gaps() {
    run(r"
        > set $q 16 0 1\s
        > a
        < STORED
        > set   $q  16    0  1   noreply\s\s
        > b
        > get $q\s
        < VALUE $q 16 1
        < a
        < END
        > get   $q   $q\s\s
        < VALUE $q 16 1
        < b
        < END
        > stats queue\s
        < STAT $q 2/2
        < END
        > flush $q\s
        < END
        > delete $q\s
        < DELETED
        > version\s
        < VERSION {n}.{n}.{n}
    ");
}

#[test]
fn lines_may_end_without_a_carriage_return() {
    run(r"
        >| set $q 0 0 1\na\r\n
        < STORED
        >| get $q\n
        < VALUE $q 0 1
        < a
        < END
    ");
}

#[test]
fn a_get_right_behind_a_noreply_set() {
    run(r"
        > set $q 0 0 5 noreply
        > hello
        > get $q
        < VALUE $q 0 5
        < hello
        < END
        > set $q 0 0 3 noreply
        > one
        > set $other 0 0 5 noreply
        > other
        > set $q 0 0 3 noreply
        > two
        > get $q $other $q
        < VALUE $q 0 3
        < one
        < VALUE $other 0 5
        < other
        < VALUE $q 0 3
        < two
        < END
    ");
}

#[test]
fn the_version_is_three_numbers_and_the_first_is_not_zero() {
    let server = Launch::new().start();
    let line = server.connect().command("version");
    let numbers: Vec<u32> =
        line.strip_prefix("VERSION ").unwrap().split('.').map(|word| word.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 3, "{line}");
    assert_ne!(numbers[0], 0, "{line}");
}

/// Some clients take what one read brings for the whole answer.
#[test]
fn stats_leave_in_one_write() {
    let server = Launch::new().start();
    for _ in 0..10 {
        let mut client = server.connect();
        for line in ["stats\r\n", "stats \r\n", "stats\r\n"] {
            client.send(line);
            let answer = client.read_once().unwrap();
            assert!(answer.ends_with(b"\r\nEND\r\n"), "one read brought:\n{}", String::from_utf8_lossy(&answer));
        }
    }
}

#[test]
fn the_binary_protocol_is_shown_the_door() {
    let server = Launch::new().start();
    for length in [1, 24] {
        let mut client = server.connect();
        let mut request = vec![0; length];
        request[0] = 0x80;
        client.send(request);
        client.expect_close();
    }
}

/// Against memcacheQ 0.2 each PHP process of Zend_Queue throws the message at the head away.
#[test]
fn zend_queues_greeting_destroys_no_message() {
    run(r"
        > set $q 0 0 7
        > message
        < STORED
        > set $q 0 15 14
        > creating queue
        < STORED
        > get $q
        < VALUE $q 0 14
        < creating queue
        < END
        > get $q
        < VALUE $q 0 7
        < message
        < END
        > get $q
        < END
        > delete $q 0
        < DELETED
    ");
}
