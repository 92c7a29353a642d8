//! What goes wrong at a gate when many come: the same buyer many times, clients that never read, a full disk, a drain in the
//! middle, and tickets that come back as fast as they go. What must hold is in `gate_model`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::Signal;

use crate::client::Client;
use crate::disk_full::SmallDisk;
use crate::gate_crowd::{Gate, Rush, finish, let_in};
use crate::gate_model::{Kind, Told};
use crate::process::{Launch, random_seed, wait_until};
use crate::root::is_root;

const TRY_AGAIN: &str = "SERVER_ERROR try again";

fn figure(client: &mut Client, gate: &str, name: &str) -> u64 {
    let stats = client.stats(&format!("gate {gate}"));
    stats.into_iter().find(|(figure, _)| figure == name).unwrap().1.parse().unwrap()
}

fn puts_of(client: &mut Client, queue: &str) -> u64 {
    client.queue_counters().into_iter().find(|(name, ..)| name == queue).unwrap().1
}

/// All at once and before the first has its answer: one ticket, and one message.
#[test]
fn a_buyer_on_a_hundred_connections_gets_one_ticket() {
    let server = Launch::new().start();
    let mut client = server.connect();
    let mut connections: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for name in ["c0", "c1", "c2", "c3"] {
        assert_eq!(client.set(&format!("{name}/config"), b"tickets=3"), "STORED");
        for (number, connection) in connections.iter_mut().enumerate() {
            connection.send(match number % 2 {
                0 => format!("get {name}/ticket=ann\r\n"),
                _ => format!("incr {name}/ticket=ann 1\r\n"),
            });
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            match number % 2 {
                0 => assert_eq!(connection.try_values().unwrap()[0].body, b"1"),
                _ => assert_eq!(connection.line(), "1"),
            }
        }
        assert_eq!((figure(&mut client, name, "given"), figure(&mut client, name, "repeats")), (1, 99));
        assert_eq!(client.get(name).as_deref(), Some(&b"ann"[..]));
        assert_eq!(client.get(name), None);
    }
}

/// Joins over a connection of its own. `reads`: no, and the connection ends by a reset.
fn join(address: SocketAddr, gate: &Gate, buyer: usize, reads: bool) {
    let mut client = Client::connect(address);
    gate.model().joining(buyer, Instant::now());
    client.send(format!("get {}/ticket=b{buyer}\r\n", gate.name));
    if !reads {
        client.reset_now();
        return;
    }
    let seat = client.try_values().unwrap().pop().map(|value| String::from_utf8(value.body).unwrap());
    let told = seat.map_or(Told::Nothing, |seat| Told::Seat(seat.parse().unwrap()));
    gate.model().joined(buyer, told, Instant::now()).unwrap();
}

#[test]
fn who_never_read_the_answer_asks_again_and_has_the_same_ticket() {
    let mut rng = Rng::with_seed(random_seed());
    let server = Launch::new().start();
    let address = server.address();
    let mut client = server.connect();
    for round in 0..4 {
        let gate = Arc::new(Gate::new(format!("c{round}"), Kind::Final, (100, 150), "tickets=100"));
        gate.tell(&mut client, gate.words);
        let mut buyers: Vec<usize> = (0..gate.buyers).collect();
        rng.shuffle(&mut buyers);
        for asks_again in [false, true] {
            let threads: Vec<_> = buyers
                .chunks(10)
                .map(|buyers| {
                    let (gate, buyers) = (Arc::clone(&gate), buyers.to_vec());
                    thread::spawn(move || {
                        for buyer in buyers {
                            join(address, &gate, buyer, asks_again || buyer % 2 == 0);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        finish(&gate, &mut client);
    }
}

/// A refusal says that the last ticket is given, so it is not told while a crash could take that back; once it is safe,
/// refusals wait for nothing.
#[test]
fn a_refusal_is_told_once_the_last_ticket_is_safe_and_later_ones_at_once() {
    const DELAY: Duration = Duration::from_millis(700);
    let launch = Launch::new();
    let trace = launch.scratch().join("strace");
    let inject = format!("inject=fdatasync:delay_enter={}", DELAY.as_micros());
    // -D leaves the server itself as our child.
    let through = ["strace", "-D", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", "trace=fdatasync", "-e", &inject];
    let server = launch.through(&through).start();
    let [mut ann, mut bob, mut other, mut looks] = [(); 4].map(|()| server.connect());
    for name in ["c0", "c1", "c2", "c3"] {
        assert_eq!(other.set(&format!("{name}/config"), b"tickets=1"), "STORED");
        let began = Instant::now();
        ann.send(format!("incr {name}/ticket=ann 1\r\n"));
        // Figures do not wait for the disk.
        wait_until("the ticket to be given", Duration::from_secs(10), || figure(&mut looks, name, "given") == 1);
        assert_eq!(bob.command(&format!("get {name}/ticket=bob")), "END");
        assert!(began.elapsed() >= DELAY, "refused after {:?}, before the last ticket was safe", began.elapsed());
        assert_eq!(ann.line(), "1");
        // A machine that stalls for as long as the disk gets another chance.
        let is_at_once = (2..7).any(|puts| {
            other.send(format!("set {name} 0 0 1\r\nx\r\n"));
            wait_until("the message to be put", Duration::from_secs(10), || puts_of(&mut looks, name) == puts);
            assert_eq!(bob.command(&format!("incr {name}/ticket=bob 1")), "NOT_FOUND");
            let is_at_once = !other.has_answer();
            assert_eq!(other.line(), "STORED");
            is_at_once
        });
        assert!(is_at_once, "each refusal has waited for a commit of something else");
    }
}

/// Messages of so many bytes fill the rest of a segment soon.
const BODY_BYTES: usize = 20_000;

/// Joins with a large message, and returns the answer.
fn add(client: &mut Client, buyer: usize) -> String {
    client.send(format!("add c/ticket=b{buyer} 0 0 {BODY_BYTES}\r\n{:BODY_BYTES$}\r\n", buyer));
    client.line()
}

/// A full disk is not the end of the tickets: no buyer is told so, who has one keeps it, and the rest is given later.
#[test]
fn a_disk_that_is_full_at_ticket_fifty_sells_the_rest_later() {
    if !is_root("only root can mount a small disk") {
        return;
    }
    let launch = Launch::new();
    let mount = launch.scratch().join("disk");
    let _disk = SmallDisk::mount(&mount, 24);
    let mut server = launch.directory(mount.join("data")).with(&["-m", "1"]).start();
    let mut client = server.connect();
    assert_eq!(client.set("c/config", b"tickets=100 hold=9999"), "STORED");
    (0..50).for_each(|buyer| assert_eq!(add(&mut client, buyer), "STORED"));
    // Another queue takes what there is, and a file the rest.
    let mut refusals = 0;
    while refusals < 20 {
        refusals += u32::from(client.set("other", &[b'.'; BODY_BYTES]) == "NOT_STORED");
    }
    let rest = mount.join("rest");
    let mut file = File::create(&rest).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    let mut given: Vec<usize> = (0..50).collect();
    let mut not_now = 0;
    for buyer in 50..150 {
        match add(&mut client, buyer).as_str() {
            "STORED" => given.push(buyer),
            TRY_AGAIN => not_now += 1,
            other => panic!("buyer {buyer} was told {other} while the disk is full"),
        }
    }
    assert!(not_now > 50 && given.len() < 100, "{not_now} were told to try again");
    assert_eq!(client.command("touch c/ticket=b7 0"), "TOUCHED", "a payment finds room");
    assert_eq!(client.command("delete c/ticket=b8"), "DELETED", "a return finds room");
    given.retain(|buyer| *buyer != 8);
    server.kill_9();
    server.start();
    let mut client = server.connect();
    for buyer in &given {
        assert_eq!(add(&mut client, *buyer), "STORED", "buyer {buyer} has a ticket");
    }
    let valid = figure(&mut client, "c", "held") + figure(&mut client, "c", "paid");
    assert_eq!(valid, given.len() as u64);

    drop(file);
    std::fs::remove_file(&rest).unwrap();
    while client.get("other").is_some() {}
    let (mut next, mut told) = (150, HashMap::new());
    wait_until("a ticket to be given again", Duration::from_secs(20), || add(&mut client, next) == "STORED");
    given.push(next);
    while given.len() < 100 {
        next += 1;
        // Room comes back by and by.
        wait_until("a ticket", Duration::from_secs(20), || add(&mut client, next) == "STORED");
        given.push(next);
    }
    assert_eq!(add(&mut client, next + 1), "NOT_STORED", "these were all");
    for buyer in &given {
        let seat = client.command(&format!("incr c/ticket=b{buyer} 1"));
        assert_eq!(told.insert(seat.parse::<u32>().unwrap(), *buyer), None, "seat {seat} was told twice");
    }
    assert!(told.keys().all(|seat| (1..=100).contains(seat)));
    let given = figure(&mut client, "c", "given");
    assert_eq!((given, puts_of(&mut client, "c")), (101, 101), "one was returned");
}

#[test]
fn a_drain_in_the_middle_gives_nothing_and_ends() {
    let mut rng = Rng::with_seed(random_seed());
    let server = Launch::new().start();
    let mut client = server.connect();
    let gates = ["c0", "c1", "c2"].map(|name| Gate::new(name.into(), Kind::Final, (100, 150), "tickets=100"));
    gates.iter().for_each(|gate| gate.tell(&mut client, gate.words));
    let mut rush = Rush::new(gates.into(), 4, &mut rng);
    rush.may_be_drained = true;
    let rush = Arc::new(rush);
    let is_half = |rush: &Rush| rush.told.load(Ordering::SeqCst) >= 50;
    let given = |client: &mut Client| rush.gates.iter().map(|gate| figure(client, &gate.name, "given")).sum::<u64>();
    let not_now = || rush.not_now.load(Ordering::SeqCst);
    let_in(server.address(), &rush, &mut rng, is_half, || {
        let mut client = server.connect();
        server.signal(Signal::SIGUSR1);
        wait_until("the server to drain", Duration::from_secs(10), || client.figure("draining") == 1);
        let told_so = |times: u64| {
            let before = not_now();
            wait_until("buyers to be told so", Duration::from_secs(10), || {
                rush.is_done() || not_now() > before + times
            });
        };
        // What was on its way is through by then.
        told_so(300);
        let before = given(&mut client);
        told_so(500);
        assert_eq!(given(&mut client), before, "a ticket was given by a server that drains");
        server.signal(Signal::SIGUSR2);
    });
    assert!(not_now() > 0, "all was over before the server drained");
    for gate in &rush.gates {
        finish(gate, &mut client);
    }
}

/// Whatever comes first, the other agrees: who was told that it is paid has the ticket and its message, and no other has.
#[test]
fn a_payment_in_the_moment_of_the_lapse_is_one_or_the_other() {
    const BUYERS: u32 = 200;
    let server = Launch::new().start();
    let mut client = server.connect();
    let gates = ["c0", "c1", "c2", "c3"];
    for name in gates {
        assert_eq!(client.set(&format!("{name}/config"), b"tickets=200 hold=1 put=paid"), "STORED");
    }
    let began = Instant::now();
    for name in gates {
        client.send((0..BUYERS).map(|buyer| format!("incr {name}/ticket=b{buyer} 1\r\n")).collect::<String>());
        (1..=BUYERS).for_each(|seat| assert_eq!(client.line(), seat.to_string()));
    }
    let mut paid: HashMap<&str, Vec<u32>> = HashMap::new();
    for buyer in 0..BUYERS {
        // From a while before until a while after.
        let due = Duration::from_millis(850) + Duration::from_micros(1500) * buyer;
        thread::sleep(due.saturating_sub(began.elapsed()));
        client.send(gates.map(|name| format!("touch {name}/ticket=b{buyer} 0\r\n")).concat());
        for name in gates {
            match client.line().as_str() {
                "TOUCHED" => paid.entry(name).or_default().push(buyer),
                "NOT_FOUND" => {}
                other => panic!("a payment was answered {other}"),
            }
        }
    }
    for name in gates {
        wait_until("the rest to lapse", Duration::from_secs(10), || figure(&mut client, name, "held") == 0);
        let paid = paid.remove(name).unwrap_or_default();
        println!("{name}: {} of {BUYERS} in time", paid.len());
        assert_eq!(figure(&mut client, name, "paid"), paid.len() as u64);
        assert_eq!(figure(&mut client, name, "lapsed"), u64::from(BUYERS) - paid.len() as u64);
        let mut messages = Vec::new();
        while let Some(body) = client.get(name) {
            messages.push(String::from_utf8(body).unwrap().strip_prefix('b').unwrap().parse::<u32>().unwrap());
        }
        messages.sort_unstable();
        assert_eq!(messages, paid, "{name}: messages of those who have paid in time");
        for buyer in 0..BUYERS {
            let place = client.get(&format!("{name}/place=b{buyer}"));
            let wanted = paid.contains(&buyer).then(|| format!("{} paid", buyer + 1).into_bytes());
            assert_eq!(place, wanted, "{name}, buyer {buyer}");
        }
    }
}

#[test]
fn ten_thousand_tickets_come_back_while_many_join() {
    let mut rng = Rng::with_seed(random_seed());
    let server = Launch::new().start();
    let mut client = server.connect();
    let mut returns = Gate::new("c0".into(), Kind::Returns, (50, 4000), "tickets=50");
    let lined = Gate::new("c1".into(), Kind::Returns, (50, 500), "tickets=50 line=20");
    let mut lapses = Gate::new("c2".into(), Kind::Paid, (2000, 2500), "tickets=2000 hold=1 put=paid");
    (returns.all_return, lapses.pay_percent) = (true, 5);
    let gates = vec![returns, lined, lapses];
    gates.iter().for_each(|gate| gate.tell(&mut client, gate.words));
    let rush = Arc::new(Rush::new(gates, 9, &mut rng));
    let_in(server.address(), &rush, &mut rng, |_| false, || {});
    let mut back = 0;
    for gate in &rush.gates {
        finish(gate, &mut client);
        let [returned, lapsed] = ["returned", "lapsed"].map(|name| figure(&mut client, &gate.name, name));
        println!("{}: {returned} returned, {lapsed} lapsed", gate.words);
        back += returned + lapsed;
    }
    assert!(back >= 10_000, "{back} tickets came back");
}

#[test]
fn tickets_are_raised_and_lowered_while_many_join() {
    const MOST: u32 = 200;
    let mut rng = Rng::with_seed(random_seed());
    let server = Launch::new().start();
    let mut client = server.connect();
    let gates = ["c0", "c1", "c2"].map(|name| Gate::new(name.into(), Kind::Changes, (MOST, 300), "tickets=20"));
    gates.iter().for_each(|gate| gate.tell(&mut client, gate.words));
    let rush = Arc::new(Rush::new(gates.into(), 20, &mut rng));
    let mut changes = 0;
    let mut other = rng.fork();
    let_in(
        server.address(),
        &rush,
        &mut rng,
        |_| true,
        || {
            while !rush.is_done() {
                let gate = other.usize(..rush.gates.len());
                rush.gates[gate].tell(&mut client, &format!("tickets={}", other.u32(1..=MOST)));
                changes += 1;
            }
        },
    );
    assert!(changes > 10, "{changes} changes");
    for gate in &rush.gates {
        let places = finish(gate, &mut client);
        gate.tell(&mut client, &format!("tickets={}", gate.buyers));
        for (buyer, place) in places.iter().enumerate() {
            let seat: u32 = client.command(&format!("incr {}/ticket=b{buyer} 1", gate.name)).parse().unwrap();
            assert!(place.is_none_or(|place| place.seat() == Some(seat)), "{place:?} became {seat}");
        }
        gate.tell(&mut client, "tickets=1");
        assert_eq!(client.command(&format!("incr {}/ticket=late 1", gate.name)), "NOT_FOUND");
        assert_eq!(gate.places(&mut client).iter().flatten().count(), gate.buyers, "none is taken away");
    }
}
