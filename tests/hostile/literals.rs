//! IMAP literals: sizes that lie, literals without end, and what stands in a literal that was refused, which must never be
//! read as commands.

use crate::client::{Client, server};

/// Announcements that no command may have, each in a command whose literal does not wait.
#[tokio::test]
async fn sizes_that_are_none_are_refused() {
    let stage = server().await;
    for announced in [
        "{4294967296+}",
        "{18446744073709551615+}",
        "{18446744073709551616+}",
        "{99999999999999999999999999+}",
        "{-1+}",
        "{+1+}",
        "{0x10+}",
        "{1 +}",
        "{+}",
        "{}",
        "~{5+",
    ] {
        let mut client = Client::imap(&stage).await;
        client.send(format!("a LIST \"\" {announced}\r\n").as_bytes()).await;
        // Either it is refused as it stands, or everything that follows is the literal's: then there is silence.
        match client.wire.surprise().await.unwrap() {
            Some(said) => {
                let said = String::from_utf8_lossy(&said).into_owned();
                assert!(said.starts_with("a BAD ") || said.starts_with("* BYE "), "{announced}: {said}");
            }
            None => {
                client.send(b"b NOOP\r\n").await;
                assert_eq!(client.wire.surprise().await.unwrap(), None, "{announced}");
            }
        }
    }
    stage.examine().unwrap();
}

/// Huge literals that wait are refused before a single octet of them comes.
#[tokio::test]
async fn a_literal_that_waits_is_refused_unread() {
    let stage = server().await;
    for size in ["262145", "4294967295", "9223372036854775807"] {
        for command in ["SELECT", "LIST \"\"", "SEARCH TEXT", "STATUS", "CREATE", "LSUB", "RENAME a", "APPEND"] {
            let mut client = Client::imap(&stage).await;
            let answer = client.ask("a", &format!("{command} {{{size}}}")).await;
            assert!(answer.starts_with("BAD ") || answer.starts_with("NO "), "{command} {size}: {answer}");
            assert!(client.ask("b", "NOOP").await.starts_with("OK "), "{command} {size}");
        }
    }
    stage.examine().unwrap();
}

/// Octets of a refused literal that does not wait hold whole commands: none of them is carried out.
#[tokio::test]
async fn what_stands_in_a_refused_literal_is_not_read() {
    let stage = server().await;
    let evil = "x DELETE Trash\r\n".repeat(20_000);
    for command in ["LIST \"\"", "SEARCH TEXT", "CREATE", "APPEND nowhere", "APPEND INBOX (\\Nonsense)"] {
        let mut client = Client::imap(&stage).await;
        client.send(format!("a {command} {{{}+}}\r\n{evil}\r\n", evil.len()).as_bytes()).await;
        let answer = client.answer("a").await;
        assert!(answer.starts_with("BAD ") || answer.starts_with("NO "), "{command}: {answer}");
        assert!(client.ask("b", "STATUS Trash (MESSAGES)").await.starts_with("OK "), "{command}");
    }
    stage.examine().unwrap();
}

/// CVE-2024-34055, CVE-2024-37358: very many literals in one command.
#[tokio::test]
async fn very_many_literals_are_no_more_than_octets() {
    let stage = server().await;
    for (command, inside) in [("SEARCH", "TEXT {1+}\r\na "), ("LIST \"\" (", "{1+}\r\na "), ("ID (", "{1+}\r\na ")] {
        let mut client = Client::imap(&stage).await;
        client.send(format!("a {command} {}ALL\r\n", inside.repeat(100_000)).as_bytes()).await;
        let answer = client.answer("a").await;
        assert!(answer.starts_with("BAD "), "{command}: {answer}");
        assert!(client.ask("b", "NOOP").await.starts_with("OK "), "{command}");
    }
    stage.examine().unwrap();
}

/// Before the login 4,096 octets are the most that a literal may have without waiting (RFC 7888 §5).
#[tokio::test]
async fn before_the_login_literals_are_small() {
    let stage = server().await;
    for (size, is_taken) in [(4096, true), (4097, false), (1_000_000, false)] {
        let mut client = Client::connect(&stage, "imaps").await;
        client.wire = client.wire.tls().await.unwrap();
        client.expect("* OK ").await;
        client.send(format!("a LOGIN {{{size}+}}\r\n{} x\r\n", "y".repeat(size)).as_bytes()).await;
        let answer = client.answer("a").await;
        assert_eq!(answer.starts_with("NO "), is_taken, "{size}: {answer}");
        assert!(client.ask("b", "LOGIN alice@example.test pillarbox").await.starts_with("OK "), "{size}");
    }
    stage.examine().unwrap();
}

/// The end of a literal may fall anywhere in what is read at a time.
#[tokio::test]
async fn how_a_literal_is_cut_does_not_matter() {
    let stage = server().await;
    let command = b"a APPEND INBOX {22+}\r\nSubject: one\r\n\r\ntext\r\n\r\nb NOOP\r\n";
    for at in 0..command.len() {
        let mut client = Client::imap(&stage).await;
        client.send_cut(command, at).await;
        assert!(client.answer("a").await.starts_with("OK [APPENDUID "), "cut at {at}");
        assert!(client.answer("b").await.starts_with("OK "), "cut at {at}");
    }
    stage.examine().unwrap();
}
