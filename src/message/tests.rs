//! The parts of whole messages, and the texts in them, wherever the stream is cut.

use proptest::prelude::*;

use super::*;

/// The summary of a message, which is also scanned in pieces that end at `cuts`.
fn summary(message: &[u8], cuts: &[usize]) -> Summary {
    let mut splitter = HeaderSplitter::new();
    let body = splitter.push(message).unwrap().to_vec();
    let head = splitter.into_header();
    let mut scanner = StructureScanner::new(&head);
    pieces(&body, cuts).for_each(|piece| scanner.push(piece));
    Summary::of(&head, scanner.finish())
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    let pairs: Vec<_> = cuts.windows(2).map(|pair| (pair[0], pair[1])).collect();
    pairs.into_iter().map(|(from, to)| &bytes[from..to])
}

fn body_of(message: &[u8]) -> &[u8] {
    HeaderSplitter::new().push(message).unwrap()
}

/// One line a part: its depth, its type, its header block's length, and its content if it has no parts.
fn outline(message: &str) -> Vec<String> {
    let whole = summary(message.as_bytes(), &[]);
    for cut in 0..message.len() {
        assert_eq!(summary(message.as_bytes(), &[cut]), whole, "{message:?} cut at {cut}");
        assert_eq!(summary(message.as_bytes(), &[cut, cut + 1, cut + 2]), whole, "{message:?} cut around {cut}");
    }
    let (body, parts) = (body_of(message.as_bytes()), &whole.structure.parts);
    let line = |part: &Part| {
        let mut depth = 0;
        let mut up = part.parent;
        while let Some(place) = up {
            depth += 1;
            up = parts[usize::from(place)].parent;
        }
        let kind = match &part.kind {
            PartKind::Text => "text".to_owned(),
            PartKind::Multipart => "multipart".to_owned(),
            PartKind::Message { .. } => "message".to_owned(),
            PartKind::Other(kind) => String::from_utf8_lossy(kind).into_owned(),
        };
        let content =
            &body[usize::try_from(part.content_at).unwrap()..][..usize::try_from(part.content_bytes).unwrap()];
        assert_eq!(part.lines, content.iter().filter(|byte| **byte == b'\n').count() as u64, "{part:?}");
        assert_eq!(
            part.content_at,
            part.header_at + part.header_bytes + if part.parent.is_none() { part.content_at } else { 0 }
        );
        let subtype = String::from_utf8_lossy(&part.subtype);
        let shown = match part.kind {
            PartKind::Multipart => String::new(),
            _ => format!(" {:?}", String::from_utf8_lossy(content)),
        };
        format!("{}{kind}/{subtype} {}{shown}", " ".repeat(depth), part.header_bytes)
    };
    parts.iter().map(line).collect()
}

fn check(message: &str, expected: &[&str]) {
    assert_eq!(outline(message), expected, "{message:?}");
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

#[test]
fn a_message_without_parts_is_one() {
    check("Subject: x\r\n\r\nab\r\nc\r\n", &[r#"text/plain 0 "ab\r\nc\r\n""#]);
    check("Subject: x\r\n\r\n", &[r#"text/plain 0 """#]);
    check("Subject: x\r\n", &[r#"text/plain 0 """#]);
    check("", &[r#"text/plain 0 """#]);
    check("Subject: x\r\n\r\n\r\n\r\n", &[r#"text/plain 0 "\r\n\r\n""#]);
    check("Content-Type: image/png\r\n\r\n--b\r\n\r\n", &[r#"image/png 0 "--b\r\n\r\n""#]);
}

#[test]
fn the_line_end_before_a_boundary_belongs_to_it() {
    check(
        &format!("{MIXED}pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\npost\r\n"),
        &["multipart/mixed 0", r#" text/plain 2 "one""#, r#" text/html 27 "two\r\n""#],
    );
    check(
        &format!("{MIXED}--b\r\n\r\n\r\n--b\r\n\r\n--b--"),
        &["multipart/mixed 0", r#" text/plain 2 """#, r#" text/plain 0 """#],
    );
}

#[test]
fn boundary_lines_may_have_more_on_them() {
    check(
        &format!("{MIXED}--b \t\r\n\r\none\r\n--bb\r\n\r\ntwo\r\n -b\r\n-\r\n--\r\n--B\r\n--b--c\r\n--b\r\n"),
        &["multipart/mixed 0", r#" text/plain 2 "one""#, r#" text/plain 2 "two\r\n -b\r\n-\r\n--\r\n--B""#],
    );
}

#[test]
fn what_is_missing_is_made_up_for() {
    // The closing boundary.
    check(&format!("{MIXED}--b\r\n\r\none\r\n"), &["multipart/mixed 0", r#" text/plain 2 "one\r\n""#]);
    // The blank line behind a part's header block.
    check(
        &format!("{MIXED}--b\r\nContent-Type: text/html\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
        &["multipart/mixed 0", r#" text/html 23 """#, r#" text/plain 2 "two""#],
    );
    // A part's whole header block.
    check(
        &format!("{MIXED}--b\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
        &["multipart/mixed 0", r#" text/plain 0 """#, r#" text/plain 2 "two""#],
    );
    // Any part.
    check(&format!("{MIXED}nothing\r\n"), &["multipart/mixed 0"]);
    check(MIXED, &["multipart/mixed 0"]);
    check(&format!("{MIXED}--b--\r\n"), &["multipart/mixed 0"]);
    // The boundary parameter.
    check("Content-Type: multipart/mixed\r\n\r\n--b\r\n", &[r#"text/plain 0 "--b\r\n""#]);
}

#[test]
fn multiparts_lie_in_each_other() {
    let inner = "Content-Type: multipart/alternative; boundary=bi\r\n\r\n";
    check(
        &format!("{MIXED}--b\r\n{inner}--bi\r\n\r\none\r\n--bi--\r\nover\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
        &["multipart/mixed 0", " multipart/alternative 52", r#"  text/plain 2 "one""#, r#" text/plain 2 "two""#],
    );
    // The inner one is not closed.
    check(
        &format!("{MIXED}--b\r\n{inner}--bi\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n--bi\r\n"),
        &["multipart/mixed 0", " multipart/alternative 52", r#"  text/plain 2 "one""#, r#" text/plain 2 "two""#],
    );
}

#[test]
fn messages_lie_in_messages() {
    let message = format!(
        "{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@x\r\n\r\ntext\r\n--b\r\n\
         Content-Type: message/rfc822\r\n\r\n{}--i\r\n\r\ndeep\r\n--i--\r\n--b--\r\n",
        "Content-Type: multipart/digest; boundary=i\r\n\r\n"
    );
    check(
        &message,
        &[
            "multipart/mixed 0",
            r#" message/rfc822 32 "Subject: in\r\nFrom: a@x\r\n\r\ntext""#,
            r#"  text/plain 26 "text""#,
            r#" message/rfc822 32 "Content-Type: multipart/digest; boundary=i\r\n\r\n--i\r\n\r\ndeep\r\n--i--""#,
            "  multipart/digest 46",
            r#"   message/rfc822 2 "deep""#,
            r#"    text/plain 4 """#,
        ],
    );
    let structure = summary(message.as_bytes(), &[]).structure;
    let PartKind::Message { envelope } = &structure.parts[1].kind else { panic!() };
    let from = r#"((NIL NIL "a" "x"))"#;
    assert_eq!(String::from_utf8_lossy(envelope), format!("(NIL \"in\" {from} {from} {from} NIL NIL NIL NIL NIL)"));
}

#[test]
fn a_message_in_a_message_ends_with_its_part() {
    check(
        &format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n--b--\r\n"),
        &["multipart/mixed 0", r#" message/rfc822 32 "Subject: in""#, r#"  text/plain 11 """#],
    );
    check(
        &format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n--b--\r\n"),
        &["multipart/mixed 0", r#" message/rfc822 28 """#, r#"  text/plain 0 """#],
    );
    // The blank line is the boundary's.
    check(
        &format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n--b--\r\n"),
        &["multipart/mixed 0", r#" message/rfc822 32 "Subject: in\r\n""#, r#"  text/plain 13 """#],
    );
    check(
        "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n",
        &[r#"message/rfc822 0 "Subject: in\r\n\r\nx\r\n""#, r#" text/plain 15 "x\r\n""#],
    );
}

#[test]
fn what_is_too_deep_or_too_much_is_content() {
    let mut message = String::new();
    for depth in 0..100 {
        message.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}x\r\n\r\n--b{depth}x\r\n"));
    }
    let parts = summary(message.as_bytes(), &[]).structure.parts;
    assert_eq!(parts.len(), crate::base::limits::PART_DEPTH + 1);
    assert_eq!(parts.last().unwrap().kind, PartKind::Other(b"application".to_vec()));
    let message = format!("{MIXED}{}", "--b\r\n\r\nx\r\n".repeat(5000));
    let parts = summary(message.as_bytes(), &[]).structure.parts;
    assert_eq!(parts.len(), crate::base::limits::PARTS);
    assert_eq!(parts.last().unwrap().content_bytes, (4001 * "--b\r\n\r\nx\r\n".len() + 1 + 2) as u64);
    let message = "Content-Type: message/rfc822\r\n\r\n".repeat(200);
    assert_eq!(summary(message.as_bytes(), &[]).structure.parts.len(), crate::base::limits::PART_DEPTH + 1);
}

#[test]
fn a_hostile_message_has_a_small_summary() {
    let value = "x".repeat(15_000);
    let part = format!("--b\r\nContent-ID: {value}\r\nContent-Type: text/plain; a={value}; b={value}\r\n\r\n\r\n");
    let nested = format!("--b\r\nContent-Type: message/rfc822\r\n\r\nTo: {}\r\n\r\n\r\n", "a,".repeat(10_000));
    for hostile in [part, nested] {
        let summary = summary(format!("{MIXED}{}", hostile.repeat(500)).as_bytes(), &[]);
        let bytes = postcard::to_stdvec(&summary).unwrap().len();
        assert!(bytes < 512 * 1024, "{bytes}");
    }
}

fn check_preview(message: &str, expected: &str) {
    for cut in 0..message.len() {
        assert_eq!(summary(message.as_bytes(), &[cut]).preview, expected, "{message:?} cut at {cut}");
    }
}

#[test]
fn the_preview_is_the_first_text() {
    check_preview("\r\n Hello,\r\n\r\n\tworld \x07\r\n", "Hello, world");
    check_preview(
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=FCb=\r\ner",
        "über",
    );
    check_preview(
        "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+R3LDvMOfZTwvYj4gPHA+YWxsZQ==\r\n",
        "Grüße alle",
    );
    let html = "--b\r\nContent-Type: text/html\r\n\r\n<b>html</b>\r\n";
    check_preview(&format!("{MIXED}pre\r\n{html}--b\r\n\r\nplain\r\n--b--\r\n"), "plain");
    check_preview(&format!("{MIXED}pre\r\n--b\r\n\r\n \r\n{html}--b--\r\n"), "html");
    check_preview(&format!("{MIXED}--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n{html}--b--\r\n"), "html");
    check_preview("Content-Type: image/png\r\n\r\nno\r\n", "");
    let long = summary(format!("\r\n{}", "ü ".repeat(500)).as_bytes(), &[]).preview;
    assert_eq!(long.chars().count(), 200);
}

/// Whether the message holds the texts, wherever the stream is cut.
fn check_search(message: &str, texts: &[(&str, bool)]) {
    let structure = summary(message.as_bytes(), &[]).structure;
    let needles: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
    let expected: Vec<bool> = texts.iter().map(|(_, is_there)| *is_there).collect();
    for cut in 0..message.len() {
        let mut search = TextSearch::new(&needles, &structure);
        pieces(body_of(message.as_bytes()), &[cut, cut + 3]).for_each(|piece| search.push(piece));
        assert_eq!(search.found(), expected, "{needles:?} cut at {cut}");
    }
}

#[test]
fn texts_are_found_decoded() {
    let message = format!(
        "{MIXED}preamble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Gr=FC=DF=\r\ne aus K=F6ln\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         PHA+w4RwZmVsPC9wPg==\r\n--b\r\nContent-Type: image/png; name=\"=?utf-8?q?=C3=9Cber?=.png\"\r\n\r\nhidden\r\n--b\r\n\
         Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?gesch=C3=A4ft?=\r\n\r\ninside\r\n--b--\r\nepilogue\r\n"
    );
    check_search(
        &message,
        &[
            ("", true),
            ("grüße AUS", true),
            ("äpfel", true),
            ("<P>", true),
            ("subject: GESCHÄFT", true),
            ("über.PNG", true),
            ("inside", true),
            ("hidden", false),
            ("preamble", false),
            ("epilogue", false),
            ("=FC", false),
            ("köln\r\n", false),
            ("birne", false),
        ],
    );
    check_search("\r\nnaïve ΣΊΣΥΦΟΣ STRAẞE", &[("NAÏVE σίσυφος straße", true), ("naive", false)]);
}

#[test]
fn the_head_is_looked_into_when_asked_for() {
    let structure = summary(b"", &[]).structure;
    let mut search = TextSearch::new(&["grüße an", "from: a", "b@x\r\n"], &structure);
    search.push(b"\r\nbody");
    assert_eq!(search.found(), [false; 3]);
    search.push_head(b"From: A <a@x>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an?= alle\r\nTo: b@x\r\n");
    assert_eq!(search.found(), [true, true, false]);
}

proptest! {
    #[test]
    fn where_a_message_is_cut_makes_no_difference(
        lines in proptest::collection::vec(prop_oneof![
            Just("--a"), Just("--b"), Just("--a--"), Just("--b--"), Just("--ab"), Just("--ab--"), Just(""), Just("-"), Just("--"),
            Just("text"), Just("Content-Type: multipart/mixed; boundary=a"), Just("Content-Type: multipart/digest; boundary=ab"),
            Just("Content-Type: multipart/x; boundary=\"b\""), Just("Content-Type: message/rfc822"), Just("Content-Type: text/html"),
            Just("Content-Transfer-Encoding: base64"), Just(" folded"), Just("\r"), Just("a\nb"),
        ], 0..40),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let message = lines.join("\r\n");
        let whole = summary(message.as_bytes(), &[]);
        prop_assert_eq!(&summary(message.as_bytes(), &cuts), &whole);
        // Each part lies within the one before it, and behind its brothers.
        let parts = &whole.structure.parts;
        let mut ends = vec![0; parts.len()];
        for (at, part) in parts.iter().enumerate() {
            let end = part.content_at + part.content_bytes;
            if let Some(parent) = part.parent.map(usize::from) {
                prop_assert!(parent < at);
                prop_assert!(part.header_at >= ends[parent].max(parts[parent].content_at), "{:?}", parts);
                prop_assert!(end <= parts[parent].content_at + parts[parent].content_bytes, "{:?}", parts);
                ends[parent] = end;
            }
        }
    }

    #[test]
    fn nothing_makes_it_panic(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        let summary = summary(&message, &[7]);
        let mut search = TextSearch::new(&["a", "ß"], &summary.structure);
        search.push_head(&message);
        search.push(&message);
    }
}
