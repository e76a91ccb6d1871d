use crate::queue::Stage;
use crate::smtp::client::Failure;

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
    fn a_failure_says_where_and_why() {
        let check = |stage, words, expected: &str| {
            assert_eq!(failure(&Failure { stage, words, is_busy: false }), expected);
        };
        let theirs = Words { code: Some(535), enhanced: Some((5, 7, 8)), text: "no".into() };
        check(Stage::Login, theirs, "logging in: 535 5.7.8 no");
        check(Stage::Tls, Words::own(Enhanced(4, 7, 5), "no certificate"), "starting TLS: no certificate");
    }
}
