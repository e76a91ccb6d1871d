use std::borrow::Cow;
use std::net::IpAddr;

use super::verdicts::{Chain, Dkim, Dmarc, Spf, SpfOf, Verdicts};
use crate::base::DomainName;
use crate::message::{self, Field};

/// The name of the field.
const NAME: &str = "Authentication-Results";

impl Verdicts {
    /// The Authentication-Results field of that server, folded, with its CRLF.
    // RFC 8601 §2.2
    pub fn field(&self, authserv_id: &DomainName) -> String {
        format!("{NAME}: {}\r\n", self.results(authserv_id))
    }

    /// What stands in it, without the CRLF at its end.
    pub fn results(&self, authserv_id: &DomainName) -> String {
        let mut results: Vec<String> = self.spf.iter().map(spf).collect();
        match self.dkim.as_slice() {
            [] => results.push("dkim=none".to_owned()),
            several => results.extend(several.iter().map(dkim)),
        }
        results.push(dmarc(&self.dmarc));
        results.push(arc(&self.arc, self.peer_ip));
        format!("{authserv_id};\r\n\t{}", results.join(";\r\n\t"))
    }
}

// RFC 8601 §2.7.2
fn spf(spf: &Spf) -> String {
    match &spf.of {
        SpfOf::MailFrom(name) => format!("spf={} smtp.mailfrom={name}", spf.word),
        SpfOf::Helo(name) => format!("spf={} smtp.helo={name}", spf.word),
    }
}

// RFC 8601 §2.7.1, RFC 6008 §4
fn dkim(dkim: &Dkim) -> String {
    let mut text = format!("dkim={} header.d={}", dkim.word, dkim.domain);
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet))
    };
    // A stranger has chosen it.
    if is_word(&dkim.selector) {
        text.push_str(&format!(" header.s={}", dkim.selector));
    }
    if !dkim.begins.is_empty() {
        text.push_str(&format!(" header.b=\"{}\"", dkim.begins));
    }
    text
}

// RFC 7489 §11.2
fn dmarc(dmarc: &Dmarc) -> String {
    let mut text = format!("dmarc={}", dmarc.word);
    if let Some(domain) = &dmarc.domain {
        text.push_str(&format!(" header.from={domain} policy.dmarc={}", dmarc.policy));
    }
    text
}

// RFC 8617 §6
fn arc(chain: &Chain, peer_ip: Option<IpAddr>) -> String {
    match peer_ip {
        // RFC 8601 §2.2: the colons of the one need quotes
        Some(IpAddr::V6(ip)) => format!("arc={} smtp.remote-ip=\"{ip}\"", chain.word),
        Some(IpAddr::V4(ip)) => format!("arc={} smtp.remote-ip={ip}", chain.word),
        None => format!("arc={}", chain.word),
    }
}

/// A header block without the Authentication-Results fields that somebody else has written in our name.
// RFC 8601 §5
pub fn without_forged_results<'a>(block: &'a [u8], authserv_id: &DomainName) -> Cow<'a, [u8]> {
    let is_forged = |field: &Field<'_>| field.is(NAME) && claims(&field.unfolded(), authserv_id);
    let mut spans = message::fields(block).filter(is_forged).map(|field| field.span).peekable();
    if spans.peek().is_none() {
        return Cow::Borrowed(block);
    }
    let (mut kept, mut from) = (Vec::with_capacity(block.len()), 0);
    for span in spans {
        kept.extend_from_slice(block.get(from..span.start).unwrap_or_default());
        from = span.end;
    }
    kept.extend_from_slice(block.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

/// Whether the value begins with that name, behind comments and in whatever case; a reader may take a quoted one for it.
fn claims(value: &[u8], authserv_id: &DomainName) -> bool {
    let mut depth = 0_usize;
    let mut text = String::new();
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => {
                octets.next();
            }
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b' ' | b'\t' | b'"' if text.is_empty() => {}
            b' ' | b'\t' | b'"' | b';' => break,
            octet => text.push(char::from(octet)),
        }
    }
    text.trim_end_matches('.').eq_ignore_ascii_case(authserv_id.as_str())
}
