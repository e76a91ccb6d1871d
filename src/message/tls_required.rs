use super::field::fields;

/// Whether a header says that the message is to be delivered even where that takes giving TLS up: `TLS-Required: No`,
/// once.
// RFC 8689 §3
pub fn gives_up_tls(header_block: &[u8]) -> bool {
    let mut values = fields(header_block).filter(|field| field.is("TLS-Required"));
    let is_no = values.next().is_some_and(|field| field.unfolded().trim_ascii().eq_ignore_ascii_case(b"no"));
    is_no && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_no_gives_it_up() {
        let check = |block: &str, expected| assert_eq!(gives_up_tls(block.as_bytes()), expected, "{block}");
        check("TLS-Required: No\r\n", true);
        check("Subject: x\r\ntls-required:\r\n no \r\n", true);
        for block in
            ["", "TLS-Required: Yes\r\n", "TLS-Required: No\r\nTLS-Required: No\r\n", "X: TLS-Required: No\r\n"]
        {
            check(block, false);
        }
    }
}
