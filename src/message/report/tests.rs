use proptest::prelude::*;

use super::encode::tests::decode;
use super::*;

/// A part of a multipart: its header fields and its content, decoded.
struct Part {
    fields: Vec<(String, String)>,
    content: Vec<u8>,
}

impl Part {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads header fields strictly: printable ASCII names, CRLF alone, continuations that hold something.
fn read_fields(block: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let block = block.strip_suffix("\r\n").unwrap_or(block);
    for line in block.split("\r\n").filter(|_| !block.is_empty()) {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line:?}");
        if line.starts_with([' ', '\t']) {
            assert!(!line.trim().is_empty(), "a continuation that could be a blank line");
            found.last_mut().unwrap().1.push_str(line);
        } else {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
            assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()), "{name:?}");
            found.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// Takes a report apart as RFC 2046 §5.1.1 has it, without any of the code that has put it together.
fn split(composed: &Composed) -> (Vec<(String, String)>, Vec<Part>) {
    let header = std::str::from_utf8(&composed.header_block).unwrap();
    assert!(header.ends_with("\r\n") && composed.body.starts_with(b"\r\n"));
    let header = read_fields(header);
    let kind = header.iter().find(|(name, _)| name == "Content-Type").unwrap().1.clone();
    let boundary = kind.strip_prefix("multipart/report; report-type=delivery-status; boundary=\"").unwrap();
    let boundary = boundary.strip_suffix('"').unwrap();
    let body = std::str::from_utf8(&composed.body).unwrap();
    assert!(body.is_ascii() && !body.replace("\r\n", "").contains(['\r', '\n', '\0']), "{body}");
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces = body.split(delimiter.as_str());
    assert_eq!(pieces.next(), Some(""), "nothing stands before the first part");
    let mut parts = Vec::new();
    let mut rest: Vec<&str> = pieces.collect();
    assert_eq!(rest.pop(), Some("--\r\n"), "nothing stands behind the last part");
    for piece in rest {
        let (block, content) = piece.strip_prefix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        let fields = read_fields(block);
        let encoding = fields.iter().find(|(name, _)| name == "Content-Transfer-Encoding").unwrap().1.clone();
        let content = match encoding.as_str() {
            "7bit" => content.as_bytes().to_vec(),
            "quoted-printable" => decode(content.as_bytes()),
            other => panic!("{other}"),
        };
        parts.push(Part { fields, content });
    }
    (header, parts)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn told() -> Told {
    Told {
        recipient: address("somebody@elsewhere.test"),
        original: None,
        named_at_first: None,
        fate: Fate::Failed,
        server: Some("mx.elsewhere.test".into()),
        code: Some(550),
        enhanced: Some(Enhanced(5, 1, 1)),
        text: "No such user".into(),
        tried_at: Some(Timestamp(1_795_341_960_000)),
    }
}

const HEAD: &[u8] =
    b"Received: x\r\nFrom: Alice <alice@example.test>\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n";

fn compose(reader: Reader, sender: Option<&Address>, head: &[u8], recipients: &[Told]) -> Composed {
    compose_of(reader, sender, head, None, recipients)
}

fn compose_of(
    reader: Reader,
    sender: Option<&Address>,
    head: &[u8],
    body: Option<&[u8]>,
    recipients: &[Told],
) -> Composed {
    let hostname = DomainName::parse("mx.example.test").unwrap();
    let (arrived_at, at) = (Timestamp(1_795_341_900_000), Timestamp(1_795_773_900_000));
    let id = MessageId(arrived_at.0 << 16);
    let message = Reported { id, sender, envelope_id: None, deliver_by: None, arrived_at, head, body };
    let to = address("alice@example.test");
    Report { hostname: &hostname, id: MessageId(at.0 << 16), at, to: &to, reader, message, recipients }.compose()
}

fn text_of(parts: &[Part]) -> String {
    String::from_utf8(parts[0].content.clone()).unwrap().replace("\r\n", "\n")
}

/// The groups of the second part.
fn groups(parts: &[Part]) -> Vec<Vec<(String, String)>> {
    let text = std::str::from_utf8(&parts[1].content).unwrap();
    text.trim_end_matches("\r\n").split("\r\n\r\n").map(read_fields).collect()
}

// RFC 3461 §4.3, RFC 6522 §3
#[test]
fn a_message_is_returned_whole_where_that_is_possible() {
    let returned = |head: &[u8], body: &[u8]| {
        let composed = compose_of(Reader::Sender, None, head, Some(body), &[told()]);
        let (_, mut parts) = split(&composed);
        let part = parts.pop().unwrap();
        let kind = part.field("Content-Type").unwrap().to_owned();
        (kind, String::from_utf8(part.content).unwrap())
    };
    let whole = |text: &[u8]| ("message/rfc822".to_owned(), String::from_utf8(text.to_vec()).unwrap());
    let header = |text: &[u8]| ("text/rfc822-headers".to_owned(), String::from_utf8(text.to_vec()).unwrap());
    let body = b"\r\nHello.\r\n--=_m_x_0--\r\n";
    assert_eq!(returned(HEAD, body), whole(&[HEAD, body].concat()));
    assert_eq!(returned(HEAD, b""), whole(HEAD));
    // What may not be encoded is made 7-bit inside.
    let text = [HEAD, b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"].concat();
    let (kind, seen) = returned(&text, "\r\nGr\u{fc}\u{df}e\r\n".as_bytes());
    assert_eq!(kind, "message/rfc822");
    assert!(seen.contains("Content-Transfer-Encoding: quoted-printable\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nGr=C3=BC=C3=9Fe\r\n"), "{seen}");
    // And where that is impossible its header has to do.
    let signed = [HEAD, b"Content-Type: multipart/signed; boundary=x\r\n"].concat();
    assert_eq!(returned(&signed, "\r\n--x\r\n\r\n\u{fc}\r\n--x--\r\n".as_bytes()), header(&signed));
    let long = ["\r\n", &"x".repeat(999), "\r\n"].concat();
    assert_eq!(returned(HEAD, long.as_bytes()), header(HEAD));
}

// RFC 6522 §3, RFC 3464 §2
#[test]
fn a_report_tells_people_and_programs_what_happened() {
    let alice = address("alice@example.test");
    let composed = compose(Reader::Sender, Some(&alice), HEAD, &[told()]);
    let (header, parts) = split(&composed);
    let field = |name: &str| header.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("From"), Some("Mail Delivery System <mailer-daemon@mx.example.test>"));
    assert_eq!(field("To"), Some("alice@example.test"));
    assert_eq!(field("Subject"), Some("Your message could not be delivered"));
    // RFC 3834 §5
    assert_eq!(field("Auto-Submitted"), Some("auto-replied"));
    assert_eq!(field("References"), Some("<1@example.test>"));
    assert_eq!(field("Message-ID"), Some(composed.message_id.as_str()));
    let kinds: Vec<_> = parts.iter().map(|part| part.field("Content-Type").unwrap()).collect();
    assert_eq!(kinds, ["text/plain; charset=utf-8", "message/delivery-status", "text/rfc822-headers"]);
    let expected = [
        vec![("Reporting-MTA", "dns; mx.example.test"), ("Arrival-Date", "Sun, 22 Nov 2026 10:05:00 +0000")],
        vec![
            ("Final-Recipient", "rfc822; somebody@elsewhere.test"),
            ("Action", "failed"),
            ("Status", "5.1.1"),
            ("Remote-MTA", "dns; mx.elsewhere.test"),
            ("Diagnostic-Code", "smtp; 550 5.1.1 No such user"),
            ("Last-Attempt-Date", "Sun, 22 Nov 2026 10:06:00 +0000"),
        ],
    ];
    let seen = groups(&parts);
    let seen: Vec<Vec<(&str, &str)>> =
        seen.iter().map(|group| group.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()).collect();
    assert_eq!(seen, expected);
    assert_eq!(parts[2].content, HEAD);
    let text = text_of(&parts);
    for said in [
        "This is the mail server mx.example.test.",
        "could not be delivered to the recipient below, and is not",
        "  <somebody@elsewhere.test>\n",
        "    The server mx.elsewhere.test refused it for good:\n      550 5.1.1 No such user\n",
        "    Look whether the address is spelled right.",
        "  Subject: hello\n",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
}

#[test]
fn what_was_given_up_and_what_is_delayed_say_so() {
    let alice = address("alice@example.test");
    let expired = Told {
        fate: Fate::Expired,
        code: None,
        enhanced: Some(Enhanced(4, 4, 1)),
        text: "connection refused".into(),
        original: Some(address("team@example.test")),
        ..told()
    };
    let delayed = Told { fate: Fate::Delayed { until: Timestamp(1_795_946_700_000) }, code: Some(450), ..told() };
    let (_, parts) = split(&compose(Reader::Sender, Some(&alice), HEAD, &[expired, delayed.clone()]));
    let groups = groups(&parts);
    let value = |group: usize, name: &str| {
        groups[group].iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    assert_eq!(value(1, "Original-Recipient"), Some("rfc822; team@example.test"));
    assert_eq!((value(1, "Action"), value(1, "Status")), (Some("failed"), Some("4.4.7")));
    assert_eq!(value(1, "Diagnostic-Code"), Some("X-Pillarbox; connection refused"));
    // The class of a code that does not go with the fate is not believed.
    assert_eq!((value(2, "Action"), value(2, "Status")), (Some("delayed"), Some("4.0.0")));
    assert_eq!(value(2, "Will-Retry-Until"), Some("Sun, 29 Nov 2026 10:05:00 +0000"));
    let text = text_of(&parts);
    assert!(text.contains("some of the recipients") && text.contains("kept for 5 days"), "{text}");
    assert!(text.contains("for <team@example.test>, which leads there"), "{text}");
    let (header, parts) = split(&compose(Reader::Sender, Some(&alice), HEAD, &[delayed]));
    assert!(header.contains(&("Subject".into(), "Your message is delayed".into())));
    assert!(text_of(&parts).replace('\n', " ").contains("You need not send it again"));
}

#[test]
fn what_people_here_have_decided_is_said_to_be_theirs() {
    let alice = address("alice@example.test");
    let decided = Told { tried_at: None, code: None, server: None, text: "it is spam".into(), ..told() };
    let (_, parts) = split(&compose(Reader::Sender, Some(&alice), HEAD, &[decided]));
    let text = text_of(&parts).replace('\n', " ");
    assert!(text.contains("given up by the administrators of this server:       it is spam"), "{text}");
    assert!(!groups(&parts)[1].iter().any(|(name, _)| name == "Last-Attempt-Date"));
}

#[test]
fn a_postmaster_is_told_why() {
    let stranger = address("stranger@far.test");
    let check = |sender: Option<&Address>, expected: &str| {
        let (header, parts) = split(&compose(Reader::Postmaster, sender, HEAD, &[told()]));
        assert!(header.contains(&("Subject".into(), "A message could not be delivered".into())));
        let text = text_of(&parts).replace('\n', " ");
        assert!(text.contains(expected), "{text}");
    };
    check(Some(&stranger), "the address may be forged");
    check(None, "There is nobody else to tell");
}

#[test]
fn addresses_beyond_ascii_have_a_form_of_their_own() {
    // RFC 6533 §3
    let check = |text: &str, expected: &str| assert_eq!(status::typed(&address(text)), expected);
    check("josé@bücher.test", "utf-8; jos\\x{E9}@xn--bcher-kva.test");
    check("a+é=b@x.test", "utf-8; a\\x{2B}\\x{E9}\\x{3D}b@x.test");
    check("a+b@x.test", "rfc822; a+b@x.test");
    check("\"a b\"@x.test", "rfc822; \"a b\"@x.test");
}

#[test]
fn a_hostile_header_stays_in_its_part() {
    let id = MessageId(1_795_773_900_000 << 16);
    let head = format!("Subject: x\r\n--=_{id}_0--\r\n--=_{id}_1\r\nX: caf\u{e9}\0\rbare\r\nMessage-ID: <a>b@c>\r\n");
    let (header, parts) = split(&compose(Reader::Sender, None, head.as_bytes(), &[told()]));
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[2].content, head.as_bytes());
    assert!(!header.iter().any(|(name, _)| name == "References"));
    let plain = format!("Subject: x\r\n--=_{id}_0--\r\n--=_{id}_1\r\n");
    let (_, parts) = split(&compose(Reader::Sender, None, plain.as_bytes(), &[told()]));
    assert_eq!(parts[2].content, plain.as_bytes());
}

#[test]
fn a_long_header_is_cut_between_two_fields() {
    let field = format!("X: {}\r\n {}\r\n", "a".repeat(500), "b".repeat(500));
    let head = field.repeat(100);
    let (_, parts) = split(&compose(Reader::Sender, None, head.as_bytes(), &[told()]));
    let kept = &parts[2].content;
    assert!(kept.len() <= limits::REPORTED_HEADER_BYTES && kept.len() > limits::REPORTED_HEADER_BYTES - field.len());
    assert_eq!(kept.len() % field.len(), 0);
    assert_eq!(bounded(b"X: long\r\n", 3), b"");
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,80}",
        Just("x\r\n\r\n--=_".to_owned()),
        Just("a\r\nStatus: 2.0.0\r\n\r\nFinal-Recipient: rfc822; x@y".to_owned()),
        Just("x".repeat(1000)),
        Just("\u{202e}\u{2028}é".repeat(100)),
    ]
}

proptest! {
    #[test]
    fn what_is_put_in_comes_out_and_nothing_else(
        told_words in proptest::collection::vec((words(), words(), proptest::option::of(400u16..600)), 1..4),
        head in proptest::collection::vec(words(), 0..4),
        local in "[a-z\u{e0}-\u{ff}]{1,20}",
    ) {
        let recipients: Vec<Told> = told_words
            .iter()
            .map(|(text, server, code)| Told {
                recipient: address(&format!("{local}@x.test")),
                text: text.clone(),
                server: Some(server.clone()),
                code: *code,
                ..told()
            })
            .collect();
        let head: String = head.iter().map(|words| format!("X: {words}\r\n")).collect();
        let (header, parts) = split(&compose(Reader::Sender, None, head.as_bytes(), &recipients));
        prop_assert_eq!(header.iter().filter(|(name, _)| name == "Content-Type").count(), 1);
        prop_assert_eq!(parts.len(), 3);
        if head.len() <= limits::REPORTED_HEADER_BYTES {
            prop_assert_eq!(&parts[2].content, head.as_bytes());
        }
        let groups = groups(&parts);
        prop_assert_eq!(groups.len(), 1 + recipients.len());
        for (group, told) in groups[1..].iter().zip(&recipients) {
            let names: Vec<&str> = group.iter().map(|(name, _)| name.as_str()).collect();
            let expected =
                ["Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"];
            prop_assert_eq!(names, expected);
            // Whatever was cut or folded: all letters of the words are there.
            let bare = |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>();
            prop_assert!(bare(&group[4].1).ends_with(&bare(&told.text)), "{:?} {:?}", group[4], told.text);
        }
    }
}
