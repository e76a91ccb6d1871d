//! Random lives of queued mail against maps, over the real file on a disk that loses power: messages come in, are tried,
//! held, released, parked, flushed, dropped and bounced, the clock jumps, and the process dies at any moment. After every
//! step the rows are what the maps say, the file contradicts itself nowhere, and every entry went where the table of
//! states lets it go: none is ever lost. Of what has failed or expired somebody was told, in the same change.

mod file;
mod oracle;
mod ruled;
mod steps;
mod table;
mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use pillarbox::base::{Address, MessageId, QueueId, Timestamp};
use pillarbox::intake::Settle;
use pillarbox::queue::{
    Act, Action, EndHold, Entry, Flush, Notify, Open, OpenAttempt, Outcome, Park, Postpone, Recall, Selector, Sending,
    Stage, Verdict, Via,
};

use oracle::{OPENED_AT, Oracle, Sent, attempt};
use ruled::{REASON, Ruled};
use steps::{BODIES, DOMAINS, PEERS, RECIPIENTS, SENDERS, Said, Step, What, steps};
use table::{Cause, Seen, Stand, TABLE};
use world::World;

/// Sequences of a run from which on every transition of the table must be seen, and runs that may be needed for it.
const SEEN_ALL: u64 = 100;
const RUNS: usize = 5;

#[test]
fn an_entry_goes_where_the_table_says_and_is_never_lost() {
    let (image, seen, played) = (file::image(), Seen::default(), AtomicU64::new(0));
    for _ in 0..RUNS {
        crate::play(2, &steps(), async |steps| {
            let number = played.fetch_add(1, Ordering::Relaxed);
            let mut world = World::new(image.clone(), number, &seen)?;
            for (place, step) in steps.iter().enumerate() {
                play(&mut world, step).await.map_err(|wrong| format!("step {place}, {step:?}: {wrong}"))?;
            }
            world.crash(false).await?;
            world.examine().await
        });
        if played.load(Ordering::Relaxed) < SEEN_ALL {
            return;
        }
        if seen.missing().is_empty() {
            break;
        }
    }
    seen.assert_complete();
}

async fn play(world: &mut World<'_>, step: &Step) -> Result<(), String> {
    match step {
        Step::Turn { state, entry, line } => turn(world, *state, *entry, *line).await,
        Step::Enqueue { sender, to, body } => enqueue(world, *sender, to, *body).await,
        Step::Open { message, mask } => {
            let entries = entries_of(world, *message).into_iter().filter(|id| mask & (1 << id.number) != 0).collect();
            open(world, entries).await
        }
        Step::Settle { message, said, jitter } => {
            let entries = entries_of(world, *message).into_iter();
            let said = entries.filter_map(|id| said[id.number as usize % said.len()].map(|said| (id, said))).collect();
            settle(world, said, *jitter).await
        }
        Step::Act { entries, action } => act(world, pick(world, entries), action).await,
        Step::Flush { what, limit } => flush(world, *what, *limit).await,
        Step::Postpone { entries, is_late, seconds } => postpone(world, pick(world, entries), *is_late, *seconds).await,
        Step::Park { entries, peer } => park(world, pick(world, entries), peer.map(|peer| PEERS[peer])).await,
        Step::Pass { seconds } => {
            world.oracle.now = world.oracle.now.plus_ms(seconds * 1000);
            Ok(())
        }
        Step::Jump { back, seconds } => {
            let now = world.oracle.now;
            let earlier = Timestamp(now.ms().saturating_sub(seconds * 1000));
            world.oracle.now = if *back { earlier } else { now.plus_ms(seconds * 1000) };
            Ok(())
        }
        Step::Crash { power } => world.crash(*power).await,
        Step::Cut { writes } => {
            world.cut(*writes);
            Ok(())
        }
    }
}

/// Moves one entry: a state, an entry in it and a line of the table for it are picked, each as likely as any other.
async fn turn(world: &mut World<'_>, state: u8, entry: u8, line: u8) -> Result<(), String> {
    let stand = |(id, entry): (&QueueId, &Entry)| (Stand::of(entry, world.oracle.open.contains(id)), *id);
    let there: Vec<(Stand, QueueId)> = world.oracle.entries.iter().map(stand).collect();
    let states: BTreeSet<Stand> = there.iter().map(|(stand, _)| *stand).collect();
    let Some(from) = states.iter().nth(usize::from(state) % states.len().max(1)) else { return Ok(()) };
    let there: Vec<QueueId> = there.iter().filter(|(stand, _)| stand == from).map(|(_, id)| *id).collect();
    let lines = TABLE.iter().filter(|line| line.0 == *from).map(|line| line.1);
    // What leads to more states is more likely.
    let times = |cause| if matches!(cause, Cause::Open | Cause::Park | Cause::Postpone) { 4 } else { 1 };
    let lines: Vec<Cause> = lines.flat_map(|cause| std::iter::repeat_n(cause, times(cause))).collect();
    let (number, id) = (usize::from(entry), there[usize::from(entry) % there.len()]);
    let cause = lines[usize::from(line) % lines.len()];
    let domain = world.oracle.entries[&id].recipient.host.to_string();
    let domain = DOMAINS.iter().position(|known| *known == domain).unwrap_or_default();
    let (one, is_open) = (vec![id], world.oracle.open.contains(&id));
    let said = |verdict, stage, code| vec![(id, Said { verdict, stage, code })];
    let lost = if is_open { Stage::End } else { Stage::Connect };
    match cause {
        // It ends all open attempts, so not each time.
        Cause::Recover if number % 4 == 0 => world.crash(number % 8 == 0).await,
        Cause::Enqueue | Cause::Recover | Cause::Crash => Ok(()),
        Cause::Retry => act(world, one, &Action::Retry).await,
        Cause::Hold => {
            // Every second for a minute.
            let until = (number % 2 == 0).then(|| world.oracle.now.plus_ms(60_000));
            act(world, one, &Action::Hold { reason: format!("look {number}"), until }).await
        }
        Cause::EndHold => {
            let end = world.oracle.entries[&id].due;
            if end == oracle::NEVER {
                return Ok(());
            }
            world.oracle.now = world.oracle.now.max(end);
            end_hold(world, one).await
        }
        Cause::Redirect => {
            let to = RECIPIENTS[number % RECIPIENTS.len()];
            let to = (number % 5 > 0).then(|| Address::parse(to).expect("an address"));
            let via = (number % 3 == 0).then(|| Via::Route("smart".into()));
            act(world, one, &Action::Redirect { to, via }).await
        }
        Cause::Release => act(world, one, &Action::Release).await,
        Cause::Drop => act(world, one, &Action::Drop).await,
        Cause::Flush => flush(world, What::All, 3).await,
        Cause::NamedFlush => flush(world, What::Domain(domain), 3).await,
        Cause::Postpone => postpone(world, one, false, 5000).await,
        Cause::Recall => {
            // It came in an hour later than it is now.
            let came = world.oracle.messages[&id.message].at;
            world.oracle.now = Timestamp(came.ms().saturating_sub(3_600_000));
            recall(world, id.message).await
        }
        Cause::HoldByRule => {
            let recipient = world.oracle.entries[&id].recipient.clone();
            hold_by_rule(world, id, recipient).await
        }
        Cause::Park => park(world, one, Some(PEERS[number % PEERS.len()])).await,
        Cause::Unpark => park(world, one, None).await,
        Cause::Open => open(world, one).await,
        Cause::Delivered => settle(world, said(Verdict::Delivered, Stage::End, Some(250)), 0).await,
        Cause::Deferred => settle(world, said(Verdict::Deferred, lost, None), 0).await,
        Cause::Refused => settle(world, said(Verdict::Failed, Stage::Recipient, Some(550)), 0).await,
        Cause::Bounce => settle(world, said(Verdict::Failed, Stage::Queue, None), 0).await,
        Cause::Overdue => settle(world, said(Verdict::Deferred, Stage::Queue, None), 0).await,
    }
}

async fn enqueue(world: &mut World<'_>, sender: usize, to: &[usize], body: usize) -> Result<(), String> {
    let address = |text: &str| Address::parse(text).expect("an address");
    let (byte, size) = BODIES[body];
    let sent = Sent {
        sender: Some(SENDERS[sender]).filter(|sender| !sender.is_empty()).map(address),
        // Only the first is known here.
        notify: if sender == 0 { Notify::Sender } else { Notify::Postmaster },
        head: format!("Subject: {body}\r\n").into_bytes(),
        body: vec![byte; size],
        at: world.oracle.now,
    };
    world.enqueue(sent, to.iter().map(|place| address(RECIPIENTS[*place])).collect()).await
}

async fn open(world: &mut World<'_>, entries: Vec<QueueId>) -> Result<(), String> {
    let attempt = OpenAttempt { at: OPENED_AT, server: "mx.one.test [192.0.2.1]:25".into(), actor: "model".into() };
    // As the schedule has read them.
    let recipient = |id: &QueueId| match world.oracle.entries.get(id) {
        Some(entry) => entry.recipient.clone(),
        None => Address::parse(RECIPIENTS[0]).expect("an address"),
    };
    let sending = |id: &QueueId| Sending { id: *id, recipient: recipient(id) };
    let op = Open { entries: entries.iter().map(sending).collect(), attempt };
    world.play(op, &only(&entries, Cause::Open), |oracle| oracle.open(&entries)).await.map(drop)
}

async fn settle(world: &mut World<'_>, said: Vec<(QueueId, Said)>, jitter: u32) -> Result<(), String> {
    let outcomes = said.into_iter().map(|(entry, Said { mut verdict, mut stage, mut code })| {
        // Nobody takes a message before it was opened, and once it was, only its end is waited for.
        match (world.oracle.open.contains(&entry), stage) {
            (false, Stage::End) => (verdict, stage, code) = (Verdict::Deferred, Stage::Data, None),
            (true, Stage::Recipient | Stage::Connect) => stage = Stage::End,
            (true, Stage::Queue) if verdict == Verdict::Deferred => stage = Stage::End,
            _ => {}
        }
        Outcome::new(entry, verdict, attempt(world.oracle.now, stage, code))
    });
    let outcomes: Vec<Outcome> = outcomes.collect();
    let op = Settle { outcomes: outcomes.clone(), outbound: world.outbound(), at: world.oracle.now, jitter };
    let cause = |id: QueueId| {
        let outcome = outcomes.iter().find(|outcome| outcome.entry == id)?;
        Some(match (outcome.verdict, outcome.attempt.stage) {
            (Verdict::Delivered, _) => Cause::Delivered,
            (Verdict::Deferred, Stage::Queue) => Cause::Overdue,
            (Verdict::Deferred, _) => Cause::Deferred,
            (Verdict::Failed, Stage::Queue) => Cause::Bounce,
            (Verdict::Failed, _) => Cause::Refused,
        })
    };
    world.play(op, &cause, |oracle| oracle.settle(&outcomes, jitter)).await.map(drop)
}

async fn act(world: &mut World<'_>, entries: Vec<QueueId>, action: &Action) -> Result<(), String> {
    let cause = match action {
        Action::Retry => Cause::Retry,
        Action::Hold { .. } => Cause::Hold,
        Action::Redirect { .. } => Cause::Redirect,
        Action::Release => Cause::Release,
        Action::Drop => Cause::Drop,
    };
    let op = Act { entries: entries.clone(), action: action.clone(), actor: "model".into(), at: world.oracle.now };
    world.play(op, &only(&entries, cause), |oracle| oracle.act(&entries, action)).await.map(drop)
}

async fn flush(world: &mut World<'_>, what: What, limit: usize) -> Result<(), String> {
    let (selector, cause) = match what {
        What::All => (Selector::All, Cause::Flush),
        What::Sender(place) => (Selector::Sender(SENDERS[place].parse().ok()), Cause::Flush),
        What::Domain(place) => (Selector::Domain(DOMAINS[place].parse().expect("a name")), Cause::NamedFlush),
        What::Peer(place) => (Selector::Peer(PEERS[place].into()), Cause::NamedFlush),
    };
    let mut after = None;
    loop {
        let op = Flush { selector: selector.clone(), after, limit, actor: "model".into(), at: world.oracle.now };
        let flushed = world.play(op, &|_| Some(cause), |oracle| Ok(oracle.flush(&selector, after, limit))).await?;
        match flushed.and_then(|flushed| flushed.next) {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// `is_late`: they were due at another time when that was decided.
async fn postpone(world: &mut World<'_>, entries: Vec<QueueId>, is_late: bool, seconds: u64) -> Result<(), String> {
    let until = world.oracle.now.plus_ms(seconds * 1000);
    let seen = |id: &QueueId| (*id, Timestamp(world.oracle.due_of(*id).ms() - u64::from(is_late)));
    let seen: Vec<_> = entries.iter().map(seen).collect();
    let op = Postpone { entries: seen.clone(), until };
    let change = |oracle: &mut Oracle| {
        oracle.postpone(&seen, until);
        Ok(())
    };
    world.play(op, &only(&entries, Cause::Postpone), change).await.map(drop)
}

async fn hold_by_rule(world: &mut World<'_>, entry: QueueId, recipient: Address) -> Result<(), String> {
    let op = Ruled { entry, recipient, at: world.oracle.now };
    let change = |oracle: &mut Oracle| {
        oracle.hold_by_rule(entry, REASON);
        Ok(())
    };
    world.play(op, &only(&[entry], Cause::HoldByRule), change).await.map(drop)
}

async fn recall(world: &mut World<'_>, message: MessageId) -> Result<(), String> {
    let op = Recall { messages: vec![message], policy: oracle::policy(), at: world.oracle.now, jitter: 1000 };
    let cause = |id: QueueId| (id.message == message).then_some(Cause::Recall);
    let change = |oracle: &mut Oracle| {
        oracle.recall(message);
        Ok(())
    };
    world.play(op, &cause, change).await.map(drop)
}

async fn park(world: &mut World<'_>, entries: Vec<QueueId>, peer: Option<&str>) -> Result<(), String> {
    let op = Park {
        entries: entries.clone(),
        peer: peer.map(str::to_owned),
        hold_expiry_seconds: 7200,
        at: world.oracle.now,
    };
    let cause = if peer.is_some() { Cause::Park } else { Cause::Unpark };
    let change = |oracle: &mut Oracle| {
        oracle.park(&entries, peer);
        Ok(())
    };
    world.play(op, &only(&entries, cause), change).await.map(drop)
}

async fn end_hold(world: &mut World<'_>, entries: Vec<QueueId>) -> Result<(), String> {
    let op = EndHold { entries: entries.clone(), at: world.oracle.now };
    let change = |oracle: &mut Oracle| {
        oracle.end_hold(&entries);
        Ok(())
    };
    world.play(op, &only(&entries, Cause::EndHold), change).await.map(drop)
}

/// Moves these, and no others.
fn only(entries: &[QueueId], cause: Cause) -> impl Fn(QueueId) -> Option<Cause> {
    move |id| entries.contains(&id).then_some(cause)
}

/// The entries that some numbers stand for, each once: of those that are there, and now and then one that is gone.
fn pick(world: &World<'_>, picks: &[u8]) -> Vec<QueueId> {
    let (there, gone) = (&world.oracle.entries, &world.oracle.ends);
    let mut picked = Vec::new();
    for number in picks.iter().map(|number| usize::from(*number)) {
        let id = if number >= 250 || there.is_empty() {
            gone.keys().nth(number % gone.len().max(1))
        } else {
            there.keys().nth(number % there.len())
        };
        if let Some(id) = id.filter(|id| !picked.contains(*id)) {
            picked.push(*id);
        }
    }
    picked
}

/// The entries of the message that a number stands for.
fn entries_of(world: &World<'_>, number: u8) -> Vec<QueueId> {
    let messages = &world.oracle.messages;
    let message = messages.keys().nth(usize::from(number) % messages.len().max(1));
    world.oracle.entries.keys().filter(|entry| Some(&entry.message) == message).copied().collect()
}
