use super::*;

const MAIL: &[u8] = b"Subject: one\r\nMessage-ID: <1@x>\r\n\r\ntext\r\n";

#[tokio::test]
async fn a_message_comes_back_byte_for_byte() {
    let house = House::new().await;
    let mut client = house.select().await;
    for (message, expected) in [
        (MAIL, MAIL),
        (b"Subject: no body\r\n", b"Subject: no body\r\n"),
        (b"Subject: an open line", b"Subject: an open line"),
        (b"\r\nno header\r\n", b"\r\nno header\r\n"),
        (b"no field, no end", b"no field, no end"),
        (b"\r\n", b"\r\n"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\n\xff\xe9 8bit", b"A: b\r\n\r\n\xff\xe9 8bit"),
        (b"A: b\nC: d\n\ntext\rend\n", b"A: b\r\nC: d\r\n\r\ntext\r\nend\r\n"),
    ] {
        let answer = client.append("INBOX", "", message).await;
        assert!(answer.starts_with("OK [APPENDUID "), "{answer}");
        assert_eq!(client.octets("UID FETCH * (BODY.PEEK[])").await, expected);
    }
    house.check();
}

#[tokio::test]
async fn flags_date_and_uid_are_as_was_said() {
    let house = House::new().await;
    let mut client = house.select().await;
    let date = "\"01-Feb-2024 10:00:00 +0100\" ";
    let answer = client.append("INBOX", &format!("(\\Seen $Label \\Recent) {date}"), MAIL).await;
    assert!(answer.ends_with(" 1] APPEND done"), "{answer}");
    client
        .check(
            "FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)",
            &[
                "* 1 FETCH (UID 1 FLAGS (\\Seen $Label \\Recent) INTERNALDATE \" 1-Feb-2024 09:00:00 +0000\" RFC822.SIZE 41)",
                "OK ~",
            ],
        )
        .await;
    client.append("INBOX", "", MAIL).await;
    let now = client.ok("FETCH 2 INTERNALDATE").await;
    assert_eq!(now, ["* 2 FETCH (INTERNALDATE \"22-Nov-2026 10:05:00 +0000\")"]);
}

#[tokio::test]
async fn the_open_mailbox_shows_it_at_once() {
    let house = House::new().await;
    let mut client = house.select().await;
    let command = [b"APPEND INBOX {41+}\r\n", MAIL].concat();
    let (told, answer) = client.raw(&command).await;
    assert!(answer.starts_with("OK [APPENDUID "), "{answer}");
    assert!(told.iter().any(|line| line == b"* 1 EXISTS\r\n"), "{told:?}");
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on() {
    let house = House::new().await;
    let mut client = house.select().await;
    client.send(b"a APPEND INBOX (\\Flagged) {41}\r\n").await;
    assert!(client.piece().await.starts_with(b"+ "));
    client.send(MAIL).await;
    client.send(b" {41}\r\n").await;
    assert!(client.piece().await.starts_with(b"+ "));
    client.send(MAIL).await;
    client.send(b"\r\n").await;
    assert_eq!(client.piece().await, b"* 2 EXISTS\r\n");
    assert_eq!(client.piece().await, b"* 2 RECENT\r\n");
    let answer = text(&client.piece().await);
    assert!(answer.starts_with("a OK [APPENDUID ") && answer.ends_with(" 1:2] APPEND done"), "{answer}");
    assert_eq!(
        client.ok("FETCH 1:2 FLAGS").await,
        ["* 1 FETCH (FLAGS (\\Flagged \\Recent))", "* 2 FETCH (FLAGS (\\Recent))"]
    );
}

#[tokio::test]
async fn several_messages_come_all_or_not_at_all() {
    let house = House::new().await;
    let mut client = house.select().await;
    let mail = String::from_utf8_lossy(MAIL);
    let many = |last: &str| format!("APPEND INBOX {{41+}}\r\n{mail} (\\Draft) {{41+}}\r\n{mail} {last}");
    for (last, expected) in [
        ("{3+}\r\na\0b", "NO [CANNOT] "),
        ("{0+}\r\n", "NO an empty message"),
        ("(\\Foreign) {1+}\r\na", "BAD there is no such system flag"),
        ("{99999999+}\r\n", ""),
        ("(", "BAD "),
    ] {
        if expected.is_empty() {
            continue;
        }
        let answer = client.ask(&many(last)).await;
        assert!(answer.starts_with(expected), "{last}: {answer}");
        assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX (MESSAGES 0)"]);
    }
    let answer = client.ask(&many("{1+}\r\na")).await;
    assert!(answer.ends_with(" 1:3] APPEND done"), "{answer}");
    house.check();
}

#[tokio::test]
async fn what_is_refused_is_passed_over() {
    let house = House::new().await;
    let mut client = house.select().await;
    let long_line = format!("A: {}\r\n\r\n", "x".repeat(300_000));
    for (command, expected) in [
        ("APPEND Nowhere {5+}\r\nabcde", "NO [TRYCREATE] "),
        ("APPEND Nowhere {5+}\r\nabcde {3+}\r\nabc", "NO [TRYCREATE] "),
        ("APPEND INBOX ~{5+}\r\nabcde", "NO [UNKNOWN-CTE] "),
        ("APPEND INBOX UTF8 (~{5+}\r\nabcde)", "BAD "),
        ("APPEND INBOX {5+}\r\nab\0de", "NO [CANNOT] "),
        ("APPEND INBOX {5+}\r\nabcde and more", "BAD "),
        (&format!("APPEND INBOX {{{}+}}\r\n{long_line}", long_line.len()), "NO [LIMIT] "),
    ] {
        let answer = client.ask(command).await;
        assert!(answer.starts_with(expected), "{command:.60}: {answer}");
    }
    // Who waits hears it at once, and nothing more is expected of the command.
    let answer = client.ask("APPEND INBOX {99999999}").await;
    assert!(answer.starts_with("NO [TOOBIG] "), "{answer}");
    let answer = client.ask("APPEND Nowhere {5}").await;
    assert!(answer.starts_with("NO [TRYCREATE] "), "{answer}");
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX (MESSAGES 0)"]);
}

#[tokio::test]
async fn utf8_has_its_own_form() {
    let house = House::new().await;
    let mut client = house.select().await;
    client.ok("ENABLE UTF8=ACCEPT").await;
    let message = "Subject: jürgen\r\n\r\n";
    let answer = client.ask(&format!("APPEND INBOX UTF8 (~{{{}+}}\r\n{message})", message.len())).await;
    assert!(answer.starts_with("OK [APPENDUID "), "{answer}");
    assert_eq!(client.octets("FETCH 1 BODY.PEEK[HEADER]").await, message.as_bytes());
}

#[tokio::test]
async fn a_header_may_have_many_lines() {
    let house = House::new().await;
    let mut client = house.select().await;
    let message = format!("To: a@x\r\n{}\r\ntext\r\n", " ,b@x\r\n".repeat(5000));
    assert!(client.append("INBOX", "", message.as_bytes()).await.starts_with("OK "));
    assert!(client.octets("FETCH 1 BODY.PEEK[]").await == message.as_bytes());
    house.check();
}

#[tokio::test]
async fn a_large_message_passes_through() {
    let house = House::new().await;
    let mut client = house.select().await;
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    for number in 0..200_000 {
        message.extend_from_slice(format!("line {number}\r\n").as_bytes());
    }
    let answer = client.append("INBOX", "", &message).await;
    assert!(answer.starts_with("OK "), "{answer}");
    assert!(client.octets("FETCH 1 BODY.PEEK[]").await == message);
    house.check();
}
