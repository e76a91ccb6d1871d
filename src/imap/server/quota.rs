use super::context::{Context, Enabled, User};
use super::fault::unavailable;
use super::folders::{named, not_there};
use super::link::Link;
use crate::base::AccountId;
use crate::directory;
use crate::imap::wire::{Answer, Code, Request, write_mailbox_name, write_number};
use crate::mailbox;
use crate::store::{Read, StoreError};

/// The account's quota root: all its mailboxes together.
const ROOT: &[u8] = b"";

/// Octets of a unit of STORAGE. RFC 9208 §5.1
const STORAGE_UNIT_BYTES: u64 = 1024;

/// GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). `None` when the request is none of them.
pub(super) fn quota(
    link: &mut Link,
    context: &Context,
    user: &User,
    enabled: Enabled,
    request: &Request<'_>,
) -> Option<Answer> {
    Some(match request {
        Request::GetQuota(root) => get_quota(link, context, user, root),
        Request::GetQuotaRoot(mailbox) => get_quota_root(link, context, user, enabled, mailbox),
        // RFC 9208 §4.1.1: quotas are set by administrators, and not over IMAP.
        Request::SetQuota => Answer::no("quotas are not set over IMAP").with(Code::Cannot),
        _ => return None,
    })
}

/// What an account takes of what it may take, both in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Storage {
    used_bytes: u64,
    quota_bytes: u64,
}

// RFC 9208 §4.1.2
fn get_quota(link: &mut Link, context: &Context, user: &User, root: &[u8]) -> Answer {
    match context.store.view().and_then(|view| storage(&view, user.account)) {
        Ok(Some(storage)) if root == ROOT => {
            storage.write(link.output());
            Answer::ok("that is all")
        }
        Ok(_) => Answer::no("there is no quota root of that name").with(Code::NonExistent),
        Err(error) => unavailable(&error),
    }
}

// RFC 9208 §4.1.3
fn get_quota_root(link: &mut Link, context: &Context, user: &User, enabled: Enabled, sent: &[u8]) -> Answer {
    let name = match named(sent, enabled) {
        Ok(name) => name,
        Err(answer) => return answer,
    };
    let read = context.store.view().and_then(|view| match mailbox::folder(&view, user.account, &name)? {
        Some(_) => Ok(Some(storage(&view, user.account)?)),
        None => Ok(None),
    });
    let storage = match read {
        Ok(Some(storage)) => storage,
        Ok(None) => return not_there(),
        Err(error) => return unavailable(&error),
    };
    let out = link.output();
    out.extend_from_slice(b"* QUOTAROOT ");
    write_mailbox_name(out, &name, enabled.utf8);
    // An account without a quota has no root.
    if let Some(storage) = storage {
        out.extend_from_slice(b" \"\"\r\n");
        storage.write(out);
    } else {
        out.extend_from_slice(b"\r\n");
    }
    Answer::ok("that is all")
}

/// `None`: the account has no quota.
fn storage(read: &impl Read, account: AccountId) -> Result<Option<Storage>, StoreError> {
    let Some(row) = directory::account_by_id(read, account)? else { return Ok(None) };
    let Some(quota_bytes) = directory::quota_bytes(read, &row)? else { return Ok(None) };
    Ok(Some(Storage { used_bytes: mailbox::usage(read, account)?.size_bytes, quota_bytes }))
}

impl Storage {
    /// Writes a QUOTA response. RFC 9208 §4.2.1
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* QUOTA \"\" (STORAGE ");
        write_number(out, self.used_bytes.div_ceil(STORAGE_UNIT_BYTES));
        out.push(b' ');
        write_number(out, self.quota_bytes.div_ceil(STORAGE_UNIT_BYTES));
        out.extend_from_slice(b")\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_told_in_units() {
        let check = |used_bytes, quota_bytes, expected: &str| {
            let mut out = Vec::new();
            Storage { used_bytes, quota_bytes }.write(&mut out);
            assert_eq!(String::from_utf8(out), Ok(format!("* QUOTA \"\" (STORAGE {expected})\r\n")));
        };
        check(0, 1024, "0 1");
        check(1, 1000, "1 1");
        check(2048, 10 * 1024 * 1024, "2 10240");
    }
}
