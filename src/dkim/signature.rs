use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{DkimKey as Private, SigningKey};

use super::body_hash::BodyHash;
use super::key::KeyFault;
use crate::base::{DomainName, Timestamp};
use crate::message::{Field, fields};

/// Octets of a line without its CRLF.
// RFC 5322 §2.1.1
const LINE: usize = 78;

/// Fields that nobody may change, take away, or add one of behind our back: each is named once more than it is there
/// (RFC 6376 §8.15), so that a second From, or a Content-Type where there was none, breaks the signature.
const SEALED: [&str; 10] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// Fields that nobody may change or take away. One may be added by a list or a forwarder, where there was none.
// RFC 6376 §5.4.1; RFC 8058 §4: List-Unsubscribe and List-Unsubscribe-Post; RFC 8460 §5.3: TLS-Report-Domain and
// TLS-Report-Submitter
const SIGNED: [&str; 22] = [
    "Sender",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Content-Language",
    "TLS-Required",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Archive",
];

/// A DKIM-Signature, by its name.
const DKIM: &str = "DKIM-Signature";

/// Who signs.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    /// `d=`
    pub domain: &'a DomainName,
    /// `s=`
    pub selector: &'a str,
    pub key: &'a Private,
}

/// What of a header is signed.
pub(super) struct Signed {
    /// `h=`
    names: Vec<String>,
    /// Those fields in their relaxed form, in the order of the names.
    canonical: Vec<u8>,
}

impl Signed {
    /// Chooses from a header block.
    pub(super) fn of(head: &[u8]) -> Self {
        let all: Vec<Field<'_>> = fields(head).collect();
        let mut signed = Self { names: Vec::new(), canonical: Vec::new() };
        for name in SEALED.into_iter().chain(SIGNED) {
            signed.add(&all, name);
            if SEALED.contains(&name) {
                signed.names.push(name.to_owned());
            }
        }
        signed
    }

    /// The same for what is passed on, with the signatures that are there.
    // RFC 8617 §4.1.2
    pub(super) fn of_forwarded(head: &[u8]) -> Self {
        let mut signed = Self::of(head);
        signed.add(&fields(head).collect::<Vec<_>>(), DKIM);
        signed
    }

    // RFC 6376 §5.4.2: from the last one up
    fn add(&mut self, all: &[Field<'_>], name: &str) {
        for field in all.iter().rev().filter(|field| field.is(name)) {
            self.names.push(name.to_owned());
            relaxed(name, field.value, &mut self.canonical);
        }
    }

    /// The DKIM-Signature field, folded, with its CRLF.
    ///
    /// # Errors
    /// [`KeyFault`]
    // RFC 6376 §3.5, §3.7
    pub(super) fn sign(&self, by: Signer<'_>, body: BodyHash, at: Timestamp) -> Result<Vec<u8>, KeyFault> {
        self.write(Folded::begin(DKIM, "v=1;", by, at), by, body)
    }

    /// The ARC-Message-Signature field of that instance, in the same way.
    ///
    /// # Errors
    /// [`KeyFault`]
    // RFC 8617 §4.1.2
    pub(super) fn sign_instance(
        &self,
        instance: u32,
        by: Signer<'_>,
        body: BodyHash,
        at: Timestamp,
    ) -> Result<Vec<u8>, KeyFault> {
        self.write(Folded::begin("ARC-Message-Signature", &format!("i={instance};"), by, at), by, body)
    }

    fn write(&self, mut field: Folded, by: Signer<'_>, body: BodyHash) -> Result<Vec<u8>, KeyFault> {
        field.add("c=relaxed/relaxed;");
        let last = self.names.len().saturating_sub(1);
        for (place, name) in self.names.iter().enumerate() {
            let before = if place == 0 { "h=" } else { "" };
            let text = format!("{before}{name}{}", if place == last { ';' } else { ':' });
            // What is joined to the one before is a piece of the same tag.
            if place == 0 { field.add(&text) } else { field.join(&text) }
        }
        field.add(&format!("bh={};", STANDARD.encode(body.0)));
        field.sign(self.canonical.clone(), by.key)
    }
}

/// The ARC-Seal field of that instance, which says `cv` of the chain before it and covers those fields in their relaxed
/// form.
///
/// # Errors
/// [`KeyFault`]
// RFC 8617 §4.1.3: no h=, and no other form
pub(super) fn seal_field(
    (instance, cv): (u32, &str),
    covered: Vec<u8>,
    by: Signer<'_>,
    at: Timestamp,
) -> Result<Vec<u8>, KeyFault> {
    let mut field = Folded::begin("ARC-Seal", &format!("i={instance};"), by, at);
    field.add(&format!("cv={cv};"));
    field.sign(covered, by.key)
}

/// A field whose lines are of at most [`LINE`] octets, where its words allow it.
struct Folded {
    name: &'static str,
    text: String,
    /// Octets of the last line.
    line: usize,
}

impl Folded {
    /// With the tags that all signatures have.
    fn begin(name: &'static str, first: &str, by: Signer<'_>, at: Timestamp) -> Self {
        let text = format!("{name}:");
        let mut field = Self { name, line: text.len(), text };
        field.add(first);
        field.add(&format!("a={};", method(by.key)));
        field.add(&format!("s={};", by.selector));
        field.add(&format!("d={};", by.domain));
        field.add(&format!("t={};", at.0 / 1000));
        field
    }

    /// The field with the signature of `before` and itself, and its CRLF.
    // RFC 6376 §3.7
    fn sign(mut self, before: Vec<u8>, key: &Private) -> Result<Vec<u8>, KeyFault> {
        self.add("b=");
        let mut input = before;
        relaxed(self.name, &self.text.as_bytes()[self.name.len() + 1..], &mut input);
        // Without the CRLF at its end.
        input.truncate(input.len() - 2);
        let signature = key.sign(input.as_slice()).map_err(|error| KeyFault(error.to_string()))?;
        let signature = STANDARD.encode(signature);
        for piece in signature.as_bytes().chunks(LINE - 1) {
            self.break_line();
            self.text.push_str(&String::from_utf8_lossy(piece));
        }
        self.text.push_str("\r\n");
        Ok(self.text.into_bytes())
    }

    /// A word behind white space.
    fn add(&mut self, word: &str) {
        if self.line + 1 + word.len() > LINE {
            self.break_line();
        } else {
            self.text.push(' ');
            self.line += 1;
        }
        self.push(word);
    }

    /// A word right behind the one before, or on the next line.
    fn join(&mut self, word: &str) {
        if self.line + word.len() > LINE {
            self.break_line();
        }
        self.push(word);
    }

    fn break_line(&mut self) {
        self.text.push_str("\r\n\t");
        self.line = 1;
    }

    fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.line += word.len();
    }
}

// RFC 8301 §3.1, RFC 8463 §3
fn method(key: &Private) -> &'static str {
    match key {
        Private::Rsa(_) => "rsa-sha256",
        Private::Ed25519(_) => "ed25519-sha256",
    }
}

/// Appends a field in its relaxed form.
// RFC 6376 §3.4.2
pub(super) fn relaxed(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.to_ascii_lowercase().as_bytes());
    out.push(b':');
    let words = value.split(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, names: &str, canonical: &str) {
        let signed = Signed::of(head.as_bytes());
        assert_eq!(signed.names.join(":"), names, "{head}");
        assert_eq!(String::from_utf8(signed.canonical).unwrap(), canonical, "{head}");
    }

    const NONE: &str = "To:Cc:Subject:Date:Message-ID:Reply-To:MIME-Version:Content-Type:Content-Transfer-Encoding";

    #[test]
    fn what_must_not_be_added_is_named_once_more() {
        check("From: a@x.test\r\n", &format!("From:From:{NONE}"), "from:a@x.test\r\n");
        check("", &format!("From:{NONE}"), "");
        check(
            "From: a@x.test\r\nFROM : b@x.test\r\n",
            &format!("From:From:From:{NONE}"),
            "from:b@x.test\r\nfrom:a@x.test\r\n",
        );
    }

    #[test]
    fn other_fields_are_named_as_often_as_they_are_there() {
        check(
            "Received: x\r\nSender: s@x.test\r\nList-Id: one\r\nX-Other: y\r\nList-Id: two\r\n",
            &format!("From:{NONE}:Sender:List-Id:List-Id"),
            "sender:s@x.test\r\nlist-id:two\r\nlist-id:one\r\n",
        );
    }

    #[test]
    fn white_space_does_not_count() {
        check(
            "Subject:\tone\r\n  two \t three \r\n",
            &format!("From:{}", NONE.replace("Subject", "Subject:Subject")),
            "subject:one two three\r\n",
        );
        check("Sender:\r\n", &format!("From:{NONE}:Sender"), "sender:\r\n");
    }
}
