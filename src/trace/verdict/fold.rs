use std::collections::{HashMap, HashSet};

use super::copies::Copies;
use super::{Direction, Event, Kind};
use crate::base::Address;

/// A story, sorted by recipients.
pub(super) struct Story<'a> {
    pub(super) events: &'a [Event],
    /// The sender of the envelope; empty for the null sender.
    pub(super) sender: Option<&'a str>,
    pub(super) tracks: Vec<Track<'a>>,
    /// By the key of their account.
    copies: HashMap<String, Copies<'a>>,
    names: Names,
    /// Who was told that it was given up.
    pub(super) told: Option<&'a Event>,
    /// The message as which an operator has sent it once more.
    pub(super) again: Option<&'a str>,
}

/// A recipient and what became of it.
pub(super) struct Track<'a> {
    /// As the sender named it.
    pub(super) address: String,
    /// Where an alias, or an operator, has sent it instead.
    target: Option<String>,
    pub(super) entry: Option<u32>,
    pub(super) account: Option<String>,
    pub(super) place: Place<'a>,
    /// Another server may have it, whatever was said since.
    pub(super) may_be_there: bool,
}

/// Where it is with a recipient.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// In an account here: see [`Copies`].
    Account,
    /// It was not taken in.
    Refused(&'a Event),
    /// Before its first attempt, or due at once again: what was said last.
    Queued(Option<&'a Event>),
    Deferred(&'a Event),
    Parked(&'a Event),
    Held(&'a Event),
    Uncertain(&'a Event),
    Relayed(&'a Event),
    Failed(&'a Event),
    /// With what the last attempt had said.
    Expired(&'a Event),
    Dropped(&'a Event),
}

/// Where the tracks are that a name leads to. Names are [`key`]s: a story may have thousands of recipients.
#[derive(Default)]
struct Names {
    /// The first of that address.
    any: HashMap<String, usize>,
    /// The first in the queue of that address, or that goes there.
    queued: HashMap<String, usize>,
    /// The same of those that have no number.
    unnumbered: HashMap<String, usize>,
    /// In the queue, by its number.
    entries: HashMap<u32, usize>,
    /// Of accounts here, by their address, and by their account.
    delivered: HashSet<String>,
    accounts: HashSet<String>,
}

impl<'a> Story<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let sender = events.iter().find_map(|event| event.sender.as_deref());
        let mut story = Self {
            events,
            sender,
            tracks: Vec::new(),
            copies: HashMap::new(),
            names: Names::default(),
            told: None,
            again: None,
        };
        for event in events {
            story.tell(event);
        }
        story
    }

    pub(super) fn copies_of(&self, account: &str) -> Option<&Copies<'a>> {
        self.copies.get(&key(account))
    }

    /// By who brought it, and whether anybody elsewhere was to get it.
    pub(super) fn direction(&self) -> Direction {
        let actor = self.events.first().map_or("", |event| event.actor.as_str());
        let comes_from_elsewhere = ["smtp", "odmr", "turned", "pop3", "imap"].contains(&word(actor));
        let is_own = self.events.iter().any(|event| event.kind == Kind::Accepted && event.account.is_some());
        let goes_elsewhere = self.tracks.iter().any(|track| track.entry.is_some() || !track.is_account());
        match (comes_from_elsewhere && !is_own, goes_elsewhere) {
            (true, _) => Direction::In,
            (false, true) => Direction::Out,
            (false, false) => Direction::Local,
        }
    }

    fn tell(&mut self, event: &'a Event) {
        match event.kind {
            Kind::Accepted => self.accepted(event),
            Kind::Rejected | Kind::Aborted => self.refused(event),
            Kind::Delivered => self.delivered(event),
            Kind::Copied => self.copies_for(event, |copies| copies.add(event)),
            Kind::Restored => self.copies_for(event, |copies| copies.restore(event)),
            Kind::Moved => self.copies_for(event, |copies| copies.move_one(event)),
            Kind::Fetched => self.copies_for(event, |copies| copies.fetched = Some(event)),
            Kind::Expunged => self.copies_for(event, |copies| copies.remove(event)),
            Kind::Queued => self.queued(event),
            Kind::Bounced => self.told = Some(event),
            Kind::Relayed => self.at(event, Place::Relayed(event)),
            Kind::Deferred => self.deferred(event),
            Kind::Failed => self.at(event, Place::Failed(event)),
            Kind::Expired => self.at(event, Place::Expired(event)),
            Kind::Held => self.at(event, Place::Held(event)),
            Kind::Released | Kind::Retried => self.at(event, Place::Queued(Some(event))),
            Kind::Dropped => self.at(event, Place::Dropped(event)),
            Kind::Parked => self.at(event, Place::Parked(event)),
            Kind::Uncertain => self.uncertain(event),
            Kind::Redirected => self.redirected(event),
            Kind::Redelivered => self.again = event.text.strip_prefix("as ").or(self.again),
            Kind::LoginFailed | Kind::Repeated | Kind::Delayed | Kind::Reported | Kind::Checked => {}
        }
    }

    /// Of APPEND: it names the mailbox itself.
    fn accepted(&mut self, event: &'a Event) {
        let is_put = event.account.is_some() || event.text.starts_with("put into ");
        if is_put {
            self.copies_for(event, |copies| copies.add(event));
        }
    }

    fn refused(&mut self, event: &'a Event) {
        let Some(address) = &event.recipient else { return };
        let place = Place::Refused(event);
        match self.names.any.get(&key(address)) {
            Some(at) => self.tracks[*at].place = place,
            None => self.add(Track::new(address, place)),
        }
    }

    fn delivered(&mut self, event: &'a Event) {
        let Some(account) = account_of(event) else { return };
        let address = event.recipient.clone().unwrap_or_else(|| account.clone());
        if !self.names.delivered.contains(&key(&address)) {
            self.add(Track { account: Some(account.clone()), ..Track::new(&address, Place::Account) });
        }
        let copies = self.copies_mut(&account);
        // One copy serves all who were named for the account at that moment.
        if copies.delivered.is_none_or(|delivered| delivered.at != event.at) {
            copies.add(event);
        }
    }

    /// What happens to the copies of an account. Where the story's beginning is lost, the account is its recipient.
    fn copies_for(&mut self, event: &'a Event, change: impl FnOnce(&mut Copies<'a>)) {
        let Some(account) = account_of(event) else { return };
        if !self.names.accounts.contains(&key(&account)) {
            self.add(Track { account: Some(account.clone()), ..Track::new(&account, Place::Account) });
        }
        change(self.copies_mut(&account));
    }

    fn copies_mut(&mut self, account: &str) -> &mut Copies<'a> {
        self.copies.entry(key(account)).or_default()
    }

    /// One more track, which its names lead to, unless they lead to an earlier one.
    fn add(&mut self, track: Track<'a>) {
        let (at, names, address) = (self.tracks.len(), &mut self.names, key(&track.address));
        if let Some(account) = track.account.as_deref().filter(|_| track.is_account()) {
            names.accounts.insert(key(account));
            names.delivered.insert(address.clone());
        } else {
            names.name_queued(address.clone(), track.entry, at);
            if let Some(target) = &track.target {
                names.name_queued(key(target), track.entry, at);
            }
        }
        if let Some(entry) = track.entry {
            names.entries.entry(entry).or_insert(at);
        }
        names.any.entry(address).or_insert(at);
        self.tracks.push(track);
    }

    fn queued(&mut self, event: &'a Event) {
        let forwarded = event.text.strip_prefix("for ").and_then(|text| text.split_once(", as "));
        let target = forwarded.map(|(target, _)| target.to_owned());
        let address = event.recipient.clone().or_else(|| target.clone()).unwrap_or_default();
        let entry = entry_of(event);
        self.add(Track { target, entry, ..Track::new(&address, Place::Queued(None)) });
    }

    fn deferred(&mut self, event: &'a Event) {
        let is_end = event.stage.as_deref() == Some("end") && event.code.is_none();
        let Some(track) = self.track_of(event) else { return };
        // The same attempt whose answer was lost.
        if !(is_end && matches!(track.place, Place::Uncertain(_))) {
            track.place = match track.place {
                // What an operator holds, or a peer is to fetch, stays so.
                Place::Held(held) => Place::Held(held),
                Place::Parked(parked) => Place::Parked(parked),
                _ => Place::Deferred(event),
            };
        }
    }

    fn uncertain(&mut self, event: &'a Event) {
        let Some(track) = self.track_of(event) else { return };
        track.may_be_there = true;
        track.place = match track.place {
            Place::Held(held) => Place::Held(held),
            Place::Parked(parked) => Place::Parked(parked),
            _ => Place::Uncertain(event),
        };
    }

    fn redirected(&mut self, event: &'a Event) {
        let target = event.text.strip_prefix("to ").and_then(|text| text.split([' ', ',']).next()).map(str::to_owned);
        let Some(track) = self.track_of(event) else { return };
        track.target = target.filter(|target| target.contains('@')).or(track.target.take());
        track.place = Place::Queued(Some(event));
    }

    fn at(&mut self, event: &'a Event, place: Place<'a>) {
        if let Some(track) = self.track_of(event) {
            track.place = place;
        }
    }

    /// The entry that an event is about: by its number, in older stories by where it goes.
    fn track_of(&mut self, event: &'a Event) -> Option<&mut Track<'a>> {
        let at = match event.entry.and_then(|entry| self.names.entries.get(&entry)) {
            Some(at) => *at,
            None => {
                let address = event.recipient.as_ref()?;
                // What has a number is not what has another.
                let names = if event.entry.is_some() { &self.names.unnumbered } else { &self.names.queued };
                match names.get(&key(address)) {
                    Some(at) => *at,
                    // The story's beginning is lost.
                    None => {
                        self.add(Track { entry: event.entry, ..Track::new(address, Place::Queued(None)) });
                        self.tracks.len() - 1
                    }
                }
            }
        };
        self.tracks.get_mut(at)
    }
}

impl Names {
    fn name_queued(&mut self, name: String, entry: Option<u32>, at: usize) {
        if entry.is_none() {
            self.unnumbered.entry(name.clone()).or_insert(at);
        }
        self.queued.entry(name).or_insert(at);
    }
}

impl<'a> Track<'a> {
    fn new(address: &str, place: Place<'a>) -> Self {
        Self { address: address.to_owned(), target: None, entry: None, account: None, place, may_be_there: false }
    }

    fn is_account(&self) -> bool {
        matches!(self.place, Place::Account)
    }

    /// Where it goes.
    pub(super) fn goes_to(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.address)
    }
}

/// The account that an event is about. Older events say it in their words.
fn account_of(event: &Event) -> Option<String> {
    if let Some(account) = &event.account {
        return Some(account.clone());
    }
    match event.kind {
        Kind::Delivered => event.text.rsplit_once("to the INBOX of ").map(|(_, account)| account.to_owned()),
        Kind::Accepted => event.actor.split_once(' ').map(|(_, account)| account.to_owned()),
        _ => event.recipient.clone(),
    }
}

/// The number of the entry. Older events say it in their words, as in `as q_…_0`.
fn entry_of(event: &Event) -> Option<u32> {
    event.entry.or_else(|| {
        let (_, id) = event.text.rsplit_once("as q_")?;
        id.rsplit_once('_')?.1.parse().ok()
    })
}

/// What an address or an account is told apart by.
fn key(text: &str) -> String {
    #[cfg(test)]
    KEYS_MADE.set(KEYS_MADE.get() + 1);
    Address::parse(text).map_or_else(|_| text.to_lowercase(), |address| address.key())
}

#[cfg(test)]
thread_local! {
    /// How often names were compared with others: each time by a key.
    pub(super) static KEYS_MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The protocol of an actor.
fn word(actor: &str) -> &str {
    actor.split(' ').next().unwrap_or_default()
}
