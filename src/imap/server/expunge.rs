use super::context::{Context, User};
use super::fault::{read_only, unavailable};
use super::link::{End, Link};
use super::selected::Selected;
use super::snapshot::Snapshot;
use crate::base::{SystemFlags, Uid};
use crate::imap::wire::{Answer, Code, SequenceSet};
use crate::mailbox::{self, Expunge, runs};

/// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9), and CLOSE, which is silent: the numbers of what is gone are told
/// by the next [`Selected::sync`].
pub(super) async fn expunge(
    link: &mut Link,
    context: &Context,
    user: &User,
    selected: &mut Selected,
    uids: Option<&SequenceSet>,
) -> Result<Answer, End> {
    if selected.read_only {
        return Ok(read_only());
    }
    // Also what other sessions have marked: the client may not have been told of it.
    let now = match selected.view.now(&context.store).await {
        Ok(Some(now)) => now,
        Ok(None) => return Ok(Answer::no("the mailbox was deleted").with(Code::NonExistent)),
        Err(error) => return Ok(unavailable(&error)),
    };
    let uids = deleted(&now, uids);
    if uids.is_empty() {
        return Ok(Answer::ok("there was nothing to remove"));
    }
    let expunge = Expunge {
        mailbox: selected.mailbox,
        uids: runs(uids),
        only_deleted: true,
        by: user.actor(),
        peer_ip: Some(link.connection.peer().ip()),
        at: context.clock.now(),
    };
    // What was removed until then is told by the next sync, whatever stands in the way of the rest.
    Ok(match mailbox::expunge(&context.store, expunge).await {
        (_, None) => Answer::ok("EXPUNGE done"),
        (_, Some(error)) => unavailable(&error),
    })
}

/// The messages that are `\Deleted`; where a set of UIDs is given, those of them that are in it.
fn deleted(now: &Snapshot, uids: Option<&SequenceSet>) -> Vec<Uid> {
    let highest = now.iter().last().map_or(0, |(_, member)| member.uid.0);
    let ranges = uids.map(|uids| uids.resolve(highest));
    let is_named = |uid: Uid| {
        ranges.as_ref().is_none_or(|ranges| {
            let place = ranges.partition_point(|(_, last)| *last < uid.0);
            ranges.get(place).is_some_and(|(first, _)| *first <= uid.0)
        })
    };
    let marked = now.iter().filter(|(_, member)| member.flags.has(SystemFlags::DELETED));
    marked.map(|(_, member)| member.uid).filter(|uid| is_named(*uid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, ModSeq, Timestamp};
    use crate::imap::wire::Star;
    use crate::mailbox::{Member, Roster};

    fn check(set: Option<&[(Star, Star)]>, expected: &[u32]) {
        let members = [(2, true), (3, false), (5, true), (9, true)].map(|(uid, is_deleted)| Member {
            uid: Uid(uid),
            flags: if is_deleted { SystemFlags::DELETED | SystemFlags::SEEN } else { SystemFlags::SEEN },
            keywords: 0,
            modseq: ModSeq(1),
            message: MessageId(1),
            size_bytes: 1,
            internal_date: Timestamp(0),
        });
        let now = Snapshot::new(Roster {
            uid_validity: 1,
            uid_next: Uid(10),
            modseq: ModSeq(1),
            keywords: [].into(),
            members: members.into(),
        });
        let set = set.map(|ranges| SequenceSet { ranges: ranges.to_vec() });
        let seen: Vec<u32> = deleted(&now, set.as_ref()).iter().map(|uid| uid.0).collect();
        assert_eq!(seen, expected, "{set:?}");
    }

    #[test]
    fn only_what_is_marked_and_named_goes() {
        use Star::{Highest, Number};
        check(None, &[2, 5, 9]);
        check(Some(&[(Number(1), Number(4))]), &[2]);
        check(Some(&[(Number(3), Number(3))]), &[]);
        check(Some(&[(Number(4), Highest)]), &[5, 9]);
        check(Some(&[(Number(9), Number(9)), (Number(2), Number(2))]), &[2, 9]);
        check(Some(&[(Number(12), Highest)]), &[9]);
    }
}
