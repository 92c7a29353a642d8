//! Bytes in URLs: what stands behind a percent sign, and a query's parameters.

use std::borrow::Cow;

/// The id of a name in URLs and in JSON: each byte that is not unreserved in a URL is written as `%` and two digits.
pub(crate) fn id_of(name: &[u8]) -> String {
    let mut id = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => id.push(char::from(*byte)),
            _ => {
                id.push('%');
                id.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
            }
        }
    }
    id
}

/// What a text means in which bytes may be written as `%` and two digits. A `%` without them is itself, so a plain name
/// is its own id.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).map(|digit| digit as u8);
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (*first == b'%').then(|| digit(behind.first()).zip(digit(behind.get(1)))).flatten() {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &behind[2..];
            }
            None => bytes.push(*first),
        }
    }
    bytes
}

/// The parameters of a query.
#[derive(Debug)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(query: Option<&'a str>) -> Query<'a> {
        Query(query.unwrap_or(""))
    }

    /// A parameter's value, of the first of that name. Empty when there is none.
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        let of_name = |pair: &'a str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key.as_bytes()) == name.as_bytes()).then_some(value)
        };
        self.0.split('&').find_map(of_name).map_or_else(Vec::new, |value| decode(value.as_bytes()))
    }

    /// A parameter that is a number, or what counts without it. `Err`: what was given is none.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, String> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(default);
        }
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| format!("{name}={} is no number", lossy(&text)))
    }
}

/// Bytes as text that can be shown: what is no UTF-8 of them is replaced.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_decoded_to_its_name_and_a_plain_name_is_its_own() {
        for (name, id) in
            [(&b"jobs"[..], "jobs"), (b"q+a/dead", "q%2Ba%2Fdead"), (b"\xff%<\"", "%FF%25%3C%22"), (b"a%41", "a%2541")]
        {
            assert_eq!(id_of(name), id);
            assert_eq!(decode(id.as_bytes()), name, "{id}");
        }
        for plain in ["q+a/dead", "100%", "50%x", "%4"] {
            assert_eq!(decode(plain.as_bytes()), plain.as_bytes());
        }
        assert_eq!(decode(b"%2b%2B"), b"++");
    }

    #[test]
    fn a_query_has_its_parameters() {
        let query = Query::new(Some("filter=a%26b&limit=50&empty=&%6Eame=x&limit=7&flag"));
        assert_eq!((query.get("filter"), query.get("name")), (b"a&b".to_vec(), b"x".to_vec()));
        assert_eq!(
            (query.number("limit", 1), query.number("empty", 2), query.number("none", 3)),
            (Ok(50), Ok(2), Ok(3))
        );
        assert_eq!(query.number("name", 1), Err("name=x is no number".to_string()));
        assert!(query.get("flag").is_empty() && Query::new(None).get("a").is_empty());
    }
}
