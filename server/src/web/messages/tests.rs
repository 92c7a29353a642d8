//! Bodies of all kinds, on shards that answer what a test says.

use futures_lite::future::block_on;
use protocol::KeyRules;
use serde_json::{Value, json};
use shards::ShardId;

use super::*;
use crate::admin::testing::Fake;

fn queue() -> Named {
    Named::read(b"q", KeyRules::default(), 1).expect("good")
}

/// Looks at these bodies, the messages from 1 on. `bytes`: what is cut of each is more than it has.
fn peeked(bodies: &[&[u8]], more: u32, query: &str) -> Result<Value, u16> {
    let fake = Fake::new(1, |_: ShardId, op: &Op<'_>| {
        let Op::PeekAt { after, .. } = *op else { panic!("{op:?}") };
        let message = bodies.get(after as usize).map(|body| {
            Box::new(PeekedMessage {
                seq: after + 1,
                flags: 7,
                age_s: 5,
                state: MessageState::Delayed,
                tries: 2,
                bytes: body.len() as u32 + more,
                body: (*body).into(),
            })
        });
        Outcome::PeekedAt(message)
    });
    let answer = block_on(peek(&fake, &queue(), &Query::new(Some(query))));
    answer.map(|answer| serde_json::from_slice(answer.body()).expect("JSON")).map_err(|refusal| refusal.status.as_u16())
}

/// Planted once: a body that is put into a page as it is would be a script of the operator's own page.
#[test]
fn a_body_is_text_in_json_whatever_it_says() {
    let script = b"</script><script>alert(1)</script>\"\n\0";
    let answer = peeked(&[script, b"\xff\x00"], 0, "").expect("good");
    let messages = &answer["messages"];
    assert_eq!(messages[0]["text"].as_str().expect("text").as_bytes(), script);
    assert_eq!((&messages[1]["text"], &messages[1]["base64"]), (&Value::Null, &json!("/wA=")));
    let rest = json!({"seq": 1, "flags": 7, "age_s": 5, "state": "delayed", "tries": 2, "bytes": 37, "cut": false});
    for (name, value) in rest.as_object().expect("an object") {
        assert_eq!(&messages[0][name], value, "{name}");
    }
    assert_eq!(answer["next"], Value::Null, "there is no more");
}

#[test]
fn a_body_that_is_cut_within_a_character_is_still_text() {
    let answer = peeked(&["aé".as_bytes().split_last().expect("some").1], 1, "").expect("good");
    assert_eq!((&answer["messages"][0]["text"], &answer["messages"][0]["cut"]), (&json!("a"), &json!(true)));
    let answer = peeked(&[b"a\xc3"], 0, "").expect("good");
    assert_eq!(answer["messages"][0]["base64"], json!("YcM="), "nothing is cut, so it is no text");
}

#[test]
fn so_many_messages_are_looked_at() {
    let bodies: Vec<&[u8]> = vec![b"m"; 30];
    let seqs = |query: &str| {
        let answer = peeked(&bodies, 0, query).expect(query);
        let messages = answer["messages"].as_array().expect("a list");
        let seq = |message: Option<&Value>| message.map(|message| message["seq"].as_u64().expect("a number"));
        (seq(messages.first()), seq(messages.last()), answer["next"].as_str().map(str::to_string))
    };
    assert_eq!(seqs(""), (Some(1), Some(20), Some("20".to_string())));
    assert_eq!(seqs("after=20"), (Some(21), Some(30), None));
    assert_eq!(seqs("after=5&count=2"), (Some(6), Some(7), Some("7".to_string())));
    for query in ["count=0", "count=101", "after=x", "after=-1"] {
        assert_eq!(peeked(&bodies, 0, query), Err(400), "{query}");
    }
}

#[test]
fn what_is_open_is_told_with_what_holds_it() {
    let roster = Roster::new(1);
    let line = |lease, holder| OpenLine {
        queue: 1,
        seq: lease / 256,
        lease,
        holder,
        since_s: None,
        ends_in_s: Some(9),
        try_number: 3,
    };
    let fake = Fake::new(1, |_: ShardId, op: &Op<'_>| match *op {
        Op::ListOpens { after: 0, .. } => Outcome::Opens {
            lines: vec![line(256, OpenHolder::Connection("0-7".parse().expect("good")))],
            next: Some(256),
        },
        Op::ListOpens { after: 256, .. } => Outcome::Opens {
            lines: vec![
                line(u64::from(u32::MAX), OpenHolder::Name(b"a<b".as_slice().into())),
                line(512, OpenHolder::Number),
            ],
            next: None,
        },
        ref other => panic!("{other:?}"),
    });
    let answer = block_on(opens(&fake, &roster, &queue(), &Query::new(None))).expect("good");
    let answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
    let holders: Vec<&str> =
        answer["opens"].as_array().expect("a list").iter().map(|open| open["holder"].as_str().expect("text")).collect();
    assert_eq!(holders, ["connection 0-7", "name a<b", "number"]);
    let first = json!({"seq": 1, "lease": "256", "holder": holders[0], "since_s": null, "ends_in_s": 9, "try": 3});
    assert_eq!((&answer["opens"][0], &answer["next"]), (&first, &Value::Null));
}
