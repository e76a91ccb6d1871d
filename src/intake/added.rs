use crate::base::{DomainName, MessageId, Timestamp};
use crate::message::Scan;

/// Header fields that are put before the message.
pub struct Added {
    /// The fields, each with its CRLF.
    pub text: String,
    /// The new Message-ID.
    pub message_id: Option<String>,
}

/// The fields that a message must have and this one has not. They go before the header block, as the trace fields do:
/// what was received stays as it came, and a retransmission can be known by it.
// RFC 6409 §8.2, §8.3
pub fn missing_fields(scan: &Scan, id: MessageId, hostname: &DomainName, at: Timestamp) -> Added {
    let mut added = Added { text: String::new(), message_id: None };
    if scan.date_fields == 0 {
        added.text.push_str(&format!("Date: {}\r\n", at.rfc5322()));
    }
    if scan.message_id_fields == 0 {
        let message_id = format!("<{id}@{hostname}>");
        added.text.push_str(&format!("Message-ID: {message_id}\r\n"));
        added.message_id = Some(message_id);
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added_and_what_is_there_stays() {
        let check = |block: &str, expected: &str| {
            let hostname = DomainName::parse("mx.test").unwrap();
            let added =
                missing_fields(&Scan::of(block.as_bytes()), MessageId(0), &hostname, Timestamp(1_795_341_900_123));
            assert_eq!(added.text, expected, "{block}");
            assert_eq!(added.message_id.is_some(), expected.contains("Message-ID"));
        };
        let date = "Date: Sun, 22 Nov 2026 10:05:00 +0000\r\n";
        let id = "Message-ID: <m_0000000000000@mx.test>\r\n";
        check("From: a@x.test\r\n", &format!("{date}{id}"));
        check("Date: x\r\n", id);
        check("message-id: <x@y>\r\n", date);
        check("DATE: x\r\nMessage-Id: <x@y>\r\n", "");
    }
}
