//! Random SMTP sessions: every reply is the oracle's, and a message is where the oracle says, and nowhere else.
//! A message is stored only behind MAIL and RCPT since the last reset, for exactly those recipients.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::maildrop;
use crate::oracle::{Oracle, Verb};
use crate::stage::Stage;
use crate::wire::Wire;

fn verb() -> impl Strategy<Value = Verb> {
    prop_oneof![
        6 => Just(Verb::Ehlo),
        1 => Just(Verb::Helo),
        12 => Just(Verb::Mail),
        1 => Just(Verb::MailUnreadable),
        6 => Just(Verb::RcptAlice),
        6 => Just(Verb::RcptBob),
        3 => Just(Verb::RcptTeam),
        3 => Just(Verb::RcptUnknown),
        2 => Just(Verb::RcptElsewhere),
        1 => Just(Verb::RcptUnreadable),
        8 => Just(Verb::Data),
        1 => Just(Verb::DataUnclean),
        3 => Just(Verb::Rset),
        1 => Just(Verb::Noop),
        1 => Just(Verb::Vrfy),
        1 => Just(Verb::Help),
        1 => Just(Verb::Starttls),
        1 => Just(Verb::Unknown),
    ]
}

#[test]
fn every_sequence_of_verbs_is_answered_as_the_oracle_says() {
    let (stage, played) = (tokio::sync::OnceCell::const_new(), AtomicU64::new(1));
    crate::play(1, &prop::collection::vec(verb(), 1..40), async |verbs| {
        let stage = stage.get_or_try_init(|| Stage::in_process(&[])).await?;
        session(stage, &verbs).await?;
        // It looks at the trace of all that came before, so not each time.
        if played.fetch_add(1, Ordering::Relaxed) % 100 == 0 { stage.examine() } else { Ok(()) }
    });
}

async fn session(stage: &Stage, verbs: &[Verb]) -> Result<(), String> {
    let mut oracle = Oracle::default();
    let mut wire = Some(stage.connect("smtp").await?);
    reply(wire.as_mut().ok_or("no connection")?, 220).await?;
    let (mut alice, mut bob) = (Vec::new(), Vec::new());
    for verb in verbs {
        let mut connection = wire.take().ok_or("no connection")?;
        let subject = subject();
        let expected = oracle.answer(*verb);
        say(&mut connection, *verb, expected.code, &subject).await.map_err(|error| format!("{verb:?}: {error}"))?;
        for account in &expected.delivered {
            if *account == "alice" { &mut alice } else { &mut bob }.push(subject.clone());
        }
        if expected.over {
            if expected.code != 550 || *verb != Verb::DataUnclean {
                reply(&mut connection, 421).await?;
            }
            if !matches!(connection.line().await, Ok(None)) {
                return Err(format!("{verb:?}: the session goes on"));
            }
            break;
        }
        wire = Some(if *verb == Verb::Starttls && expected.code == 220 {
            connection.tls().await.map_err(|error| error.to_string())?
        } else {
            connection
        });
    }
    drop(wire);
    stage.settle(0).await?;
    for (address, expected) in [("alice@example.test", alice), ("bob@example.test", bob)] {
        let messages = maildrop::messages(stage, address).await?;
        let seen: Vec<String> = messages.iter().map(|message| subject_of(message)).collect();
        maildrop::clear(stage, address).await?;
        if seen != expected {
            return Err(format!("{address} has {seen:?} and should have {expected:?}"));
        }
    }
    Ok(())
}

async fn say(wire: &mut Wire, verb: Verb, code: u16, subject: &str) -> Result<(), String> {
    let line = match verb {
        Verb::Ehlo => "EHLO client.elsewhere.test",
        Verb::Helo => "HELO client.elsewhere.test",
        Verb::Mail => "MAIL FROM:<sender@elsewhere.test>",
        Verb::MailUnreadable => "MAIL FROM:sender",
        Verb::RcptAlice => "RCPT TO:<alice@example.test>",
        Verb::RcptBob => "RCPT TO:<bob@example.test>",
        Verb::RcptTeam => "RCPT TO:<team@example.test>",
        Verb::RcptUnknown => "RCPT TO:<nobody@example.test>",
        Verb::RcptElsewhere => "RCPT TO:<bob@elsewhere.test>",
        Verb::RcptUnreadable => "RCPT TO:bob",
        Verb::Data | Verb::DataUnclean => "DATA",
        Verb::Rset => "RSET",
        Verb::Noop => "NOOP",
        Verb::Vrfy => "VRFY alice",
        Verb::Help => "HELP",
        Verb::Starttls => "STARTTLS",
        Verb::Unknown => "FROBNICATE",
    };
    wire.send(format!("{line}\r\n").as_bytes()).await;
    if matches!(verb, Verb::Data | Verb::DataUnclean) && (code == 250 || code == 550) {
        reply(wire, 354).await?;
        let end = if verb == Verb::Data { "x" } else { "x\n." };
        wire.send(format!("Subject: {subject}\r\n\r\n{end}\r\n.\r\n").as_bytes()).await;
    }
    reply(wire, code).await
}

async fn reply(wire: &mut Wire, code: u16) -> Result<(), String> {
    let lines = wire.reply().await.map_err(|error| error.to_string())?;
    let is_expected = lines.iter().all(|line| line.starts_with(&code.to_string()));
    is_expected.then_some(()).ok_or_else(|| format!("expected {code}, got {lines:?}"))
}

/// A subject that no other message has.
fn subject() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// The subject of a message.
pub fn subject_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    subject.unwrap_or("no subject").to_owned()
}
