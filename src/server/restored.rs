use std::convert::Infallible;

use serde_json::json;

use crate::audit::{Act, Note};
use crate::base::{MailboxId, Timestamp};
use crate::directory;
use crate::mailbox::RenewUidValidity;
use crate::store::{Halt, Op, RestoredFrom, StoreError, Tx};

/// Who restores, in the file that was restored: whoever has asked for it is known to the file of before.
const ACTOR: &str = "restore";

/// At the first start of a file that was put in the place of another: gives the mailboxes a new UIDVALIDITY, ends the
/// sessions of browsers that were logged in then, and writes into the audit when it came and from which copy. Does nothing
/// in any other file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeeToRestored {
    /// Now.
    pub(super) at: Timestamp,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Mailboxes that have a new UIDVALIDITY.
    pub(super) mailboxes: usize,
    /// Sessions that were ended.
    pub(super) sessions: usize,
    /// The copy.
    pub(super) copy: String,
}

impl Op for SeeToRestored {
    type Plan = Option<(Vec<MailboxId>, Option<RestoredFrom>)>;
    type Out = Option<Seen>;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "server.see_to_restored"
    }

    fn weight_bytes(&self) -> usize {
        self.renewal().weight_bytes()
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        let Some(mailboxes) = self.renewal().check(tx)? else { return Ok(None) };
        Ok(Some((mailboxes, tx.restored_from()?)))
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Self::Plan) -> Result<Option<Seen>, StoreError> {
        let Some((mailboxes, from)) = plan else { return Ok(None) };
        let mailboxes = self.renewal().apply(tx, Some(mailboxes))?;
        let sessions = directory::end_every_session(tx)?;
        let (found_at, copy) = from.map_or((None, "unknown".into()), |from| (Some(from.at.rfc3339()), from.copy));
        let act = Act { actor: ACTOR.into(), action: "restored".into(), ..Act::default() };
        let after =
            json!({"copy": copy, "found_good_at": found_at, "mailboxes": mailboxes, "sessions_ended": sessions});
        Note { act, target: "file".into(), at: self.at, after: Some(after) }.apply(tx, ())?;
        Ok(Some(Seen { mailboxes, sessions, copy }))
    }
}

impl SeeToRestored {
    fn renewal(&self) -> RenewUidValidity {
        RenewUidValidity { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use super::*;
    use crate::audit;
    use crate::base::AuditId;
    use crate::schema::SCHEMA;
    use crate::store::{CopyOptions, Options, Store};

    #[test]
    fn a_restored_file_says_when_it_came_and_from_where_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let open = |path: &Path| {
            Store::open(Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) }, &SCHEMA).unwrap()
        };
        let see_to = |store: &Store| store.write_blocking(SeeToRestored { at: Timestamp(7000) }).unwrap().into_inner();
        let store = open(&path("data"));
        store.copy_to(&path("copy"), CopyOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(see_to(&store), None, "it is no restored one");
        store.close();
        let found = crate::store::restore(&path("copy"), &path("data"), &path("aside"), &SCHEMA).unwrap();
        assert!(found.lines().is_empty());
        let store = open(&path("data"));
        let copy = path("copy").display().to_string();
        assert_eq!(see_to(&store), Some(Seen { mailboxes: 0, sessions: 0, copy: copy.clone() }));
        assert_eq!(see_to(&store), None, "it is seen to");
        let rows: Vec<(AuditId, audit::AuditRow)> = audit::rows(&store.view().unwrap(), None, None, None, 10).unwrap();
        let [(_, row)] = rows.as_slice() else { panic!("one row, not {rows:?}") };
        assert_eq!((row.at, row.act.actor.as_str(), row.act.action.as_str()), (Timestamp(7000), ACTOR, "restored"));
        let after = row.after().unwrap();
        assert_eq!(after["copy"], copy);
        assert!(after["found_good_at"].is_string(), "{after}");
    }
}
