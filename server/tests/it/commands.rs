//! One transcript for every command of the protocol, statistics apart.

use crate::process::Launch;
use crate::transcript::{run, run_on};

#[test]
fn first_steps() {
    run(r"
        > set q4 0 0 5
        > hello
        < STORED
        > set q4 0 0 5
        > world
        < STORED
        > stats queue
        < STAT q4 2/0
        < END
        > get q4
        < VALUE q4 0 5
        < hello
        < END
        > stats queue
        < STAT q4 2/1
        < END
    ");
}

#[test]
fn set_appends_and_get_takes_from_the_head() {
    run(r"
        > set $q 0 0 3
        > one
        < STORED
        > set $q 0 0 3
        > two
        < STORED
        > get $q
        < VALUE $q 0 3
        < one
        < END
        > set $q 0 0 5
        > three
        < STORED
        > get $q
        < VALUE $q 0 3
        < two
        < END
        > get $q
        < VALUE $q 0 5
        < three
        < END
        > get $q
        < END
    ");
}

#[test]
fn flags_come_back_and_exptime_is_ignored() {
    run(r"
        > set $q 4294967295 0 1
        > a
        < STORED
        > set $q 16 1 1
        > b
        < STORED
        > set $q 0 2592001 1
        > c
        < STORED
        > set $q 0 -1 1
        > d
        < STORED
        > get $q $q $q $q
        < VALUE $q 4294967295 1
        < a
        < VALUE $q 16 1
        < b
        < VALUE $q 0 1
        < c
        < VALUE $q 0 1
        < d
        < END
    ");
}

#[test]
fn a_body_is_any_bytes() {
    run(r"
        > set $q 0 0 0
        >
        < STORED
        > set $q 0 0 13
        > get x\r\nEND\r\n\0
        < STORED
        > get $q $q
        < VALUE $q 0 0
        <
        < VALUE $q 0 13
        < get x\r\nEND\r\n\0
        < END
    ");
}

#[test]
fn large_bodies() {
    run(r"
        > set $q 0 0 70000
        > {ab*35000}
        < STORED
        > set $q 0 0 1
        > c
        < STORED
        > get $q
        < VALUE $q 0 70000
        < {ab*35000}
        < END
        > get $q
        < VALUE $q 0 1
        < c
        < END
    ");
}

#[test]
fn noreply_says_nothing() {
    run(r"
        > set $q 0 0 5 noreply
        > hello
        > get $q
        < VALUE $q 0 5
        < hello
        < END
        > set $q 0 0 5 noreply
        > world
        > delete $q noreply
        > get $q
        < END
        > set $q 0 0 5 noreply
        > again
        > delete $q 0 noreply
        > delete $q
        < NOT_FOUND
    ");
}

#[test]
fn get_takes_one_from_each_name_in_turn() {
    run(r"
        > set $a 0 0 2
        > a1
        < STORED
        > set $b 0 0 2
        > b1
        < STORED
        > set $a 0 0 2
        > a2
        < STORED
        > set $a 0 0 2
        > a3
        < STORED
        > get $b $nothing $a $a $b
        < VALUE $b 0 2
        < b1
        < VALUE $a 0 2
        < a1
        < VALUE $a 0 2
        < a2
        < END
        > get $nothing
        < END
        > get $b $a
        < VALUE $a 0 2
        < a3
        < END
    ");
}

#[test]
fn get_checks_all_names_before_it_takes_anything() {
    run(r"
        > set $q 0 0 5
        > hello
        < STORED
        > get $q {x*251}
        < CLIENT_ERROR bad command line format
        > get $q b\x01d
        < CLIENT_ERROR bad command line format
        > get $q
        < VALUE $q 0 5
        < hello
        < END
    ");
}

#[test]
fn many_queues_in_one_read_answer_in_the_order_of_the_commands() {
    let mut text = String::new();
    for number in 0..40 {
        text += &format!("> set $q{number} {number} 0 3\n> {number:03}\n");
    }
    text += &"< STORED\n".repeat(40);
    for number in 0..40 {
        text += &format!("> get $q{number}\n");
    }
    for number in 0..40 {
        text += &format!("< VALUE $q{number} {number} 3\n< {number:03}\n< END\n");
    }
    run(&text);
}

#[test]
fn gets_adds_the_number_of_the_message() {
    run(r"
        > set $q 7 0 5
        > hello
        < STORED
        > gets $q $nothing
        < VALUE $q 7 5 {n}
        < hello
        < END
        > gets $q
        < END
    ");
}

#[test]
fn delete_drops_messages_and_counters() {
    run(r"
        > delete $q
        < NOT_FOUND
        > set $q 0 0 3
        > one
        < STORED
        > set $q 0 0 3
        > two
        < STORED
        > delete $q
        < DELETED
        > get $q
        < END
        > delete $q 0
        < NOT_FOUND
        > set $q 0 0 5
        > three
        < STORED
        > stats queue
        < STAT $q 1/0
        < END
        > get $q
        < VALUE $q 0 5
        < three
        < END
        > delete $q 0
        < DELETED
        > stats queue
        < END
    ");
}

#[test]
fn flush_drops_messages_and_keeps_the_queue() {
    run(r"
        > flush $q
        < END
        > set $q 0 0 3
        > one
        < STORED
        > set $q 0 0 3
        > two
        < STORED
        > get $q
        < VALUE $q 0 3
        < one
        < END
        > flush $q
        < END
        > get $q
        < END
        > stats queue
        < STAT $q 2/1
        < END
        > set $q 0 0 5
        > three
        < STORED
        > get $q
        < VALUE $q 0 5
        < three
        < END
    ");
}

#[test]
fn flush_all_empties_every_queue() {
    run(r"
        > set $a 0 0 1 noreply
        > a
        > set $b 0 0 1 noreply
        > b
        > set $c 0 0 1 noreply
        > c
        > flush_all
        < OK
        > get $a $b $c
        < END
        > set $a 0 0 1
        > d
        < STORED
        > flush_all 0
        < OK
        > get $a $b $c
        < END
        > set $a 0 0 1
        > e
        < STORED
        > flush_all noreply
        > get $a
        < END
        > set $a 0 0 1
        > f
        < STORED
        > flush_all 0 noreply
        > get $a
        < END
    ");
}

#[test]
fn flush_all_can_be_turned_off() {
    let text = r"
        > set $q 0 0 1
        > a
        < STORED
        > flush_all
        < CLIENT_ERROR flush_all not allowed
        > get $q
        < VALUE $q 0 1
        < a
        < END
    ";
    run_on(Launch::new().with(&["-F"]), 2, text);
}

#[test]
fn version_verbosity_and_quit() {
    run(r"
        > version
        < VERSION {n}.{n}.{n}
        > verbosity 1
        < OK
        > verbosity 0
        < OK
        > set $q 0 0 1
        > a
        < STORED
        > quit
        = close
    ");
}

#[test]
fn checkpoint_and_archive() {
    run(r"
        > set $q 0 0 1
        > a
        < STORED
        > db_checkpoint
        < OK
        > db_archive
        < OK
        > get $q
        < VALUE $q 0 1
        < a
        < END
    ");
}
