//! Words and settings, there and back.

use super::*;
use crate::SETTINGS_BYTES_MAX;

/// A number that a seed repeats. What tests elsewhere take is built upon this crate.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    *seed >> 33
}

fn random(seed: &mut u64) -> Settings {
    let mut settings = Settings::default();
    let mut sometimes = |set: &mut dyn FnMut(u64)| {
        if next(seed).is_multiple_of(2) {
            set(next(seed));
        }
    };
    sometimes(&mut |n| settings.depth = Some(n.max(1) << (n % 33)));
    sometimes(&mut |n| settings.bytes = Some(n.max(1) << (n % 33)));
    sometimes(&mut |_| settings.full = Full::Drop);
    sometimes(&mut |n| settings.age = Some((n as u32).max(1)));
    sometimes(&mut |_| settings.expire = Expire::Dead);
    sometimes(&mut |_| settings.ttl = Ttl::Client);
    sometimes(&mut |n| settings.delay = n as u32);
    sometimes(&mut |n| settings.lease = Some((n as u32).max(1)));
    sometimes(&mut |n| settings.tries = Some((n % u64::from(TRIES_MAX)) as u8 + 1));
    sometimes(&mut |n| {
        settings.backoff = (1..n % BACKOFF_DELAYS_MAX as u64 + 1).map(|at| (n / at) as u32 + 1).collect()
    });
    sometimes(&mut |n| settings.open = (n % 1_000_000_000).max(1) as u32);
    sometimes(&mut |n| settings.dedup = n as u32);
    sometimes(&mut |_| settings.dead = Dead::Drop);
    sometimes(&mut |_| settings.fanout_only = true);
    sometimes(&mut |_| settings.pause = true);
    sometimes(&mut |n| settings.gate.tickets = Some((n % 100_000_001) as u32));
    sometimes(&mut |n| settings.gate.hold = n as u32);
    sometimes(&mut |n| settings.gate.hold_max = (n % 251) as u8);
    sometimes(&mut |_| settings.gate.put = PutWhen::Paid);
    sometimes(&mut |n| settings.gate.line = (n % 100_000_001) as u32);
    sometimes(&mut |n| settings.gate.opens = 1_000_000_000 + n);
    sometimes(&mut |n| settings.gate.closes = n);
    settings
}

#[test]
fn settings_come_back_from_their_text() {
    let mut seed = 1;
    let mut words_seen = 0;
    for round in 0..10_000 {
        let settings = random(&mut seed);
        let text = settings.words().text();
        assert!(text.len() <= SETTINGS_BYTES_MAX);
        let words = Words::parse(&text).unwrap_or_else(|bad| panic!("round {round}: {bad}"));
        assert_eq!(words, settings.words());
        assert_eq!(Settings::from(&words), settings, "round {round}");
        words_seen += words.iter().count();
        // What was told twice is told as the second says, what was told once stays.
        let other = random(&mut seed);
        let both = Settings::from(&other.words().over(&settings.words()));
        let said = other.depth.or(settings.depth);
        assert_eq!(both.depth, said, "round {round}");
    }
    assert!(words_seen > 10_000);
}

#[test]
fn the_longest_words_fit_into_a_record() {
    let delays = vec![u32::MAX.to_string(); BACKOFF_DELAYS_MAX].join(",");
    let text = format!(
        "depth={n} bytes={n} full=refuse age={m} expire=drop ttl=client delay={m} lease={m} tries=250 backoff={delays} \
         open=999999999 dedup={m} dead=keep fanout_only=1 tickets={t} hold={m} hold_max=250 put=given line={t} \
         open={l} close={l}",
        n = u64::MAX,
        m = u32::MAX,
        t = TICKETS_MAX,
        l = 1_099_511_627_776u64,
    );
    let words = Words::parse(text.as_bytes()).unwrap();
    assert_eq!(words.to_string(), text, "all words, in their order");
    assert!(text.len() <= SETTINGS_BYTES_MAX * 2 / 3, "{} bytes: there is room for more words", text.len());
}

#[test]
fn the_defaults_have_no_words() {
    assert_eq!(Settings::default().to_string(), "");
    assert_eq!(Settings::from(&Words::default()), Settings::default());
    let same = "full=refuse expire=drop ttl=off delay=0 open=100000 dedup=300 dead=keep fanout_only=0";
    let words = Words::parse(same.as_bytes()).unwrap();
    assert_eq!(words.to_string(), same, "they stand above a pattern's");
    assert_eq!(Settings::from(&words).to_string(), "");
}

#[test]
fn nought_takes_back_what_a_pattern_says() {
    let patterns = Patterns::parse(b"q*: depth=1 bytes=2 age=3 lease=4 tries=5 backoff=6 delay=7 dedup=8").unwrap();
    let own = Words::parse(b"depth=0 bytes=0 age=0 lease=0 tries=0 backoff=0 delay=0 dedup=300").unwrap();
    assert_eq!(Settings::of(b"q1", &own, &patterns), Settings::default());
    let words = patterns.words_of(b"q1");
    assert_eq!(Settings::of(b"q1", &Words::default(), &patterns).words(), words);
    assert_eq!(Settings::of(b"other", &Words::default(), &patterns), Settings::default());
}

#[test]
fn the_last_delay_of_a_backoff_repeats() {
    let settings = |text: &[u8]| Settings::from(&Words::parse(text).unwrap());
    let backoff = settings(b"backoff=1,5,30");
    assert_eq!([1, 2, 3, 4, 250].map(|tries| backoff.backoff_s(tries)), [1, 5, 30, 30, 30]);
    assert_eq!(settings(b"").backoff_s(1), 0);
    assert_eq!(settings(b"").lease_s(), LEASE_S);
    assert_eq!(settings(b"lease=9").lease_s(), 9);
}
