//! Random deliveries and POP3 sessions against a list: what is deleted at QUIT is gone, everything else stays in its
//! order with its unique id, and no unique id ever comes back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::maildrop;
use crate::sessions::subject_of;
use crate::stage::{PASSWORD, Stage};
use crate::wire::Wire;

/// What happens to alice's mailbox.
#[derive(Debug, Clone)]
enum Event {
    /// A message of so many lines arrives.
    Delivery { lines: usize },
    /// She comes, marks what the bits say, and leaves in this way.
    Visit { marks: u16, leave: Leave },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Quit,
    RsetAndQuit,
    Drop,
}

fn event() -> impl Strategy<Value = Event> {
    let leave = prop_oneof![3 => Just(Leave::Quit), 1 => Just(Leave::RsetAndQuit), 1 => Just(Leave::Drop)];
    prop_oneof![
        3 => (0..50_usize).prop_map(|lines| Event::Delivery { lines }),
        2 => (any::<u16>(), leave).prop_map(|(marks, leave)| Event::Visit { marks, leave }),
    ]
}

/// A message as it should be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    uidl: String,
    subject: String,
    octets: usize,
}

#[test]
fn a_mailbox_is_what_was_delivered_less_what_was_deleted() {
    crate::play(10, &prop::collection::vec(event(), 1..20), async |events| {
        let stage = Stage::in_process(&[]).await?;
        let (mut kept, mut used): (Vec<Kept>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
        for (number, event) in events.iter().enumerate() {
            match event {
                Event::Delivery { lines } => {
                    let text = ".a line of text\r\n".repeat(*lines);
                    let message = format!("Subject: {number}\r\n\r\n{text}");
                    maildrop::put(&stage, "alice@example.test", message.as_bytes()).await?;
                    let seen = look(&stage).await?;
                    let new = seen.last().ok_or("nothing arrived")?.clone();
                    if new.subject != number.to_string() || !used.insert(new.uidl.clone()) {
                        return Err(format!("{new:?} is not the new message {number}, or its id was used before"));
                    }
                    kept.push(new);
                    compare(&seen, &kept)?;
                }
                Event::Visit { marks, leave } => {
                    visit(&stage, *marks, *leave, kept.len()).await?;
                    if *leave == Leave::Quit {
                        let mut number = 0;
                        kept.retain(|_| {
                            number += 1;
                            !is_marked(*marks, number)
                        });
                    }
                    compare(&look(&stage).await?, &kept)?;
                }
            }
        }
        stage.examine()
    });
}

fn compare(seen: &[Kept], expected: &[Kept]) -> Result<(), String> {
    (seen == expected).then_some(()).ok_or_else(|| format!("seen {seen:?}, expected {expected:?}"))
}

fn is_marked(marks: u16, number: usize) -> bool {
    marks >> (number % 16) & 1 == 1
}

async fn visit(stage: &Stage, marks: u16, leave: Leave, count: usize) -> Result<(), String> {
    let mut wire = log_in(stage).await?;
    for number in (1..=count).filter(|number| is_marked(marks, *number)) {
        line(&mut wire, &format!("DELE {number}")).await?;
    }
    match leave {
        Leave::Drop => {}
        Leave::Quit => drop(line(&mut wire, "QUIT").await?),
        Leave::RsetAndQuit => {
            line(&mut wire, "RSET").await?;
            line(&mut wire, "QUIT").await?;
        }
    }
    drop(wire);
    stage.settle(0).await
}

/// What a session sees: LIST, UIDL and RETR have to agree with each other.
async fn look(stage: &Stage) -> Result<Vec<Kept>, String> {
    let mut wire = log_in(stage).await?;
    let (sizes, uidls) = (listing(&mut wire, "LIST").await?, listing(&mut wire, "UIDL").await?);
    let mut seen = Vec::new();
    for (number, (size, uidl)) in sizes.into_iter().zip(uidls).enumerate() {
        line(&mut wire, &format!("RETR {}", number + 1)).await?;
        let message = wire.lines().await.map_err(|error| error.to_string())?.concat();
        if size != message.len().to_string() {
            return Err(format!("message {} has {} octets and is listed with {size}", number + 1, message.len()));
        }
        seen.push(Kept { uidl, subject: subject_of(&message), octets: message.len() });
    }
    line(&mut wire, "QUIT").await?;
    drop(wire);
    stage.settle(0).await?;
    Ok(seen)
}

async fn log_in(stage: &Stage) -> Result<Wire, String> {
    let mut wire = stage.connect("pop3").await?;
    wire.line().await.map_err(|error| error.to_string())?;
    line(&mut wire, "USER alice@example.test").await?;
    line(&mut wire, &format!("PASS {PASSWORD}")).await?;
    Ok(wire)
}

async fn line(wire: &mut Wire, command: &str) -> Result<String, String> {
    wire.send(format!("{command}\r\n").as_bytes()).await;
    let line = wire.line().await.map_err(|error| error.to_string())?.unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    if line.starts_with("+OK") { Ok(line) } else { Err(format!("{command}: {line}")) }
}

/// The second column of LIST or UIDL; the first has to count from one.
async fn listing(wire: &mut Wire, command: &str) -> Result<Vec<String>, String> {
    line(wire, command).await?;
    let lines = wire.lines().await.map_err(|error| error.to_string())?;
    let column = lines.iter().enumerate().map(|(at, line)| {
        let line = String::from_utf8_lossy(line);
        match line.trim_end().split_once(' ') {
            Some((number, value)) if number == (at + 1).to_string() => Ok(value.to_owned()),
            _ => Err(format!("{command}: {line}")),
        }
    });
    column.collect()
}
