//! The gate: a transcript for each row of its commands' table in protocol/README.md.

use crate::transcript::run;

#[test]
fn a_get_joins_and_tells_the_seat_or_nothing() {
    run(r"
        > set $c/config 0 0 9
        > tickets=2
        < STORED
        > get $c/ticket=ann
        < VALUE $c/ticket=ann 0 1
        < 1
        < END
        > get $c/ticket=bob/b+1=x/open
        < VALUE $c/ticket=bob/b+1=x/open 0 1
        < 2
        < END
        > get $c/ticket=cat
        < END
        > gets $c/ticket=bob/b+1=x/open
        < VALUE $c/ticket=bob/b+1=x/open 0 1 0
        < 2
        < END
        > get $c/ticket=ann
        < VALUE $c/ticket=ann 0 1
        < 1
        < END
        > get $c/ticket=cat
        < END
        > gets $c
        < VALUE $c 0 3 1
        < ann
        < END
        > gets $c
        < VALUE $c 0 14 2
        < bob/b+1=x/open
        < END
        > get $c
        < END
    ");
}

#[test]
fn an_incr_joins_and_tells_the_seat_alone() {
    run(r"
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < NOT_FOUND
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1 noreply
        > incr $c/ticket=ann 2
        < CLIENT_ERROR bad command line format
        > incr $c/ticket=ann
        < ERROR
        > incr $c 1
        < ERROR
        > decr $c/ticket=ann 1
        < ERROR
        > get $c $c
        < VALUE $c 0 3
        < ann
        < END
    ");
}

#[test]
fn an_add_joins_with_a_message() {
    run(r"
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > add $c/ticket=ann 7 60 10
        > seat for A
        < STORED
        > add $c/ticket=ann 8 0 6
        > second
        < STORED
        > add $c/ticket=bob 0 0 3
        > bob
        < NOT_STORED
        > add $c/ticket=bob 0 0 3 noreply
        > bob
        > get $c/ticket=ann
        < VALUE $c/ticket=ann 0 1
        < 1
        < END
        > get $c $c
        < VALUE $c 7 10
        < seat for A
        < END
        > add $c 0 0 3
        > bob
        < ERROR
        > add $c/place=ann 0 0 3
        > bob
        < CLIENT_ERROR bad command line format
    ");
}

/// The seconds that are left are those of a long hold: `{n}` would let any other word pass.
#[test]
fn a_look_tells_what_a_buyer_has_and_joins_nothing() {
    run(r"
        > get $c/place=ann
        < END
        > set $c/config 0 0 26
        > tickets=1 hold=9999 line=2
        < STORED
        > get $c/place=ann
        < END
        > get $c/ticket=ann
        < VALUE $c/ticket=ann 0 1
        < 1
        < END
        > get $c/place=ann
        < VALUE $c/place=ann 0 11
        < 1 held 9{n}
        < END
        > get $c/ticket=bob
        < END
        > get $c/ticket=cat
        < END
        > get $c/ticket=dan
        < END
        > gets $c/place=cat
        < VALUE $c/place=cat 0 6 0
        < 2 line
        < END
        > get $c/place=dan
        < END
        > get $c/paid=ann
        < VALUE $c/paid=ann 0 1
        < 1
        < END
        > get $c/place=ann
        < VALUE $c/place=ann 0 6
        < 1 paid
        < END
    ");
}

#[test]
fn what_is_paid_is_for_good() {
    run(r"
        > set $c/config 0 0 28
        > tickets=3 hold=60 hold_max=2
        < STORED
        > touch $c/ticket=ann 0
        < NOT_FOUND
        > get $c/paid=ann
        < END
        > incr $c/ticket=ann 1
        < 1
        > touch $c/ticket=ann 30
        < TOUCHED
        > touch $c/ticket=ann 31
        < TOUCHED
        > touch $c/ticket=ann 30
        < CLIENT_ERROR no more time
        > touch $c/ticket=ann 30 noreply
        > touch $c/ticket=ann -1
        < CLIENT_ERROR invalid exptime argument
        > touch $c/ticket=ann x
        < CLIENT_ERROR bad command line format
        > touch $c/ticket=bob 30
        < NOT_FOUND
        > touch $c/ticket=ann 0
        < TOUCHED
        > touch $c/ticket=ann 0
        < TOUCHED
        > touch $c/ticket=ann 30
        < TOUCHED
        > get $c/place=ann
        < VALUE $c/place=ann 0 6
        < 1 paid
        < END
        > incr $c/ticket=bob 1
        < 2
        > touch $c/ticket=bob 0 noreply
        > get $c/paid=bob
        < VALUE $c/paid=bob 0 1
        < 2
        < END
    ");
}

#[test]
fn what_is_returned_goes_to_the_next_who_asks_or_to_the_line() {
    run(r"
        > set $c/config 0 0 9
        > tickets=2
        < STORED
        > delete $c/ticket=ann
        < NOT_FOUND
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < 2
        > delete $c/ticket=ann
        < DELETED
        > delete $c/ticket=ann 0
        < NOT_FOUND
        > incr $c/ticket=cat 1
        < 1
        > incr $c/ticket=ann 1
        < NOT_FOUND
        > set $c/config 0 0 16
        > tickets=2 line=3
        < STORED
        > incr $c/ticket=ann 1
        < NOT_FOUND
        > get $c/ticket=dan
        < END
        > add $c/ticket=eva 0 0 1
        > e
        < NOT_STORED
        > delete $c/ticket=dan
        < DELETED
        > delete $c/ticket=cat 0 noreply
        > get $c/place=ann
        < VALUE $c/place=ann 0 6
        < 1 paid
        < END
        > delete $c/ticket=bob
        < DELETED
        > incr $c/ticket=bob 1
        < NOT_FOUND
        > get $c/ticket=eva
        < VALUE $c/ticket=eva 0 1
        < 2
        < END
    ");
}

#[test]
fn what_a_gate_is_at() {
    run(r"
        > get $c/gate
        < END
        > stats gate $c
        < END
        > set $c/config 0 0 17
        > tickets=2 hold=60
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < 2
        > touch $c/ticket=ann 0
        < TOUCHED
        > incr $c/ticket=cat 1
        < NOT_FOUND
        > incr $c/ticket=ann 1
        < 1
        > stats gate $c
        < STAT tickets 2
        < STAT given 2
        < STAT paid 1
        < STAT held 1
        < STAT returned 0
        < STAT lapsed 0
        < STAT line 0
        < STAT refused 1
        < STAT repeats 1
        < STAT state sold_out
        < STAT first {n}.{n}
        < STAT last {n}.{n}
        < END
        > delete $c/ticket=bob
        < DELETED
        > get $c/gate
        < VALUE $c/gate 0 {n}
        < tickets=2 given=2 paid=1 held=0 returned=1 lapsed=0 line=0 refused=1 repeats=1 state=open first={n}.{n} last={n}.{n}
        < END
        > stats gate
        < ERROR
        > stats gate $c+d
        < CLIENT_ERROR bad command line format
    ");
}

#[test]
fn a_child_and_dead_letters_have_no_gate() {
    run(r"
        > get $c+d/ticket=ann
        < CLIENT_ERROR bad command line format
        > get $c/dead/ticket=ann
        < CLIENT_ERROR bad command line format
        > get $c/open/ticket=ann
        < CLIENT_ERROR bad command line format
        > get $c $c/ticket=ann
        < CLIENT_ERROR bad command line format
        > set $c/ticket=ann 0 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > touch $c/place=ann 0
        < CLIENT_ERROR bad command line format
        > get $c/ticket=
        < CLIENT_ERROR bad command line format
        > set $c/config 0 0 23
        > tickets=1 fanout_only=1
        < STORED
        > get $c+d
        < END
        > incr $c/ticket=ann 1
        < 1
        > set $c 0 0 1
        > x
        < STORED
        > get $c $c
        < VALUE $c 0 3
        < ann
        < END
        > get $c+d
        < VALUE $c+d 0 3
        < ann
        < END
    ");
}
