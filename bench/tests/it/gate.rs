//! A rush on a gate that keeps its promises, and on some that do not.

use crate::fake_gate::{Breach, FakeGate};
use crate::program::{Run, bench, command, path};

const SENTENCES: [&str; 8] = [
    "not_too_many",
    "one_a_buyer",
    "distinct",
    "stays",
    "paid_stays",
    "refused_means_given",
    "message_of_each",
    "first_come_first_served",
];

/// Those that do not hold.
fn violated(run: &Run) -> Vec<&'static str> {
    let violations = |place: usize| run.number(&format!("/checked/sentences/{place}/violations"));
    let name = |place: usize| run.document["checked"]["sentences"][place]["name"].as_str().unwrap();
    assert!(SENTENCES.iter().enumerate().all(|(place, sentence)| name(place) == *sentence), "{run:#?}");
    SENTENCES.iter().enumerate().filter(|(place, _)| violations(*place) > 0.0).map(|(_, name)| *name).collect()
}

/// All was sold as it should be.
#[track_caller]
fn assert_good(run: &Run, tickets: u32, buyers: u32) {
    assert_eq!((run.code, violated(run)), (Some(0), vec![]), "{run:#?}");
    let figures = ["/gate/seats", "/gate/refusals", "/checked/messages"].map(|path| run.number(path));
    assert_eq!(figures, [f64::from(tickets), f64::from(buyers - tickets), f64::from(tickets)], "{run:#?}");
    assert!(run.number("/gate/sold_out_ms") > 0.0, "{run:#?}");
}

#[test]
fn all_at_once() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 20 --buyers 300 -c 100");
    assert_good(&run, 20, 300);
    assert_eq!((run.number("/gate/unanswered"), run.number("/configuration/connections")), (0.0, 100.0), "{run:#?}");
    // All the winners, and all the refused, of whom there are not many.
    assert_eq!(run.number("/checked/asked_again"), 300.0, "{run:#?}");
}

#[test]
fn at_a_rate_on_a_schedule() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 20 --buyers 300 --rate 1000");
    assert_good(&run, 20, 300);
    assert!(run.number("/seconds") > 0.29, "{run:#?}");
}

#[test]
fn buyers_that_do_not_read_ask_again() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 20 --buyers 300 --gate-unread 50");
    assert_good(&run, 20, 300);
    assert!((100.0..200.0).contains(&run.number("/gate/unanswered")), "{run:#?}");
}

#[test]
fn buyers_that_are_told_to_try_again_do() {
    let fake = FakeGate::start(Breach::None);
    fake.not_now(100);
    let run = bench(fake.port(), "--gate 20 --buyers 300");
    assert_good(&run, 20, 300);
    assert_eq!(run.number("/gate/not_now"), 100.0, "{run:#?}");
}

#[test]
fn winners_pay_where_there_is_a_hold() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 20 --buyers 300 --gate-config hold=600");
    assert_good(&run, 20, 300);
    let run = bench(FakeGate::start(Breach::ForgetPaid).port(), "--gate 20 --buyers 300 --gate-config hold=600");
    assert_eq!((run.code, violated(&run)), (Some(1), vec!["stays"]), "{run:#?}");
}

#[test]
fn each_breach_is_found_and_named() {
    for (breach, sentences) in [
        (Breach::OneMore, vec!["not_too_many"]),
        (Breach::SeatTwice(7), vec!["distinct"]),
        (Breach::RefuseAgain, vec!["stays"]),
        (Breach::SecondTicket, vec!["one_a_buyer"]),
        (Breach::RefuseFirst, vec!["refused_means_given"]),
        (Breach::LoseMessage(7), vec!["message_of_each"]),
        (Breach::DoubleMessage(7), vec!["message_of_each"]),
        (Breach::LastFirst, vec!["first_come_first_served"]),
    ] {
        let run = bench(FakeGate::start(breach).port(), "--gate 20 --buyers 300 -c 5");
        assert_eq!((run.code, violated(&run)), (Some(1), sentences), "{breach:?}: {run:#?}");
        assert!(run.stdout.contains("VIOLATED") && run.stdout.contains(" ms"), "{run:#?}");
    }
}

fn killed(breach: Breach) -> Run {
    let fake = FakeGate::start(breach);
    let (file, json) = (path("kills"), path("out.json"));
    fake.restart_at(file.clone());
    let line = "--gate 20 --buyers 500 -c 50 --gate-unread 20 --gate-kills 8 --hide-histogram";
    let mut command = command(&format!("-p {} {line}", fake.port()));
    command.arg("--restart-command").arg(format!("echo >> {}", file.display())).arg("--json-out-file").arg(&json);
    let output = command.output().unwrap();
    let document = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    for file in [file, json] {
        std::fs::remove_file(file).unwrap();
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr), document }
}

#[test]
fn kills_are_between_the_first_seat_and_the_last_and_nothing_is_found() {
    let run = killed(Breach::None);
    assert_good(&run, 20, 500);
    assert_eq!(run.document["kills"].as_array().unwrap().len(), 8, "{run:#?}");
    assert!(run.number("/kills_between_first_and_last_seat") >= 4.0, "{run:#?}");
}

#[test]
fn a_ticket_that_is_lost_with_a_kill_is_found() {
    // Either the buyer has another seat, or another buyer has its seat.
    let run = killed(Breach::ForgetFirst);
    assert!(run.code == Some(1) && !violated(&run).is_empty(), "{run:#?}");
}

#[test]
fn a_queue_that_is_in_use_is_left_alone() {
    let fake = FakeGate::start(Breach::None);
    assert_eq!(bench(fake.port(), "--gate 1 --buyers 1").code, Some(0));
    let run = bench(fake.port(), "--gate 1 --buyers 1");
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(run.stderr.contains("queue q0 is a gate already: delete it, or take another --key-prefix"), "{run:#?}");
}

#[test]
fn a_restart_command_that_fails_ends_the_run() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 2 --buyers 9 --restart-command false");
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(run.stdout.contains("FAILED: the restart command: it ended with exit status: 1"), "{run:#?}");
}

#[test]
fn refusals_are_the_misses_of_a_run_in_which_every_buyer_is_another() {
    let run = bench(FakeGate::start(Breach::None).port(), "--gate 20 --gate-refusals -c 4 -n 500 --pipeline 16");
    assert_eq!((run.code, run.number("/gets/misses"), run.number("/gets/hits")), (Some(0), 2000.0, 0.0), "{run:#?}");
    // The buyer behind the sellout gets a ticket.
    let run = bench(FakeGate::start(Breach::OneMore).port(), "--gate 20 --gate-refusals -c 4 -n 500 --pipeline 16");
    assert_eq!((run.code, run.number("/gets/hits")), (Some(1), 1.0), "{run:#?}");
    assert!(run.stdout.contains("FAILED: 1 more buyers were given a ticket of a gate that was sold out"), "{run:#?}");
}

#[test]
fn the_page_of_a_rush_is_written() {
    let page = path("page.html");
    let line = format!("-p {} --gate 20 --buyers 100 --html", FakeGate::start(Breach::None).port());
    assert!(command(&line).arg(&page).output().unwrap().status.success());
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("Seats given") && text.contains("<dt>violations</dt><dd>0</dd>"), "{text}");
    std::fs::remove_file(page).unwrap();
}
