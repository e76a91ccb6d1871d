//! IMAP commands made to hurt whoever reads them: nesting, sets, patterns and lists without end. Each is answered, and the
//! session goes on.

use crate::client::{Client, server};
use crate::maildrop;

/// What a command may be answered.
const ANSWERS: [&str; 3] = ["OK ", "NO ", "BAD "];

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

/// Commands, each with whether it is one that may be carried out.
fn commands() -> Vec<(String, bool)> {
    let odd_numbers = |count: usize| (0..count).map(|n| (2 * n + 1).to_string()).collect::<Vec<_>>().join(",");
    let wildcards = |count: usize| "*a%".repeat(count);
    vec![
        // CVE-2026-27857, CVE-2026-42006: parentheses behind commands that have no arguments
        (format!("NOOP {}", "(".repeat(100_000)), false),
        (format!("SEARCH {}", nested("(", "ALL", ")", 50_000)), false),
        (format!("SEARCH {}ALL", "NOT ".repeat(50_000)), false),
        (format!("SEARCH {}ALL ALL", "OR ALL ".repeat(30_000)), false),
        (format!("SEARCH {}{}", "OR ".repeat(40_000), "ALL ".repeat(20_000)), false),
        (format!("SEARCH {}", nested("(", "ALL", ")", 20)), true),
        (format!("SEARCH {}ALL", "NOT ".repeat(20)), true),
        (format!("SEARCH {}", "ALL ".repeat(500).trim_end()), true),
        (format!("SEARCH {}", "ALL ".repeat(60_000).trim_end()), false),
        (format!("UID FETCH {} UID", odd_numbers(40_000)), true),
        (format!("UID SEARCH UID {}", odd_numbers(40_000)), true),
        (format!("UID FETCH {} UID", "1:*,".repeat(60_000) + "1"), true),
        (format!("UID STORE {} +FLAGS.SILENT (x)", "4294967295:1,".repeat(15_000) + "1"), true),
        (format!("FETCH 1 ({})", "FLAGS ".repeat(40_000).trim_end()), false),
        (format!("FETCH 1 BODY[HEADER.FIELDS ({})]", "a ".repeat(100_000).trim_end()), false),
        (format!("FETCH 1 BODY[{}1]", "1.".repeat(100_000)), false),
        (format!("FETCH 1 BODY.PEEK[{}1]", "1.".repeat(40)), true),
        (format!("FETCH 1 (BODY.PEEK[] {})", "BODY.PEEK[] ".repeat(500).trim_end()), true),
        (format!("STORE 1 +FLAGS ({})", (0..20_000).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ")), false),
        (format!("STORE 1 +FLAGS ({})", "x".repeat(200_000)), false),
        (format!("ID ({})", "\"a\" \"b\" ".repeat(20_000).trim_end()), false),
        (format!("ENABLE {}", "X-A ".repeat(50_000).trim_end()), false),
        (format!("LIST \"\" \"{}\"", wildcards(300)), false),
        (format!("LIST \"\" \"{}\"", wildcards(40)), true),
        (format!("LIST \"\" ({})", "* ".repeat(900).trim_end()), false),
        (format!("LIST \"\" \"{}\"", "%".repeat(50_000)), true),
        (format!("LSUB \"{}\" *", "a/".repeat(50_000)), true),
        (format!("CREATE \"{}\"", "a/".repeat(400) + "a"), false),
        (format!("CREATE \"{}\"", "x".repeat(10_000)), false),
        (format!("STATUS INBOX ({})", "MESSAGES ".repeat(20_000).trim_end()), false),
    ]
}

#[tokio::test]
async fn each_is_answered_and_the_session_goes_on() {
    let stage = server().await;
    let message = b"Subject: one\r\n\r\ntext\r\n".to_vec();
    maildrop::append(&stage, "alice@example.test", "INBOX", "", &[message]).await.unwrap();
    for (command, may_be) in commands() {
        let mut client = Client::imap(&stage).await;
        client.ask("s", "SELECT INBOX").await;
        let answer = client.ask("a", &command).await;
        let shown = &command[..command.len().min(60)];
        assert!(ANSWERS.iter().any(|begin| answer.starts_with(begin)), "{shown}: {answer}");
        assert!(may_be || !answer.starts_with("OK "), "{shown}: {answer}");
        assert!(!may_be || !answer.starts_with("BAD "), "{shown}: {answer}");
        assert!(client.ask("b", "NOOP").await.starts_with("OK "), "{shown}");
    }
    stage.examine().unwrap();
}

#[tokio::test]
async fn before_the_login_each_is_refused() {
    let stage = server().await;
    for (command, _) in commands() {
        let mut client = Client::connect(&stage, "imap").await;
        client.expect("* OK ").await;
        let answer = client.ask("a", &command).await;
        let shown = &command[..command.len().min(60)];
        let is_enough = answer.starts_with("BAD ") || shown.starts_with("ID ") && answer.starts_with("OK ");
        assert!(is_enough, "{shown}: {answer}");
        assert!(client.ask("b", "NOOP").await.starts_with("OK "), "{shown}");
    }
    stage.examine().unwrap();
}

/// Names that a pattern may have to be held against many times.
#[tokio::test]
async fn patterns_are_held_against_long_names() {
    let stage = server().await;
    let mut client = Client::imap(&stage).await;
    for last in ["b", "c"] {
        let name = "a".repeat(900) + last;
        assert!(client.ask("c", &format!("CREATE {name}")).await.starts_with("OK "));
    }
    // Whoever goes back at each star takes 900^30 steps for these.
    for pattern in ["a*".repeat(30) + "x", "*a".repeat(30) + "x", "%a*".repeat(30) + "x", "a%".repeat(90) + "b"] {
        assert!(client.ask("l", &format!("LIST \"\" \"{pattern}\"")).await.starts_with("OK "), "{pattern}");
    }
    stage.examine().unwrap();
}

/// A client that sends its command octet by octet gains no time: the clock runs from the command's first octet.
#[tokio::test]
async fn a_slow_client_is_sent_away() {
    let stage = crate::stage::Stage::in_process(&["imap.idle_seconds=1".to_owned()]).await.unwrap();
    for logs_in in [false, true] {
        let mut client = match logs_in {
            true => Client::imap(&stage).await,
            false => Client::connect(&stage, "imap").await,
        };
        if !logs_in {
            client.expect("* OK ").await;
        }
        let mut sent = 0;
        let said = loop {
            client.send(b"a").await;
            sent += 1;
            assert!(sent < 100, "it may go on for ever");
            if let Some(said) = client.wire.surprise().await.unwrap() {
                break said;
            }
        };
        assert!(said.is_empty() || said.starts_with(b"* BYE "), "{}", String::from_utf8_lossy(&said));
    }
    stage.examine().unwrap();
}
