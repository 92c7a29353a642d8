//! Options' values that are more than a number.

use std::str::FromStr;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// memcache's text protocol.
    Memcache,
    /// redis' protocol, with a list for a queue.
    Redis,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        match text {
            "memcache_text" => Ok(Protocol::Memcache),
            "redis" => Ok(Protocol::Redis),
            _ => Err(String::from("it is memcache_text or redis")),
        }
    }
}

/// A whole number of the type that its option has.
pub(super) fn whole<T: TryFrom<u64>>(digits: &str) -> Result<T, String> {
    let most = u64::MAX >> (u64::BITS as usize - 8 * size_of::<T>());
    let number = digits.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("it is a whole number from 0 to {most}"))
}

/// Seconds, or a rate.
pub(super) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| String::from("it is a number"))
}

/// So many sets are followed by so many gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) sets: u32,
    pub(crate) gets: u32,
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Ratio, String> {
        let parts = text.split_once(':').and_then(|(sets, gets)| Some((sets.parse().ok()?, gets.parse().ok()?)));
        match parts {
            Some((sets, gets)) if (sets, gets) != (0, 0) => Ok(Ratio { sets, gets }),
            _ => Err(String::from("a ratio is two numbers, sets:gets, that are not both 0")),
        }
    }
}

/// How large messages are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Sizes, String> {
        let parts = text.split_once('-').and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
        match parts {
            Some((min, max)) if min <= max => Ok(Sizes { min, max }),
            _ => Err(String::from("a range is two numbers, min-max")),
        }
    }
}

/// The way through the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Random,
    /// Gets follow the sets on the same way.
    Sequential,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        match text {
            "R:R" => Ok(Pattern::Random),
            "S:S" => Ok(Pattern::Sequential),
            _ => Err(String::from("a pattern is R:R or S:S")),
        }
    }
}

/// How messages are acknowledged that are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reliable {
    /// The connection opens one, and closes it.
    OpenClose,
    /// The connection closes one and opens the next in one command.
    CloseOpen,
    /// Under a fresh name, which any connection may acknowledge.
    Named,
}

impl Reliable {
    const ALL: [(Reliable, &str); 3] =
        [(Reliable::OpenClose, "open-close"), (Reliable::CloseOpen, "close-open"), (Reliable::Named, "named")];

    /// The word on the command line.
    pub(crate) fn name(self) -> &'static str {
        Reliable::ALL.iter().find(|(way, _)| *way == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for Reliable {
    type Err = String;

    fn from_str(text: &str) -> Result<Reliable, String> {
        let found = Reliable::ALL.iter().find(|(_, word)| *word == text);
        found.map(|(way, _)| *way).ok_or_else(|| format!("it is {}", Reliable::ALL.map(|(_, word)| word).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_sense_is_a_value() {
        assert_eq!("3:0".parse(), Ok(Ratio { sets: 3, gets: 0 }));
        for text in ["0:0", "1", "a:1", "-1:1", "1:2:3"] {
            text.parse::<Ratio>().unwrap_err();
        }
        assert_eq!("5-5".parse(), Ok(Sizes { min: 5, max: 5 }));
        for text in ["5", "6-5", "-5", "1-x"] {
            text.parse::<Sizes>().unwrap_err();
        }
        assert_eq!("named".parse(), Ok(Reliable::Named));
        assert_eq!("open".parse::<Reliable>(), Err(String::from("it is open-close, close-open, named")));
        assert_eq!("R:R".parse(), Ok(Pattern::Random));
        "G:G".parse::<Pattern>().unwrap_err();
    }
}
