/// Why a mailbox name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not modified UTF-7 (RFC 3501 §5.1.3).
    #[error("the mailbox name is not modified UTF-7")]
    Utf7,
    /// Not UTF-8 (RFC 6855 §3).
    #[error("the mailbox name is not UTF-8")]
    Utf8,
    /// It is empty, too long, holds a control character, an empty level, or begins or ends with the separator.
    #[error("there is no mailbox of that name")]
    Form,
}

/// The name that a client has sent: UTF-8 in NFC, INBOX in upper case. `is_utf8`: the client speaks UTF-8 (ENABLE
/// UTF8=ACCEPT); else modified UTF-7, where octets above 127 are taken as UTF-8 all the same.
///
/// # Errors
/// [`NameError`]
pub fn mailbox_name(sent: &[u8], is_utf8: bool) -> Result<String, NameError> {
    let _ = (sent, is_utf8);
    todo!()
}

/// The same for a pattern of LIST and LSUB, in which `*` and `%` stand.
///
/// # Errors
/// [`NameError`]
pub fn mailbox_pattern(sent: &[u8], is_utf8: bool) -> Result<String, NameError> {
    let _ = (sent, is_utf8);
    todo!()
}

/// Writes a mailbox name as an astring.
pub fn write_mailbox_name(out: &mut Vec<u8>, name: &str, is_utf8: bool) {
    let _ = (out, name, is_utf8);
    todo!()
}

/// Whether the name matches the pattern: `*` is anything, `%` anything within a level. RFC 9051 §6.3.9
pub fn matches(pattern: &str, name: &str) -> bool {
    let _ = (pattern, name);
    todo!()
}
