use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::mailboxes::message::Shown;
use crate::base::{Address, MailboxId, MessageId, Timestamp, limits};
use crate::directory::{self, Resolution};
use crate::http::caller::{Allowed, MessagesRead};
use crate::http::context::Context;
use crate::http::page::ListQuery;
use crate::http::problem::{Code, Fault, Problem};
use crate::mailbox::{self, MAILBOX_TOPIC};
use crate::message::{fields, fold};
use crate::store::{StoreError, View};
use crate::trace::{self, Kind, Subject};

/// A message that has arrived.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Arrived {
    /// Its id: that of the trace.
    id: String,
    /// Whose mailbox it is in.
    account: String,
    /// The mailbox.
    mailbox: String,
    /// Its number there.
    uid: u32,
    /// Its From field, for people.
    from: String,
    /// Its To field, for people.
    to: String,
    /// Its Subject field, for people.
    subject: String,
    /// When it came in.
    at: String,
}

/// Waits until a message arrives for an address: for tests of programs that send mail. It gives the oldest one that came
/// in behind `after`; to wait for the next, say its `at`.
#[utoipa::path(
    tag = "messages",
    params(
        ("to" = String, Query, description = "The address. That of an account: whatever arrives for it. An alias, or one with a tag: what was sent to that"),
        ("subject" = Option<String>, Query, description = "Only messages whose subject, decoded, contains this, in any case"),
        ("after" = Option<String>, Query, description = "Only what came in behind this time (RFC 3339). Default: 60 s before the call"),
        ("timeout_seconds" = Option<u64>, Query, description = "How long to wait: 0 to 60, default 30"),
    ),
    responses(
        (status = 200, description = "It is there", body = Arrived),
        (status = 204, description = "None has arrived in that time"),
        (status = 404, description = "The address leads to no account here"),
    )
)]
#[get("/messages/wait")]
pub(in crate::http) async fn wait_for_message(
    allowed: Allowed<MessagesRead>,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow_only(&["to", "subject", "after", "timeout_seconds"])?;
    let required = || Problem::invalid(vec![Fault::parameter("to", "required", "for which address?")]);
    let to = query.read("to", Address::parse)?.ok_or_else(required)?;
    let domain = to.host.name().ok_or_else(|| Problem::not_found("account here for", &to))?;
    allowed.caller.need_domain(domain)?;
    let after = query.time("after")?;
    let after = after.unwrap_or_else(|| Timestamp(context.clock.now().ms().saturating_sub(limits::WAIT_BACK_MS)));
    let seconds = |text: &str| match text.parse() {
        Ok(seconds) if seconds <= limits::WAIT_S_MAX => Ok(seconds),
        _ => Err(format!("a number from 0 to {}", limits::WAIT_S_MAX)),
    };
    let patience = query.read("timeout_seconds", seconds)?.unwrap_or(limits::WAIT_S);
    let wanted = Wanted::of(&context, to, query.filter("subject").map(fold), after)?;
    let stop = context.delivery.stop.clone();
    let arrived = tokio::select! {
        arrived = wanted.wait(&context, Duration::from_secs(patience)) => arrived?,
        () = stop.cancelled() => None,
    };
    let Some(arrived) = arrived else { return Ok(HttpResponse::NoContent().finish()) };
    allowed.note(&context, &arrived.id, None).await?;
    Ok(HttpResponse::Ok().json(arrived))
}

/// What is waited for.
#[derive(Clone)]
struct Wanted {
    accounts: Vec<directory::Account>,
    /// Only what was sent to this address: it is not the account's own.
    exactly: Option<Address>,
    /// In the subject, folded.
    subject: Option<String>,
    after: Timestamp,
}

impl Wanted {
    fn of(context: &Context, to: Address, subject: Option<String>, after: Timestamp) -> Result<Self, Problem> {
        let view = context.store.view()?;
        let deliveries = match directory::resolve(&view, &to)? {
            Resolution::Local(local) | Resolution::InternalOnly(local) | Resolution::Forwards { local, .. } => local,
            _ => Vec::new(),
        };
        let mut accounts = Vec::with_capacity(deliveries.len());
        for delivery in &deliveries {
            accounts.extend(directory::account_by_id(&view, delivery.account)?);
        }
        if accounts.is_empty() {
            return Err(Problem::new(Code::NotFound, format!("{to} leads to no account here.")));
        }
        let is_own = accounts.iter().any(|account| account.address.key() == to.key());
        Ok(Self { accounts, exactly: (!is_own).then_some(to), subject, after })
    }

    /// Looks now, and again whenever a mailbox has changed; `None` when the patience or the server ends.
    async fn wait(self, context: &Context, patience: Duration) -> Result<Option<Arrived>, StoreError> {
        // Before the first look: what comes in meanwhile is heard of.
        let mut watch = context.store.bus().watch(MAILBOX_TOPIC);
        // The first look is not a matter of patience: with none at all it still says what is there.
        let arrived = self.look(context).await?;
        if arrived.is_some() {
            return Ok(arrived);
        }
        let until_it_is_there = async {
            while let Some(topic) = watch.next().await {
                if self.may_have_changed(context, topic.1)? {
                    let arrived = self.look(context).await?;
                    if arrived.is_some() {
                        return Ok(arrived);
                    }
                }
            }
            Ok(None)
        };
        timeout(patience, until_it_is_there).await.unwrap_or(Ok(None))
    }

    async fn look(&self, context: &Context) -> Result<Option<Arrived>, StoreError> {
        let wanted = self.clone();
        context.store.read(move |view| wanted.find(view)).await
    }

    /// Whether what the bus says of this mailbox is about one of the accounts.
    fn may_have_changed(&self, context: &Context, mailbox: u64) -> Result<bool, StoreError> {
        let Ok(mailbox) = u32::try_from(mailbox) else { return Ok(false) };
        if mailbox == 0 {
            // Some were missed.
            return Ok(true);
        }
        let row = mailbox::row(&context.store.view()?, MailboxId(mailbox))?;
        Ok(row.is_some_and(|row| self.accounts.iter().any(|account| account.id == row.account)))
    }

    /// The oldest that fits.
    fn find(&self, view: &View) -> Result<Option<Arrived>, StoreError> {
        let mut best: Option<(MessageId, Arrived)> = None;
        for account in &self.accounts {
            for folder in mailbox::folders(view, account.id)? {
                let Some((id, _)) = folder.mailbox else { continue };
                for member in mailbox::newest_members(view, id, None, limits::WAIT_LOOKS_AT)? {
                    let at = member.message.at();
                    if at <= self.after || best.as_ref().is_some_and(|(best, _)| *best <= member.message) {
                        continue;
                    }
                    let Some(head) = mailbox::head(view, id, member.uid)? else { continue };
                    if !self.fits(view, member.message, &head)? {
                        continue;
                    }
                    let Shown { from, to, subject, .. } = Shown::of(&head);
                    let arrived = Arrived {
                        id: member.message.to_string(),
                        account: account.address.to_string(),
                        mailbox: folder.name.clone(),
                        uid: member.uid.0,
                        from,
                        to,
                        subject,
                        at: at.rfc3339(),
                    };
                    best = Some((member.message, arrived));
                }
            }
        }
        Ok(best.map(|(_, arrived)| arrived))
    }

    fn fits(&self, view: &View, message: MessageId, head: &[u8]) -> Result<bool, StoreError> {
        // What its owner has put there has not arrived.
        if !fields(head).next().is_some_and(|field| field.is("Return-Path")) {
            return Ok(false);
        }
        if self.subject.as_ref().is_some_and(|wanted| !fold(&Shown::of(head).subject).contains(wanted.as_str())) {
            return Ok(false);
        }
        let Some(exactly) = &self.exactly else { return Ok(true) };
        let story = trace::story(view, Subject::Message(message))?;
        let is_own = |text: &String| Address::parse(text).is_ok_and(|address| address.key() == exactly.key());
        Ok(story.iter().any(|event| event.kind == Kind::Delivered && event.recipient.as_ref().is_some_and(is_own)))
    }
}
