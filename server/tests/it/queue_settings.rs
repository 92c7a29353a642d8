//! What a queue is told, and its dead letters: a transcript for each row of the tables in protocol/README.md.

use crate::process::Launch;
use crate::transcript::{run, run_on};

#[test]
fn a_queue_has_the_settings_that_it_was_told() {
    run(r"
        > get $q/config
        < END
        > set $q/config 0 0 26
        > depth=9  lease=20\ntries=10
        < STORED
        > get $q/config
        < VALUE $q/config 0 25
        < depth=9 lease=20 tries=10
        < END
        > gets $q/config
        < VALUE $q/config 0 25 0
        < depth=9 lease=20 tries=10
        < END
        > set $q/config 0 0 7 noreply
        > tries=3
        > get $q/config
        < VALUE $q/config 0 7
        < tries=3
        < END
        > delete $q/config
        < DELETED
        > get $q/config
        < END
        > delete $none/config
        < NOT_FOUND
    ");
}

#[test]
fn a_word_that_is_no_setting_is_named_and_changes_nothing() {
    run(r"
        > set $q/config 0 0 7
        > depth=9
        < STORED
        > set $q/config 0 0 15
        > tries=3 depth=x
        < CLIENT_ERROR bad config depth=x
        > set $q/config 0 0 5
        > color
        < CLIENT_ERROR bad config color
        > set $q/config 0 0 5 noreply
        > color
        > get $q/config
        < VALUE $q/config 0 7
        < depth=9
        < END
    ");
}

#[test]
fn a_paused_queue_takes_messages_and_gives_none() {
    run(r"
        > set $q/config 0 0 7
        > pause=1
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > get $q
        < END
        > get $q/open
        < END
        > get $q/peek
        < VALUE $q/peek 0 1
        < a
        < END
        > set $q/config 0 0 7
        > pause=0
        < STORED
        > get $q
        < VALUE $q 0 1
        < a
        < END
    ");
}

#[test]
fn the_server_can_have_settings_to_itself() {
    run_on(
        Launch::new().with(&["--no-config"]),
        1,
        r"
        > set $q/config 0 0 7
        > depth=0
        < NOT_STORED
        > delete $q/config
        < NOT_FOUND
        > set $q 0 0 1
        > a
        < STORED
    ",
    );
}

/// What is open and what is delayed counts.
#[test]
fn a_depth_refuses_or_drops() {
    run(r"
        > set $q/config 0 0 7
        > depth=2
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > set $q/delay=60 0 0 1
        > b
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > set $q 0 0 1
        > c
        < NOT_STORED
        > set $q 0 0 1 noreply
        > c
        > get $q/close
        < END
        > set $q 0 0 1
        > d
        < STORED
        > set $q/config 0 0 17
        > depth=2 full=drop
        < STORED
        > set $q 0 0 1
        > e
        < STORED
        > get $q $q
        < VALUE $q 0 1
        < e
        < END
    ");
}

#[test]
fn bytes_are_counted_too() {
    run(r"
        > set $q/config 0 0 8
        > bytes=10
        < STORED
        > set $q 0 0 8
        > 12345678
        < STORED
        > set $q 0 0 3
        > 123
        < NOT_STORED
        > set $q 0 0 2
        > 12
        < STORED
    ");
}

#[test]
fn a_queue_can_have_so_many_open() {
    run(r"
        > set $q/config 0 0 6
        > open=1
        < STORED
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
        > get $q/open/as=w2
        < END
        > get $q/open/t=20/as=w2
        < END
        > delete $q/as=w1
        < DELETED
        > get $q/open/as=w2
        < VALUE $q/open/as=w2 0 1
        < b
        < END
    ");
}

#[test]
fn delays_leases_and_ages_are_timers() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q/config 0 0 15
        > delay=1 lease=1
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > get $q/open
        < END
        > get $q/open/t=9000
        < VALUE $q/open/t=9000 0 1
        < a
        < END
        > get $q/t=9000
        < CLIENT_ERROR close current item first
        > get $q/open/as=w1/t=9000
        < VALUE $q/open/as=w1/t=9000 0 1
        < a
        < END
        > set $q/config 0 0 17
        > age=1 expire=dead
        < STORED
        > set $q 0 0 1
        > b
        < STORED
        > get $q/dead/t=9000
        < VALUE $q/dead/t=9000 0 1
        < b
        < END
    ",
    );
}

#[test]
fn a_set_s_time_counts_where_the_queue_is_told_so() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q 0 1 1
        > a
        < STORED
        > get $q/t=1100/open/as=w1
        < VALUE $q/t=1100/open/as=w1 0 1
        < a
        < END
        > set $q/config 0 0 10
        > ttl=client
        < STORED
        > set $q 0 -1 1
        > b
        < STORED
        > set $q 0 0 1
        > c
        < STORED
        > get $q $q
        < VALUE $q 0 1
        < c
        < END
    ",
    );
}

#[test]
fn what_has_failed_too_often_is_a_dead_letter() {
    run(r"
        > set $q/config 0 0 7
        > tries=2
        < STORED
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
        > get $q/release
        < END
        > get $q/open
        < VALUE $q/open 7 1
        < a
        < END
        > get $q/abort
        < END
        > get $q/open
        < VALUE $q/open 7 1
        < a
        < END
        > get $q/abort
        < END
        > get $q/open
        < VALUE $q/open 0 1
        < b
        < END
        > get $q/bury
        < END
        > get $q/dead/open/as=w1/t=9000
        < VALUE $q/dead/open/as=w1/t=9000 7 1
        < a
        < END
        > get $q/dead/open/as=w2/t=9000
        < VALUE $q/dead/open/as=w2/t=9000 0 1
        < b
        < END
        > get $q/dead/release/as=w1
        < END
        > get $q/dead/release/as=w2
        < END
        > get $q/dead/peek
        < VALUE $q/dead/peek 7 1
        < a
        < END
        > get $q/kick=1
        < VALUE $q/kick=1 0 1
        < 1
        < END
        > gets $q/kick=100
        < VALUE $q/kick=100 0 1 0
        < 1
        < END
        > get $q/kick=100
        < VALUE $q/kick=100 0 1
        < 0
        < END
        > get $q $q $q
        < VALUE $q 7 1
        < a
        < VALUE $q 0 1
        < b
        < END
    ");
}

#[test]
fn dead_letters_are_a_queue() {
    run(r"
        > get $q/dead
        < END
        > set $q 0 0 1
        > a
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/bury
        < END
        > get $q/dead/open/as=w1/t=9000
        < VALUE $q/dead/open/as=w1/t=9000 0 1
        < a
        < END
        > touch $q/as=w1 60
        < NOT_FOUND
        > touch $q/dead/as=w1 60
        < TOUCHED
        > get $q/dead/abort/as=w1
        < END
        > get $q/dead/bury
        < CLIENT_ERROR bad command line format
        > set $q/dead 0 0 1
        > x
        < CLIENT_ERROR bad command line format
        > get $q/dead/open/t=500
        < VALUE $q/dead/open/t=500 0 1
        < a
        < END
        > get $q/dead/close
        < END
        > get $q/dead
        < END
        > set $q 0 0 1
        > b
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < b
        < END
        > get $q/bury
        < END
        > get $q/dead/open/as=w1/t=9000
        < VALUE $q/dead/open/as=w1/t=9000 0 1
        < b
        < END
        > get $q/dead/release/as=w1
        < END
        > flush $q/dead
        < END
        > get $q/dead/peek
        < END
        > delete $q/dead
        < DELETED
        > delete $q/dead
        < NOT_FOUND
    ");
}

#[test]
fn dead_letters_can_be_dropped_as_they_die() {
    run(r"
        > set $q/config 0 0 17
        > tries=1 dead=drop
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/abort
        < END
        > get $q $q/dead
        < CLIENT_ERROR bad command line format
        > get $q
        < END
        > get $q/dead
        < END
    ");
}

#[test]
fn a_failed_try_is_followed_by_a_pause() {
    run_on(
        Launch::new(),
        1,
        r"
        > set $q/config 0 0 11
        > backoff=0,1
        < STORED
        > set $q 0 0 1
        > a
        < STORED
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/abort
        < END
        > get $q/open
        < VALUE $q/open 0 1
        < a
        < END
        > get $q/abort
        < END
        > get $q/open
        < END
        > get $q/t=9000
        < VALUE $q/t=9000 0 1
        < a
        < END
    ",
    );
}
