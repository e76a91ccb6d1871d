use std::net::IpAddr;

use crate::base::{Address, Host, MessageId, Timestamp, limits};

/// Columns at which the field is folded.
// RFC 5322 §2.1.1
const COLUMNS: usize = 78;

/// What the Received field tells of a message's arrival.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The name that the other side gave itself in HELO or EHLO.
    pub helo: &'a str,
    /// Its address; `None` for a pipe.
    pub peer_ip: Option<IpAddr>,
    /// Our name.
    pub by: &'a str,
    /// It said EHLO, not HELO.
    pub extended: bool,
    /// TLS version and cipher suite.
    pub tls: Option<&'a str>,
    /// It is logged in.
    pub authenticated: bool,
    /// It is a server that we have dialled and that has swapped roles with us.
    pub turned: bool,
    /// The transaction uses SMTPUTF8.
    pub utf8: bool,
    /// The message's id.
    pub id: MessageId,
    /// The recipient, when there is only one.
    pub recipient: Option<&'a Address>,
    /// Now.
    pub at: Timestamp,
}

/// The Received field, folded, with its CRLF.
// RFC 5321 §4.4
pub fn received(facts: &Received<'_>) -> String {
    let mut words = vec!["from".to_owned(), name(facts.helo)];
    if let Some(ip) = facts.peer_ip {
        words.push(format!("({})", Host::Literal(ip.to_canonical())));
    }
    words.extend(["by".to_owned(), name(facts.by), "with".to_owned(), protocol(facts)]);
    if let Some(tls) = facts.tls {
        words.push(format!("({})", comment(tls)));
    }
    if facts.turned {
        words.push("(turned)".to_owned());
    }
    words.extend(["id".to_owned(), facts.id.to_string()]);
    // RFC 6532 §3.2: an address beyond ASCII may stand only in the head of an internationalized message.
    if let Some(recipient) = facts.recipient.filter(|recipient| facts.utf8 || recipient.is_ascii()) {
        words.extend(["for".to_owned(), format!("<{recipient}>")]);
    }
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(facts.at.rfc5322());
    fold("Received:", &words)
}

/// The same for a message that came by no SMTP: `with` is a word of our own (RFC 5321 §4.4, Attdl-Protocol).
pub fn received_here(by: &str, with: &str, id: MessageId, recipient: Option<&Address>, at: Timestamp) -> String {
    let mut words = vec!["from".to_owned(), name(by), "by".to_owned(), name(by)];
    words.extend(["with".to_owned(), with.to_owned(), "id".to_owned(), id.to_string()]);
    if let Some(recipient) = recipient.filter(|recipient| recipient.is_ascii()) {
        words.extend(["for".to_owned(), format!("<{recipient}>")]);
    }
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(at.rfc5322());
    fold("Received:", &words)
}

// RFC 3848 §1, RFC 6531 §4.3
fn protocol(facts: &Received<'_>) -> String {
    let base = match (facts.extended, facts.utf8) {
        (false, _) => return "SMTP".into(),
        (true, false) => "ESMTP",
        (true, true) => "UTF8SMTP",
    };
    let tls = if facts.tls.is_some() { "S" } else { "" };
    let login = if facts.authenticated { "A" } else { "" };
    format!("{base}{tls}{login}")
}

/// A name that somebody else chose: nothing in it may end the clause that it stands in.
fn name(text: &str) -> String {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let name: String = text.chars().take(limits::DOMAIN_BYTES).map(|c| if is_harmless(c) { c } else { '?' }).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

fn comment(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').filter(|c| !"()\\".contains(*c)).collect()
}

/// Puts the words on lines of at most 78 columns where they allow it.
fn fold(start: &str, words: &[String]) -> String {
    let mut field = start.to_owned();
    let mut column = start.len();
    for word in words {
        let width = word.chars().count();
        if column + 1 + width > COLUMNS {
            field.push_str("\r\n\t");
            // A tab is one octet, and eight columns to a reader.
            column = 8;
        } else {
            field.push(' ');
            column += 1;
        }
        field.push_str(word);
        column += width;
    }
    field.push_str("\r\n");
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Received<'static> {
        Received {
            helo: "mx.other.test",
            peer_ip: Some("192.0.2.1".parse().unwrap()),
            by: "mail.example.test",
            extended: true,
            tls: None,
            authenticated: false,
            turned: false,
            utf8: false,
            id: MessageId(1_795_341_900_123 << 16),
            recipient: None,
            at: Timestamp(1_795_341_900_123),
        }
    }

    fn check(facts: &Received<'_>, expected: &str) {
        let field = received(facts);
        let unfolded = field.replace("\r\n\t", " ");
        assert_eq!(unfolded.trim_end(), expected);
        assert!(field.ends_with("\r\n") && !unfolded.trim_end().contains(['\r', '\n']), "{field:?}");
        for line in field.lines() {
            assert!(line.chars().count() <= 78 || !line.trim().contains(' '), "{line:?}");
        }
    }

    #[test]
    fn the_field_tells_who_and_how_and_when() {
        let date = "Sun, 22 Nov 2026 10:05:00 +0000";
        let id = facts().id;
        check(
            &facts(),
            &format!("Received: from mx.other.test ([192.0.2.1]) by mail.example.test with ESMTP id {id}; {date}"),
        );
        let recipient = Address::parse("alice@example.test").unwrap();
        let full = Received {
            peer_ip: Some("2001:db8::1".parse().unwrap()),
            tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384"),
            authenticated: true,
            recipient: Some(&recipient),
            ..facts()
        };
        check(
            &full,
            &format!(
                "Received: from mx.other.test ([IPv6:2001:db8::1]) by mail.example.test with ESMTPSA \
                 (TLSv1.3 TLS13_AES_256_GCM_SHA384) id {id} for <alice@example.test>; {date}"
            ),
        );
        check(
            &Received { tls: Some("TLSv1.3"), authenticated: true, turned: true, ..facts() },
            &format!(
                "Received: from mx.other.test ([192.0.2.1]) by mail.example.test with ESMTPSA (TLSv1.3) (turned) \
                 id {id}; {date}"
            ),
        );
        let mapped = Received { peer_ip: Some("::ffff:192.0.2.1".parse().unwrap()), ..facts() };
        assert!(received(&mapped).contains("([192.0.2.1])"));
    }

    #[test]
    fn what_came_by_no_smtp_says_so() {
        let recipient = Address::parse("alice@example.test").unwrap();
        let Received { id, at, by, .. } = facts();
        let field = received_here(by, "HTTP", id, Some(&recipient), at).replace("\r\n\t", " ");
        let expected = format!(
            "Received: from mail.example.test by mail.example.test with HTTP id {id} for <alice@example.test>; {}\r\n",
            at.rfc5322()
        );
        assert_eq!(field, expected);
    }

    #[test]
    fn the_protocol_is_named_as_registered() {
        let with = |extended, tls: bool, authenticated, utf8| {
            protocol(&Received { extended, tls: tls.then_some("TLSv1.3"), authenticated, utf8, ..facts() })
        };
        assert_eq!(with(false, false, false, false), "SMTP");
        assert_eq!(with(true, false, false, false), "ESMTP");
        assert_eq!(with(true, true, false, false), "ESMTPS");
        assert_eq!(with(true, false, true, false), "ESMTPA");
        assert_eq!(with(true, true, true, false), "ESMTPSA");
        assert_eq!(with(true, false, false, true), "UTF8SMTP");
        assert_eq!(with(true, true, true, true), "UTF8SMTPSA");
    }

    #[test]
    fn no_name_breaks_out_of_its_clause() {
        let hostile = "x (by y);\r\nBcc: z";
        check(
            &Received { helo: hostile, ..facts() },
            &format!(
                "Received: from x??by?y????Bcc:?z ([192.0.2.1]) by mail.example.test with ESMTP id {}; {}",
                facts().id,
                facts().at.rfc5322()
            ),
        );
        assert!(received(&Received { helo: "", ..facts() }).starts_with("Received: from unknown ("));
        assert!(!received(&Received { tls: Some("a) by (b\r\nc"), ..facts() }).contains(") by (b"));
        let long = "a".repeat(1000);
        assert!(received(&Received { helo: &long, ..facts() }).lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn an_address_beyond_ascii_stands_only_in_a_message_that_may_hold_it() {
        let recipient = Address::parse("josé@example.test").unwrap();
        let of = |utf8| received(&Received { utf8, recipient: Some(&recipient), ..facts() });
        assert!(!of(false).contains("for") && of(true).contains("for <josé@example.test>;"));
    }
}
