//! The header by which a proxy tells whose connection this is: the PROXY protocol of HAProxy, versions 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Only what it is about is read: the client's address.
//!
//! The crates for it bring a builder, their own types of addresses and more than the two errors that count here: too
//! short yet, and none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header that is read, of version 2. The specification has every sender stay within it.
pub(super) const HEADER_BYTES_MAX: usize = 536;
/// The longest line of version 1, with its end.
const LINE_BYTES_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, a command, a family of addresses, and how many bytes follow.
const FIXED_BYTES: usize = 16;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The beginning of a header.
    Begun,
    /// None, and why.
    Bad(&'static str),
    Whole {
        bytes: usize,
        /// `None`: the proxy speaks for itself, or of something that is no TCP.
        client: Option<SocketAddr>,
    },
}

/// Looks for a header at the beginning of what has come.
pub(super) fn parse(input: &[u8]) -> Header {
    let begins = |start: &[u8]| input.iter().zip(start).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        parse_binary(input)
    } else if begins(LINE_START) {
        parse_line(input)
    } else {
        Header::Bad("it begins with no PROXY header")
    }
}

fn parse_line(input: &[u8]) -> Header {
    let line = &input[..input.len().min(LINE_BYTES_MAX)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if input.len() < LINE_BYTES_MAX { Header::Begun } else { Header::Bad("its PROXY line has no end") };
    };
    let bytes = end + 2;
    let words: Option<Vec<&str>> = std::str::from_utf8(&line[..end]).ok().map(|line| line.split(' ').collect());
    match words.as_deref() {
        // What may follow means nothing.
        Some(["PROXY", "UNKNOWN", ..]) => Header::Whole { bytes, client: None },
        Some(["PROXY", family @ ("TCP4" | "TCP6"), client, server, client_port, server_port]) => {
            let address = |digits: &str| digits.parse().ok().filter(|it: &IpAddr| it.is_ipv4() == (*family == "TCP4"));
            let parts = (address(client), address(server), port(client_port), port(server_port));
            match parts {
                (Some(client), Some(_), Some(port), Some(_)) => {
                    Header::Whole { bytes, client: Some(SocketAddr::new(client, port)) }
                }
                _ => Header::Bad("its PROXY line has no addresses"),
            }
        }
        _ => Header::Bad("its PROXY line is none"),
    }
}

/// A port as the specification has it: without a sign, and without zeros before it.
fn port(digits: &str) -> Option<u16> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

fn parse_binary(input: &[u8]) -> Header {
    let Some((fixed, rest)) = input.split_at_checked(FIXED_BYTES) else { return Header::Begun };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let bytes = FIXED_BYTES + length;
    if command >> 4 != 2 {
        return Header::Bad("its PROXY header has another version than 1 and 2");
    }
    if bytes > HEADER_BYTES_MAX {
        return Header::Bad("its PROXY header is longer than 536 bytes");
    }
    let Some(addresses) = rest.get(..length) else { return Header::Begun };
    match (command & 0xf, family) {
        (0, _) => Header::Whole { bytes, client: None },
        // TCP over IPv4 and over IPv6: both addresses, then both ports.
        (1, 0x11) => of_addresses(bytes, address_of::<4>(addresses)),
        (1, 0x21) => of_addresses(bytes, address_of::<16>(addresses)),
        // None, datagrams, Unix sockets: where the connection comes from is all that there is.
        (1, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Header::Whole { bytes, client: None },
        (1, _) => Header::Bad("its PROXY header has addresses of no known family"),
        _ => Header::Bad("its PROXY header has no known command"),
    }
}

fn of_addresses(bytes: usize, client: Option<SocketAddr>) -> Header {
    match client {
        Some(client) => Header::Whole { bytes, client: Some(client) },
        None => Header::Bad("its PROXY header is too short for its addresses"),
    }
}

/// The first of two addresses of `N` bytes, with the first of two ports behind both.
fn address_of<const N: usize>(addresses: &[u8]) -> Option<SocketAddr> {
    let ports = addresses.get(2 * N..2 * N + 4)?;
    let ip = match addresses.first_chunk::<N>()?.as_slice() {
        &[a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        bytes => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([ports[0], ports[1]])))
}

#[cfg(test)]
mod tests;
