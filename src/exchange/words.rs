use crate::queue::Stage;
use crate::smtp::client::{Failure, Summary};

/// Where a session broke and why, for people.
pub(super) fn failure(failure: &Failure) -> String {
    let words = &failure.words;
    let code = words.code.map(|code| format!("{code} ")).unwrap_or_default();
    let enhanced = words.enhanced.filter(|_| words.code.is_some());
    let enhanced = enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail} ")).unwrap_or_default();
    format!("{}: {code}{enhanced}{}", stage(failure.stage), words.text)
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Route => "finding the peer",
        Stage::Connect => "connecting",
        Stage::Greeting => "waiting for the greeting",
        Stage::Hello => "EHLO",
        Stage::Tls => "starting TLS",
        Stage::Login => "logging in",
        Stage::Sender => "MAIL",
        Stage::Recipient => "RCPT",
        Stage::Data => "sending a message",
        Stage::End => "waiting for the answer to a message",
        Stage::Queue => "in the queue",
        Stage::Mailbox => "at a mailbox here",
    }
}

/// What was sent and how many recipients were refused.
pub(super) fn sent(summary: &Summary) -> String {
    match summary.refused {
        0 => format!("{} sent", messages(summary.sent)),
        1 => format!("{} sent, one recipient refused", messages(summary.sent)),
        refused => format!("{} sent, {refused} recipients refused", messages(summary.sent)),
    }
}

/// So many messages.
pub(super) fn messages(count: u64) -> String {
    match count {
        0 => "no message".to_owned(),
        1 => "one message".to_owned(),
        count => format!("{count} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Enhanced;
    use crate::queue::Words;

    #[test]
    fn what_was_sent_is_counted() {
        let check = |sent_, refused, expected| {
            assert_eq!(sent(&Summary { sent: sent_, refused, ..Summary::default() }), expected);
        };
        check(0, 0, "no message sent");
        check(1, 1, "one message sent, one recipient refused");
        check(2, 3, "2 messages sent, 3 recipients refused");
    }

    #[test]
    fn a_failure_says_where_and_why() {
        let check = |stage, words, expected: &str| {
            assert_eq!(failure(&Failure { stage, words, is_busy: false }), expected);
        };
        let theirs = Words { code: Some(535), enhanced: Some((5, 7, 8)), text: "no".into() };
        check(Stage::Login, theirs, "logging in: 535 5.7.8 no");
        check(Stage::Tls, Words::own(Enhanced(4, 7, 5), "no certificate"), "starting TLS: no certificate");
    }
}
