use super::context::Context;
use super::policy;
use crate::base::{Enhanced, Reply};
use crate::directory::{self, Identity};
use crate::message::{self, Scan};
use crate::smtp::machine::Sender;

/// What a message from one of our users must be: it has one From field, and every author in it is the user.
// RFC 6409 §6.1, §8; RFC 5322 §3.6
pub(super) fn check(
    context: &Context,
    identity: &Identity,
    sender: &Sender,
    header_block: &[u8],
    scan: &Scan,
) -> Result<(), Reply> {
    if scan.from_fields != 1 {
        let text = if scan.from_fields == 0 {
            "The message has no From field"
        } else {
            "The message has more than one From field"
        };
        return Err(malformed(text));
    }
    let authors = match &scan.authors {
        Ok(authors) if !authors.is_empty() => authors,
        _ => return Err(malformed("The From field holds no address that can be read")),
    };
    for author in authors {
        if !policy::with_view(context, |view| directory::may_send_as(view, identity.account, author))? {
            return Err(policy::not_yours(identity));
        }
    }
    // Reports on delivery and reading have no sender to answer to; anything else has one.
    if sender.address.is_none() && !is_report(header_block) {
        return Err(Reply::new(550, Enhanced(5, 7, 1), "Only reports may be sent without a sender"));
    }
    Ok(())
}

/// The header block as others may see it.
pub(super) fn without_bcc(header_block: Vec<u8>) -> Vec<u8> {
    match message::without_bcc(&header_block) {
        std::borrow::Cow::Owned(stripped) => stripped,
        std::borrow::Cow::Borrowed(_) => header_block,
    }
}

fn malformed(text: &'static str) -> Reply {
    Reply::new(550, Enhanced(5, 6, 0), text)
}

// RFC 6522 §3
fn is_report(header_block: &[u8]) -> bool {
    let kind = b"multipart/report";
    message::fields(header_block).find(|field| field.is("Content-Type")).is_some_and(|field| {
        let value = field.unfolded();
        value.get(..kind.len()).is_some_and(|found| found.eq_ignore_ascii_case(kind))
            && !value.get(kind.len()).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_report_is_one() {
        let check = |block: &str, expected| assert_eq!(is_report(block.as_bytes()), expected, "{block}");
        check("Content-Type: multipart/report; report-type=disposition-notification\r\n", true);
        check("content-type:\r\n Multipart/Report\r\n", true);
        check("Content-Type: multipart/reports\r\n", false);
        check("Content-Type: text/plain\r\nX: multipart/report\r\n", false);
        check("", false);
    }
}
