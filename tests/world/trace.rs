//! What a stopped server has written of each message.

use std::path::Path;

use pillarbox::queue;
use pillarbox::schema::SCHEMA;
use pillarbox::store::{Options, Store};
use pillarbox::trace::{self, Event, Kind, Subject, Wanted};

/// The stories of all messages and refusals in the file, oldest first; and how many entries the queue has. No server may
/// have the file open.
pub fn read(file: &Path) -> Stories {
    let store = Store::open(Options::at(file), &SCHEMA).expect("the file opens");
    let view = store.view().expect("the file is read");
    let mut subjects = trace::find(&view, &Wanted::All, None, usize::MAX).expect("the trace is read");
    subjects.reverse();
    let all = subjects.into_iter().map(|subject| {
        let events = trace::story(&view, subject).expect("the trace is read");
        Story { subject, events }
    });
    let all = all.collect();
    let queued = queue::entries(&view, None, usize::MAX).expect("the queue is read").len();
    drop(view);
    store.close();
    Stories { all, queued }
}

/// What a file says.
pub struct Stories {
    /// All messages and refusals.
    pub all: Vec<Story>,
    /// Entries of the queue.
    pub queued: usize,
}

/// What happened to one message, in order.
pub struct Story {
    /// Which.
    pub subject: Subject,
    /// What.
    pub events: Vec<Event>,
}

impl Stories {
    /// The story of the message with that Message-ID (without its brackets); there is only one.
    pub fn story(&self, message_id: &str) -> &Story {
        let mut found = self.all.iter().filter(|story| story.message_id() == message_id);
        let story = found.next().unwrap_or_else(|| panic!("a story of {message_id}"));
        assert!(found.next().is_none(), "one story of {message_id}");
        story
    }

    /// How many events of that kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.all.iter().map(|story| story.of(kind).len()).sum()
    }
}

impl Story {
    /// The Message-ID, without its brackets; empty where none was noted.
    pub fn message_id(&self) -> &str {
        let id = self.events.iter().find_map(|event| event.message_id.as_deref());
        id.unwrap_or("").trim_matches(['<', '>'])
    }

    /// The events of one kind.
    pub fn of(&self, kind: Kind) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == kind).collect()
    }

    /// How many events of a kind a recipient has.
    pub fn count_for(&self, kind: Kind, recipient: &str) -> usize {
        let is_its =
            |event: &&&Event| event.recipient.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(recipient));
        self.of(kind).iter().filter(is_its).count()
    }
}
