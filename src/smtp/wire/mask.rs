use super::command::{Verb, parse};

/// What of a client's lines may be written down: everything but what may be a name and a password, wherever the client
/// has put them and however it has spaced them.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mask {
    /// The client has tried to log in. Where that failed and it did not notice, what comes now may be its password.
    has_tried_login: bool,
}

impl Mask {
    /// A line that is read as a command.
    pub fn command(&mut self, line: &[u8]) -> String {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let (is_command, is_known) = (parse(line).is_ok(), Verb::parse(first).is_some());
        if first.eq_ignore_ascii_case("AUTH") {
            self.has_tried_login = true;
            return auth(first, second, words.next().is_some());
        }
        // As in `AUTH=PLAIN`.
        if !is_command && text.to_ascii_uppercase().contains("AUTH") {
            self.has_tried_login = true;
            return masked(line);
        }
        match (is_command, is_known) {
            (true, _) => text.into_owned(),
            (false, _) if !self.has_tried_login && !is_base64(text.trim()) => text.into_owned(),
            (false, true) => format!("{first} ***"),
            (false, false) => masked(line),
        }
    }
}

/// Names of mechanisms, as in the registry of RFC 4422 §8.1, and those that mail programs use besides. Another word may be
/// a secret.
const MECHANISMS: [&str; 14] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "EXTERNAL",
    "ANONYMOUS",
    "NTLM",
    "GSSAPI",
    "OAUTHBEARER",
    "XOAUTH2",
];

/// AUTH with the name of a mechanism, where it is one.
fn auth(verb: &str, mechanism: Option<&str>, has_more: bool) -> String {
    let known = |name: &&str| MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(name));
    match (mechanism, mechanism.filter(known)) {
        (None, _) => verb.to_owned(),
        (Some(_), Some(name)) if !has_more => format!("{verb} {name}"),
        (Some(_), Some(name)) => format!("{verb} {name} ***"),
        (Some(_), None) => format!("{verb} ***"),
    }
}

fn masked(line: &[u8]) -> String {
    format!("*** ({} octets)", line.len())
}

/// Whether it may be an answer to a challenge: one long word of that alphabet.
fn is_base64(text: &str) -> bool {
    let of_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    text.len() >= 8 && text.bytes().all(of_alphabet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(has_tried_login: bool, line: &str, expected: &str) {
        let mut mask = Mask { has_tried_login };
        assert_eq!(mask.command(line.as_bytes()), expected, "{line:?}");
    }

    #[test]
    fn credentials_are_masked_however_they_are_spaced() {
        for (line, expected) in [
            ("AUTH PLAIN AGEAYg==", "AUTH PLAIN ***"),
            ("auth plain AGEAYg==", "auth plain ***"),
            ("  AuTh\tPLAIN\tAGEAYg==", "AuTh PLAIN ***"),
            ("AUTH  PLAIN  AGEAYg== x", "AUTH PLAIN ***"),
            ("\u{b}AUTH \u{a0}LOGIN YWxpY2U=", "AUTH LOGIN ***"),
            ("AUTH\0PLAIN\0AGEAYg==", "AUTH PLAIN ***"),
            ("AUTH AGEAYg==", "AUTH ***"),
            ("AUTH PLAIN=AGEAYg==", "AUTH ***"),
            ("AUTH=PLAIN AGEAYg==", "*** (19 octets)"),
            ("AUTHPLAIN AGEAYg==", "*** (18 octets)"),
            ("AUTH LOGIN", "AUTH LOGIN"),
            ("AUTH xoauth2 x", "AUTH xoauth2 ***"),
            ("AUTH", "AUTH"),
        ] {
            check(false, line, expected);
            check(true, line, expected);
        }
        let mut mask = Mask::default();
        assert_eq!(mask.command(b"\xff\xfeAUTH PLAIN AGEAYg=="), "*** (21 octets)");
    }

    #[test]
    fn what_is_no_command_is_masked_behind_a_login() {
        for (line, before, behind) in [
            ("MAIL FROM:<a@x.test>", "MAIL FROM:<a@x.test>", "MAIL FROM:<a@x.test>"),
            ("quit", "quit", "quit"),
            ("hunter2", "hunter2", "*** (7 octets)"),
            ("my pass word", "my pass word", "*** (12 octets)"),
            (" RCPT hunter2", " RCPT hunter2", "RCPT ***"),
            ("RCPT\thunter2", "RCPT\thunter2", "RCPT ***"),
            ("", "", "*** (0 octets)"),
            // An answer to a challenge that we have not made.
            ("YWxpY2U=", "*** (8 octets)", "*** (8 octets)"),
            ("  c2VjcmV0MTIz  ", "*** (16 octets)", "*** (16 octets)"),
            ("GET / HTTP/1.1", "GET / HTTP/1.1", "*** (14 octets)"),
        ] {
            check(false, line, before);
            check(true, line, behind);
        }
        // It is remembered.
        let mut mask = Mask::default();
        let told = ["hunter1", "AUTH LOGIN", "hunter2"].map(|line| mask.command(line.as_bytes()));
        assert_eq!(told, ["hunter1", "AUTH LOGIN", "*** (7 octets)"]);
    }
}
