use super::address_list::{AddressListError, addresses};
use super::field::fields;
use crate::base::{Address, limits};

/// What the way in needs to know of a header block, found in one pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// How many Received fields there are: the servers that the message came through.
    pub received: usize,
    /// How many From fields there are. RFC 5322 §3.6 asks for exactly one.
    pub from_fields: usize,
    /// The addresses of all From fields, in their order.
    pub authors: Result<Vec<Address>, AddressListError>,
    /// How many Date fields there are.
    pub date_fields: usize,
    /// How many Message-ID fields there are.
    pub message_id_fields: usize,
    /// The first Message-ID, with its angle brackets, as it came.
    pub message_id: Option<String>,
    /// The first Subject, as it came; encoded words are not decoded.
    pub subject: Option<String>,
    /// The addresses that the message was delivered to before it came here. What is no address is left out.
    pub delivered_to: Vec<Address>,
}

impl Scan {
    /// Reads a header block.
    pub fn of(block: &[u8]) -> Self {
        let mut scan = Self {
            received: 0,
            from_fields: 0,
            authors: Ok(Vec::new()),
            date_fields: 0,
            message_id_fields: 0,
            message_id: None,
            subject: None,
            delivered_to: Vec::new(),
        };
        for field in fields(block) {
            if field.is("Received") {
                scan.received += 1;
            } else if field.is("From") {
                scan.from_fields += 1;
                scan.add_authors(addresses(field.value));
            } else if field.is("Date") {
                scan.date_fields += 1;
            } else if field.is("Message-ID") {
                scan.message_id_fields += 1;
                scan.message_id.get_or_insert_with(|| field.text(limits::TRACED_HEADER_CHARS));
            } else if field.is("Subject") {
                scan.subject.get_or_insert_with(|| field.text(limits::TRACED_HEADER_CHARS));
            } else if field.is("Delivered-To") {
                scan.delivered_to.extend(addresses(field.value).unwrap_or_default());
            }
        }
        scan
    }

    fn add_authors(&mut self, found: Result<Vec<Address>, AddressListError>) {
        match (&mut self.authors, found) {
            (Ok(authors), Ok(found)) => authors.extend(found),
            (authors @ Ok(_), Err(error)) => *authors = Err(error),
            (Err(_), _) => {}
        }
    }

    /// The first address of From; `None` also when From can't be read.
    pub fn author(&self) -> Option<&Address> {
        self.authors.as_ref().ok()?.first()
    }

    /// Whether the message has passed through more servers than a message that is not in a loop.
    // RFC 5321 §6.3
    pub fn is_looping(&self) -> bool {
        self.received > limits::RECEIVED_HOPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_counted_and_read() {
        let block = b"Received: a\r\nreceived: b\r\n by c\r\nFROM: A <a@x.test>,\r\n b@x.test\r\nDate: today\r\n\
            Message-Id:\r\n <1@x.test>\r\nSubject: one\r\n two\r\nSubject: three\r\nDelivered-To: List@X.test\r\nDelivered-To: ?\r\n";
        let scan = Scan::of(block);
        let address = |text: &str| Address::parse(text).unwrap();
        assert_eq!((scan.received, scan.from_fields, scan.date_fields, scan.message_id_fields), (2, 1, 1, 1));
        assert_eq!(scan.authors, Ok(vec![address("a@x.test"), address("b@x.test")]));
        assert_eq!(scan.author(), Some(&address("a@x.test")));
        assert_eq!(scan.message_id.as_deref(), Some("<1@x.test>"));
        assert_eq!(scan.subject.as_deref(), Some("one two"));
        assert_eq!(scan.delivered_to, [address("List@X.test")]);
    }

    #[test]
    fn one_unreadable_from_spoils_them_all() {
        let check = |block: &str, expected: Option<usize>| {
            let scan = Scan::of(block.as_bytes());
            assert_eq!(scan.authors.ok().map(|authors| authors.len()), expected, "{block}");
        };
        check("", Some(0));
        check("From: a@x.test\r\nFrom: b@x.test\r\n", Some(2));
        check("From: a@x.test\r\nFrom: b@\r\n", None);
        check("From: b@\r\nFrom: a@x.test\r\n", None);
    }

    #[test]
    fn a_message_loops_at_the_hundred_and_first_hop() {
        let hops = |count: usize| Scan::of("Received: x\r\n".repeat(count).as_bytes()).is_looping();
        assert!(!hops(100) && hops(101));
    }
}
