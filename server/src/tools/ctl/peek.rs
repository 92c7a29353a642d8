//! `rushq peek`: messages are shown, and none is taken.

use base64ct::{Base64, Encoding};
use serde::Deserialize;

use super::http::Admin;
use super::memcache::Memcache;
use super::queue::id;
use super::server::{self, Server};
use super::{print, print_bytes, queue_name, text};
use crate::process::commands::Line;

const COUNT_MAX: u64 = 1000;
/// Messages that are asked for at once.
const PAGE: u64 = 50;

/// A page of messages, as the admin port has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    messages: Vec<Message>,
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    seq: u64,
    flags: u32,
    age_s: u64,
    state: String,
    tries: u64,
    bytes: u64,
    text: Option<String>,
    base64: Option<String>,
    /// There is more of the body than this.
    cut: bool,
}

impl Message {
    fn body(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(digits)) => Base64::decode_vec(digits).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// Its line, and its body below that.
    fn shown(&self) -> String {
        let body = self.body();
        let cut = if self.cut { format!(", of which these are the first {}", body.len()) } else { String::new() };
        format!(
            "-- message {}, {}, flags {}, {} old, {}, {} bytes{cut}\n{}\n",
            self.seq,
            text::line(self.state.as_bytes()),
            self.flags,
            text::age(self.age_s),
            tried(self.tries),
            self.bytes,
            text::body(&body)
        )
    }
}

fn tried(tries: u64) -> String {
    match tries {
        0 => "not tried".to_string(),
        tries => format!("tried {}", text::counted(tries, "time")),
    }
}

/// Shows messages.
///
/// # Errors
/// When the server has no such queue, or cannot show as much.
pub(super) fn run(line: &Line) -> Result<(), String> {
    let queue = queue_name(line, 0)?;
    let count = line.number("--count", 1, COUNT_MAX)?.unwrap_or(1);
    let is_raw = line.has("--raw");
    if is_raw && count > 1 {
        return Err("--raw: it is for one message, and --count asks for more".to_string());
    }
    match server::open(line)? {
        Server::Memcache(memcache) if count > 1 => Err(memcache.failed(format!(
            "--count {count}: the memcache port shows the message at the head alone; -p names the admin port"
        ))),
        Server::Memcache(memcache) => at_head(memcache, &queue, is_raw),
        Server::Admin(admin) => several(&admin, &queue, count, is_raw),
    }
}

fn at_head(mut memcache: Memcache, queue: &[u8], is_raw: bool) -> Result<(), String> {
    let Some(value) = memcache.get("gets", &[queue, b"/peek"].concat())? else {
        return Err(memcache.failed(format!("{}: no message waits there", text::line(queue))));
    };
    if is_raw {
        return print_bytes(&value.body);
    }
    let number = value.number.unwrap_or(0);
    let (flags, bytes, body) = (value.flags, value.body.len(), text::body(&value.body));
    print(&format!("-- message {number}, waiting, flags {flags}, {bytes} bytes\n{body}\n"))
}

fn several(admin: &Admin, queue: &[u8], count: u64, is_raw: bool) -> Result<(), String> {
    let (mut left, mut after, mut shown) = (count, String::from("0"), 0);
    while left > 0 {
        let path =
            format!("/api/queue/messages?queue={}&after={}&count={}", id(queue), id(after.as_bytes()), left.min(PAGE));
        let page: Page = admin.get(&path)?;
        for message in page.messages.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            if is_raw && message.cut {
                return Err(
                    admin.failed("--raw: the admin port has the beginning of this body alone; use the memcache port")
                );
            }
            if is_raw {
                print_bytes(&message.body())?
            } else {
                print(&message.shown())?
            }
            (left, shown) = (left - 1, shown + 1);
        }
        match page.next {
            Some(next) if !page.messages.is_empty() => after = next,
            _ => break,
        }
    }
    if shown == 0 { Err(admin.failed(format!("{}: there is no message", text::line(queue)))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_and_its_body() {
        let json = r#"{"messages":[{"seq":7,"flags":1,"age_s":130,"state":"open","tries":2,"bytes":3,"text":"a\u001b\nb",
                      "base64":null,"cut":false},{"seq":8,"base64":"/w==","cut":true,"bytes":9000}],"next":null}"#;
        let page: Page = serde_json::from_str(json).expect("it is a page");
        assert_eq!(
            page.messages[0].shown(),
            "-- message 7, open, flags 1, 2m old, tried 2 times, 3 bytes\na\\u{1b}\nb\n"
        );
        let cut = page.messages[1].shown();
        assert!(cut.contains("9000 bytes, of which these are the first 1\n\\xff\n"), "{cut}");
    }
}
