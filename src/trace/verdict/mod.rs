//! What became of a message, in one sentence for people, with who must do what next: made of the events of its story
//! alone.

mod code;
mod copies;
mod fault;
mod fold;
mod refusal;
mod words;

#[cfg(test)]
mod tests;

pub use code::{Code, Direction, Outcome, UnknownWord};

use super::event::{Event, Kind};
use fold::{Story, Track};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it stands.
    pub outcome: Outcome,
    /// The same in more detail, for programs.
    pub code: Code,
    /// One sentence, for people.
    pub sentence: String,
    /// Who must do what now; also where nothing is to be done.
    pub next_step: String,
    /// Where it comes from and goes to.
    pub direction: Direction,
    /// Its recipients, in the order in which they were named.
    pub recipients: Vec<RecipientVerdict>,
}

/// What became of a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientVerdict {
    /// The recipient as the sender named it.
    pub address: String,
    /// How it stands.
    pub outcome: Outcome,
    /// The same in more detail.
    pub code: Code,
    /// One sentence.
    pub sentence: String,
    /// Who must do what now.
    pub next_step: String,
    /// The number of its queue entry, where it has, or has had, one.
    pub entry: Option<u32>,
    /// The account whose mailbox it came to, where it did.
    pub account: Option<String>,
    /// The mailbox that it is in, or was in last, by the name that it had then.
    pub mailbox: Option<String>,
}

/// What is said of a recipient, or of a message.
struct Said {
    outcome: Outcome,
    code: Code,
    sentence: String,
    next_step: String,
}

/// What the events of a story come to. They are in their order, all of one subject.
pub fn verdict(events: &[Event]) -> Verdict {
    let story = Story::of(events);
    let recipients: Vec<RecipientVerdict> = story.tracks.iter().map(|track| of_track(&story, track)).collect();
    let whole = match recipients.as_slice() {
        [] => without_recipients(&story),
        [only] => only.said(),
        several => words::of_several(several),
    };
    let Said { outcome, code, mut sentence, next_step } = whole;
    if let Some(again) = story.again {
        sentence.push_str(&format!(" An operator has sent it once more, as {again}."));
    }
    Verdict { outcome, code, sentence, next_step, direction: story.direction(), recipients }
}

fn of_track(story: &Story<'_>, track: &Track<'_>) -> RecipientVerdict {
    let Said { outcome, code, sentence, next_step } = words::of_track(story, track);
    let copies = track.account.as_deref().and_then(|account| story.copies_of(account));
    RecipientVerdict {
        address: track.address.clone(),
        outcome,
        code,
        sentence,
        next_step,
        entry: track.entry,
        account: track.account.clone(),
        mailbox: copies.and_then(|copies| copies.mailbox().map(str::to_owned)),
    }
}

/// What there is to say where nobody was to get anything.
fn without_recipients(story: &Story<'_>) -> Said {
    match story.events.iter().rev().find(|event| refusal::is_one(event)) {
        Some(event) => refusal::of(event),
        None => words::unknown(),
    }
}

impl RecipientVerdict {
    fn said(&self) -> Said {
        Said {
            outcome: self.outcome,
            code: self.code,
            sentence: self.sentence.clone(),
            next_step: self.next_step.clone(),
        }
    }
}
