use crate::base::limits;
use crate::trace::{Event, Subject};

/// What the trace was told of the refusals of a session in which nobody had logged in: they are one story, and it ends
/// when it is long enough. Refusals cost a stranger nothing.
#[derive(Debug, Default)]
pub(super) struct Told {
    story: Option<Subject>,
    events: usize,
    left_out: u32,
    /// The number of the present message's dialogue.
    dialogue: u32,
    has_dialogue: bool,
}

impl Told {
    /// What the session's refusals are told under.
    pub(super) fn story(&mut self, new: impl FnOnce() -> Subject) -> Subject {
        *self.story.get_or_insert_with(new)
    }

    /// The next message begins, and with it the next dialogue.
    pub(super) fn begin_message(&mut self) {
        if std::mem::take(&mut self.has_dialogue) {
            self.dialogue += 1;
        }
    }

    /// Leaves out the events that are too many, and says under which number the dialogue is kept; nowhere where it is one
    /// too many, or nobody's.
    pub(super) fn told(&mut self, events: &mut Vec<Event>, dialogue: String) -> Option<(u32, String)> {
        let room = limits::TRACED_SESSION_REFUSALS - self.events;
        self.left_out += u32::try_from(events.len().saturating_sub(room)).unwrap_or_default();
        events.truncate(room);
        self.events += events.len();
        let is_kept = !events.is_empty() && !dialogue.is_empty() && self.dialogue < limits::TRACED_SESSION_DIALOGUES;
        self.has_dialogue |= is_kept;
        is_kept.then_some((self.dialogue, dialogue))
    }

    /// How many refusals were left out, where there were some; forgets them.
    pub(super) fn left_out(&mut self) -> Option<(Subject, u32)> {
        let left_out = std::mem::take(&mut self.left_out);
        self.story.filter(|_| left_out > 0).map(|story| (story, left_out))
    }
}
