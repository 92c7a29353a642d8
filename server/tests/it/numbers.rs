//! The numbers that clients see, as protocol/README.md explains them.

use crate::process::{Launch, Server};
use crate::transcript::run;

/// As protocol/README.md says: a message's place in its queue, whatever happens to the server meanwhile.
#[test]
fn gets_numbers_are_places_in_the_queue_and_are_never_used_again() {
    let mut server = Launch::new().start();
    let put = |server: &Server| assert_eq!(server.connect().set("q", b"x"), "STORED");
    let number = |server: &Server| {
        let mut client = server.connect();
        let line = client.command("gets q");
        client.expect("x\r\nEND\r\n");
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    (0..6).for_each(|_| put(&server));
    assert_eq!((number(&server), number(&server)), (1, 2));
    server.kill_9();
    server.start();
    assert_eq!(number(&server), 3);
    server.terminate();
    server.set_shards(3);
    server.start();
    assert_eq!(number(&server), 4);
    assert_eq!(server.connect().command("flush q"), "END");
    put(&server);
    assert_eq!(number(&server), 7);
    assert_eq!(server.connect().command("flush_all"), "OK");
    server.terminate();
    server.start();
    put(&server);
    assert_eq!(number(&server), 8);
    assert_eq!(server.connect().command("delete q"), "DELETED");
    put(&server);
    assert_eq!(number(&server), 1);
}

/// protocol/README.md: `stats queue` says how many messages ever came and went; and an exptime means nothing.
#[test]
fn an_exptime_is_ignored() {
    run(r"
        > set $q 0 1 1
        > a
        < STORED
        > set $q 0 -1 1
        > b
        < STORED
        > set $q 0 2147483647 1
        > c
        < STORED
        > get $q $q
        < VALUE $q 0 1
        < a
        < VALUE $q 0 1
        < b
        < END
        > stats queue
        < STAT $q 3/2
        < END
    ");
}
