//! What a sender is told of mail that can't be delivered, read by Python's email package.

use std::process::Command;

use pillarbox::trace::Kind;
use serde_json::Value;

use super::{Outside, Program, alice, note, wait_for_mail};
use crate::dns::Zone;
use crate::programs::{has, run};

/// Prints what Python understands of a report.
const PARSE: &str = r#"
import email, email.policy, json, sys
message = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
def fields(part): return {name.lower(): str(value) for name, value in part.items()}
parts = list(message.iter_parts())
status = [fields(block) for block in parts[1].get_payload()]
print(json.dumps({
    "defects": [str(defect) for part in message.walk() for defect in part.defects],
    "type": message.get_content_type(), "report": message["Content-Type"].params.get("report-type"),
    "head": fields(message), "types": [part.get_content_type() for part in parts],
    "text": parts[0].get_content(), "status": status, "returned": parts[2].get_content() if len(parts) > 2 else "",
}))
"#;

/// The report `content` as Python understands it.
pub fn parse(world: &Outside, content: &[u8]) -> Value {
    let file = world.folder.path().join("report.eml");
    std::fs::write(&file, content).expect("the report is written");
    let out = run(Command::new("python3").args(["-c", PARSE]), Some(&file), world.folder.path());
    serde_json::from_slice(&out).expect("JSON")
}

/// The value of a header field, unfolded.
pub fn field(content: &[u8], name: &str) -> String {
    let end = content.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(content.len());
    let head = String::from_utf8_lossy(&content[..end]).replace("\r\n\t", " ").replace("\r\n ", " ");
    let value = head.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_else(|| panic!("a field {name} in {head}"))
}

#[test]
fn postfix_refuses_a_recipient() {
    check(Program::Postfix, "550 5.1.1");
}

#[test]
fn exim_refuses_a_recipient() {
    check(Program::Exim, "550 no such user here");
}

/// One recipient of three is refused: the sender is told of that one, with the words of the server, and the other two
/// have the message.
fn check(program: Program, words: &str) {
    if !program.is_here() || !has("python3") {
        return;
    }
    let world = Outside::new(Zone::new().mail(program.domain(), program.address()));
    let site = world.serve_new(&[]);
    let peer = program.start(&world);
    let nobody = format!("nobody@{}", program.domain());
    let (first, second) = (peer.account(0), peer.account(1));
    alice(&site).submit("alice@example.test", &[&first, &nobody, &second], &note("one-of-three")).expect("it is taken");
    peer.wait_for(peer.accounts[0], 1);
    peer.wait_for(peer.accounts[1], 1);
    let bounce = wait_for_mail(&site, "alice", 1).remove(0);
    let report = parse(&world, &bounce);
    assert_eq!(report["defects"], serde_json::json!([]), "{report}");
    assert_eq!(
        (&report["type"], &report["report"]),
        (&"multipart/report".into(), &"delivery-status".into()),
        "{report}"
    );
    let types = serde_json::json!(["text/plain", "message/delivery-status", "text/rfc822-headers"]);
    assert_eq!(report["types"], types, "{report}");
    let head = &report["head"];
    assert_eq!(head["return-path"], "<>", "{head}");
    assert_eq!(head["auto-submitted"], "auto-replied", "{head}");
    assert_eq!(head["from"], "Mail Delivery System <mailer-daemon@mx.example.test>", "{head}");
    assert_eq!(head["to"].as_str().map(|to| to.trim_matches(['<', '>'])), Some("alice@example.test"), "{head}");
    assert!(report["text"].as_str().is_some_and(|text| text.contains(&nobody) && text.contains(words)), "{report}");
    assert!(report["returned"].as_str().is_some_and(|text| text.contains("<one-of-three@example.test>")), "{report}");
    // RFC 3464 §2.2 and §2.3
    let status = report["status"].as_array().expect("a list");
    assert_eq!(status.len(), 2, "the message and one recipient: {report}");
    assert_eq!(status[0]["reporting-mta"].as_str().map(str::to_lowercase).as_deref(), Some("dns; mx.example.test"));
    assert!(status[0]["arrival-date"].is_string(), "{report}");
    assert_eq!(status[1]["final-recipient"].as_str().map(str::to_lowercase), Some(format!("rfc822; {nobody}")));
    assert_eq!(status[1]["action"], "failed");
    assert!(status[1]["status"].as_str().is_some_and(|status| status.starts_with("5.")), "{report}");
    assert!(status[1]["remote-mta"].as_str().is_some_and(|mta| mta.contains(&format!("mx.{}", program.domain()))));
    let said = status[1]["diagnostic-code"].as_str().unwrap_or("");
    assert!(said.starts_with("smtp;") && said.contains(words), "{report}");

    let stories = world.stop(site);
    assert_eq!(stories.queued, 0);
    let story = stories.story("one-of-three@example.test");
    assert_eq!([Kind::Relayed, Kind::Failed, Kind::Bounced].map(|kind| story.of(kind).len()), [2, 1, 1]);
    assert_eq!(story.count_for(Kind::Failed, &nobody), 1);
}

/// What the DNS says is final too: a domain that is not there, and one that takes no mail.
#[test]
fn domains_that_take_no_mail() {
    if !has("python3") {
        return;
    }
    let world = Outside::new(Zone::new().null_mx("null.test"));
    let site = world.serve_new(&[]);
    let mut session = alice(&site);
    session.submit("alice@example.test", &["a@null.test"], &note("null")).expect("it is taken");
    let bounce = wait_for_mail(&site, "alice", 1).remove(0);
    let report = parse(&world, &bounce);
    // RFC 7505 §4.1
    assert_eq!(report["status"][1]["status"], "5.1.10", "{report}");
    session.submit("alice@example.test", &["a@nowhere.test"], &note("nowhere")).expect("it is taken");
    let bounce = wait_for_mail(&site, "alice", 2).remove(1);
    let report = parse(&world, &bounce);
    assert_eq!(report["status"][1]["status"], "5.1.2", "{report}");
    assert_eq!(world.stop(site).queued, 0);
}
