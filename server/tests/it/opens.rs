//! Messages that come back: a transcript for each row of the tables in protocol/README.md.

use crate::process::Launch;
use crate::transcript::{run, run_on};

#[test]
fn an_open_message_is_the_connection_s_until_it_is_closed() {
    run(r"
        > set $q 7 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/open
        < VALUE $q/open 7 1
        < a
        < END
        > get $q/open
        < CLIENT_ERROR close current item first
        > get $q
        < CLIENT_ERROR close current item first
        > gets $q/open/for=30
        < VALUE $q/open/for=30 0 1 {n}
        < b
        < END
        > get $q/close
        < END
        > get $q/close
        < END
        > get $q/open
        < END
    ");
}

#[test]
fn a_close_can_open_the_next() {
    run(r"
        > get $q/close/open
        < END
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/close/open
        < VALUE $q/close/open 0 1
        < a
        < END
        > gets $q/open/close/t=500
        < VALUE $q/open/close/t=500 0 1 {n}
        < b
        < END
        > get $q/close/open/t=20/for=30
        < END
        > get $q
        < END
        > get $q/close/open/as=w1
        < CLIENT_ERROR bad command line format
    ");
}

#[test]
fn a_connection_may_have_more_open_where_the_server_says_so() {
    let launch = Launch::new().with(&["--open-per-connection", "2"]);
    run_on(
        launch,
        2,
        r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/open
        < VALUE $q/open 0 1
        < b
        < END
        > get $q/open
        < CLIENT_ERROR close current item first
        > get $q/close
        < END
        > get $q/peek
        < END
    ",
    );
}

/// The same message again, whatever went wrong with the reply.
#[test]
fn a_name_holds_what_it_has_opened() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/open/as=w1
        < VALUE $q/open/as=w1 0 1
        < a
        < END
        > get $q/open/as=w1/for=30
        < VALUE $q/open/as=w1/for=30 0 1
        < a
        < END
        > gat 30 $q/as=w1
        < VALUE $q/as=w1 0 1
        < a
        < END
        > get $q/open/as=w2
        < VALUE $q/open/as=w2 0 1
        < b
        < END
        > get $q/open/as=w3
        < END
        > delete $q/as=w1
        < DELETED
        > delete $q/as=w1
        < NOT_FOUND
        > get $q/close/as=w2
        < END
        > delete $q/as=w2 0 noreply
        > get $q/open/as=w1
        < END
    ");
}

#[test]
fn a_number_or_the_connection_holds_what_gat_opens() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > gat 30 $q
        < VALUE $q 0 1
        < a
        < END
        > gats 30 $q
        < VALUE $q 0 1 {n}
        < b
        < END
        > gat 30 $q
        < CLIENT_ERROR close current item first
        > gat 30 $q $q
        < CLIENT_ERROR bad command line format
        > delete $q/lease=1
        < NOT_FOUND
        > get $q/close
        < END
        > gats 30 $q
        < END
    ");
}

#[test]
fn what_comes_back_goes_to_its_own_place() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/open/as=w1
        < VALUE $q/open/as=w1 0 1
        < b
        < END
        > get $q/abort/as=w1
        < END
        > get $q/release
        < END
        > get $q/abort
        < END
        > gets $q
        < VALUE $q 0 1 1
        < a
        < END
        > gets $q
        < VALUE $q 0 1 2
        < b
        < END
    ");
}

#[test]
fn a_lease_can_be_touched() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > touch $q/as=w1 60
        < NOT_FOUND
        > get $q/open/as=w1
        < VALUE $q/open/as=w1 0 1
        < a
        < END
        > touch $q/as=w1 60
        < TOUCHED
        > touch $q/as=w1 0 noreply
        > touch $q/lease=7 60
        < NOT_FOUND
        > get $q
        < END
        > touch $q/as=w1 -1
        < TOUCHED
        > get $q
        < VALUE $q 0 1
        < a
        < END
        > touch $q/as=w1 60
        < NOT_FOUND
        > touch $q 60
        < CLIENT_ERROR bad command line format
    ");
}

#[test]
fn a_lease_ends_by_itself_and_a_delay_too() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q 0 0 1
        > a
        < STORED
        > get $q/open/as=w1/for=1
        < VALUE $q/open/as=w1/for=1 0 1
        < a
        < END
        > get $q
        < END
        > get $q/open/t=9000
        < VALUE $q/open/t=9000 0 1
        < a
        < END
        > delete $q/as=w1
        < NOT_FOUND
        > get $q/abort/delay=1
        < END
        > get $q
        < END
        > get $q/t=9000
        < VALUE $q/t=9000 0 1
        < a
        < END
    ",
    );
}

#[test]
fn a_message_can_be_put_for_later() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q/delay=1 0 0 5
        > later
        < STORED
        > set $q/delay=0 0 0 3
        > now
        < STORED
        > get $q $q
        < VALUE $q 0 3
        < now
        < END
        > get $q/peek
        < END
        > get $q/t=9000
        < VALUE $q/t=9000 0 5
        < later
        < END
    ",
    );
}

#[test]
fn a_look_takes_nothing() {
    run(r"
        > get $q/peek
        < END
        > set $q 7 0 1
        > a
        < STORED
        > get $q/peek
        < VALUE $q/peek 7 1
        < a
        < END
        > gets $q/peek
        < VALUE $q/peek 7 1 1
        < a
        < END
        > get $q/open
        < VALUE $q/open 7 1
        < a
        < END
        > get $q/peek
        < END
    ");
}

#[test]
fn what_is_open_outlives_a_flush_and_no_delete() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > set $q/delay=60 0 0 1
        > c
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > flush $q
        < END
        > get $q/abort
        < END
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > delete $q
        < DELETED
        > get $q/abort
        < END
        > get $q
        < END
    ");
}
