//! A line's tokens: what stands between spaces. A tab is no space, but part of a token.

/// The tokens of a line, or of what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// `line` is without its end.
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Tokens { rest: line }
    }

    /// How long what is left is, spaces included.
    #[inline]
    pub(crate) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }

    /// Whether no token is left.
    pub(crate) fn is_empty(mut self) -> bool {
        self.next().is_none()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    // Tokens are a few bytes long: a plain loop beats setting up memchr.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| *byte != b' ')?;
        let token = &self.rest[start..];
        let len = token.iter().position(|byte| *byte == b' ').unwrap_or(token.len());
        let (token, rest) = token.split_at(len);
        self.rest = rest;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &[u8]) -> Vec<&[u8]> {
        Tokens::new(line).collect()
    }

    #[test]
    fn one_or_more_spaces_separate() {
        assert_eq!(tokens(b"get a b"), [&b"get"[..], b"a", b"b"]);
        assert_eq!(tokens(b"  get   a b  "), [&b"get"[..], b"a", b"b"]);
        assert_eq!(tokens(b"a\tb c"), [&b"a\tb"[..], b"c"]);
        assert!(tokens(b"").is_empty());
        assert!(tokens(b"   ").is_empty());
        assert!(Tokens::new(b"   ").is_empty());
        assert!(!Tokens::new(b"  a").is_empty());
    }
}
