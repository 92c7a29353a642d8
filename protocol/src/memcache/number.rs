//! Numbers in text, without the machinery of `str` and `format!`.

/// The number that `token` is, if it is nothing but decimal digits and fits.
#[inline]
pub(crate) fn unsigned(token: &[u8]) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    let mut number = 0_u64;
    for byte in token {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// The number that `token` is, if it is decimal digits, perhaps behind a minus sign, and fits.
#[inline]
pub(crate) fn signed(token: &[u8]) -> Option<i64> {
    match token {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        digits => i64::try_from(unsigned(digits)?).ok(),
    }
}

/// Appends `number` in decimal.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_number() {
        assert_eq!(unsigned(b"0"), Some(0));
        assert_eq!(unsigned(b"00000000000000000000000000017"), Some(17));
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        for token in [&b""[..], b"18446744073709551616", b"-1", b"+1", b"1a", b"/", b":", b"1 "] {
            assert_eq!(unsigned(token), None, "{}", token.escape_ascii());
        }
        assert_eq!(signed(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(signed(b"-0"), Some(0));
        for token in [&b""[..], b"-", b"--1", b"-9223372036854775809", b"9223372036854775808"] {
            assert_eq!(signed(token), None, "{}", token.escape_ascii());
        }
    }

    #[test]
    fn append_writes_what_format_writes() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        for number in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX]) {
            let mut out = b"x".to_vec();
            append(&mut out, number);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
