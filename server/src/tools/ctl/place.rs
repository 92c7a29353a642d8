//! Where a server is: what `-p` and `-s` say.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use crate::process::commands::Line;

const HOST: &str = "127.0.0.1";
const PORT: u16 = 22201;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Tcp { host, port } => write!(f, "{host}:{port}"),
            Place::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    /// # Errors
    /// When both options are given, or `-p` is no port.
    pub(super) fn of(line: &Line) -> Result<Place, String> {
        match (line.value("--port"), line.path("--unix-socket")?) {
            (Some(_), Some(_)) => {
                Err("--port and --unix-socket are both given, and a server is at one place".to_string())
            }
            (None, Some(path)) => Ok(Place::Unix(path)),
            (Some(text), None) => tcp(text),
            (None, None) => Ok(Place::Tcp { host: HOST.to_string(), port: PORT }),
        }
    }

    /// The address as HTTP's `Host` has it.
    pub(super) fn http_host(&self) -> String {
        match self {
            Place::Tcp { .. } => self.to_string(),
            Place::Unix(_) => "localhost".to_string(),
        }
    }
}

fn tcp(text: &str) -> Result<Place, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((HOST, text));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match port.parse() {
        Ok(port) if port > 0 && !host.is_empty() => Ok(Place::Tcp { host: host.to_string(), port }),
        _ => Err(format!("--port {text}: it is PORT, HOST:PORT or [IPV6]:PORT, with a port from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_have_a_host() {
        for (text, shown) in [
            ("22201", "127.0.0.1:22201"),
            ("queue.example:1", "queue.example:1"),
            ("[::1]:22", "[::1]:22"),
            ("::1:22", "[::1]:22"),
        ] {
            assert_eq!(tcp(text).map(|place| place.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", "0", "65536", "x", ":1", "host:", "1:x"] {
            assert!(tcp(text).is_err_and(|what| what.starts_with(&format!("--port {text}: "))), "{text}");
        }
        assert_eq!(Place::Unix("/run/rushq/s".into()).http_host(), "localhost");
    }
}
