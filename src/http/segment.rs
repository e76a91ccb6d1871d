use std::fmt::Write as _;

/// Percent-encodes a name as one segment of a path (RFC 3986 §3.3).
pub fn path_segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment() {
        for (name, segment) in [
            ("alice@x.test", "alice@x.test"),
            ("a/b+c@x", "a%2Fb%2Bc@x"),
            ("\"a b\"@x", "%22a%20b%22@x"),
            ("ä", "%C3%A4"),
        ] {
            assert_eq!(path_segment(name), segment);
        }
    }
}
