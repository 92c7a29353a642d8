use super::*;

fn whole(bytes: usize, client: Option<&str>) -> Header {
    Header::Whole { bytes, client: client.map(|client| client.parse().expect("an address")) }
}

/// A header of version 2 with so many bytes behind its fixed part.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

/// The examples of the specification, and its longest lines.
#[test]
fn lines_tell_the_client() {
    let table = [
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Some("255.255.255.255:65535")),
        ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", Some("192.168.0.1:56324")),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("PROXY TCP6 ::1 2001:db8::1 0 443\r\n", Some("[::1]:0")),
        ("PROXY UNKNOWN\r\n", None),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            None,
        ),
    ];
    for (line, client) in table {
        assert!(line.len() <= LINE_BYTES_MAX);
        assert_eq!(parse(line.as_bytes()), whole(line.len(), client), "{line}");
        let followed = format!("{line}get q\r\n");
        assert_eq!(parse(followed.as_bytes()), whole(line.len(), client), "{line}");
    }
}

#[test]
fn bad_lines_are_none() {
    let lines = [
        "GET / HTTP/1.1\r\n",
        "PROXY\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 \u{e9} 1.2.3.4 1 2\r\n",
    ];
    for line in lines {
        assert!(matches!(parse(line.as_bytes()), Header::Bad(_)), "{line}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(parse(&endless.as_bytes()[..LINE_BYTES_MAX - 1]), Header::Begun);
    assert!(matches!(parse(&endless.as_bytes()[..LINE_BYTES_MAX]), Header::Bad(_)));
    assert!(matches!(parse(format!("{endless}\r\n").as_bytes()), Header::Bad(_)));
}

#[test]
fn binary_headers_tell_the_client() {
    let four = [10, 0, 0, 7, 10, 0, 0, 1, 0x12, 0x34, 0x56, 0x78];
    let mut six = [0; 36];
    (six[15], six[31], six[32], six[33]) = (1, 2, 0xff, 0xfe);
    let mut with_more = four.to_vec();
    // A TLV, which means nothing here.
    with_more.extend([0x04, 0, 3, 1, 2, 3]);
    let table = [
        (binary(0x21, 0x11, &four), Some("10.0.0.7:4660")),
        (binary(0x21, 0x11, &with_more), Some("10.0.0.7:4660")),
        (binary(0x21, 0x21, &six), Some("[::1]:65534")),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &four), None),
        (binary(0x21, 0x00, &[]), None),
        (binary(0x21, 0x12, &four), None),
        (binary(0x21, 0x31, &[0; 216]), None),
        (binary(0x20, 0x00, &[0; HEADER_BYTES_MAX - FIXED_BYTES]), None),
    ];
    for (header, client) in table {
        assert_eq!(parse(&header), whole(header.len(), client), "{header:?}");
        assert_eq!(parse(&[&header[..], b"get q\r\n"].concat()), whole(header.len(), client), "{header:?}");
    }
}

#[test]
fn bad_binary_headers_are_none() {
    let four = [10, 0, 0, 7, 10, 0, 0, 1, 0x12, 0x34, 0x56, 0x78];
    let bad = [
        binary(0x11, 0x11, &four),
        binary(0x31, 0x11, &four),
        binary(0x22, 0x11, &four),
        binary(0x21, 0x13, &four),
        binary(0x21, 0x41, &four),
        binary(0x21, 0x11, &four[..11]),
        binary(0x21, 0x21, &[0; 35]),
        binary(0x20, 0x00, &[0; HEADER_BYTES_MAX - FIXED_BYTES + 1]),
    ];
    for header in bad {
        assert!(matches!(parse(&header), Header::Bad(_)), "{header:?}");
    }
}

/// However it is cut, a header is begun until it is whole; and whatever the bytes, the answer is one.
#[test]
fn pieces_and_random_bytes() {
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("a number"));
    println!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let good = [
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(0x21, 0x11, &[7; 12]),
        binary(0x21, 0x21, &[7; 50]),
        binary(0x20, 0x00, &[]),
    ];
    for header in &good {
        for length in 1..header.len() {
            assert_eq!(parse(&header[..length]), Header::Begun, "{length} bytes of {header:?}");
        }
    }
    for _ in 0..200_000 {
        let mut header = good[random.usize(..good.len())].clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..header.len());
            match random.u8(..3) {
                0 => header[at] = random.u8(..),
                1 => header.insert(at, random.u8(..)),
                _ => drop(header.remove(at)),
            }
        }
        header.extend((0..random.usize(..600)).map(|_| random.u8(..)));
        match parse(&header) {
            Header::Whole { bytes, client } => {
                assert!(bytes <= header.len().min(HEADER_BYTES_MAX), "{header:?}");
                assert_eq!(parse(&header[..bytes]), Header::Whole { bytes, client }, "no more is looked at");
                assert_eq!(parse(&header[..bytes - 1]), Header::Begun, "{header:?}");
            }
            Header::Begun => assert!(header.len() < HEADER_BYTES_MAX, "{header:?}"),
            Header::Bad(_) => {}
        }
    }
}
