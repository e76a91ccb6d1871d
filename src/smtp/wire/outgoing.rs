use super::parameters::{By, original_recipient_text, to_xtext};
use crate::base::{Address, DomainName, RcptOptions, Ret, Secret};
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
        /// What is asked for besides.
        wishes: Wishes,
    },
    /// RFC 5321 §4.1.1.3, with the parameters of RFC 3461 §4 where the server has them.
    Rcpt(Address, RcptOptions),
    /// RFC 5321 §4.1.1.4
    Data,
    /// RFC 3030 §2: so many octets follow, and they are the last of the message.
    BdatLast(u64),
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

/// What MAIL asks of a server besides taking the message, as far as it has said that it knows how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// RFC 3461 §4.3
    pub ret: Option<Ret>,
    /// RFC 3461 §4.4
    pub envelope_id: Option<String>,
    /// RFC 8689 §2
    pub require_tls: bool,
    /// RFC 2852 §4
    pub by: Option<By>,
    /// RFC 6710 §4.1
    pub priority: Option<i8>,
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
            Self::Mail { sender, size_bytes, eight_bit, smtputf8, wishes } => {
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
                line.push_str(&wishes.text());
                line
            }
            Self::Rcpt(recipient, options) => {
                let notify = options.notify.map(|notify| format!(" NOTIFY={notify}")).unwrap_or_default();
                let original = options.original.as_ref().map(original_recipient_text);
                let original = original.map(|text| format!(" ORCPT={text}")).unwrap_or_default();
                format!("RCPT TO:<{recipient}>{notify}{original}")
            }
            Self::Data => "DATA".to_owned(),
            Self::BdatLast(bytes) => format!("BDAT {bytes} LAST"),
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

impl Wishes {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(ret) = self.ret {
            text.push_str(if ret == Ret::Full { " RET=FULL" } else { " RET=HDRS" });
        }
        if let Some(id) = &self.envelope_id {
            text.push_str(&format!(" ENVID={}", to_xtext(id)));
        }
        if self.require_tls {
            text.push_str(" REQUIRETLS");
        }
        if let Some(by) = self.by {
            text.push_str(&format!(" BY={}", by.text()));
        }
        if let Some(priority) = self.priority {
            text.push_str(&format!(" MT-PRIORITY={priority}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ForwardPath, Verb, mail_arguments, parse, rcpt_arguments};
    use super::*;
    use crate::base::{ByMode, NotifyOn, OriginalRecipient};
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
            wishes: Wishes::default(),
        };
        plain(&mail(None, None, false, false), "MAIL FROM:<>");
        plain(&mail(Some("a@x.test"), Some(12), true, true), "MAIL FROM:<a@x.test> SIZE=12 BODY=8BITMIME SMTPUTF8");
        plain(&mail(Some("\"a b\"@[192.0.2.1]"), None, false, false), "MAIL FROM:<\"a b\"@[192.0.2.1]>");
        let wishes = Wishes {
            ret: Some(Ret::Headers),
            envelope_id: Some("a+b c".into()),
            require_tls: true,
            by: Some(By { seconds: -3, mode: ByMode::Notify, trace: true }),
            priority: Some(-4),
        };
        plain(
            &Outgoing::Mail { sender: None, size_bytes: None, eight_bit: false, smtputf8: false, wishes },
            "MAIL FROM:<> RET=HDRS ENVID=a+2Bb+20c REQUIRETLS BY=-3;NT MT-PRIORITY=-4",
        );
        let rcpt = |text: &str| Outgoing::Rcpt(address(text), RcptOptions::default());
        plain(&rcpt("é@bücher.example"), "RCPT TO:<é@xn--bcher-kva.example>");
        let options = RcptOptions {
            notify: Some(NotifyOn { success: true, failure: true, delay: false }),
            original: Some(OriginalRecipient { kind: "rfc822".into(), address: "a+b@x.test".into() }),
        };
        let line = "RCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@x.test";
        plain(&Outgoing::Rcpt(address("a@x.test"), options.clone()), line);
        assert_eq!(rcpt_arguments(line.strip_prefix("RCPT ").unwrap(), false).unwrap().options, options);
        plain(&Outgoing::BdatLast(86), "BDAT 86 LAST");
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
                Outgoing::Rcpt(address.clone(), RcptOptions::default()).write_to(&mut out);
                let line = out.strip_suffix(b"\r\n").unwrap();
                prop_assert!(!line.contains(&b'\r') && !line.contains(&b'\n'));
                let request = parse(line).unwrap();
                prop_assert_eq!(request.verb, Verb::Rcpt);
                let ForwardPath::Mailbox(seen) = rcpt_arguments(request.argument, true).unwrap().recipient else { panic!("{request:?}") };
                prop_assert_eq!(&seen.address, &address);
                let mut out = Vec::new();
                Outgoing::Mail { sender: Some(address.clone()), size_bytes: Some(7), eight_bit: true, smtputf8: true, wishes: Wishes::default() }.write_to(&mut out);
                let line = out.strip_suffix(b"\r\n").unwrap().to_vec();
                let seen = mail_arguments(parse(&line).unwrap().argument).unwrap();
                prop_assert_eq!((seen.sender.map(|mailbox| mailbox.address), seen.size_bytes), (Some(address), Some(7)));
            }
        }
    }
}
