use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::data::is_signed;
use super::session::{Session, Smtp};
use super::{policy, report, submission};
use crate::base::{DomainName, Enhanced, MessageId, Reply, Timestamp, limits};
use crate::dkim::{BodyHash, ChainStatus, Seal, Unsealed, Unsigned};
use crate::intake::{self, Accept, Accepted, Body, Origin, Received, Recipient, Refused};
use crate::message::{Scan, Scanned, Summary};
use crate::queue::Notify;
use crate::smtp::machine::{Facts, Identity, Profile, Transaction};
use crate::store::{Committed, StagedBlob, WriteError};
use crate::trust::{self, Arrival, Hashed, Verdicts, Word};

/// A message that was received whole and is not yet committed.
pub(super) struct Taken {
    /// The header block as received.
    pub(super) header_block: Vec<u8>,
    /// The body, from the blank line on.
    pub(super) body: Option<StagedBlob>,
    /// What was found in it as it came.
    pub(super) scanned: Scanned,
    /// Octets of both.
    pub(super) bytes: u64,
    /// Some of them are above 127.
    pub(super) eight_bit: bool,
    /// Of the body, where that is of use.
    pub(super) body_hashed: Option<Box<BodyHashed>>,
}

/// What a body was hashed for.
pub(super) enum BodyHashed {
    /// The signature of what one of our own sends.
    Own(BodyHash),
    /// The signatures of a stranger.
    Theirs(Hashed),
}

impl Session {
    /// Looks at the header block, puts our trace field before it, and commits the message for all its recipients.
    pub(super) async fn commit(
        &mut self,
        facts: &Facts<Smtp>,
        transaction: Transaction<Smtp>,
        taken: Taken,
    ) -> Result<Committed<Accepted>, Reply> {
        if self.is_logged_out() {
            // The session ends before its next command.
            return Err(Reply::new(451, Enhanced(4, 7, 0), "Your login has ended: log in again"));
        }
        let context = Arc::clone(&self.context);
        let Taken { mut header_block, body, scanned, bytes, eight_bit, body_hashed } = taken;
        let (body_hash, hashed) = match body_hashed.map(|hashed| *hashed) {
            Some(BodyHashed::Own(hash)) => (Some(hash), None),
            Some(BodyHashed::Theirs(hashed)) => (None, Some(hashed)),
            None => (None, None),
        };
        let scan = Scan::of(&header_block);
        // RFC 5321 §6.3
        if scan.is_looping() {
            return Err(Reply::new(554, Enhanced(5, 4, 6), "The message has passed too many servers: it is in a loop"));
        }
        let at = context.clock.now();
        let id = context.ids.message(at);
        let mut trace_fields = self.received(facts, &transaction, id, at);
        let mut message_id_field = scan.message_id.clone();
        if let (Profile::Submission, Some(Identity::Account(identity))) = (self.profile, &facts.identity) {
            submission::check(&context, identity, &transaction.sender, &header_block, &scan)?;
            let added = intake::missing_fields(&scan, id, &context.hostname, at);
            trace_fields.push_str(&added.text);
            message_id_field = message_id_field.or(added.message_id);
            header_block = submission::without_bcc(header_block);
            let fields = sign(&context, &scan, &[trace_fields.as_bytes(), &header_block].concat(), body_hash, at)?;
            trace_fields.insert_str(0, &fields);
        }
        let verdicts = self.judge(facts, &transaction, &header_block, hashed).await;
        if self.profile != Profile::Submission {
            // RFC 8601 §5
            header_block = match trust::without_forged_results(&header_block, &context.hostname) {
                Cow::Owned(stripped) => stripped,
                Cow::Borrowed(_) => header_block,
            };
        }
        if let Some(verdicts) = &verdicts {
            // RFC 8601 §4.1: above the Received field of the same server
            trace_fields.insert_str(0, &verdicts.field(&context.hostname));
        }
        let head = [trace_fields.as_bytes(), &header_block].concat();
        let seal = self.seal(&transaction, verdicts.as_ref(), &head, hashed, at);
        let report = report::Summary::of(self, facts, &transaction, bytes);
        let written = context
            .store
            .write(Accept {
                id,
                at,
                session: Some(Arc::clone(&self.intake)),
                origin: Origin { checked: verdicts.as_ref().map(ToString::to_string), ..self.origin(facts) },
                sender: transaction.sender.address.clone(),
                recipients: transaction.recipients,
                notify: match (&verdicts, &transaction.sender.address) {
                    // Whoever owns the address has sent it: a report reaches nobody else.
                    (Some(verdicts), Some(sender)) if verdicts.prove(sender) => Notify::Sender,
                    // It was strangers who wrote what a peer kept for us.
                    _ if self.reversed.is_some() => Notify::Postmaster,
                    _ => policy::notify(facts, &transaction.sender),
                },
                summary: Summary::of(&head, scanned),
                seal,
                trace_fields: trace_fields.into_bytes(),
                smtputf8: is_utf8_header(&header_block),
                header_block,
                delivered_to: scan.delivered_to,
                body: body.map(Body::Staged),
                message_id_field,
                eight_bit,
                options: transaction.sender.options(at),
                outbound: Arc::clone(&context.outbound),
            })
            .await;
        let receipt = written.map_err(refusal)?;
        self.unconfirmed.push(receipt.confirm());
        self.asked = None;
        self.served.received += 1;
        self.served.size_bytes += bytes;
        report.accepted(&receipt);
        Ok(receipt)
    }

    /// Where the message comes from, for the trace.
    fn origin(&self, facts: &Facts<Smtp>) -> Origin {
        Origin {
            actor: self.actor(facts.identity.as_ref()),
            peer_ip: Some(self.connection.peer().ip()),
            helo: Some(facts.hello.name.clone()),
            tls: self.tls_text(),
            checked: None,
        }
    }

    /// What is known of who a stranger's message is from. Nothing is asked of what comes from this machine; and where a peer
    /// has kept it for us, SPF says nothing of the peer, and only signatures do.
    async fn judge(
        &mut self,
        facts: &Facts<Smtp>,
        transaction: &Transaction<Smtp>,
        header_block: &[u8],
        body: Option<Hashed>,
    ) -> Option<Verdicts> {
        let context = Arc::clone(&self.context);
        let evidence = context.evidence.as_ref()?;
        let peer_ip = match self.profile {
            Profile::Mx if facts.identity.is_none() && !self.connection.is_loopback() => {
                Some(self.connection.peer().ip())
            }
            Profile::Reversed if is_signed(header_block) => None,
            Profile::Mx | Profile::Reversed | Profile::Submission | Profile::Odmr => return None,
        };
        let arrival = Arrival {
            peer_ip,
            helo: &facts.hello.name,
            hostname: &context.hostname,
            sender: transaction.sender.address.as_ref(),
            header_block,
            body,
        };
        let resolve = evidence.within(Duration::from_millis(limits::TRUST_MS));
        Some(evidence.judge().judge(&arrival, &resolve).await)
    }

    /// Who may put a seal before what comes, as far as something will be known of it: the first that has a key does.
    pub(super) fn sealers<'a>(&self, transaction: &'a Transaction<Smtp>) -> Vec<&'a DomainName> {
        let outbound = &self.context.outbound;
        // Nothing leaves the machine there.
        let may_seal = outbound.seals && outbound.capture_to.is_none();
        if may_seal { intake::forwarders(&transaction.recipients) } else { Vec::new() }
    }

    /// With what a message is sealed where it goes on from here. Mail is worth more than its seal: it goes also where the
    /// keys can't be read.
    fn seal(
        &self,
        transaction: &Transaction<Smtp>,
        verdicts: Option<&Verdicts>,
        head: &[u8],
        body: Option<Hashed>,
        at: Timestamp,
    ) -> Option<Seal> {
        let (sealers, verdicts, body) = (self.sealers(transaction), verdicts?, body?.relaxed());
        if sealers.is_empty() {
            return None;
        }
        let Context { store, outbound, hostname, .. } = &*self.context;
        let chain = match verdicts.arc.word {
            Word::None => ChainStatus::None,
            Word::Pass => ChainStatus::Pass,
            _ => ChainStatus::Fail,
        };
        let results = verdicts.results(hostname);
        let seal = store.view().and_then(|view| {
            let unsealed = |by| Unsealed { by, head, body, results: &results, chain, at };
            let seals = sealers.into_iter().map(|by| outbound.signers.seal(&view, &unsealed(by)));
            seals.filter_map(Result::transpose).next().transpose()
        });
        seal.unwrap_or_else(|error| {
            tracing::error!(%error, "a message that is forwarded can't be sealed");
            None
        })
    }

    fn received(&self, facts: &Facts<Smtp>, transaction: &Transaction<Smtp>, id: MessageId, at: Timestamp) -> String {
        // RFC 5321 §7.2: with several recipients the clause would tell each of the others.
        let recipient = match transaction.recipients.as_slice() {
            [Recipient { given, .. }] => Some(given),
            _ => None,
        };
        intake::received(&Received {
            helo: &facts.hello.name,
            peer_ip: Some(self.connection.peer().ip()),
            by: self.context.hostname.as_str(),
            extended: facts.hello.is_extended,
            tls: self.tls_text().as_deref(),
            authenticated: facts.identity.is_some(),
            turned: self.reversed.is_some(),
            utf8: transaction.sender.smtputf8,
            id,
            recipient,
            at,
        })
    }
}

/// The signatures of a submission, in the name of its author: by now that is known to be whoever is logged in.
fn sign(context: &Context, scan: &Scan, head: &[u8], body: Option<BodyHash>, at: Timestamp) -> Result<String, Reply> {
    let (Some(author), Some(body)) = (scan.author().and_then(|author| author.host.name()), body) else {
        return Ok(String::new());
    };
    let unsigned = Unsigned { author, head, body, at };
    let fields = policy::with_view(context, |view| context.outbound.signers.sign(view, &unsigned))?;
    // All of it is ASCII.
    Ok(String::from_utf8(fields).unwrap_or_default())
}

/// Whether the header can't be sent without SMTPUTF8, whatever MAIL said: many clients give the parameter with each
/// message. Octets that are no UTF-8 at all are what 8BITMIME alone is for, in practice.
// RFC 6532 §3.1
fn is_utf8_header(header_block: &[u8]) -> bool {
    !header_block.is_ascii() && std::str::from_utf8(header_block).is_ok()
}

/// A fault of ours is temporary; so is what the recipient can mend.
fn refusal(error: WriteError<Refused>) -> Reply {
    match error {
        WriteError::Refused(Refused::OverQuota(_)) => policy::over_quota(),
        WriteError::Refused(Refused::Loop(address)) => Reply::new(
            554,
            Enhanced(5, 4, 6),
            format!("The message was delivered to <{address}> before: it is in a loop"),
        ),
        WriteError::Refused(Refused::Gone(address)) => policy::broken(format!("{address} was deleted meanwhile")),
        WriteError::Full => policy::disk_full(),
        other => policy::broken(other.to_string()),
    }
}
