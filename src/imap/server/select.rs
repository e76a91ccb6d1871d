use super::context::User;
use super::selected::Selected;
use super::session::{Done, Session, State};
use super::snapshot::Snapshot;
use crate::base::{SystemFlags, limits};
use crate::imap::wire::{Answer, Code, mailbox_name, write_answer};
use crate::mailbox;
use crate::store::StoreError;

impl Session {
    // RFC 9051 §6.3.2, §6.3.3
    pub(super) async fn select(&mut self, user: User, sent: &[u8], read_only: bool) -> Done {
        match self.open(&user, sent, read_only).await {
            Ok(Some(selected)) => {
                let only_looks = selected.read_only;
                tell_mailbox(self.link.output(), &selected);
                let (text, code) = match only_looks {
                    false => ("it is open", Code::ReadWrite),
                    true => ("it is open, to be looked at", Code::ReadOnly),
                };
                Done::new(State::Selected(user, Box::new(selected)), Answer::ok(text).with(code))
            }
            Ok(None) => {
                let answer = Answer::no("there is no mailbox of that name").with(Code::NonExistent);
                Done::new(State::Authenticated(user), answer)
            }
            Err(error) => {
                tracing::error!(%error, "a mailbox could not be opened");
                let answer = Answer::no("the mailbox can't be read at the moment").with(Code::Unavailable);
                Done::new(State::Authenticated(user), answer)
            }
        }
    }

    async fn open(&self, user: &User, sent: &[u8], read_only: bool) -> Result<Option<Selected>, StoreError> {
        let (store, views) = (&self.context.store, &self.context.views);
        let Ok(name) = mailbox_name(sent, self.enabled.utf8) else { return Ok(None) };
        let Some((mailbox, _)) = mailbox::folder(&store.view()?, user.account, &name)? else { return Ok(None) };
        let Some(view) = views.open(store, mailbox).await? else { return Ok(None) };
        let Some(told) = view.now(store).await? else { return Ok(None) };
        let recent_from = view.claim_recent(told.uid_next, read_only);
        Ok(Some(Selected { mailbox, read_only, told, view, recent_from }))
    }
}

/// What a client is told of a mailbox that it opens.
fn tell_mailbox(out: &mut Vec<u8>, selected: &Selected) {
    let told = &selected.told;
    tell_flags(out, told, selected.read_only);
    selected.tell_count(out);
    let mut tell = |text: &'static str, code| write_answer(out, None, &Answer::ok(text).with(code));
    if let Some(number) = told.first_unseen() {
        tell("the first that was not seen", Code::Unseen(number));
    }
    tell("UIDs are valid", Code::UidValidity(told.uid_validity));
    tell("the next UID", Code::UidNext(told.uid_next.0));
    // RFC 7162 §3.1.2.1
    tell("the highest modseq", Code::HighestModSeq(told.modseq.0));
}

/// Which flags there are, and which may be set. RFC 9051 §7.3.5
pub(super) fn tell_flags(out: &mut Vec<u8>, told: &Snapshot, read_only: bool) {
    let system = SystemFlags::NAMES.iter().map(|(_, name)| *name);
    // A name without characters is a bit that is free.
    let keywords: Vec<&str> = told.keywords.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let has_room = keywords.len() < limits::KEYWORDS;
    let names: Vec<&str> = system.chain(keywords).collect();
    let mut flags = names.join(" ");
    out.extend_from_slice(format!("* FLAGS ({flags})\r\n").as_bytes());
    let text = match read_only {
        true => {
            flags.clear();
            "none can be changed"
        }
        false => {
            if has_room {
                flags.push_str(" \\*");
            }
            "these can be changed"
        }
    };
    write_answer(out, None, &Answer::ok(text).with(Code::PermanentFlags(flags)));
}
