use super::*;
use crate::base::Random;

/// A multipart with a text, a message that is a multipart itself, and an attachment.
const NESTED: &str = "From: A <a@x>\r\nSubject: outer\r\nX-Long: folded\r\n over lines\r\n\
    Content-Type: multipart/mixed; boundary=outer\r\n\r\npreamble\r\n--outer\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
    --outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: B <b@x>\r\n\
    Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n\
    <p>html\r\n--in--\r\n--outer\r\nContent-Type: message/rfc822\r\nContent-Description: single\r\n\r\nSubject: single\r\n\
    \r\nsingle body\r\n--outer\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n\
    --outer--\r\nepilogue\r\n";
const SIMPLE: &str = "Subject: simple\r\nTo: c@x\r\n\r\nbody\r\n";

async fn house() -> (House, Client) {
    let house = House::new().await;
    let mut client = house.select().await;
    for message in [NESTED, SIMPLE] {
        let answer = client.append("INBOX", "", message.as_bytes()).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    (house, client)
}

async fn check(client: &mut Client, number: u32, section: &str, expected: Option<&str>) {
    let command = format!("FETCH {number} BODY.PEEK[{section}]");
    match expected {
        Some(expected) => {
            let seen = client.octets(&command).await;
            assert_eq!(String::from_utf8_lossy(&seen), expected, "{section}");
        }
        None => {
            let name = format!("* {number} FETCH (BODY[{section}] NIL)");
            assert_eq!(client.ok(&command).await, [name]);
        }
    }
}

#[tokio::test]
async fn sections_are_what_their_numbers_say() {
    let (_house, mut client) = house().await;
    let header_end = NESTED.find("\r\n\r\n").unwrap() + 4;
    let inner = "Subject: inner\r\nFrom: B <b@x>\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n";
    let inner_text = "--in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--in--";
    let inner_all = format!("{inner}{inner_text}");
    for (section, expected) in [
        ("", Some(NESTED)),
        ("HEADER", Some(&NESTED[..header_end])),
        ("TEXT", Some(&NESTED[header_end..])),
        ("1", Some("hello")),
        ("1.MIME", Some("Content-Type: text/plain\r\n\r\n")),
        ("1.HEADER", None),
        ("1.TEXT", None),
        ("1.1", None),
        ("2", Some(inner_all.as_str())),
        ("2.MIME", Some("Content-Type: message/rfc822\r\n\r\n")),
        ("2.HEADER", Some(inner)),
        ("2.TEXT", Some(inner_text)),
        ("2.1", Some("plain")),
        ("2.1.MIME", Some("\r\n")),
        ("2.2", Some("<p>html")),
        ("2.2.MIME", Some("Content-Type: text/html\r\n\r\n")),
        ("2.3", None),
        ("2.HEADER.FIELDS (subject)", Some("Subject: inner\r\n\r\n")),
        ("2.HEADER.FIELDS.NOT (Content-Type)", Some("Subject: inner\r\nFrom: B <b@x>\r\n\r\n")),
        ("3", Some("Subject: single\r\n\r\nsingle body")),
        ("3.1", Some("single body")),
        ("3.1.MIME", Some("Subject: single\r\n\r\n")),
        ("3.TEXT", Some("single body")),
        ("3.2", None),
        ("4", Some("AAAA")),
        ("5", None),
        ("HEADER.FIELDS (SUBJECT x-long)", Some("Subject: outer\r\nX-Long: folded\r\n over lines\r\n\r\n")),
        ("HEADER.FIELDS (None)", Some("\r\n")),
        ("HEADER.FIELDS.NOT (X-Long Content-Type)", Some("From: A <a@x>\r\nSubject: outer\r\n\r\n")),
    ] {
        check(&mut client, 1, section, expected).await;
    }
    for (section, expected) in [
        ("1", Some("body\r\n")),
        ("1.MIME", Some("Subject: simple\r\nTo: c@x\r\n\r\n")),
        ("2", None),
        ("1.1", None),
        ("1.HEADER", None),
        ("TEXT", Some("body\r\n")),
    ] {
        check(&mut client, 2, section, expected).await;
    }
}

#[tokio::test]
async fn parts_of_sections_are_slices_of_them() {
    let (_house, mut client) = house().await;
    for section in
        ["", "HEADER", "TEXT", "1", "2", "2.HEADER", "HEADER.FIELDS (From)", "2.HEADER.FIELDS (From)", "4.MIME"]
    {
        let whole = client.octets(&format!("FETCH 1 BODY.PEEK[{section}]")).await;
        let len = whole.len();
        for (first, count) in
            [(0, 1), (0, len), (0, 4_000_000_000), (3, 4), (len - 1, 1), (len - 1, 9), (len, 1), (len + 9, 5)]
        {
            let seen = client.octets(&format!("FETCH 1 BODY.PEEK[{section}]<{first}.{count}>")).await;
            let rest = whole.get(first..).unwrap_or_default();
            assert_eq!(seen, rest[..count.min(rest.len())], "{section} <{first}.{count}>");
        }
    }
    let told = client.ok("FETCH 1 BODY.PEEK[]<5.3>").await;
    assert_eq!(told, [format!("* 1 FETCH (BODY[]<5> {{3}}\r\n{})", &NESTED[5..8])]);
}

#[tokio::test]
async fn rfc822_items_have_their_own_names() {
    let (_house, mut client) = house().await;
    client.ok("STORE 2 +FLAGS (\\Seen)").await;
    for (item, expected) in
        [("RFC822", SIMPLE), ("RFC822.HEADER", "Subject: simple\r\nTo: c@x\r\n\r\n"), ("RFC822.TEXT", "body\r\n")]
    {
        let told = client.ok(&format!("FETCH 2 {item}")).await;
        assert_eq!(told, [format!("* 2 FETCH ({item} {{{}}}\r\n{expected})", expected.len())]);
    }
}

#[tokio::test]
async fn what_is_kept_is_told_in_the_order_in_which_it_was_asked_for() {
    let (_house, mut client) = house().await;
    let told = client.ok("FETCH 1:2 (RFC822.SIZE UID FLAGS RFC822.SIZE)").await;
    let expected = [(1, NESTED.len()), (2, SIMPLE.len())]
        .map(|(number, size)| format!("* {number} FETCH (RFC822.SIZE {size} UID {number} FLAGS (\\Recent))"));
    assert_eq!(told, expected);
    let told = client.ok("UID FETCH 2 (ENVELOPE)").await;
    assert_eq!(
        told,
        ["* 2 FETCH (UID 2 ENVELOPE (NIL \"simple\" NIL NIL NIL ((NIL NIL \"c\" \"x\")) NIL NIL NIL NIL))"]
    );
    let told = client.ok("FETCH 2 (BODY BODYSTRUCTURE)").await;
    let body = "\"text\" \"plain\" (\"charset\" \"us-ascii\") nil nil \"7bit\" 6 1";
    assert_eq!(
        told.join("").to_ascii_lowercase(),
        format!("* 2 fetch (body ({body}) bodystructure ({body} nil nil nil nil))")
    );
    client.check("FETCH 3 FLAGS", &["BAD ~"]).await;
    client.check("FETCH 1:3 FLAGS", &["BAD ~"]).await;
    client.check("UID FETCH 2:7,99 FLAGS", &["* 2 FETCH ~", "OK ~"]).await;
    client.check("UID FETCH 7 FLAGS", &["OK ~"]).await;
}

#[tokio::test]
async fn reading_sets_seen_once_and_says_so() {
    let (house, mut client) = house().await;
    client
        .check(
            "FETCH 1:2 (UID BODY.PEEK[HEADER.FIELDS (To)])",
            &["* 1 FETCH (UID 1 BODY[HEADER.FIELDS (To)] ~", "* 2 ~", "OK ~"],
        )
        .await;
    client
        .check("FETCH 2 (BODY[TEXT])", &["* 2 FETCH (BODY[TEXT] {6}\r\nbody\r\n FLAGS (\\Seen \\Recent))", "OK ~"])
        .await;
    client.check("FETCH 2 (BODY[TEXT])", &["* 2 FETCH (BODY[TEXT] {6}\r\nbody\r\n)", "OK ~"]).await;
    client
        .check(
            "FETCH 1:2 (FLAGS BODY[1]<0.1>)",
            &[
                "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[1]<0> {1}\r\nh)",
                "* 2 FETCH (FLAGS (\\Seen \\Recent) BODY[1]<0> {1}\r\nb)",
                "OK ~",
            ],
        )
        .await;
    client.check("NOOP", &["OK ~"]).await;
    // Another session hears of it, and one that has opened the mailbox for reading only changes nothing.
    client.ok("STORE 1:2 -FLAGS.SILENT (\\Seen)").await;
    let mut other = house.log_in().await;
    other.ok("EXAMINE INBOX").await;
    other.check("FETCH 2 (FLAGS RFC822.TEXT)", &["* 2 FETCH (FLAGS () RFC822.TEXT {6}\r\nbody\r\n)", "OK ~"]).await;
    client.ok("FETCH 2 RFC822").await;
    other.check("NOOP", &["* 2 FETCH (UID 2 FLAGS (\\Seen))", "OK ~"]).await;
}

#[tokio::test]
async fn modseq_comes_where_it_was_asked_for() {
    let (_house, mut client) = house().await;
    client.check("FETCH 1:2 FLAGS", &["* 1 FETCH (FLAGS (\\Recent))", "* 2 ~", "OK ~"]).await;
    let modseqs = client.ok("FETCH 1:2 (MODSEQ)").await;
    let modseq_of = |line: &str| line.split(['(', ')']).nth(2).unwrap().parse::<u64>().unwrap();
    let (first, second) = (modseq_of(&modseqs[0]), modseq_of(&modseqs[1]));
    assert!(first < second, "{modseqs:?}");
    // RFC 7162 §3.1: asking has enabled it.
    let expected = format!("* 1 FETCH (FLAGS (\\Recent) MODSEQ ({first}))");
    client.check("FETCH 1 FLAGS", &[&expected, "OK ~"]).await;
    let expected = format!("* 2 FETCH (UID 2 FLAGS (\\Recent) MODSEQ ({second}))");
    client.check(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {first})"), &[&expected, "OK ~"]).await;
    client.check(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {second})"), &["OK ~"]).await;
    let told = client.ok("FETCH 1 BODY[1]").await;
    let third = second + 1;
    assert_eq!(told, [format!("* 1 FETCH (BODY[1] {{5}}\r\nhello FLAGS (\\Seen \\Recent) MODSEQ ({third}))")]);
}

#[tokio::test]
async fn of_what_is_gone_only_what_is_in_memory_is_told() {
    let (house, mut client) = house().await;
    let mut other = house.select().await;
    other.ok("STORE 1 +FLAGS (\\Deleted)").await;
    other.ok("EXPUNGE").await;
    client.check("FETCH 1:2 (UID RFC822.SIZE)", &["* 1 FETCH (UID 1 ~", "* 2 FETCH (UID 2 ~", "OK ~"]).await;
    for item in ["ENVELOPE", "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[1]", "BODY.PEEK[HEADER.FIELDS (Subject)]"] {
        client.check(&format!("FETCH 1:2 ({item})"), &["* 2 FETCH (~", "NO [EXPUNGEISSUED] ~"]).await;
    }
    client.check("NOOP", &["* 1 EXPUNGE", "OK ~"]).await;
    client.check("FETCH 1 (UID)", &["* 1 FETCH (UID 2)", "OK ~"]).await;
}

#[tokio::test]
async fn many_messages_come_in_slices() {
    let house = House::new().await;
    let mut client = house.select().await;
    let one = |number: usize| format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number % 50 * 97));
    for first in (0..1000).step_by(100) {
        let messages: Vec<String> =
            (first..first + 100).map(|number| format!(" {{{}+}}\r\n{}", one(number).len(), one(number))).collect();
        let answer = client.ask(&format!("APPEND INBOX{}", messages.concat())).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    let told = client.ok("UID FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE)").await;
    assert_eq!(told.len(), 1000);
    for (number, line) in told.iter().enumerate() {
        let begin = format!("* {} FETCH (UID {} FLAGS (\\Recent) RFC822.SIZE ", number + 1, number + 1);
        assert!(line.starts_with(&begin) && line.contains(&format!("ENVELOPE (NIL \"{number}\" ")), "{line}");
    }
    let told = client.ok("FETCH 1:* (BODY.PEEK[])").await;
    for (number, line) in told.iter().enumerate() {
        let message = one(number);
        assert_eq!(*line, format!("* {} FETCH (BODY[] {{{}}}\r\n{message})", number + 1, message.len()));
    }
    let told = client.ok("FETCH 3,5:7,1000 (BODY.PEEK[HEADER.FIELDS (Subject)])").await;
    let expected = [3, 5, 6, 7, 1000].map(|number| {
        let fields = format!("Subject: {}\r\n\r\n", number - 1);
        format!("* {number} FETCH (BODY[HEADER.FIELDS (Subject)] {{{}}}\r\n{fields})", fields.len())
    });
    assert_eq!(told, expected);
}

/// A message of several frames, and where its sections lie in it.
fn long() -> (String, Vec<(&'static str, std::ops::Range<usize>)>) {
    let mut message = "Subject: long\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    let mut sections = vec![("HEADER", 0..message.len())];
    let text_at = message.len();
    for (mime, part, lines) in [("1.MIME", "1", 5000), ("2.MIME", "2", 3), ("3.MIME", "3", 30_000)] {
        message.push_str("--b\r\n");
        let mime_at = message.len();
        message.push_str("Content-Type: text/plain\r\nX-Part: ");
        message.push_str(part);
        message.push_str("\r\n\r\n");
        let part_at = message.len();
        for line in 0..lines {
            message.push_str(&format!("line {line} of part {part}\r\n"));
        }
        // The last line end belongs to the boundary behind it.
        sections.extend([(mime, mime_at..part_at), (part, part_at..message.len() - 2)]);
    }
    message.push_str("--b--\r\n");
    sections.extend([("TEXT", text_at..message.len()), ("", 0..message.len())]);
    (message, sections)
}

#[tokio::test]
async fn random_parts_of_a_long_message_are_slices_of_it() {
    let house = House::new().await;
    let mut client = house.select().await;
    let (message, sections) = long();
    let answer = client.append("INBOX", "", message.as_bytes()).await;
    assert!(answer.starts_with("OK "), "{answer}");
    let random = SeededRandom::new(7);
    let number = |below: usize| (random.next_u64() % below.max(1) as u64) as usize;
    for (section, place) in sections.iter().cycle().take(sections.len() * 12) {
        let section_octets = &message.as_bytes()[place.clone()];
        let (first, count) = (number(place.len() + 2), 1 + number([9, 1000, 200_000][number(3)]));
        let seen = client.octets(&format!("FETCH 1 BODY.PEEK[{section}]<{first}.{count}>")).await;
        let rest = section_octets.get(first..).unwrap_or_default();
        assert!(seen == rest[..count.min(rest.len())], "{section} <{first}.{count}>");
    }
    for (section, place) in &sections {
        let seen = client.octets(&format!("FETCH 1 BODY.PEEK[{section}]")).await;
        assert!(seen == message.as_bytes()[place.clone()], "{section}");
    }
}
