//! What taking a message in comes to: who gets a copy, who has one already, what goes into the queue.

use std::collections::HashSet;

use super::super::unconfirmed::{self, Mark, Missed};
use super::{Accept, Body, Captured, Fresh, Named, Plan, Queued, Refused, Repeated, own_lines};
use crate::base::{AccountId, Address};
use crate::directory::{self, Delivery};
use crate::mailbox;
use crate::queue::NewEntry;
use crate::store::{Halt, StoreError, Tx};

/// Who has been looked at.
struct Seen {
    /// The message's bytes and sender.
    bytes: blake3::Hash,
    accounts: HashSet<AccountId>,
    remote: HashSet<String>,
    /// Who was named for an account that gets a copy already.
    joined: HashSet<String>,
    /// Where it was delivered to before.
    before: HashSet<String>,
}

impl Accept {
    /// What is to become of each recipient, or why the message is taken for none of them.
    pub(super) fn plan(&self, tx: &Tx<'_>) -> Result<Plan, Halt<Refused>> {
        let mut plan = Plan::default();
        let mut seen = Seen {
            bytes: self.hash(),
            accounts: HashSet::new(),
            remote: HashSet::new(),
            joined: HashSet::new(),
            before: self.delivered_to.iter().map(Address::key).collect(),
        };
        for recipient in &self.recipients {
            let named = recipient.named();
            for delivery in &recipient.deliveries {
                self.plan_delivery(tx, &mut plan, &mut seen, &named, delivery)?;
            }
            for address in &recipient.remote {
                if seen.remote.insert(address.key()) {
                    self.plan_remote(tx, &mut plan, &mut seen, &named, address)?;
                }
            }
        }
        if seen.accounts.is_empty() && seen.remote.is_empty() {
            return Err(Halt::Refused(Refused::Nobody));
        }
        Ok(plan)
    }

    /// What stays the same when the message is sent again: sender and bytes.
    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let sender = self.sender.as_ref().map(Address::key).unwrap_or_default();
        for part in [sender.as_bytes(), &self.header_block] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        if let Some(Body::Staged(body)) = &self.body {
            hasher.update(&body.hash());
        } else {
            hasher.update(&[0; 32]);
        }
        hasher.finalize()
    }

    fn plan_delivery(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        named: &Named,
        delivery: &Delivery,
    ) -> Result<(), Halt<Refused>> {
        let given = named.given.clone();
        if !seen.accounts.insert(delivery.account) {
            if seen.joined.insert(given.key()) {
                plan.joined.push((named.clone(), delivery.address.clone()));
            }
            return Ok(());
        }
        let mark = seen.account_mark(delivery.account);
        match self.missed(tx, &mark)? {
            Some(missed) => plan.repeated.push(Repeated { given, mark, missed }),
            None if seen.before.contains(&delivery.address.key()) => return Err(Halt::Refused(Refused::Loop(given))),
            // RFC 4865 §4: what is put off waits in the queue, also for those who are here.
            None if self.is_put_off() => {
                let recipient = delivery.address.clone();
                let original = (given.key() != recipient.key()).then(|| given.clone());
                let entry = NewEntry { recipient, original, options: named.options.clone() };
                plan.queued.push(Queued { given, entry, mark });
            }
            None => plan.fresh.push(self.plan_copy(tx, named.clone(), delivery.account, mark)?),
        }
        Ok(())
    }

    fn plan_remote(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        named: &Named,
        address: &Address,
    ) -> Result<(), Halt<Refused>> {
        let (Named { given, options }, address) = (named.clone(), address.clone());
        if let Some(to) = &self.outbound.capture_to {
            self.plan_capture(tx, plan, seen, named, to)?;
            plan.captured.push(Captured { given, address });
            return Ok(());
        }
        let mark = seen.remote_mark(&address);
        if let Some(missed) = self.missed(tx, &mark)? {
            plan.repeated.push(Repeated { given, mark, missed });
            return Ok(());
        }
        let original = (given.key() != address.key()).then(|| given.clone());
        if original.is_some() && seen.before.contains(&given.key()) {
            return Err(Halt::Refused(Refused::Loop(given)));
        }
        plan.queued.push(Queued { given, entry: NewEntry { recipient: address, original, options }, mark });
        Ok(())
    }

    /// One copy for all recipients whose mail stays here. Where it was delivered before does not matter: it goes no
    /// further.
    fn plan_capture(
        &self,
        tx: &Tx<'_>,
        plan: &mut Plan,
        seen: &mut Seen,
        named: &Named,
        to: &Address,
    ) -> Result<(), Halt<Refused>> {
        let Some(account) = directory::account(tx, to)? else {
            return Err(Halt::Refused(Refused::Gone(to.clone())));
        };
        if !seen.accounts.insert(account.id) {
            return Ok(());
        }
        let mark = seen.account_mark(account.id);
        match self.missed(tx, &mark)? {
            Some(missed) => plan.repeated.push(Repeated { given: named.given.clone(), mark, missed }),
            None => {
                plan.fresh.push(Fresh { is_capture: true, ..self.plan_copy(tx, named.clone(), account.id, mark)? });
            }
        }
        Ok(())
    }

    fn plan_copy(&self, tx: &Tx<'_>, named: Named, account: AccountId, mark: Mark) -> Result<Fresh, Halt<Refused>> {
        let given = named.given.clone();
        let inbox = mailbox::inbox(tx, account)?;
        let account = directory::account_by_id(tx, account)?;
        let (Some(mailbox), Some(account)) = (inbox, account) else {
            return Err(Halt::Refused(Refused::Gone(given)));
        };
        let own_lines = own_lines(self.sender.as_ref(), &account.address);
        let size_bytes =
            (own_lines.len() + self.trace_fields.len() + self.header_block.len()) as u64 + self.body_bytes();
        if !mailbox::fits(tx, &account, size_bytes)? {
            return Err(Halt::Refused(Refused::OverQuota(given)));
        }
        Ok(Fresh { named, address: account.address, mailbox, own_lines, mark, is_capture: false })
    }

    /// The copy of that mark of which the sender may have missed our answer.
    fn missed(&self, tx: &Tx<'_>, mark: &Mark) -> Result<Option<Missed>, StoreError> {
        match &self.session {
            Some(session) => unconfirmed::find_missed(tx, mark, session.sessions(), self.at),
            None => Ok(None),
        }
    }
}

impl Seen {
    /// What a sender repeats when it sends the same message to the same account again.
    fn account_mark(&self, account: AccountId) -> Mark {
        self.mark(b"account", &account.0.to_be_bytes())
    }

    /// The same for an address elsewhere.
    fn remote_mark(&self, address: &Address) -> Mark {
        self.mark(b"remote", address.key().as_bytes())
    }

    fn mark(&self, kind: &[u8], recipient: &[u8]) -> Mark {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.bytes.as_bytes());
        hasher.update(kind);
        hasher.update(recipient);
        let mut mark = [0; 16];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}
