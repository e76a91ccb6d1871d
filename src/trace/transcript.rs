use super::event::{Event, Subject};
use crate::base::limits;
use crate::store::{Findings, Read, Row, Span, StoreError, Table, Tx, View};

/// The dialogues of each subject, numbered from 0 on.
pub(super) static TRANSCRIPTS: Table<(Subject, u32), Dialogue> = Table::new("trace_transcripts");

/// What was said over a connection, line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialogue(String);

impl Row for Dialogue {
    const VERSION: u8 = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let text = (version == Self::VERSION).then(|| std::str::from_utf8(bytes).ok()).flatten()?;
        Some(Self(text.to_owned()))
    }
}

/// Keeps a dialogue, at most [`limits::TRACED_TRANSCRIPT_BYTES`] of it; its number, for [`super::Event::transcript`]. One that is
/// the same as the one before is not kept twice: what waits hears the same again and again. `None`: nothing was said.
///
/// # Errors
/// [`StoreError`].
pub fn keep_transcript(tx: &mut Tx<'_>, subject: Subject, text: &str) -> Result<Option<u32>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    let dialogue = Dialogue(cut(text));
    let number = match tx.last(&TRANSCRIPTS, Span::prefix(&subject))? {
        Some(((_, number), last)) if last == dialogue => return Ok(Some(number)),
        Some(((_, number), _)) => number.saturating_add(1),
        None => 0,
    };
    tx.put(&TRANSCRIPTS, &(subject, number), &dialogue)?;
    Ok(Some(number))
}

/// A dialogue: a line each, `> ` before what we said, `< ` before what we heard, `* ` before what happened.
///
/// # Errors
/// [`StoreError`].
pub fn transcript(read: &impl Read, subject: Subject, number: u32) -> Result<Option<String>, StoreError> {
    Ok(read.get(&TRANSCRIPTS, &(subject, number))?.map(|dialogue| dialogue.0))
}

/// Removes all dialogues of a story.
pub(super) fn forget_transcripts(tx: &mut Tx<'_>, subject: Subject) -> Result<(), StoreError> {
    for ((_, number), _) in tx.rows(&TRANSCRIPTS, Span::prefix(&subject), usize::MAX)? {
        tx.remove(&TRANSCRIPTS, &(subject, number))?;
    }
    Ok(())
}

/// Puts a dialogue in the place of an earlier one of its number, which it goes on from; by how many octets it is longer.
pub(super) fn put_transcript(tx: &mut Tx<'_>, subject: Subject, number: u32, text: &str) -> Result<u64, StoreError> {
    let (key, dialogue) = ((subject, number), Dialogue(cut(text)));
    let before = tx.get(&TRANSCRIPTS, &key)?.map_or(0, |before| before.0.len());
    tx.put(&TRANSCRIPTS, &key, &dialogue)?;
    Ok(dialogue.0.len().saturating_sub(before) as u64)
}

/// Removes one dialogue.
pub(super) fn forget_transcript(tx: &mut Tx<'_>, subject: Subject, number: u32) -> Result<(), StoreError> {
    tx.remove(&TRANSCRIPTS, &(subject, number)).map(drop)
}

/// Every dialogue is named by an event, and every event's dialogue is there.
pub(super) fn check_transcripts(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut named = std::collections::HashSet::new();
    view.scan(&super::EVENTS, Span::all(), |(subject, number), event| {
        if let Some(transcript) = event.transcript {
            named.insert((subject, transcript, number));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let wanted: std::collections::HashSet<(Subject, u32)> =
        named.iter().map(|(subject, n, _)| (*subject, *n)).collect();
    view.scan(&TRANSCRIPTS, Span::all(), |(subject, number), _| {
        if !wanted.contains(&(subject, number)) {
            let what = format!("trace: no event of {subject} names its dialogue {number}");
            findings.add(what).set_aside(&TRANSCRIPTS, &(subject, number));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    for (subject, transcript, number) in named {
        if !view.has(&TRANSCRIPTS, &(subject, transcript))? {
            let what = format!("trace: the dialogue {transcript} of event {number} of {subject} is missing");
            let finding = findings.add(what);
            if let Some(event) = view.get(&super::EVENTS, &(subject, number))? {
                finding.put(&super::EVENTS, &(subject, number), &Event { transcript: None, ..event });
            }
        }
    }
    Ok(())
}

/// The beginning and the end of what is too long: why it was refused stands last.
fn cut(text: &str) -> String {
    const GAP: &str = "* (some lines are left out)\n";
    if text.len() <= limits::TRACED_TRANSCRIPT_BYTES {
        return text.to_owned();
    }
    let half = (limits::TRACED_TRANSCRIPT_BYTES - GAP.len()) / 2;
    let head = text.floor_char_boundary(half);
    let head = text[..head].rfind('\n').map_or("", |end| &text[..=end]);
    let tail = text.ceil_char_boundary(text.len() - half);
    let tail = text[tail..].find('\n').map_or("", |end| &text[tail + end + 1..]);
    format!("{head}{GAP}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_dialogue_keeps_its_beginning_and_its_end() {
        let line = "> é und so weiter\n";
        let long = format!("> first\n{}< last\n", line.repeat(5000));
        let cut = super::cut(&long);
        assert!(cut.len() <= limits::TRACED_TRANSCRIPT_BYTES && cut.len() > limits::TRACED_TRANSCRIPT_BYTES / 2);
        assert!(cut.starts_with("> first\n") && cut.ends_with("< last\n") && cut.contains("left out"));
        assert!(cut.lines().all(|line| [">", "<", "*"].contains(&&line[..1])), "{cut}");
        assert_eq!(super::cut("> short\n"), "> short\n");
        assert!(super::cut(&"x".repeat(100_000)).len() < 100);
    }
}
