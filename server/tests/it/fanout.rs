//! Children of a queue, and messages that are put twice: a transcript for each row of the tables in protocol/README.md.

use crate::process::Launch;
use crate::transcript::{run, run_on};

#[test]
fn a_child_has_every_message_from_its_first_get_on() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > get $q+one
        < END
        > get $q+two/open
        < END
        > get $q+three/peek
        < END
        > set $q 7 0 1
        > b
        < STORED
        > gets $q+one
        < VALUE $q+one 7 1 1
        < b
        < END
        > get $q+two/open
        < VALUE $q+two/open 7 1
        < b
        < END
        > get $q+three $q+three
        < VALUE $q+three 7 1
        < b
        < END
        > get $q $q
        < VALUE $q 0 1
        < a
        < VALUE $q 7 1
        < b
        < END
        > get $q+two/close
        < END
        > get $q+one $q+two $q+three
        < END
    ");
}

#[test]
fn a_child_is_a_queue_of_its_own() {
    run(r"
        > set $q+one 7 0 1
        > a
        < STORED
        > get $q
        < END
        > set $q+one/config 0 0 7
        > tries=1
        < STORED
        > get $q+one/config
        < VALUE $q+one/config 0 7
        < tries=1
        < END
        > get $q+one/open
        < VALUE $q+one/open 7 1
        < a
        < END
        > get $q+one/abort
        < END
        > get $q+one/dead/t=9000
        < VALUE $q+one/dead/t=9000 7 1
        < a
        < END
        > set $q+one 0 0 1
        > b
        < STORED
        > flush $q+one
        < END
        > get $q+one
        < END
        > delete $q+one
        < DELETED
        > delete $q+one
        < NOT_FOUND
        > set $q 0 0 1
        > c
        < STORED
        > get $q+one
        < END
        > get $q
        < VALUE $q 0 1
        < c
        < END
    ");
}

#[test]
fn a_child_that_is_full_refuses_for_all_or_drops() {
    run(r"
        > get $q+one
        < END
        > get $q+two
        < END
        > set $q+one/config 0 0 7
        > depth=1
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > set $q 0 0 1
        > b
        < NOT_STORED
        > get $q+two $q+two
        < VALUE $q+two 0 1
        < a
        < END
        > set $q+one/config 0 0 17
        > depth=1 full=drop
        < STORED
        > set $q 0 0 1
        > c
        < STORED
        > get $q+one $q+one
        < VALUE $q+one 0 1
        < c
        < END
        > get $q+two
        < VALUE $q+two 0 1
        < c
        < END
    ");
}

#[test]
fn a_put_can_go_to_the_children_alone() {
    run(r"
        > get $q+one
        < END
        > set $q/config 0 0 13
        > fanout_only=1
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > get $q
        < END
        > get $q+one
        < VALUE $q+one 0 1
        < a
        < END
    ");
}

#[test]
fn without_fan_out_a_child_is_a_name() {
    run_on(
        Launch::new().with(&["--no-fanout"]),
        2,
        r"
        > get $q+one
        < END
        > set $q 0 0 1
        > a
        < STORED
        > set $q+ 0 0 1
        > b
        < STORED
        > get $q+one $q+
        < VALUE $q+ 0 1
        < b
        < END
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
    ",
    );
}

#[test]
fn of_messages_with_one_id_one_is_stored() {
    run(r"
        > set $q/id=order-1 0 0 1
        > a
        < STORED
        > set $q/id=order-1 0 0 1
        > b
        < STORED
        > set $q/id=order-2 0 0 1
        > c
        < STORED
        > get $q $q $q
        < VALUE $q 0 1
        < a
        < VALUE $q 0 1
        < c
        < END
        > set $q/id=order-1/delay=0 0 0 1
        > d
        < STORED
        > set $other/id=order-1 0 0 1
        > e
        < STORED
        > get $q $other
        < VALUE $other 0 1
        < e
        < END
    ");
}

#[test]
fn an_id_is_forgotten_after_the_time_that_the_queue_is_told() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q/config 0 0 7
        > dedup=1
        < STORED
        > set $q/id=order-1 0 0 1
        > a
        < STORED
        > get $q
        < VALUE $q 0 1
        < a
        < END
        > get $q/t=2100
        < END
        > set $q/id=order-1 0 0 1
        > b
        < STORED
        > get $q
        < VALUE $q 0 1
        < b
        < END
    ",
    );
}
