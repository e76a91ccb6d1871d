use crate::base::{Address, DomainName, Secret};
use crate::sasl::Mechanism;

/// A line that a client sends. It is made of values that hold no line end, so it is always one line.
// No Debug: it may hold a password.
#[derive(Clone)]
pub enum Outgoing {
    /// RFC 5321 §4.1.1.1
    Ehlo(DomainName),
    /// RFC 5321 §4.1.1.1
    Helo(DomainName),
    /// RFC 3207 §4
    Starttls,
    /// RFC 4954 §4; the initial response is base64 already.
    Auth(Mechanism, Option<Secret<String>>),
    /// The answer to a challenge, base64 already.
    Response(Secret<String>),
    /// RFC 5321 §4.1.1.2
    Mail {
        /// `None` is the null reverse-path.
        sender: Option<Address>,
        /// RFC 1870 §6
        size_bytes: Option<u64>,
        /// RFC 6152 §2: BODY=8BITMIME
        eight_bit: bool,
        /// RFC 6531 §3.4
        smtputf8: bool,
    },
    /// RFC 5321 §4.1.1.3
    Rcpt(Address),
    /// RFC 5321 §4.1.1.4
    Data,
    /// RFC 5321 §4.1.1.5
    Rset,
    /// RFC 5321 §4.1.1.10
    Quit,
    /// RFC 821 §3.8
    Turn,
    /// RFC 2645 §5.2; with no domain: all that the server knows as ours.
    Atrn(Vec<DomainName>),
    /// RFC 1985 §5.1
    Etrn(DomainName),
}

impl Outgoing {
    /// Appends the line with its CRLF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.line(&|secret| secret.expose().clone()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// The line as a record may show it.
    pub fn masked(&self) -> String {
        self.line(&|_| "***".to_owned())
    }

    fn line(&self, reveal: &dyn Fn(&Secret<String>) -> String) -> String {
        match self {
            Self::Ehlo(name) => format!("EHLO {name}"),
            Self::Helo(name) => format!("HELO {name}"),
            Self::Starttls => "STARTTLS".to_owned(),
            Self::Auth(mechanism, None) => format!("AUTH {}", mechanism.name()),
            Self::Auth(mechanism, Some(initial)) => format!("AUTH {} {}", mechanism.name(), reveal(initial)),
            Self::Response(response) => reveal(response),
            Self::Mail { sender, size_bytes, eight_bit, smtputf8 } => {
                let mut line = match sender {
                    Some(sender) => format!("MAIL FROM:<{sender}>"),
                    None => "MAIL FROM:<>".to_owned(),
                };
                if let Some(size) = size_bytes {
                    line.push_str(&format!(" SIZE={size}"));
                }
                if *eight_bit {
                    line.push_str(" BODY=8BITMIME");
                }
                if *smtputf8 {
                    line.push_str(" SMTPUTF8");
                }
                line
            }
            Self::Rcpt(recipient) => format!("RCPT TO:<{recipient}>"),
            Self::Data => "DATA".to_owned(),
            Self::Rset => "RSET".to_owned(),
            Self::Quit => "QUIT".to_owned(),
            Self::Turn => "TURN".to_owned(),
            Self::Atrn(domains) if domains.is_empty() => "ATRN".to_owned(),
            Self::Atrn(domains) => {
                format!("ATRN {}", domains.iter().map(DomainName::as_str).collect::<Vec<_>>().join(","))
            }
            Self::Etrn(domain) => format!("ETRN {domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ForwardPath, Verb, mail_arguments, parse, rcpt_arguments};
    use super::*;
    use proptest::prelude::*;

    fn check(outgoing: &Outgoing, line: &str, masked: &str) {
        let mut out = Vec::new();
        outgoing.write_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\r\n"));
        assert_eq!(outgoing.masked(), masked);
    }

    #[test]
    fn commands_are_written_as_their_rfcs_say() {
        let name = |text: &str| text.parse::<DomainName>().unwrap();
        let address = |text: &str| text.parse::<Address>().unwrap();
        let secret = || Secret::new("AGEAYg==".to_owned());
        let plain = |outgoing: &Outgoing, line: &str| check(outgoing, line, line);
        plain(&Outgoing::Ehlo(name("mx.test")), "EHLO mx.test");
        plain(&Outgoing::Helo(name("mx.test")), "HELO mx.test");
        plain(&Outgoing::Starttls, "STARTTLS");
        plain(&Outgoing::Auth(Mechanism::Login, None), "AUTH LOGIN");
        check(&Outgoing::Auth(Mechanism::Plain, Some(secret())), "AUTH PLAIN AGEAYg==", "AUTH PLAIN ***");
        check(&Outgoing::Response(secret()), "AGEAYg==", "***");
        let mail = |sender: Option<&str>, size_bytes, eight_bit, smtputf8| Outgoing::Mail {
            sender: sender.map(address),
            size_bytes,
            eight_bit,
            smtputf8,
        };
        plain(&mail(None, None, false, false), "MAIL FROM:<>");
        plain(&mail(Some("a@x.test"), Some(12), true, true), "MAIL FROM:<a@x.test> SIZE=12 BODY=8BITMIME SMTPUTF8");
        plain(&mail(Some("\"a b\"@[192.0.2.1]"), None, false, false), "MAIL FROM:<\"a b\"@[192.0.2.1]>");
        plain(&Outgoing::Rcpt(address("é@bücher.example")), "RCPT TO:<é@xn--bcher-kva.example>");
        for (outgoing, line) in
            [(Outgoing::Data, "DATA"), (Outgoing::Rset, "RSET"), (Outgoing::Quit, "QUIT"), (Outgoing::Turn, "TURN")]
        {
            plain(&outgoing, line);
        }
        plain(&Outgoing::Atrn(vec![]), "ATRN");
        plain(&Outgoing::Atrn(vec![name("a.test"), name("b.test")]), "ATRN a.test,b.test");
        plain(&Outgoing::Etrn(name("a.test")), "ETRN a.test");
    }

    proptest! {
        /// A smuggled line end or bracket in an address would be a second command, or another recipient.
        #[test]
        fn the_server_reads_the_address_that_the_client_meant(local in "[ -~é]{1,12}", quoted in any::<bool>()) {
            let text = if quoted { format!("\"{}\"@x.test", local.replace('\\', "\\\\").replace('"', "\\\"")) } else { format!("{local}@x.test") };
            if let Ok(address) = text.parse::<Address>() {
                let mut out = Vec::new();
                Outgoing::Rcpt(address.clone()).write_to(&mut out);
                let line = out.strip_suffix(b"\r\n").unwrap();
                prop_assert!(!line.contains(&b'\r') && !line.contains(&b'\n'));
                let request = parse(line).unwrap();
                prop_assert_eq!(request.verb, Verb::Rcpt);
                let ForwardPath::Mailbox(seen) = rcpt_arguments(request.argument, true).unwrap().recipient else { panic!("{request:?}") };
                prop_assert_eq!(&seen.address, &address);
                let mut out = Vec::new();
                Outgoing::Mail { sender: Some(address.clone()), size_bytes: Some(7), eight_bit: true, smtputf8: true }.write_to(&mut out);
                let line = out.strip_suffix(b"\r\n").unwrap().to_vec();
                let seen = mail_arguments(parse(&line).unwrap().argument).unwrap();
                prop_assert_eq!((seen.sender.map(|mailbox| mailbox.address), seen.size_bytes), (Some(address), Some(7)));
            }
        }
    }
}
