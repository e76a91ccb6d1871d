use std::collections::{BTreeMap, BTreeSet};

use super::claims::Claim;
use super::destination::Place;
use super::turns::Turns;
use crate::base::{Address, MessageId, QueueId, limits};
use crate::queue::Sending;
use crate::smtp::client::Room;

/// Whose turn a message takes, and how urgent it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// The key of the sender's address; empty for the null sender.
    pub(super) sender: String,
    /// From -9 to 9. RFC 6710 §1.1
    pub(super) priority: i8,
}

/// Some recipients of one message at one destination: one transaction.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) message: MessageId,
    pub(super) turn: Turn,
    pub(super) recipients: Vec<Recipient>,
}

/// A recipient that is ours to send to.
#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) id: QueueId,
    pub(super) address: Address,
    /// Given back when it is dropped.
    pub(super) _claim: Claim,
}

impl Bundle {
    /// Leaves what a server takes at once, and gives the rest.
    // RFC 9422 §4.2, §4.3
    pub(super) fn cut(&mut self, room: Room) -> Option<Self> {
        let (mut hosts, mut end) = (Vec::new(), 0);
        for Recipient { address, .. } in self.recipients.iter().take(room.recipients.max(1)) {
            if !hosts.contains(&&address.host) {
                if hosts.len() >= room.domains.max(1) {
                    break;
                }
                hosts.push(&address.host);
            }
            end += 1;
        }
        let rest = self.recipients.split_off(end);
        (!rest.is_empty()).then_some(Self { message: self.message, turn: self.turn.clone(), recipients: rest })
    }
}

impl Recipient {
    /// As it is being sent.
    pub(super) fn sending(&self) -> Sending {
        Sending { id: self.id, recipient: self.address.clone() }
    }
}

/// What is to be sent next to a destination: a window of what is due, in which each sender has a lane of its own. A lane
/// takes as much as is free behind it: one sender alone gets half of the window, and however many there are, there is
/// room for one more.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<String, Lane>,
    /// Entries in all lanes.
    entries: usize,
    /// The first entry that is due and found no room, of a sender that has no lane.
    passed_over: Option<Place>,
}

/// What of a destination is to be looked at again: the senders, or everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hungry {
    /// These lanes have room again.
    Senders(BTreeSet<String>),
    /// All have.
    All,
}

#[derive(Debug, Default)]
struct Lane {
    ready: BTreeMap<Rank, Bundle>,
    entries: usize,
    /// The first entry that is due and found no room.
    passed_over: Option<Place>,
}

/// In what order a sender's messages go: by when they came in, as if an urgent one had come earlier; then the parts of
/// one message.
type Rank = (u64, MessageId, i32);

impl Lanes {
    /// Entries that are ready.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// The same of one sender.
    pub(super) fn len_of(&self, sender: &str) -> usize {
        self.lanes.get(sender).map_or(0, |lane| lane.entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Whether something due found no room.
    pub(super) fn has_passed_over(&self) -> bool {
        self.passed_over.is_some() || self.lanes.values().any(|lane| lane.passed_over.is_some())
    }

    /// Whether a sender may have one more in the window.
    pub(super) fn has_room(&self, sender: &str) -> bool {
        let free = limits::WINDOW_ENTRIES.saturating_sub(self.entries);
        self.len_of(sender) < free
    }

    /// Takes an entry into the window, beside others of its message.
    pub(super) fn push(&mut self, turn: &Turn, recipient: Recipient) {
        let message = recipient.id.message;
        let lane = self.lanes.entry(turn.sender.clone()).or_default();
        lane.entries += 1;
        self.entries += 1;
        let last = lane.last_part(turn.priority, message);
        let has_room = |bundle: &Bundle| bundle.recipients.len() < limits::TRANSACTION_RECIPIENTS;
        match last.and_then(|rank| lane.ready.get_mut(&rank)).filter(|bundle| has_room(bundle)) {
            Some(bundle) => bundle.recipients.push(recipient),
            None => {
                let part = last.map_or(0, |(_, _, part)| part.saturating_add(1));
                let bundle = Bundle { message, turn: turn.clone(), recipients: vec![recipient] };
                lane.ready.insert(rank(turn.priority, message, part), bundle);
            }
        }
    }

    /// Whether the last transaction of this message has room.
    pub(super) fn completes(&self, turn: &Turn, message: MessageId) -> bool {
        let Some(lane) = self.lanes.get(&turn.sender) else { return false };
        let last = lane.last_part(turn.priority, message).and_then(|rank| lane.ready.get(&rank));
        last.is_some_and(|bundle| bundle.recipients.len() < limits::TRANSACTION_RECIPIENTS)
    }

    /// Where what goes next stands among what is ready everywhere: the lowest goes first.
    pub(super) fn first(&self, turns: &Turns) -> Option<(u64, u64)> {
        self.next_lane(turns).map(|(place, rank, _)| (place, rank.0))
    }

    /// Takes out what goes next.
    pub(super) fn pop(&mut self, turns: &Turns) -> Option<Bundle> {
        let (_, rank, sender) = self.next_lane(turns)?;
        let sender = sender.to_owned();
        let lane = self.lanes.get_mut(&sender)?;
        let bundle = lane.ready.remove(&rank)?;
        lane.entries -= bundle.recipients.len();
        self.entries -= bundle.recipients.len();
        if lane.ready.is_empty() && lane.passed_over.is_none() {
            self.lanes.remove(&sender);
        }
        Some(bundle)
    }

    /// Takes something back, to go first among its sender's.
    pub(super) fn put_back(&mut self, bundle: Bundle) {
        let lane = self.lanes.entry(bundle.turn.sender.clone()).or_default();
        lane.entries += bundle.recipients.len();
        self.entries += bundle.recipients.len();
        let part = lane.parts(bundle.turn.priority, bundle.message).next();
        let part = part.map_or(0, |(_, _, part)| part.saturating_sub(1));
        lane.ready.insert(rank(bundle.turn.priority, bundle.message, part), bundle);
    }

    /// How many entries each sender has.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lanes.iter().map(|(sender, lane)| (sender.as_str(), lane.entries))
    }

    /// Remembers that something due found no room.
    pub(super) fn pass_over(&mut self, sender: &str, place: Place) {
        let has_place = self.lanes.contains_key(sender) || self.lanes.len() < limits::LANES;
        let first = match has_place {
            true => &mut self.lanes.entry(sender.to_owned()).or_default().passed_over,
            false => &mut self.passed_over,
        };
        *first = Some(first.map_or(place, |known| known.min(place)));
    }

    /// The same, whoever has sent it.
    pub(super) fn pass_all_over(&mut self, place: Place) {
        self.passed_over = Some(self.passed_over.map_or(place, |known| known.min(place)));
    }

    /// Which lanes have room for what found none, and where the first of that stands; it counts as looked at. `is_one`:
    /// the destination is tried by one message only. `has_share`: who may have more in all windows together.
    pub(super) fn take_hungry(&mut self, is_one: bool, has_share: impl Fn(&str) -> bool) -> Option<(Hungry, Place)> {
        let free = limits::WINDOW_ENTRIES.saturating_sub(self.entries);
        // One message tries, whosever it is; and who has no lane may be anybody.
        if is_one || self.passed_over.is_some() && self.entries <= limits::WINDOW_ENTRIES / 4 {
            let places = self.lanes.values_mut().filter_map(|lane| lane.passed_over.take());
            let first = places.chain(self.passed_over.take()).min()?;
            self.lanes.retain(|_, lane| !lane.ready.is_empty());
            return Some((Hungry::All, first));
        }
        let (mut senders, mut first) = (BTreeSet::new(), None::<Place>);
        for (sender, lane) in &mut self.lanes {
            // A quarter of what it may have: what is looked at again is worth the look.
            if lane.entries.saturating_mul(4) <= free
                && has_share(sender)
                && let Some(place) = lane.passed_over.take()
            {
                senders.insert(sender.clone());
                first = Some(first.map_or(place, |first| first.min(place)));
            }
        }
        self.lanes.retain(|_, lane| !lane.ready.is_empty() || lane.passed_over.is_some());
        first.map(|first| (Hungry::Senders(senders), first))
    }

    /// Whether those that were looked for have no room for more.
    pub(super) fn is_sated(&self, hungry: &Hungry) -> bool {
        match hungry {
            Hungry::All => self.has_passed_over(),
            Hungry::Senders(senders) => senders.iter().all(|sender| {
                self.lanes.get(sender).map_or(self.passed_over.is_some(), |lane| lane.passed_over.is_some())
            }),
        }
    }

    /// The lane whose turn it is, and what is first in it.
    fn next_lane(&self, turns: &Turns) -> Option<(u64, Rank, &str)> {
        let lanes = self.lanes.iter().filter_map(|(sender, lane)| {
            let (rank, _) = lane.ready.first_key_value()?;
            Some((turns.place(sender), *rank, sender.as_str()))
        });
        lanes.min()
    }
}

impl Hungry {
    /// Whether something of that sender is looked for.
    pub(super) fn wants(&self, sender: &str) -> bool {
        match self {
            Self::All => true,
            Self::Senders(senders) => senders.contains(sender),
        }
    }

    /// Whom it is about; `None`: everybody.
    pub(super) fn senders(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::All => None,
            Self::Senders(senders) => Some(senders),
        }
    }
}

impl Lane {
    fn parts(&self, priority: i8, message: MessageId) -> impl DoubleEndedIterator<Item = Rank> {
        self.ready.range(rank(priority, message, i32::MIN)..=rank(priority, message, i32::MAX)).map(|(rank, _)| *rank)
    }

    fn last_part(&self, priority: i8, message: MessageId) -> Option<Rank> {
        self.parts(priority, message).next_back()
    }
}

/// An id begins with the time at which the message came in: what is not urgent waits, and not for ever.
fn rank(priority: i8, message: MessageId, part: i32) -> Rank {
    let ahead_ms =
        limits::PRIORITY_STEP_MS.saturating_mul(u64::from((i16::from(priority.clamp(-9, 9)) + 9).unsigned_abs()));
    let offset_ms = limits::PRIORITY_STEP_MS * 18;
    (message.at().ms().saturating_add(offset_ms).saturating_sub(ahead_ms), message, part)
}

#[cfg(test)]
mod tests {
    use super::super::claims::Claims;
    use super::*;
    use crate::base::Timestamp;

    const MINUTE_MS: u64 = 60 * 1000;

    struct Scene {
        claims: Claims,
        lanes: Lanes,
        turns: Turns,
    }

    impl Scene {
        fn new() -> Self {
            Self { claims: Claims::default(), lanes: Lanes::default(), turns: Turns::default() }
        }

        /// A message that came in after so many milliseconds, with so many recipients.
        fn push(&mut self, sender: &str, priority: i8, at_ms: u64, recipients: u32) {
            let turn = Turn { sender: sender.into(), priority };
            for number in 0..recipients {
                let id = QueueId { message: MessageId(at_ms << 16), number };
                let claim = self.claims.claim(id).unwrap();
                self.lanes.push(&turn, Recipient { id, address: "b@there.test".parse().unwrap(), _claim: claim });
            }
        }

        /// Serves what goes next; as in `a 17x2`: of a, what came in at 17, with two recipients.
        fn pop(&mut self) -> Option<String> {
            let bundle = self.lanes.pop(&self.turns)?;
            self.turns.served(&bundle.turn.sender, bundle.recipients.len(), bundle.turn.priority);
            Some(format!("{} {}x{}", bundle.turn.sender, bundle.message.at().ms(), bundle.recipients.len()))
        }

        fn check(&mut self, expected: &[&str]) {
            let seen: Vec<String> = std::iter::from_fn(|| self.pop()).collect();
            assert_eq!(seen, expected);
            assert!(self.lanes.is_empty() && self.lanes.lanes.is_empty());
        }
    }

    #[test]
    fn a_sender_with_much_does_not_keep_the_others_waiting() {
        let mut scene = Scene::new();
        (1..=5).for_each(|at| scene.push("bulk", 0, at, 1));
        scene.push("one", 0, 6, 1);
        scene.push("two", 0, 7, 1);
        scene.check(&["bulk 1x1", "one 6x1", "two 7x1", "bulk 2x1", "bulk 3x1", "bulk 4x1", "bulk 5x1"]);
    }

    #[test]
    fn of_one_sender_the_urgent_goes_first_and_the_other_not_last() {
        let step = limits::PRIORITY_STEP_MS;
        let mut scene = Scene::new();
        scene.push("a", 0, MINUTE_MS, 1);
        scene.push("a", 1, MINUTE_MS + step - 1, 1);
        scene.push("a", 1, MINUTE_MS + step + 1, 1);
        let texts = [MINUTE_MS + step - 1, MINUTE_MS, MINUTE_MS + step + 1].map(|at| format!("a {at}x1"));
        scene.check(&texts.each_ref().map(String::as_str));
    }

    #[test]
    fn the_recipients_of_a_message_go_together_up_to_what_every_server_takes() {
        let mut scene = Scene::new();
        scene.push("a", 0, 1, 250);
        scene.push("a", 0, 2, 1);
        scene.check(&["a 1x100", "a 1x100", "a 1x50", "a 2x1"]);
    }

    #[test]
    fn what_is_put_back_goes_first() {
        let mut scene = Scene::new();
        scene.push("a", 0, 1, 150);
        scene.push("a", 0, 2, 1);
        let first = scene.lanes.pop(&scene.turns).unwrap();
        scene.lanes.put_back(first);
        scene.check(&["a 1x100", "a 1x50", "a 2x1"]);
    }

    #[test]
    fn a_lane_takes_as_much_as_is_free_behind_it() {
        let (mut scene, mut at) = (Scene::new(), 0);
        let mut fill = |scene: &mut Scene, sender: &str| {
            let before = scene.lanes.len();
            while scene.lanes.has_room(sender) {
                at += 1;
                scene.push(sender, 0, at, 1);
            }
            scene.lanes.len() - before
        };
        let window = limits::WINDOW_ENTRIES;
        assert_eq!(["a", "b", "c"].map(|sender| fill(&mut scene, sender)), [window / 2, window / 4, window / 8 + 1]);
        assert!(scene.lanes.has_room("d"));
    }

    #[test]
    fn who_has_room_again_is_looked_for() {
        let mut scene = Scene::new();
        let place = |at: u64| (Timestamp(at), QueueId { message: MessageId(at), number: 0 });
        for at in 1..=limits::WINDOW_ENTRIES as u64 / 2 {
            scene.push("bulk", 0, at, 1);
        }
        scene.lanes.pass_over("bulk", place(8));
        scene.lanes.pass_over("bulk", place(9));
        assert_eq!(scene.lanes.take_hungry(false, |_| true), None);
        scene.lanes.pass_over("one", place(99));
        let one = Hungry::Senders(BTreeSet::from(["one".to_owned()]));
        assert_eq!(scene.lanes.take_hungry(false, |_| true), Some((one.clone(), place(99))));
        assert!(!scene.lanes.is_sated(&one));
        scene.lanes.pass_over("one", place(100));
        assert!(scene.lanes.is_sated(&one));
        while scene.pop().is_some() {}
        let (hungry, first) = scene.lanes.take_hungry(false, |_| true).unwrap();
        assert!(hungry.wants("bulk") && hungry.wants("one") && !hungry.wants("two"));
        assert_eq!((first, scene.lanes.take_hungry(false, |_| true)), (place(8), None));
        // More senders than there are lanes.
        for number in 0..=limits::LANES as u64 {
            scene.lanes.pass_over(&number.to_string(), place(number + 3));
        }
        assert_eq!(scene.lanes.take_hungry(false, |_| true), Some((Hungry::All, place(3))));
    }
}
