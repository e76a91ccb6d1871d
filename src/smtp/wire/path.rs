use crate::base::{Address, AddressError, Host};

/// An address as it came in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The address, without source route.
    pub address: Address,
    /// Whether it was written in ASCII: otherwise it needs SMTPUTF8 (RFC 6531 §3.4).
    pub is_ascii: bool,
}

/// Where a message is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<Postmaster>`, without a domain.
    Postmaster,
    /// An address.
    Mailbox(Mailbox),
}

/// Why a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not stand in angle brackets.
    #[error("a path has the form <address>")]
    Form,
    /// What stands in the brackets is not an address, or the source route before it is none.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Splits `<path> rest` at the bracket that closes the path; a quoted local part may hold brackets.
pub(super) fn split(text: &str) -> Result<(&str, &str), PathError> {
    let inside = text.strip_prefix('<').ok_or(PathError::Form)?;
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => {
                let (path, rest) = inside.split_at_checked(at).ok_or(PathError::Form)?;
                return Ok((path, rest.strip_prefix('>').unwrap_or(rest)));
            }
            _ => {}
        }
    }
    Err(PathError::Form)
}

/// Reads what stands in the brackets of MAIL; `None` is the null reverse-path.
// RFC 5321 §4.1.2: Reverse-path = Path / "<>"
pub(super) fn reverse(inside: &str) -> Result<Option<Mailbox>, PathError> {
    if inside.is_empty() { Ok(None) } else { mailbox(inside).map(Some) }
}

/// Reads what stands in the brackets of RCPT.
pub(super) fn forward(inside: &str) -> Result<ForwardPath, PathError> {
    // RFC 5321 §4.1.1.3: "<Postmaster>" without a domain, in any case
    if inside.eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    mailbox(inside).map(ForwardPath::Mailbox)
}

fn mailbox(inside: &str) -> Result<Mailbox, PathError> {
    let text = strip_route(inside)?;
    Ok(Mailbox { address: Address::parse(text)?, is_ascii: inside.is_ascii() })
}

// RFC 5321 §4.1.2, A-d-l; appendix C: the route must be accepted and should be ignored.
fn strip_route(inside: &str) -> Result<&str, AddressError> {
    if !inside.starts_with('@') {
        return Ok(inside);
    }
    let (route, text) = inside.split_once(':').ok_or(AddressError::Form)?;
    let is_hop = |hop: &str| hop.strip_prefix('@').is_some_and(|host| Host::parse(host).is_ok());
    if route.split(',').all(is_hop) { Ok(text) } else { Err(AddressError::Form) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path as it is understood and what stands behind it.
    fn check(text: &str, expected: Result<(&str, &str), PathError>) {
        let seen = split(text).and_then(|(inside, rest)| {
            let path = match forward(inside)? {
                ForwardPath::Postmaster => "postmaster".to_owned(),
                ForwardPath::Mailbox(mailbox) => mailbox.address.to_string(),
            };
            Ok((path, rest.to_owned()))
        });
        assert_eq!(seen, expected.map(|(path, rest)| (path.into(), rest.into())), "{text}");
    }

    #[test]
    fn paths_are_addresses_in_brackets() {
        check("<a@x.test>", Ok(("a@x.test", "")));
        check("<a@x.test> SIZE=1", Ok(("a@x.test", " SIZE=1")));
        check("<a@[192.0.2.1]>", Ok(("a@[192.0.2.1]", "")));
        check("<a@[IPv6:2001:db8::1]>", Ok(("a@[IPv6:2001:db8::1]", "")));
        check("<\"a>b\"@x.test> X", Ok(("\"a>b\"@x.test", " X")));
        check("<\"a\\\">@b\"@x.test>", Ok(("\"a\\\">@b\"@x.test", "")));
        check("<poStMaster>", Ok(("postmaster", "")));
        check("<@a.test,@b.test:c@x.test>", Ok(("c@x.test", "")));
        check("<@a.test:\"c:d\"@x.test>", Ok(("\"c:d\"@x.test", "")));
        check("<@[192.0.2.1],@b.test:c@x.test>", Ok(("c@x.test", "")));
        for wrong in ["", "<", "a@x.test", "<a@x.test", "<\"a@x.test>"] {
            check(wrong, Err(PathError::Form));
        }
        for wrong in ["<@a.test>", "<@:c@x.test>", "<@a.test,b.test:c@x.test>", "<@a.test@b.test:c@x.test>"] {
            check(wrong, Err(PathError::Address(AddressError::Form)));
        }
        check("<>", Err(PathError::Address(AddressError::Form)));
        check("<nobody>", Err(PathError::Address(AddressError::Form)));
        check("<<a@x.test>>", Err(PathError::Address(AddressError::LocalPart)));
        check("<a@x.test.>", Err(PathError::Address(AddressError::Domain)));
        check("<a b@x.test>", Err(PathError::Address(AddressError::LocalPart)));
    }

    #[test]
    fn the_null_path_is_a_sender_only() {
        assert_eq!(reverse(""), Ok(None));
        assert_eq!(reverse("é@x.test").map(|m| m.map(|m| m.is_ascii)), Ok(Some(false)));
        assert_eq!(reverse("a@bücher.example").map(|m| m.map(|m| m.is_ascii)), Ok(Some(false)));
        assert!(reverse("postmaster").is_err());
    }
}
