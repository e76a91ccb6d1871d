//! SMTP smuggling outward: whatever our users submit, the next server gets lines that end with CRLF, the dots where they
//! belong, and exactly one message.

use std::time::Duration;

use crate::dns::{Dns, Zone};
use crate::real::swap_site::{Swapper, wait_until};
use crate::sink::Sink;

const OUTSIDE: &str = "127.0.0.10";
/// What is to be smuggled: a second message.
const SMUGGLED: &str =
    "MAIL FROM:<boss@hub.test>\r\nRCPT TO:<victim@outside.test>\r\nDATA\r\nSubject: inner\r\n\r\nx\r\n.\r\n";
/// What some server somewhere takes for the end of data. (NUL is refused: it can't be made whole.)
const FALSE_ENDS: [&str; 10] = [
    "\n.\n",
    "\r.\r",
    "\r\n.\n",
    "\n.\r\n",
    "\r\n.\r",
    "\r\r\n.\r\r\n",
    "\n\n.\r\n",
    "\r\n..\r\n",
    "\r\n...\r\n",
    "\n..\n",
];

/// What is submitted, as DATA sends it, up to the true end.
fn submissions() -> Vec<String> {
    let head = "From: hubert@hub.test\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: outer\r\n\r\n";
    let attacks = FALSE_ENDS.iter().map(|end| format!("{head}text{end}{SMUGGLED}"));
    let dots = [
        "..\r\n",
        "..\r\n..\r\n",
        "..\n..\n\r\n",
        "x\r\n..x\r\n",
        "x\r..\rx\r\n",
        "...\r\n",
        "x\n..\r\n",
        "\r\n..\r\n",
    ];
    let odd = dots.iter().map(|text| format!("{head}{text}.\r\n"));
    // In the head as well.
    let folded =
        "From: hubert@hub.test\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nSubject: outer\n.\n\n\r\nx\r\n.\r\n";
    attacks.chain(odd).chain([folded.to_owned()]).collect()
}

/// What of a submission is to go out: RFC 5321 §4.5.2, the dot that the client has put before a line is taken away, and
/// then what ends a line for some server ends it for all.
fn as_sent(submission: &str) -> String {
    let text = submission.strip_suffix(".\r\n").expect("the true end").strip_suffix("\r\n").expect("a last line");
    let lines = text.split("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    let whole: Vec<String> = lines.map(|line| line.replace(['\r', '\n'], "\r\n")).collect();
    whole.join("\r\n") + "\r\n"
}

#[test]
fn what_is_submitted_goes_out_in_whole_lines_and_as_one_message() {
    let sink = Sink::start(&format!("{OUTSIDE}:0"));
    let dns = Dns::start(Zone::new().mail("outside.test", OUTSIDE));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (resolver, port) = (dns.address.to_string(), sink.address.port().to_string());
    let arguments = ["--resolver", &resolver, "--remote-port", &port, "--set", "delivery.allow_networks=127.0.0.0/8"];
    let hub = Swapper::start(folder.path(), "hub.test", &["hubert"], &arguments);
    for (count, submission) in submissions().iter().enumerate() {
        let mut talk = hub.submission("hubert");
        talk.say("MAIL FROM:<hubert@hub.test>", "250");
        talk.say("RCPT TO:<reader@outside.test>", "250");
        talk.say("DATA", "354");
        talk.send(submission);
        talk.expect("250");
        talk.say("QUIT", "221");
        let taken = sink.wait_for(count + 1, Duration::from_secs(60));
        let last = &taken[count];
        assert_eq!(last.recipients, ["reader@outside.test"], "{submission:?}");
        let text = String::from_utf8_lossy(&last.content);
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{submission:?} goes out as {text:?}");
        assert!(text.ends_with("\r\n"), "{submission:?} goes out as {text:?}");
        let written = text.find("From: hubert").unwrap_or_default();
        assert_eq!(&text[written..], as_sent(submission), "{submission:?}");
    }
    wait_until("an empty queue", || hub.queue().is_empty());
    assert_eq!(sink.count(), submissions().len());
    // Nothing but whole transactions: no command was ever read out of a text.
    for line in sink.sessions().concat() {
        let is_ours = line.starts_with("EHLO mx.hub.test")
            || line.starts_with("MAIL FROM:<hubert@hub.test>")
            || line.starts_with("RCPT TO:<reader@outside.test>")
            || ["DATA", "QUIT", "RSET"].contains(&line.as_str());
        assert!(is_ours, "{line}");
    }
}
