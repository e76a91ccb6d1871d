use super::fault::{self, Fault};
use super::*;
use crate::base::Timestamp;

/// An event of a story, from as little as may be: `kind recipient`, and what else matters.
fn event(at: u64, kind: Kind, recipient: &str) -> Event {
    let recipient = Some(recipient).filter(|text| !text.is_empty()).map(str::to_owned);
    Event { recipient, ..Event::new(Timestamp(1_795_341_900_000 + at), kind, "delivery") }
}

/// An attempt, as in `recipient 550 5.1.1 No such user`, or `connect own 4.4.1 refused` in our own words.
fn attempt(kind: Kind, to: &str, said: &str) -> Event {
    let mut words = said.splitn(3, ' ');
    let (stage, code, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
    let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let numbers: Vec<u16> = first.split('.').filter_map(|number| number.parse().ok()).collect();
    let enhanced = match numbers.as_slice() {
        [class, subject, detail] => Some((u8::try_from(*class).unwrap(), *subject, *detail)),
        _ => None,
    };
    Event {
        code: code.parse().ok(),
        enhanced,
        text: if enhanced.is_some() { text } else { rest }.to_owned(),
        server: Some("mx.there.test".into()),
        stage: Some(stage.into()),
        ..event(5, kind, to)
    }
}

#[test]
fn what_servers_say_is_understood() {
    let check = |said: &str, expected: Fault| {
        let event = attempt(Kind::Failed, "b@there.test", said);
        assert_eq!(fault::of_attempt(&event), expected, "{said}");
    };
    for (said, expected) in [
        // Postfix, Exim, Exchange, Gmail, Outlook, Yahoo, and servers that give no enhanced code.
        ("recipient 550 5.1.1 <b@there.test>: Recipient address rejected: User unknown", Fault::NoSuchAddress),
        ("recipient 550 Unrouteable address", Fault::NoSuchAddress),
        (
            "recipient 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            Fault::NoSuchAddress,
        ),
        ("recipient 550 5.4.1 Recipient address rejected: Access denied.", Fault::NoSuchAddress),
        (
            "recipient 550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking",
            Fault::NoSuchAddress,
        ),
        ("recipient 550 Requested action not taken: mailbox unavailable", Fault::NoSuchAddress),
        ("recipient 553 no mailbox here by that name", Fault::NoSuchAddress),
        ("end 550 5.1.1 no such user", Fault::NoSuchAddress),
        ("recipient 550 5.2.1 The email account that you tried to reach is inactive.", Fault::MailboxDisabled),
        ("recipient 554 delivery error: This user doesn't have an account, mailbox disabled", Fault::MailboxDisabled),
        ("recipient 452 4.2.2 The email account that you tried to reach is over quota", Fault::MailboxFull),
        ("recipient 552 5.2.2 Over quota", Fault::MailboxFull),
        ("recipient 552 Requested mail action aborted: exceeded storage allocation", Fault::MailboxFull),
        ("end 552 mailbox full", Fault::MailboxFull),
        ("sender 552 5.3.4 Message size exceeds fixed limit", Fault::TooBig),
        ("end 552 5.2.3 Message exceeds local size limit", Fault::TooBig),
        ("sender 552 Message too large", Fault::TooBig),
        ("recipient 554 5.7.1 <b@there.test>: Relay access denied", Fault::RelayingDenied),
        ("recipient 550 5.7.1 Relaying denied: this domain is not here", Fault::RelayingDenied),
        ("recipient 550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Fault::RelayingDenied),
        ("recipient 550 relay not permitted", Fault::RelayingDenied),
        (
            "recipient 554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
            Fault::Blocked,
        ),
        (
            "sender 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150).",
            Fault::Blocked,
        ),
        ("greeting 554 mx.there.test", Fault::Blocked),
        ("greeting 554 5.7.1 no SMTP service here", Fault::Blocked),
        ("hello 550 bad HELO", Fault::Blocked),
        ("recipient 550 5.7.1 Client was banned", Fault::Blocked),
        ("recipient 450 4.7.1 <us.test>: Helo command rejected: Host not found", Fault::Blocked),
        (
            "end 550 5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.",
            Fault::Spam,
        ),
        ("end 554 5.7.1 Message rejected as spam by Content Filtering.", Fault::Spam),
        ("end 550 5.7.1 refused by policy", Fault::Spam),
        ("end 550 spam score 15.2", Fault::Spam),
        ("end 554 5.7.1 virus found", Fault::Spam),
        ("end 550 5.7.26 This mail has been blocked because the sender is unauthenticated.", Fault::Unauthenticated),
        ("end 550 5.7.1 rejected because of SPF policy", Fault::Unauthenticated),
        ("end 550 5.7.509 Access denied, sending domain does not pass DMARC verification", Fault::Unauthenticated),
        ("recipient 550 5.7.25 The IP address does not have a PTR record", Fault::Unauthenticated),
        ("login 535 5.7.8 Username and Password not accepted", Fault::Login),
        ("sender 530 5.7.0 Authentication Required", Fault::Login),
        ("tls 454 4.7.0 TLS not available", Fault::Tls),
        ("sender 530 5.7.0 Must issue a STARTTLS command first", Fault::Tls),
        (
            "recipient 450 4.2.0 <b@there.test>: Recipient address rejected: Greylisted, see http://postgrey.test",
            Fault::Greylisted,
        ),
        ("recipient 451 4.7.1 Greylisting in action, please come back later", Fault::Greylisted),
        ("sender 421 4.7.28 Our system has detected an unusual rate of mail", Fault::RateLimited),
        (
            "recipient 450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery",
            Fault::RateLimited,
        ),
        ("greeting 421 Too many concurrent SMTP connections", Fault::RateLimited),
        (
            "sender 451 4.7.650 The mail server has been temporarily rate limited due to IP reputation.",
            Fault::RateLimited,
        ),
        ("greeting 421 4.3.2 Service not available", Fault::ServerTrouble),
        ("recipient 451 4.3.0 Internal error", Fault::ServerTrouble),
        ("recipient 452 4.3.1 Insufficient system storage", Fault::ServerTrouble),
        ("end 451 try again", Fault::ServerTrouble),
        ("end 554 5.4.6 Too many hops", Fault::Loop),
        ("end 554 5.4.14 Hop count exceeded - possible mail loop ATTR34", Fault::Loop),
        ("sender 550 5.1.8 Sender address rejected: Domain not found", Fault::Sender),
        ("sender 501 5.1.7 bad address", Fault::Sender),
        ("end 550 5.7.27 Sender address has null MX", Fault::Sender),
        ("sender 550 I do not like you", Fault::Sender),
        ("end 554 5.6.0 malformed", Fault::Content),
        ("end 554 transaction failed", Fault::Content),
        // Nothing of these is what part of a word says.
        ("end 550 5.6.1 no turbloc here", Fault::Content),
        // Our own words.
        ("route own 5.1.10 there.test takes no mail (null MX)", Fault::NoMailDomain),
        ("route own 5.1.2 the domain there.test does not exist in the DNS", Fault::NoSuchDomain),
        ("route own 5.4.6 the DNS sends mail for there.test to this server", Fault::Loop),
        ("route own 5.4.4 the DNS names no address", Fault::NoServer),
        ("route own 4.4.3 server failure", Fault::Dns),
        ("connect own 4.4.1 connecting to mx [192.0.2.1]:25: connection lost: Connection refused", Fault::ReceiverDown),
        ("connect own 4.4.1 connecting to mx [192.0.2.1]:25: timed out", Fault::Timeout),
        ("greeting own 4.4.2 waiting for the greeting to mx [192.0.2.1]:25: timed out", Fault::Timeout),
        ("recipient own 4.4.2 the server did not answer in time", Fault::Timeout),
        ("data own 4.4.2 the connection was lost: the server has closed it", Fault::ReceiverDown),
        ("tls own 4.7.5 TLS handshake failed: unknown issuer", Fault::Tls),
        ("login own 4.7.0 no mechanism in common", Fault::Login),
        ("sender own 5.6.7 the server does not take SMTPUTF8", Fault::Content),
        ("sender own 5.3.4 larger than the server takes", Fault::TooBig),
        ("data own 4.3.0 the message can't be read", Fault::OurTrouble),
        ("hello own 4.5.0 the server said more than it was asked", Fault::ServerTrouble),
    ] {
        check(said, expected);
    }
}

/// What a story comes to: outcome, code, and words of its sentence and of its next step.
#[track_caller]
fn check(events: &[Event], expected: (Outcome, Code), words: &[&str], next: &str) -> Verdict {
    let seen = verdict(events);
    assert_eq!((seen.outcome, seen.code), expected, "{seen:#?}");
    for word in words {
        assert!(seen.sentence.contains(word), "no {word:?}: {seen:#?}");
    }
    assert!(seen.next_step.contains(next), "no {next:?}: {seen:#?}");
    for text in [&seen.sentence, &seen.next_step] {
        assert!(text.starts_with(|c: char| !c.is_whitespace()) && text.ends_with('.'), "{seen:#?}");
        assert!(!text.contains("..") && !text.contains("  ") && !text.contains("{"), "{seen:#?}");
    }
    seen
}

fn accepted(actor: &str) -> Event {
    Event { sender: Some("a@here.test".into()), actor: actor.into(), ..event(0, Kind::Accepted, "") }
}

fn queued(to: &str, entry: u32) -> Event {
    Event { entry: Some(entry), ..event(0, Kind::Queued, to) }
}

fn delivered(to: &str, account: &str) -> Event {
    Event { account: Some(account.into()), mailbox: Some("INBOX".into()), ..event(0, Kind::Delivered, to) }
}

/// Something that happens to a copy of b@here.test.
fn to_copy(at: u64, kind: Kind, actor: &str, mailbox: &str, text: &str) -> Event {
    Event {
        account: Some("b@here.test".into()),
        mailbox: Some(mailbox.into()),
        actor: actor.into(),
        text: text.into(),
        ..event(at, kind, "")
    }
}

#[test]
fn mail_that_stays_here_is_told_of() {
    let begun = [accepted("smtp"), delivered("b@here.test", "b@here.test")];
    let after = |more: &[Event]| [begun.as_slice(), more].concat();
    let is_there = (Outcome::InMailbox, Code::Delivered);
    let seen = check(&begun, is_there, &["INBOX of b@here.test since 2026-11-22 10:05 UTC"], "Nothing");
    assert_eq!(seen.direction, Direction::In);
    assert_eq!(seen.recipients[0].account.as_deref(), Some("b@here.test"));
    let fetched = to_copy(1, Kind::Fetched, "pop3 b@here.test", "INBOX", "");
    check(&after(&[fetched]), is_there, &["POP3 has fetched it at"], "filters");
    let moved = to_copy(2, Kind::Moved, "imap b@here.test", "Archive", "from INBOX");
    let seen = check(&after(std::slice::from_ref(&moved)), is_there, &["in the mailbox Archive of"], "that mailbox");
    assert_eq!(seen.recipients[0].mailbox.as_deref(), Some("Archive"));
    let expunged = to_copy(3, Kind::Expunged, "imap b@here.test", "Archive", "");
    check(
        &after(&[moved, expunged.clone()]),
        (Outcome::Removed, Code::RemovedImap),
        &["deleted from Archive by IMAP", "b@here.test did it"],
        "redeliver",
    );
    // Two copies, one of them deleted.
    let copied = to_copy(2, Kind::Copied, "imap b@here.test", "Archive", "from INBOX");
    check(&after(std::slice::from_ref(&copied)), is_there, &["Archive", "1 more"], "");
    check(&after(&[copied, expunged]), is_there, &["INBOX"], "");
    let by_pop3 = to_copy(3, Kind::Expunged, "pop3 b@here.test", "INBOX", "");
    check(&after(&[by_pop3]), (Outcome::Removed, Code::RemovedPop3), &["POP3"], "mail program");
    let by_hand = to_copy(3, Kind::Expunged, "http token x", "INBOX", "the mailbox was deleted");
    check(&after(&[by_hand]), (Outcome::Removed, Code::RemovedOperator), &["operator"], "");
    let again = Event { text: "as m_0000000000001".into(), ..event(4, Kind::Redelivered, "b@here.test") };
    let expunged = to_copy(3, Kind::Expunged, "imap b@here.test", "INBOX", "");
    check(&after(&[expunged, again]), (Outcome::Removed, Code::RemovedImap), &["once more, as m_0000000000001"], "");
    // Brought back; also where nothing else is left of the story.
    let deleted = to_copy(3, Kind::Expunged, "http owner", "Work", "the mailbox was deleted");
    let restored = to_copy(4, Kind::Restored, "http owner", "Work", "from the backup daily-20261121T030000Z");
    let words = ["in the mailbox Work of", "http owner has brought it back from the backup daily-20261121T030000Z"];
    let moved = to_copy(2, Kind::Moved, "imap b@here.test", "Work", "from INBOX");
    check(&after(&[moved, deleted, restored.clone()]), is_there, &words, "that mailbox");
    assert_eq!(check(&[restored], is_there, &words, "").direction, Direction::Local);
    // By an alias; put there by APPEND; what is left when the beginning is pruned.
    check(&[accepted("smtp"), delivered("info@here.test", "b@here.test")], is_there, &["for info@here.test"], "");
    let appended = to_copy(0, Kind::Accepted, "imap b@here.test", "Drafts", "");
    let seen = check(&[appended], is_there, &["Drafts of b@here.test"], "");
    assert_eq!(seen.direction, Direction::Local);
    let gone = to_copy(3, Kind::Expunged, "imap b@here.test", "Trash", "");
    check(&[gone], (Outcome::Removed, Code::RemovedImap), &["Trash"], "");
    let captured = Event { text: "captured: for x@y.test, to the INBOX of b@here.test".into(), ..begun[1].clone() };
    check(&[accepted("submission a@here.test"), captured], is_there, &[], "captured");
}

#[test]
fn older_events_say_in_words_what_newer_ones_say_in_fields() {
    let delivered = Event { text: "to the INBOX of b@here.test".into(), ..event(0, Kind::Delivered, "info@here.test") };
    let there = [accepted("smtp"), delivered];
    check(&there, (Outcome::InMailbox, Code::Delivered), &["INBOX of b@here.test"], "");
    let expunged = Event { actor: "pop3 b@here.test".into(), ..event(1, Kind::Expunged, "b@here.test") };
    let gone = [there.as_slice(), &[expunged]].concat();
    assert_eq!(check(&gone, (Outcome::Removed, Code::RemovedPop3), &[], "").recipients.len(), 1);
    let queued =
        Event { text: "for c@there.test, as q_0000000000000_3".into(), ..event(0, Kind::Queued, "list@here.test") };
    let out = [accepted("smtp"), queued, attempt(Kind::Relayed, "c@there.test", "end 250 2.0.0 queued")];
    let seen = check(&out, (Outcome::HandedOver, Code::HandedOver), &["goes on to c@there.test"], "");
    assert_eq!((seen.recipients[0].entry, seen.recipients[0].address.as_str()), (Some(3), "list@here.test"));
    let appended =
        Event { actor: "imap b@here.test".into(), text: "put into Sent".into(), ..event(0, Kind::Accepted, "") };
    check(&[appended], (Outcome::InMailbox, Code::Delivered), &["Sent of b@here.test"], "");
}

#[test]
fn mail_on_its_way_is_told_of() {
    let to = "b@there.test";
    let begun = [accepted("submission a@here.test"), queued(to, 0)];
    let after = |more: &[Event]| [begun.as_slice(), more].concat();
    let waiting = |code| (Outcome::Waiting, code);
    let seen = check(&begun, waiting(Code::WaitingFirstAttempt), &["first time"], "minute");
    assert_eq!((seen.direction, seen.recipients[0].entry), (Direction::Out, Some(0)));
    for (said, code, word, next) in [
        (
            "connect own 4.4.1 connection refused (next attempt at 2026-11-22T12:34:56.789Z)",
            Code::WaitingReceiverDown,
            "can't be reached (connection refused)",
            "again at 2026-11-22 12:34 UTC. If it lasts: Those who run there.test",
        ),
        ("connect own 4.4.1 timed out", Code::WaitingTimeout, "does not answer in time", "again soon"),
        ("recipient 451 4.7.1 Greylisted", Code::WaitingGreylisted, "greylisting", "again soon."),
        ("route own 4.4.3 no answer", Code::WaitingDns, "DNS does not answer", "name servers"),
        ("recipient 452 4.2.2 full", Code::WaitingMailboxFull, "b@there.test is full", "make room"),
        ("login 535 5.7.8 no", Code::WaitingLoginFailed, "login", "route to mx.there.test"),
        ("tls own 4.7.5 handshake failed", Code::WaitingTls, "encrypted", "certificate"),
        ("greeting 421 4.7.0 too many connections", Code::WaitingRateLimited, "no more mail", "soon."),
        ("recipient 451 4.3.0 oops", Code::WaitingServerTrouble, "\"451 oops\"", "log"),
    ] {
        check(&after(&[attempt(Kind::Deferred, to, said)]), waiting(code), &[to, word], next);
    }
    for (said, code, word, next) in [
        ("recipient 550 5.1.1 User unknown", Code::BouncedNoSuchAddress, "no address b@there.test", "spelling"),
        ("recipient 552 5.2.2 Over quota", Code::BouncedMailboxFull, "full", "room"),
        ("end 550 5.7.1 spam", Code::BouncedSpam, "takes it for spam (\"550 spam\")", "SPF"),
        ("recipient 554 5.7.1 blocked using zen.spamhaus.org", Code::BouncedBlocked, "blocks", "list"),
        ("sender 552 5.3.4 too big", Code::BouncedTooBig, "too big", "smaller"),
        ("recipient 550 5.7.1 Relaying denied", Code::BouncedRelayingDenied, "takes no mail for there.test", "MX"),
        ("route own 5.1.2 the domain there.test does not exist", Code::BouncedNoSuchDomain, "does not exist", "@"),
        ("route own 5.4.6 a mail loop", Code::BouncedLoop, "circle", "aliases"),
        ("end 554 5.6.0 no", Code::BouncedContent, "as it is", "another form"),
    ] {
        let told = Event { text: "by m_0000000000000".into(), ..event(6, Kind::Bounced, "a@here.test") };
        let events = after(&[attempt(Kind::Failed, to, said), told]);
        check(&events, (Outcome::Bounced, code), &[to, word, "; the sender a@here.test was told so"], next);
    }
    let deferred = attempt(Kind::Deferred, to, "connect own 4.4.1 connection refused");
    let expired = attempt(Kind::Expired, to, "connect own 4.4.1 connection refused");
    check(
        &after(&[deferred.clone(), expired]),
        (Outcome::Bounced, Code::BouncedExpired),
        &["many attempts"],
        "Then the sender",
    );
    let relayed = attempt(Kind::Relayed, to, "end 250 2.0.0 queued as 7");
    check(
        &after(&[deferred.clone(), relayed]),
        (Outcome::HandedOver, Code::HandedOver),
        &["mx.there.test has taken"],
        "queued as 7",
    );
    let fetched = Event { actor: "atrn branch".into(), ..attempt(Kind::Relayed, to, "end 250 2.0.0 ok") };
    check(&after(&[fetched]), (Outcome::HandedOver, Code::HandedToPeer), &["branch", "ATRN"], "branch");
    let parked = Event { text: "for branch".into(), ..event(1, Kind::Parked, to) };
    check(&after(std::slice::from_ref(&parked)), waiting(Code::WaitingPeer), &["branch"], "ATRN");
    let expired = attempt(Kind::Expired, to, "queue own 4.4.7 the peer did not come");
    check(&after(&[parked, expired]), (Outcome::Bounced, Code::BouncedExpiredPeer), &["did not fetch"], "peer");
    let held = Event { text: "wait".into(), actor: "http owner".into(), ..event(1, Kind::Held, to) };
    check(&after(&[deferred.clone(), held.clone()]), (Outcome::Held, Code::Held), &["http owner", ": wait"], "release");
    check(&after(&[held.clone(), deferred.clone()]), (Outcome::Held, Code::Held), &[], "");
    check(&after(&[held, event(2, Kind::Released, to)]), waiting(Code::WaitingFirstAttempt), &["due at once"], "");
    check(&after(&[event(2, Kind::Dropped, to)]), (Outcome::Dropped, Code::Dropped), &["nobody was told"], "mistake");
    let bounced = attempt(Kind::Failed, to, "queue own 5.0.0 no such customer");
    check(&after(&[bounced]), (Outcome::Bounced, Code::BouncedOperator), &["(no such customer)"], "");
    // The answer was lost: then the same attempt is deferred; what comes later says more.
    let lost = event(5, Kind::Uncertain, to);
    let same = attempt(Kind::Deferred, to, "end own 4.4.2 the connection was lost");
    let is_uncertain = (Outcome::Uncertain, Code::Uncertain);
    check(&after(std::slice::from_ref(&lost)), is_uncertain, &["may have the message"], "twice");
    check(&after(&[lost.clone(), same.clone()]), is_uncertain, &[], "");
    check(&after(&[lost.clone(), same.clone(), deferred]), waiting(Code::WaitingReceiverDown), &["already"], "");
    let relayed = attempt(Kind::Relayed, to, "end 250 2.0.0 ok");
    check(&after(&[lost, same, relayed]), (Outcome::HandedOver, Code::HandedOver), &["twice"], "");
    let redirected = Event { text: "to c@else.test by relay".into(), entry: Some(0), ..event(4, Kind::Redirected, to) };
    let relayed = Event { entry: Some(0), ..attempt(Kind::Relayed, "c@else.test", "end 250 2.0.0 ok") };
    let seen = check(
        &after(&[redirected, relayed]),
        (Outcome::HandedOver, Code::HandedOver),
        &["goes on to c@else.test"],
        "else.test",
    );
    assert_eq!(seen.recipients.len(), 1);
}

#[test]
fn what_is_refused_here_says_why() {
    let refused = |code: u16, enhanced: (u8, u16, u16), text: &str| Event {
        sender: Some("a@far.test".into()),
        code: Some(code),
        enhanced: Some(enhanced),
        text: text.into(),
        actor: "smtp".into(),
        ..event(0, Kind::Rejected, "b@here.test")
    };
    for (event, code, next) in [
        (refused(550, (5, 1, 1), "No such user here"), Code::RefusedNoSuchAddress, "create the account"),
        (refused(550, (5, 7, 1), "Relaying denied: this domain is not here"), Code::RefusedNotOurDomain, "587"),
        (
            refused(550, (5, 7, 1), "This address takes mail from our own users only"),
            Code::RefusedInternalOnly,
            "log in",
        ),
        (refused(553, (5, 7, 1), "Not an address of c@here.test"), Code::RefusedNotYourAddress, "send_as"),
        (refused(550, (5, 2, 1), "This mailbox is disabled"), Code::RefusedMailboxDisabled, "enable"),
        (refused(452, (4, 2, 2), "The mailbox is full"), Code::RefusedMailboxFull, "quota"),
        (refused(552, (5, 3, 4), "Message too large"), Code::RefusedTooBig, "smaller"),
        (refused(530, (5, 7, 0), "Authentication required"), Code::RefusedLoginFirst, "authentication"),
        (refused(554, (5, 4, 6), "It is in a loop"), Code::RefusedLoop, "aliases"),
        (refused(550, (5, 5, 2), "Lines end with CRLF"), Code::RefusedContent, "program"),
        (refused(553, (5, 1, 7), "The sender is not a valid address"), Code::RefusedSender, "correct"),
        (refused(421, (4, 7, 0), "Too many errors"), Code::RefusedRateLimited, "later"),
        (refused(452, (4, 3, 1), "Insufficient system storage (the disk is full)"), Code::RefusedOurTrouble, "disk"),
        (refused(550, (5, 0, 0), "No"), Code::RefusedOther, "events"),
    ] {
        let seen = check(&[event], (Outcome::Refused, code), &["from a@far.test for b@here.test was refused"], next);
        assert_eq!((seen.recipients.len(), seen.direction), (1, Direction::In));
    }
    let nobody = Event { recipient: None, ..refused(552, (5, 3, 4), "Message too large") };
    assert!(check(&[nobody], (Outcome::Refused, Code::RefusedTooBig), &[], "").recipients.is_empty());
    let login = Event {
        account: Some("b@here.test".into()),
        peer_ip: Some("192.0.2.1".parse().unwrap()),
        actor: "imap".into(),
        ..event(0, Kind::LoginFailed, "")
    };
    check(&[login], (Outcome::Refused, Code::LoginFailed), &["b@here.test", "by IMAP from 192.0.2.1"], "password");
    let aborted = Event {
        actor: "smtp".into(),
        text: "the sender closed the connection".into(),
        ..event(0, Kind::Aborted, "b@here.test")
    };
    check(
        std::slice::from_ref(&aborted),
        (Outcome::Refused, Code::Aborted),
        &["closed the connection before"],
        "by itself",
    );
    check(
        &[Event { actor: "submission a@here.test".into(), ..aborted }],
        (Outcome::Refused, Code::Aborted),
        &[],
        "send it again",
    );
}

#[test]
fn several_recipients_are_told_of_together() {
    let two = [accepted("smtp"), delivered("b@here.test", "b@here.test"), delivered("c@here.test", "c@here.test")];
    check(&two, (Outcome::InMailbox, Code::Delivered), &["all 2 recipients"], "Nothing");
    let out = [accepted("submission a@here.test"), queued("b@there.test", 0), queued("c@there.test", 1)];
    check(&out, (Outcome::Waiting, Code::WaitingFirstAttempt), &["same for all 2 recipients: the message"], "");
    let failed = Event { entry: Some(1), ..attempt(Kind::Failed, "c@there.test", "recipient 550 5.1.1 no") };
    let relayed = Event { entry: Some(0), ..attempt(Kind::Relayed, "b@there.test", "end 250 2.0.0 ok") };
    let mixed = [out.as_slice(), &[relayed, failed]].concat();
    let seen = check(&mixed, (Outcome::Mixed, Code::Mixed), &["1 of 2 recipients have", "c@there.test"], "spelling");
    let outcomes: Vec<Outcome> = seen.recipients.iter().map(|recipient| recipient.outcome).collect();
    assert_eq!(outcomes, [Outcome::HandedOver, Outcome::Bounced]);
    let well = [
        accepted("submission a@here.test"),
        queued("b@there.test", 0),
        delivered("b@here.test", "b@here.test"),
        Event { entry: Some(0), ..attempt(Kind::Relayed, "b@there.test", "end 250 2.0.0 ok") },
    ];
    check(&well, (Outcome::Mixed, Code::Mixed), &["All 2 recipients have the message"], "");
    // Two messages of one session.
    let refused = |from: &str, to: &str, enhanced| Event {
        sender: Some(from.into()),
        code: Some(550),
        enhanced: Some(enhanced),
        text: "Relaying denied".into(),
        ..event(1, Kind::Rejected, to)
    };
    let both = [refused("a@x.test", "b@here.test", (5, 1, 1)), refused("c@x.test", "d@far.test", (5, 7, 1))];
    let words = ["This server refused all 2 recipients", "A message from c@x.test for d@far.test"];
    let seen = check(&both, (Outcome::Refused, Code::RefusedNotOurDomain), &words, "587");
    assert!(seen.recipients[0].sentence.contains("A message from a@x.test for b@here.test"));
    let failed = [
        attempt(Kind::Failed, "b@there.test", "recipient 550 5.1.1 no"),
        attempt(Kind::Failed, "c@there.test", "recipient 552 5.2.2 full"),
    ];
    check(&failed, (Outcome::Bounced, Code::BouncedMailboxFull), &["None of 2 recipients has", "One other"], "room");
    check(&[], (Outcome::Unknown, Code::Unknown), &[], "trace.keep_seconds");
}

#[test]
fn many_recipients_are_not_compared_with_each_other() {
    const RECIPIENTS: u32 = 10_000;
    let to = |number| format!("r{number}@there.test");
    let mut events = vec![accepted("submission a@x.test")];
    for number in 0..RECIPIENTS {
        // Half of them are here; of the others every fifth is as old stories have it.
        let to = to(number);
        events.push(if number % 2 == 0 { delivered(&to, &to) } else { queued(&to, number) });
    }
    for number in 0..RECIPIENTS {
        let to = to(number);
        events.push(match number % 2 {
            0 => Event { account: Some(to.clone()), ..to_copy(9, Kind::Moved, "imap", "Archive", "from INBOX") },
            _ => {
                let entry = Some(number).filter(|_| number % 5 > 0);
                Event { entry, ..attempt(Kind::Failed, &to, "recipient 550 5.1.1 No") }
            }
        });
    }
    fold::KEYS_MADE.set(0);
    let verdict = verdict(&events);
    let keys = fold::KEYS_MADE.get();
    assert_eq!(verdict.recipients.len(), RECIPIENTS as usize);
    let archived = verdict.recipients.iter().filter(|one| one.mailbox.as_deref() == Some("Archive")).count();
    let bounced = verdict.recipients.iter().filter(|one| one.outcome == Outcome::Bounced).count();
    assert_eq!((archived, bounced), (5000, 5000));
    assert!(keys <= 5 * events.len(), "{keys} names were looked up for {} events", events.len());
}
