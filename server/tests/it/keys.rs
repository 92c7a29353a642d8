//! Keys of queues: which are good, and what the server's options make of them.

use crate::process::Launch;
use crate::transcript::{run, run_on};

#[test]
fn kestrel_s_clients_have_the_bare_name() {
    run_on(
        Launch::new().with(&["--kestrel-keys"]),
        2,
        r"
        > SET $q 0 0 1
        > a
        < STORED
        > GET $q/open/t=20
        < VALUE $q 0 1
        < a
        < END
        > GET $q/close/open
        < END
        > FLUSH $q
        < END
    ",
    );
}

#[test]
fn a_key_that_is_wrong_changes_nothing() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q/open 0 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > set $q/dead 0 0 5 noreply
        > get x
        > get $q/open $q
        < CLIENT_ERROR bad command line format
        > get $q $q/t=5
        < CLIENT_ERROR bad command line format
        > get $q/open/ticket=a/b
        < CLIENT_ERROR bad command line format
        > get $q/open/lease=7
        < CLIENT_ERROR bad command line format
        > delete $q/open
        < CLIENT_ERROR bad command line format
        > get $q/delete/open/not
        < END
        > get $q/t=0
        < VALUE $q/t=0 0 1
        < a
        < END
    ");
}

#[test]
fn without_options_a_key_is_a_name() {
    run_on(
        Launch::new().with(&["--no-options", "--no-fanout"]),
        2,
        r"
        > set $q/open 0 0 1
        > a
        < STORED
        > set $q+c/dead/t=x 0 0 1
        > b
        < STORED
        > get $q
        < END
        > get $q/open $q+c/dead/t=x
        < VALUE $q/open 0 1
        < a
        < VALUE $q+c/dead/t=x 0 1
        < b
        < END
    ",
    );
}
