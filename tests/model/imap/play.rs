//! Each step: the command, what has to be answered, and what becomes of the oracle.

use std::collections::BTreeSet;

use super::client::Client;
use super::oracle::{BoxId, Change, Message};
use super::search::{Search, numbers, set};
use super::world::World;
use super::{NAMES, Step, flags, picked};
use crate::imap_wire::{Answer, Status, Value, item};

/// Plays a step.
pub async fn play(world: &mut World, step: &Step) -> Result<(), String> {
    if let Some(who) = step.who() {
        awaken(world, who).await?;
    }
    one(world, step).await?;
    match step.who() {
        // What a step has brought is asked for before anybody does something else.
        Some(who) if !world.clients[who].is_idling() => world.clients[who].ask().await,
        _ => Ok(()),
    }
}

async fn one(world: &mut World, step: &Step) -> Result<(), String> {
    match step {
        Step::Append { who, into, flags, count } => append(world, *who, NAMES[*into], *flags, *count).await,
        Step::Deliver => {
            let subject = world.subject();
            world.deliver(subject).await?;
            let inbox = world.oracle.find("INBOX").ok_or("INBOX is there")?;
            let flags = Default::default();
            world.oracle.add(inbox, Message { flags, subject, modseq: 0 }, &mut world.touched);
            Ok(())
        }
        Step::Pop3 { read, delete } => pop3(world, *read, *delete).await,
        Step::Select { who, name, read_only, condstore } => {
            select(world, *who, NAMES[*name], *read_only, *condstore).await
        }
        Step::Unselect { who, close } => unselect(world, *who, *close).await,
        Step::Store { .. } => store(world, step).await,
        Step::Fetch { who, pick, by_uid } => fetch(world, *who, *pick, *by_uid).await,
        Step::Search { who, search } => find(world, *who, search).await,
        Step::Copy { who, pick, by_uid, to, moves } => copy(world, *who, *pick, *by_uid, NAMES[*to], *moves).await,
        Step::Expunge { who } => expunge(world, *who, None).await,
        Step::UidExpunge { who, pick } => expunge(world, *who, Some(*pick)).await,
        Step::Create { who, name } => create(world, *who, NAMES[*name]).await,
        Step::Delete { who, name } => delete(world, *who, NAMES[*name]).await,
        Step::Rename { who, from, to } => rename(world, *who, NAMES[*from], NAMES[*to]).await,
        Step::Noop { who } => noop(world, *who).await,
        Step::Idle { who } => match world.open_box(*who) {
            Some(_) => world.clients[*who].idle().await,
            None => Ok(()),
        },
        Step::Reopen { kill } => world.reopen(*kill).await,
    }
}

impl Step {
    /// Whose command it is.
    fn who(&self) -> Option<usize> {
        match self {
            Self::Append { who, .. }
            | Self::Select { who, .. }
            | Self::Unselect { who, .. }
            | Self::Store { who, .. }
            | Self::Fetch { who, .. }
            | Self::Search { who, .. }
            | Self::Copy { who, .. }
            | Self::Expunge { who }
            | Self::UidExpunge { who, .. }
            | Self::Create { who, .. }
            | Self::Delete { who, .. }
            | Self::Rename { who, .. }
            | Self::Noop { who }
            | Self::Idle { who } => Some(*who),
            Self::Deliver | Self::Pop3 { .. } | Self::Reopen { .. } => None,
        }
    }
}

/// Ends the client's IDLE, after it was told of everything; and replaces a session whose mailbox was deleted, which has
/// to end with BYE.
async fn awaken(world: &mut World, who: usize) -> Result<(), String> {
    let client = &mut world.clients[who];
    let open = client.view.as_ref().map(|view| view.mailbox);
    let mailbox = open.and_then(|open| world.oracle.boxes.get(&open));
    if client.is_idling() {
        let goes_on = client.done(mailbox).await?;
        match (goes_on, mailbox) {
            (true, Some(mailbox)) => {
                client.ask().await?;
                client.is_up_to_date(mailbox)?;
            }
            (false, None) => world.clients[who] = world.client().await?,
            (goes_on, _) => return Err(format!("IDLE in a mailbox that is there or not: it goes on: {goes_on}")),
        }
    } else if open.is_some() && mailbox.is_none() {
        let answer = client.command("NOOP", true).await?;
        if answer.status.kind != "BYE" {
            return Err(format!("the mailbox is gone, and the session goes on: {:?}", answer.status));
        }
        world.clients[who] = world.client().await?;
    }
    Ok(())
}

/// A message as the client that picks it knows it.
#[derive(Clone, Copy)]
struct Target {
    number: usize,
    uid: u32,
}

/// The messages that the bits pick, with the set that names them; `None` where there are none.
fn targets(client: &Client, bits: u16, by_uid: bool) -> Option<(Vec<Target>, String)> {
    let view = client.view.as_ref()?;
    let known =
        |at: usize| Target { number: at + 1, uid: view.messages[at].uid.expect("the client asks for UIDs at once") };
    let targets: Vec<Target> = picked(bits, view.messages.len()).map(known).collect();
    let names = targets.iter().map(|target| if by_uid { target.uid } else { target.number as u32 });
    let set = set(names)?;
    Some((targets, set))
}

/// A command about messages that may be gone ends with OK, or with NO where some are.
fn ended(answer: &Answer, all_there: bool) -> Result<bool, String> {
    match answer.status.kind.as_str() {
        "OK" => Ok(true),
        "NO" if !all_there => Ok(false),
        _ => Err(format!("{:?}", answer.status)),
    }
}

fn refused(status: &Status, code: Option<&str>) -> Result<(), String> {
    let has_code = code.is_none_or(|code| status.code_of(code).is_some());
    if status.kind == "NO" && has_code { Ok(()) } else { Err(format!("NO {code:?} expected, not {status:?}")) }
}

async fn append(world: &mut World, who: usize, into: &str, bits: u8, count: usize) -> Result<(), String> {
    let flags = flags(bits);
    let shown: Vec<&str> = flags.iter().map(String::as_str).collect();
    let subjects: Vec<u64> = (0..count).map(|_| world.subject()).collect();
    let mut command = format!("APPEND {into}");
    for subject in &subjects {
        let message = format!("Subject: {subject}\r\n\r\nbody {subject}\r\n");
        command.push_str(&format!(" ({}) {{{}+}}\r\n{message}", shown.join(" "), message.len()));
    }
    let answer = world.clients[who].command(&command, true).await?;
    let Some(mailbox) = world.oracle.find(into) else { return refused(&answer.status, Some("TRYCREATE")) };
    let uids: Vec<u32> = subjects
        .iter()
        .map(|subject| {
            let message = Message { flags: flags.clone(), subject: *subject, modseq: 0 };
            world.oracle.add(mailbox, message, &mut world.touched)
        })
        .collect();
    match answer.code("APPENDUID") {
        Some([_, told]) if numbers(told)? == uids => {}
        other => return Err(format!("APPENDUID {other:?} for {uids:?}: {:?}", answer.status)),
    }
    Ok(())
}

async fn pop3(world: &mut World, read: u16, delete: u16) -> Result<(), String> {
    let inbox = world.oracle.find("INBOX").ok_or("INBOX is there")?;
    let uids: Vec<u32> = world.oracle.boxes[&inbox].messages.keys().copied().collect();
    let places = |bits: u16| picked(bits, uids.len()).map(|at| at + 1).collect::<Vec<usize>>();
    let (read, delete) = (places(read), places(delete));
    world.pop3(&read, &delete).await?;
    for number in read {
        let seen = Change::Add(["\\Seen".to_owned()].into());
        world.oracle.change(inbox, uids[number - 1], &seen, &mut world.touched);
    }
    for number in delete {
        world.oracle.remove(inbox, uids[number - 1], &mut world.touched);
    }
    Ok(())
}

async fn select(world: &mut World, who: usize, name: &str, read_only: bool, condstore: bool) -> Result<(), String> {
    match world.oracle.find(name) {
        Some(id) => {
            world.clients[who].open(name, id, read_only, condstore).await?;
            world.clients[who].is_up_to_date(&world.oracle.boxes[&id])
        }
        None => {
            let answer = world.clients[who].command(&format!("SELECT {name}"), true).await?;
            // RFC 9051 §6.3.2: nothing is selected then.
            world.clients[who].view = None;
            refused(&answer.status, None)
        }
    }
}

async fn unselect(world: &mut World, who: usize, close: bool) -> Result<(), String> {
    let Some(open) = world.open_box(who) else { return Ok(()) };
    let client = &mut world.clients[who];
    let read_only = client.view.take().is_some_and(|view| view.read_only);
    client.ok(if close { "CLOSE" } else { "UNSELECT" }).await?;
    if close && !read_only {
        remove_deleted(world, open, None);
    }
    Ok(())
}

/// Those with `\Deleted` are gone, of all or of these.
fn remove_deleted(world: &mut World, from: BoxId, of: Option<&BTreeSet<u32>>) {
    let messages = &world.oracle.boxes[&from].messages;
    let gone: Vec<u32> = messages
        .iter()
        .filter(|(uid, message)| message.flags.contains("\\Deleted") && of.is_none_or(|of| of.contains(uid)))
        .map(|(uid, _)| *uid)
        .collect();
    for uid in gone {
        world.oracle.remove(from, uid, &mut world.touched);
    }
}

async fn store(world: &mut World, step: &Step) -> Result<(), String> {
    let Step::Store { who, pick, by_uid, change, silent, unchanged_since } = step else { return Ok(()) };
    let Some(open) = world.open_box(*who) else { return Ok(()) };
    let client = &mut world.clients[*who];
    let Some((targets, set)) = targets(client, *pick, *by_uid) else { return Ok(()) };
    let since = unchanged_since.map(|below| world.oracle.boxes[&open].highest.saturating_sub(below));
    client.condstore |= since.is_some();
    let modifier = since.map(|since| format!(" (UNCHANGEDSINCE {since})")).unwrap_or_default();
    let command = format!("{}STORE {set}{modifier} {}", if *by_uid { "UID " } else { "" }, change.text(*silent));
    let answer = client.command(&command, *by_uid).await?;
    let view = client.view.as_mut().ok_or("the mailbox is gone")?;
    if view.read_only {
        return refused(&answer.status, None);
    }
    let (mut meant, mut modified) = (Vec::new(), BTreeSet::new());
    for target in &targets {
        match world.oracle.message(open, target.uid) {
            // RFC 7162 §3.1.3
            Some(message) if since.is_some_and(|since| message.modseq > since) => drop(modified.insert(target.uid)),
            Some(_) => meant.push(*target),
            None => {}
        }
    }
    ended(&answer, meant.len() + modified.len() == targets.len())?;
    let told = answer.code("MODIFIED").and_then(<[Value]>::first).map_or(Ok(Vec::new()), numbers)?;
    let told = told.into_iter().filter_map(|name| match by_uid {
        true => Some(name),
        false => targets.iter().find(|target| target.number as u32 == name).map(|target| target.uid),
    });
    let told: BTreeSet<u32> = told.filter(|uid| world.oracle.message(open, *uid).is_some()).collect();
    if told != modified {
        return Err(format!("MODIFIED {told:?}, and {modified:?} have changed since"));
    }
    for target in &meant {
        world.oracle.change(open, target.uid, change, &mut world.touched);
        let Some(told) = view.messages.iter_mut().find(|told| told.uid == Some(target.uid)) else {
            return Err(format!("UID {} is there and not known any more", target.uid));
        };
        if *silent {
            // What it was told while the command ran is newer than what it has done itself.
            let is_told = answer
                .fetches()
                .any(|(number, items)| number as usize == target.number && item(items, "FLAGS").is_some());
            if let (false, Some(flags)) = (is_told, &mut told.flags) {
                change.apply(flags);
            }
        } else if told.flags.as_ref() != world.oracle.message(open, target.uid).map(|message| &message.flags) {
            return Err(format!("UID {} was told with {:?} by STORE", target.uid, told.flags));
        }
    }
    Ok(())
}

async fn fetch(world: &mut World, who: usize, pick: u16, by_uid: bool) -> Result<(), String> {
    let Some(open) = world.open_box(who) else { return Ok(()) };
    let client = &mut world.clients[who];
    let Some((targets, set)) = targets(client, pick, by_uid) else { return Ok(()) };
    let command = format!("{}FETCH {set} (UID FLAGS BODY[TEXT])", if by_uid { "UID " } else { "" });
    let answer = client.command(&command, by_uid).await?;
    let view = client.view.as_ref().ok_or("the mailbox is gone")?;
    let living: Vec<&Target> =
        targets.iter().filter(|target| world.oracle.message(open, target.uid).is_some()).collect();
    ended(&answer, living.len() == targets.len())?;
    for target in living {
        if !view.read_only {
            let seen = Change::Add(["\\Seen".to_owned()].into());
            world.oracle.change(open, target.uid, &seen, &mut world.touched);
        }
        let message = world.oracle.message(open, target.uid).ok_or("it is there")?;
        let texts = answer.fetches().filter(|(number, _)| *number as usize == target.number);
        let text = texts.filter_map(|(_, items)| item(items, "BODY[TEXT]")?.bytes()).next();
        if text != Some(format!("body {}\r\n", message.subject).as_bytes()) {
            return Err(format!(
                "UID {} has the text {:?}",
                target.uid,
                text.map(|text| text.escape_ascii().to_string())
            ));
        }
        let told = view.messages.iter().find(|told| told.uid == Some(target.uid));
        if told.and_then(|told| told.flags.as_ref()) != Some(&message.flags) {
            return Err(format!("UID {} was told with {told:?} by FETCH and has {:?}", target.uid, message.flags));
        }
    }
    Ok(())
}

async fn find(world: &mut World, who: usize, search: &Search) -> Result<(), String> {
    let Some(open) = world.open_box(who) else { return Ok(()) };
    if search.fresh {
        noop(world, who).await?;
    }
    let client = &mut world.clients[who];
    let view = client.view.as_ref().ok_or("the mailbox is open")?;
    let uids: Vec<u32> = view.messages.iter().filter_map(|told| told.uid).collect();
    let Some(command) = search.text(&uids) else { return Ok(()) };
    client.condstore |= search.key.needs_modseq();
    let answer = client.command(&command, search.by_uid).await?;
    if answer.status.kind != "OK" {
        return Err(format!("{command}: {:?}", answer.status));
    }
    let found = search.found(&answer).map_err(|error| format!("{command}: {error}"))?;
    let is_known = |name: &u32| if search.by_uid { uids.contains(name) } else { *name as usize <= uids.len() };
    if !found.iter().all(is_known) {
        return Err(format!("{command}: {found:?} of {uids:?}"));
    }
    let expected = search.expected(&world.oracle.boxes[&open]);
    if search.fresh && found != expected {
        return Err(format!("{command}: {found:?} instead of {expected:?}"));
    }
    Ok(())
}

async fn copy(world: &mut World, who: usize, pick: u16, by_uid: bool, to: &str, moves: bool) -> Result<(), String> {
    let Some(open) = world.open_box(who) else { return Ok(()) };
    let client = &mut world.clients[who];
    let Some((targets, set)) = targets(client, pick, by_uid) else { return Ok(()) };
    let verb = if moves { "MOVE" } else { "COPY" };
    // RFC 6851 §3.3: MOVE tells of what it has taken away; COPY may tell of what others have.
    let answer = client.command(&format!("{}{verb} {set} {to}", if by_uid { "UID " } else { "" }), true).await?;
    let view = client.view.as_ref().ok_or("the mailbox is gone")?;
    if moves && view.read_only {
        return refused(&answer.status, None);
    }
    let Some(into) = world.oracle.find(to) else { return refused(&answer.status, Some("TRYCREATE")) };
    let living: Vec<u32> =
        targets.iter().map(|target| target.uid).filter(|uid| world.oracle.message(open, *uid).is_some()).collect();
    if !ended(&answer, living.len() == targets.len())? {
        // All or nothing.
        return Ok(());
    }
    let copies: Vec<Message> = living.iter().filter_map(|uid| world.oracle.message(open, *uid).cloned()).collect();
    let new: Vec<u32> = copies.into_iter().map(|message| world.oracle.add(into, message, &mut world.touched)).collect();
    if moves {
        for uid in &living {
            world.oracle.remove(open, *uid, &mut world.touched);
        }
    }
    match answer.code("COPYUID") {
        Some([_, from, to]) if numbers(from)? == living && numbers(to)? == new => {}
        None if living.is_empty() => {}
        other => return Err(format!("COPYUID {other:?} for {living:?} to {new:?}")),
    }
    Ok(())
}

async fn expunge(world: &mut World, who: usize, pick: Option<u16>) -> Result<(), String> {
    let Some(open) = world.open_box(who) else { return Ok(()) };
    let client = &mut world.clients[who];
    let view = client.view.as_ref().ok_or("the mailbox is open")?;
    let known: Vec<u32> = view.messages.iter().filter_map(|told| told.uid).collect();
    let (command, of) = match pick {
        None => ("EXPUNGE".to_owned(), None),
        Some(pick) => {
            let Some((targets, set)) = targets(client, pick, true) else { return Ok(()) };
            (format!("UID EXPUNGE {set}"), Some(targets.iter().map(|target| target.uid).collect::<BTreeSet<u32>>()))
        }
    };
    let answer = client.command(&command, true).await?;
    if client.view.as_ref().is_some_and(|view| view.read_only) {
        return refused(&answer.status, None);
    }
    if answer.status.kind != "OK" {
        return Err(format!("{command}: {:?}", answer.status));
    }
    // A message that came with \Deleted, of which this client has not been told, may go or stay.
    let unknown = world.oracle.boxes[&open].messages.keys().filter(|uid| !known.contains(uid)).copied();
    let unknown: Vec<u32> = if of.is_none() { unknown.collect() } else { Vec::new() };
    let known: BTreeSet<u32> = of.unwrap_or_else(|| known.into_iter().collect());
    remove_deleted(world, open, Some(&known));
    for uid in unknown {
        if world.oracle.message(open, uid).is_some_and(|message| message.flags.contains("\\Deleted")) {
            world.touched.may_be_gone.insert((open, uid));
        }
    }
    Ok(())
}

async fn create(world: &mut World, who: usize, name: &str) -> Result<(), String> {
    let answer = world.clients[who].command(&format!("CREATE {name}"), true).await?;
    match (world.oracle.create(name), answer.status.kind.as_str()) {
        (Some(_), "OK") | (None, "NO") => Ok(()),
        (made, _) => Err(format!("made {made:?}, and the answer is {:?}", answer.status)),
    }
}

async fn delete(world: &mut World, who: usize, name: &str) -> Result<(), String> {
    if world.oracle.hollow.contains(name) {
        // A name without a mailbox: RFC 9051 §6.3.5 forbids it while there is something below.
        let answer = world.clients[who].command(&format!("DELETE {name}"), true).await?;
        refused(&answer.status, None)?;
        return Ok(());
    }
    let own = world.open_box(who).is_some_and(|open| world.oracle.find(name) == Some(open));
    let answer = world.clients[who].command(&format!("DELETE {name}"), true).await?;
    let gone = world.oracle.delete(name);
    match (gone, answer.status.kind.as_str()) {
        (Some(_), "OK") | (None, "NO") => {}
        (gone, _) => return Err(format!("deleted {gone:?}, and the answer is {:?}", answer.status)),
    }
    world.oracle.forget_hollow();
    if own && gone.is_some() && world.clients[who].view.is_some() {
        return Err("the mailbox was deleted by the session that has it open, and it is not told CLOSED".to_owned());
    }
    Ok(())
}

async fn rename(world: &mut World, who: usize, from: &str, to: &str) -> Result<(), String> {
    // What RENAME of a name without a mailbox means is left open.
    if world.oracle.hollow.contains(from) || world.oracle.hollow.contains(to) {
        return Ok(());
    }
    let answer = world.clients[who].command(&format!("RENAME {from} {to}"), true).await?;
    let renamed = world.oracle.rename(from, to, &mut world.touched);
    world.oracle.forget_hollow();
    match (renamed, answer.status.kind.as_str()) {
        (true, "OK") | (false, "NO") => Ok(()),
        (renamed, _) => Err(format!("renamed: {renamed}, and the answer is {:?}", answer.status)),
    }
}

async fn noop(world: &mut World, who: usize) -> Result<(), String> {
    let open = world.open_box(who);
    let client = &mut world.clients[who];
    let answer = client.command("NOOP", true).await?;
    if answer.status.kind != "OK" {
        return Err(format!("NOOP: {:?}", answer.status));
    }
    let Some(open) = open else { return Ok(()) };
    client.ask().await?;
    client.is_up_to_date(&world.oracle.boxes[&open])
}

impl World {
    /// The mailbox that a client has open.
    fn open_box(&self, who: usize) -> Option<BoxId> {
        self.clients[who].view.as_ref().map(|view| view.mailbox)
    }
}
