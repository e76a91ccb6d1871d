//! What the trace tells of refusals, and of what was said before them.

use super::*;

/// Every story of refusals that the trace tells, as soon as they have as many events: the events, and the dialogue that
/// led to the first.
async fn refusals(context: &Context, expected: &[usize]) -> Vec<(Vec<trace::Event>, String)> {
    // They ride on a batch, within a second; a busy machine takes longer.
    for _ in 0..1200 {
        let view = context.store.view().unwrap();
        let found = trace::find(&view, &trace::Wanted::All, None, 100).unwrap();
        let refused: Vec<_> =
            found.into_iter().rev().filter(|subject| matches!(subject, trace::Subject::Refused(_))).collect();
        let told = |subject: &trace::Subject| {
            let events = trace::story(&view, *subject).unwrap();
            let number = events[0].transcript;
            let dialogue = number.map(|number| trace::transcript(&view, *subject, number).unwrap().unwrap());
            (events, dialogue.unwrap_or_default())
        };
        let told: Vec<_> = refused.iter().map(told).collect();
        if told.iter().map(|(events, _)| events.len()).collect::<Vec<_>>() == expected {
            return told;
        }
        drop(view);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not every refusal is in the trace");
}

#[tokio::test]
async fn what_is_refused_is_in_the_trace_with_what_was_said() {
    let context = context().await;
    play(&context, Profile::Mx, MX.as_bytes(), MX.len()).await;
    // Nobody has logged in: it is one story.
    let told = refusals(&context, &[2]).await;
    let (events, dialogue) = &told[0];
    let event = &events[0];
    assert_eq!((event.kind, event.code, event.enhanced), (trace::Kind::Rejected, Some(550), Some((5, 1, 1))));
    assert_eq!((event.sender.as_deref(), event.helo.as_deref()), (Some("a@elsewhere.test"), Some("client.test")));
    assert_eq!(event.recipient.as_deref(), Some("nobody@example.test"));
    let lines: Vec<&str> = dialogue.lines().map(|line| line.get(..11).unwrap_or(line)).collect();
    let expected = [
        "> 220 mx.te",
        "< EHLO clie",
        "> 250-mx.te",
        "< MAIL FROM",
        "> 250 2.1.0",
        "< RCPT TO:<",
        "> 250 2.1.5",
        "< RCPT TO:<",
        "> 550 5.1.1",
        "< RCPT TO:<",
        "> 550 5.7.1",
    ];
    // It has gone on since the first.
    let main: Vec<&str> =
        lines.into_iter().filter(|line| !line.starts_with("> 250-") || line.ends_with(".te")).collect();
    let main: Vec<&str> =
        main.into_iter().filter(|line| !line.starts_with("> 250 H") && *line != "> 250 SMTPU").collect();
    assert_eq!(main, expected, "{dialogue}");
    let verdict = trace::verdict(events);
    assert_eq!((verdict.code, verdict.recipients.len()), (trace::Code::RefusedNotOurDomain, 2));
    assert_eq!(verdict.recipients[1].code, trace::Code::RefusedNotOurDomain);
}

#[tokio::test]
async fn refusals_of_every_command_are_in_the_trace() {
    let check = async |profile, script: &str, expected: &[(trace::Code, &str)]| {
        let context = Context { message_bytes_max: 1000, ..context().await };
        play(&context, profile, script.as_bytes(), script.len()).await;
        let told = refusals(&context, &[expected.len()]).await.remove(0);
        for (event, (code, word)) in told.0.iter().zip(expected) {
            let verdict = trace::verdict(std::slice::from_ref(event));
            assert_eq!(verdict.code, *code, "{script}: {verdict:#?}");
            assert!(verdict.sentence.contains(word), "{script}: {verdict:#?}");
        }
        told
    };
    use trace::Code;
    check(
        Profile::Mx,
        // Before HELO nothing is known of the client, and what no MAIL stands before says nothing.
        "MAIL FROM:<b@far.test>\r\nEHLO c.test\r\nFOO\r\nRCPT TO:<a@b.test>\r\n\
         MAIL FROM:<a@far.test> SIZE=99999\r\nMAIL FROM:<no address>\r\nMAIL FROM:<a@far.test>\r\n\
         RCPT TO:<@>\r\nQUIT\r\n",
        &[(Code::RefusedTooBig, "a@far.test"), (Code::RefusedSender, "from no"), (Code::RefusedOther, "for @")],
    )
    .await;
    check(
        Profile::Submission,
        "EHLO c.test\r\nMAIL FROM:<alice@example.test>\r\nQUIT\r\n",
        &[(Code::RefusedLoginFirst, "alice@example.test")],
    )
    .await;
    let credentials = STANDARD.encode("\0alice@example.test\0wrong");
    let told = check(
        Profile::Submission,
        &format!("EHLO c.test\r\nAUTH PLAIN {credentials}\r\nQUIT\r\n"),
        &[(Code::LoginFailed, "alice@example.test could not log in to send mail from 127.0.0.1")],
    )
    .await;
    assert_eq!((told.0[0].account.as_deref(), told.1.as_str()), (Some("alice@example.test"), ""));
    // Behind DATA, for each recipient; of the data itself nothing is kept.
    let large = format!(
        "EHLO c.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
         Subject: private\r\n\r\n{}\r\n.\r\nQUIT\r\n",
        "secret ".repeat(200)
    );
    let expected = [(Code::RefusedTooBig, "alice@example.test"), (Code::RefusedTooBig, "bob@example.test")];
    let told = check(Profile::Mx, &large, &expected).await;
    assert!(!told.1.contains("secret") && told.1.contains("> 552 5.3.4"), "{}", told.1);
    // Who goes away in the middle of the data.
    let context = self::context().await;
    let (mut stream, session) = dial(&context, Profile::Mx, PEER);
    hear(&mut stream, "220 ").await;
    let begin = "EHLO c.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n";
    stream.write_all(begin.as_bytes()).await.unwrap();
    hear(&mut stream, "354 ").await;
    stream.write_all(b"Subject: x\r\n\r\nhalf").await.unwrap();
    drop(stream);
    session.await.unwrap();
    let told = refusals(&context, &[1]).await.remove(0);
    let verdict = trace::verdict(&told.0);
    assert_eq!((verdict.code, verdict.recipients.len()), (Code::Aborted, 1));
    assert!(
        verdict.sentence.contains("the client has closed the connection before the message was complete"),
        "{verdict:?}"
    );
    assert!(told.1.ends_with("end with <CRLF>.<CRLF>\n"), "{}", told.1);
}

#[tokio::test]
async fn a_stranger_fills_a_story_and_no_more() {
    let context = context().await;
    let mut refused = 0;
    // What is full, or too much at a time, ends no session.
    let recipients: String = (0..200).map(|number| format!("RCPT TO:<bob+{number}@example.test>\r\n")).collect();
    let message = |sender: usize| {
        format!("MAIL FROM:<s{sender}@far.test>\r\nRCPT TO:<u{sender}@elsewhere.test>\r\n{recipients}RSET\r\n")
    };
    let script: String = (0..8).map(message).collect();
    let heard = play(&context, Profile::Mx, format!("EHLO c.test\r\n{script}QUIT\r\n").as_bytes(), 4096).await;
    refused += heard.lines().filter(|line| line.starts_with(['4', '5'])).count();
    assert!(refused > 8 * 100, "{refused}");
    let told = refusals(&context, &[limits::TRACED_SESSION_REFUSALS + 1]).await.remove(0).0;
    assert_eq!(told.iter().map(trace::Event::times).sum::<u64>(), refused as u64);
    let rest = refused - limits::TRACED_SESSION_REFUSALS;
    assert_eq!(told.last().unwrap().text, format!("and {rest} more refusals in this session"));
    let view = context.store.view().unwrap();
    let found = |address: &str| trace::find(&view, &trace::Wanted::Address(address.into()), None, 9).unwrap().len();
    assert_eq!((found("u0@elsewhere.test"), found("u7@elsewhere.test")), (1, 0));
    assert_eq!(trace::verdict(&told).recipients.len(), limits::TRACED_SESSION_REFUSALS);
    drop(view);
    // Who has logged in is told of one by one.
    let login = STANDARD.encode("\0alice@example.test\0pillarbox");
    let script = format!(
        "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<x@example.test>\r\n\
         RCPT TO:<y@example.test>\r\nQUIT\r\n"
    );
    play(&context, Profile::Submission, script.as_bytes(), script.len()).await;
    refusals(&context, &[limits::TRACED_SESSION_REFUSALS + 1, 1, 1]).await;
}

#[tokio::test]
async fn no_dialogue_tells_a_password() {
    let context = context().await;
    let script = "EHLO c.test\r\nAUTH LOGIN\r\nYm9i\r\nd3Jvbmc=\r\nhunter2\r\n  auth\tplain\tAGJvYgBodW50ZXIy\r\n\
                  d3JvbmcgYWdhaW4=\r\nMAIL FROM:<alice@example.test>\r\nQUIT\r\n";
    play(&context, Profile::Submission, script.as_bytes(), script.len()).await;
    let told = refusals(&context, &[1, 1]).await;
    let dialogue = &told[1].1;
    for secret in ["Ym9i", "d3Jvbmc", "hunter2", "AGJvYgBodW50ZXIy", "d3JvbmcgYWdhaW4"] {
        assert!(!dialogue.contains(secret), "{secret} in {dialogue}");
    }
    for shown in
        ["< AUTH LOGIN\n", "< ***\n", "< *** (7 octets)\n", "< auth plain ***\n", "< MAIL FROM:<alice@example.test>\n"]
    {
        assert!(dialogue.contains(shown), "{shown} in {dialogue}");
    }
}

#[tokio::test]
async fn each_message_of_a_session_has_its_own_dialogue() {
    let context = context().await;
    let message =
        |number: u32| format!("MAIL FROM:<m{number}@far.test>\r\nRCPT TO:<n{number}@example.test>\r\nRSET\r\n");
    let script: String = (0..6).map(message).collect();
    play(&context, Profile::Mx, format!("EHLO c.test\r\n{script}QUIT\r\n").as_bytes(), 4096).await;
    refusals(&context, &[6]).await;
    let view = context.store.view().unwrap();
    let subject = trace::find(&view, &trace::Wanted::All, None, 1).unwrap()[0];
    let told = trace::story(&view, subject).unwrap();
    for (number, event) in (0..).zip(&told) {
        let kept = Some(number).filter(|number| *number < limits::TRACED_SESSION_DIALOGUES);
        assert_eq!(event.transcript, kept);
        let Some(kept) = kept else { continue };
        let dialogue = trace::transcript(&view, subject, kept).unwrap().unwrap();
        let named =
            |number: u32| dialogue.contains(&format!("<m{number}@")) && dialogue.contains(&format!("<n{number}@"));
        assert_eq!((0..6).filter(|number| named(*number)).collect::<Vec<_>>(), [number], "{dialogue}");
    }
}
