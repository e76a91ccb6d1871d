use super::copies::Copies;
use super::fault::{self, Fault};
use super::fold::{Place, Story, Track};
use super::{Code, Event, Outcome, RecipientVerdict, Said, refusal};

/// What became of one recipient.
pub(super) fn of_track(story: &Story<'_>, track: &Track<'_>) -> Said {
    let to = &track.address;
    match track.place {
        Place::Account => match track.account.as_deref().and_then(|account| Some((account, story.copies_of(account)?)))
        {
            Some((account, copies)) => of_copies(to, account, copies),
            None => unknown(),
        },
        Place::Refused(event) => refusal::of(event),
        Place::Queued(None) => said(
            Outcome::Waiting,
            Code::WaitingFirstAttempt,
            format!("The message for {to} is in the queue, and about to be sent for the first time."),
            "Nothing is to be done; look again in a minute.",
        ),
        Place::Queued(Some(event)) => said(
            Outcome::Waiting,
            Code::WaitingFirstAttempt,
            format!(
                "The message for {to} is in the queue, and due at once since {} (by {}).",
                when(event),
                event.actor
            ),
            "Nothing is to be done; look again in a minute.",
        ),
        Place::Deferred(event) => waiting(track, event),
        Place::Parked(event) => parked(to, event),
        Place::Held(event) => held(to, event),
        Place::Uncertain(event) => uncertain(to, event),
        Place::Relayed(event) => relayed(track, event),
        Place::Failed(event) => failed(story, track, event),
        Place::Expired(event) => expired(story, track, event),
        Place::Dropped(event) => said(
            Outcome::Dropped,
            Code::Dropped,
            format!(
                "The message for {to} was removed from the queue by {} at {}, and nobody was told.",
                event.actor,
                when(event)
            ),
            "Whoever removed it knows why. Where that was a mistake, the sender has to send it again, or it is redelivered \
             while it is still kept.",
        ),
    }
}

/// What became of several.
pub(super) fn of_several(recipients: &[RecipientVerdict]) -> Said {
    let count = recipients.len();
    let Some(first) = recipients.first() else { return unknown() };
    if recipients.iter().all(|recipient| (recipient.outcome, recipient.code) == (first.outcome, first.code)) {
        let sentence = match first.outcome {
            Outcome::InMailbox => format!("The message is in the mailboxes of all {count} recipients."),
            Outcome::HandedOver => format!("The message was handed over for all {count} recipients."),
            _ => format!("It is the same for all {count} recipients: {}", lower_first(&first.sentence)),
        };
        return Said { sentence, ..first.said() };
    }
    let outcome =
        if recipients.iter().all(|one| one.outcome == first.outcome) { first.outcome } else { Outcome::Mixed };
    let is_well = |one: &&RecipientVerdict| matches!(one.outcome, Outcome::InMailbox | Outcome::HandedOver);
    let well = recipients.iter().filter(is_well).count();
    // The one that most has to be done for.
    let Some(worst) = recipients.iter().max_by_key(|one| rank(one.outcome)) else { return unknown() };
    let code = if outcome == Outcome::Mixed { Code::Mixed } else { worst.code };
    let others = count - well - usize::from(well < count);
    let more = match others {
        0 => String::new(),
        1 => " One other recipient has not got it either.".to_owned(),
        others => format!(" {others} other recipients have not got it either."),
    };
    let sentence = if well == count {
        format!("All {count} recipients have the message, or their servers do.")
    } else if outcome == Outcome::Refused {
        // What a session has asked for may be more than one message.
        format!("This server refused all {count} recipients, for several reasons. {}", worst.sentence)
    } else if well == 0 {
        format!("None of {count} recipients has the message. {}{more}", worst.sentence)
    } else {
        format!("{well} of {count} recipients have the message, or their servers do. {}{more}", worst.sentence)
    };
    Said { outcome, code, sentence, next_step: worst.next_step.clone() }
}

/// Where a story does not say.
pub(super) fn unknown() -> Said {
    said(
        Outcome::Unknown,
        Code::Unknown,
        "What is left of this story does not say what became of the message.".to_owned(),
        "Look at the events; older ones may be gone (trace.keep_seconds).",
    )
}

/// The domain of an address.
pub(super) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}

/// The sender of an envelope.
pub(super) fn sender(sender: Option<&str>) -> &str {
    sender.filter(|sender| !sender.is_empty()).unwrap_or("the null sender (a report)")
}

fn of_copies(to: &str, account: &str, copies: &Copies<'_>) -> Said {
    let mailbox = copies.mailbox().unwrap_or("INBOX");
    if copies.left() > 0 {
        return in_mailbox(to, account, mailbox, copies);
    }
    let Some(event) = copies.removed else { return unknown() };
    let (code, how) = match event.actor.split(' ').next().unwrap_or_default() {
        "pop3" => (Code::RemovedPop3, "by POP3 (most mail programs do that when they have fetched it)"),
        "imap" => (Code::RemovedImap, "by IMAP"),
        _ => (Code::RemovedOperator, "by an operator"),
    };
    let by = event.actor.split_once(' ').map_or(event.actor.as_str(), |(_, who)| who);
    let from = event.peer_ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
    said(
        Outcome::Removed,
        code,
        format!(
            "The message for {to} came into the mailbox of {account}, and was deleted from {mailbox} {how}: {by} did it{from} at {}.",
            when(event)
        ),
        "Look for it in the mail program that fetched or deleted it. While the message is still kept, an operator can \
         redeliver it.",
    )
}

fn in_mailbox(to: &str, account: &str, mailbox: &str, copies: &Copies<'_>) -> Said {
    let for_whom = if to == account { String::new() } else { format!(" for {to}") };
    let since = copies.moved.or(copies.delivered).map(|event| format!(" since {}", when(event))).unwrap_or_default();
    let more = match copies.left() {
        0 | 1 => String::new(),
        2 => " (1 more copy is in this or another mailbox)".to_owned(),
        count => format!(" ({} more copies are in this and other mailboxes)", count - 1),
    };
    let fetched = copies.fetched.map(|event| format!(" POP3 has fetched it at {}.", when(event))).unwrap_or_default();
    let restored = match copies.restored {
        Some(event) => format!(" {} has brought it back {} at {}.", event.actor, event.text, when(event)),
        None => String::new(),
    };
    let captured = copies.delivered.is_some_and(|event| event.text.starts_with("captured"));
    let next_step = if captured {
        "Nothing is to be done: mail for elsewhere is captured here (delivery.capture_to)."
    } else if mailbox == "INBOX" {
        "Nothing is to be done here. Who can't see it should look into the mail program's filters, and whether it shows \
         this account."
    } else {
        "Nothing is to be done here. Who misses it should look into that mailbox."
    };
    said(
        Outcome::InMailbox,
        Code::Delivered,
        format!("The message{for_whom} is in the mailbox {mailbox} of {account}{since}{more}.{fetched}{restored}"),
        next_step,
    )
}

fn waiting(track: &Track<'_>, event: &Event) -> Said {
    let fault = fault::of_attempt(event);
    let words = Words::of(track, event);
    let next = match event.text.rsplit_once("(next attempt at ") {
        Some((_, time)) => format!("at {}", readable(time.trim_end_matches(')'))),
        None => "soon".to_owned(),
    };
    let mend = match words.mend(fault) {
        mend if mend.is_empty() => String::new(),
        mend => format!(" If it lasts: {mend}"),
    };
    let twice = if track.may_be_there { " An earlier attempt may have brought it there already." } else { "" };
    Said {
        outcome: Outcome::Waiting,
        code: Code::waiting(fault),
        sentence: format!("The message for {} waits here: {}.{twice}", track.address, words.why(fault)),
        next_step: format!("Nothing is to be done at once: this server tries again {next}.{mend}"),
    }
}

fn parked(to: &str, event: &Event) -> Said {
    let peer = event.text.strip_prefix("for ").unwrap_or("its peer");
    said(
        Outcome::Waiting,
        Code::WaitingPeer,
        format!("The message for {to} is kept here for the server {peer}, which fetches its mail itself."),
        format!(
            "Those who run {peer} should let it connect (ATRN, TURN or ETRN); an operator can start the exchange, or send \
             the message another way."
        ),
    )
}

fn held(to: &str, event: &Event) -> Said {
    let why = if event.text.is_empty() { String::new() } else { format!(": {}", event.text) };
    said(
        Outcome::Held,
        Code::Held,
        format!("The message for {to} is held in the queue by {} since {}{why}.", event.actor, when(event)),
        "An operator has to release it, or bounce it.",
    )
}

fn uncertain(to: &str, event: &Event) -> Said {
    let server = event.server.as_deref().unwrap_or("the other server");
    said(
        Outcome::Uncertain,
        Code::Uncertain,
        format!("{server} may have the message for {to} already: the connection broke before its answer came."),
        "Nothing is to be done: it is sent again, and the recipient may find it twice.",
    )
}

fn relayed(track: &Track<'_>, event: &Event) -> Said {
    let (to, at) = (&track.address, when(event));
    let twice =
        if track.may_be_there { " It may have it twice: an earlier attempt broke before its answer came." } else { "" };
    if let Some((verb, peer)) = event.actor.split_once(' ').filter(|(verb, _)| ["turn", "atrn", "etrn"].contains(verb))
    {
        let verb = verb.to_uppercase();
        return said(
            Outcome::HandedOver,
            Code::HandedToPeer,
            format!("The server {peer} has fetched the message for {to} by {verb} at {at}.{twice}"),
            format!("Ask those who run {peer}: they have it now."),
        );
    }
    let server = event.server.as_deref().unwrap_or("the next server");
    let ip = event.peer_ip.map(|ip| format!(" [{ip}]")).unwrap_or_default();
    let target = track.goes_to();
    let on = if target == to { String::new() } else { format!(", which goes on to {target}") };
    said(
        Outcome::HandedOver,
        Code::HandedOver,
        format!("{server}{ip} has taken the message for {to}{on} at {at}.{twice}"),
        format!(
            "It is with {server} now: who can't find it should look into the spam folder, then ask those who run {} and name \
             them the reply \"{}\".",
            domain(target),
            event.text
        ),
    )
}

fn failed(story: &Story<'_>, track: &Track<'_>, event: &Event) -> Said {
    let to = &track.address;
    if event.stage.as_deref() == Some("queue") {
        let why = if event.text.is_empty() { String::new() } else { format!(" ({})", event.text) };
        return said(
            Outcome::Bounced,
            Code::BouncedOperator,
            format!("The message for {to} was bounced by {} at {}{why}{}.", event.actor, when(event), told(story)),
            "Whoever bounced it knows why; the sender may send it again.",
        );
    }
    let fault = fault::of_attempt(event);
    let words = Words::of(track, event);
    let mend = match words.mend(fault) {
        mend if mend.is_empty() => {
            "The sender should read the reply, and ask those who run the receiving server.".to_owned()
        }
        mend => mend,
    };
    let twice = if track.may_be_there { " An earlier attempt may have brought it there all the same." } else { "" };
    Said {
        outcome: Outcome::Bounced,
        code: Code::bounced(fault),
        sentence: format!("The message for {to} could not be delivered: {}{}.{twice}", words.why(fault), told(story)),
        next_step: mend,
    }
}

fn expired(story: &Story<'_>, track: &Track<'_>, event: &Event) -> Said {
    let to = &track.address;
    let told = told(story);
    let is_parked = event.stage.as_deref() == Some("queue");
    if is_parked {
        return said(
            Outcome::Bounced,
            Code::BouncedExpiredPeer,
            format!(
                "The message for {to} was given up at {}: the peer that it was kept for did not fetch it{told}.",
                when(event)
            ),
            "Those who run that peer should see why it did not connect; then the sender has to send the message again.",
        );
    }
    let fault = fault::of_attempt(event);
    let words = Words::of(track, event);
    said(
        Outcome::Bounced,
        Code::BouncedExpired,
        format!(
            "The message for {to} was given up at {} after many attempts: {}{told}.",
            when(event),
            words.why(fault)
        ),
        format!("{} Then the sender has to send the message again.", words.mend(fault)).trim_start().to_owned(),
    )
}

/// Who was told that it was given up.
fn told(story: &Story<'_>) -> String {
    let Some(event) = story.told else { return String::new() };
    match (&event.recipient, story.sender) {
        (Some(to), Some(sender)) if to == sender => format!("; the sender {sender} was told so"),
        (Some(to), _) => format!("; {to} was told so"),
        (None, _) => "; there was nobody who could be told".to_owned(),
    }
}

/// The names that stand in the sentences on an attempt.
struct Words<'a> {
    to: &'a str,
    domain: &'a str,
    server: &'a str,
    text: &'a str,
    code: Option<u16>,
}

impl<'a> Words<'a> {
    fn of(track: &'a Track<'_>, event: &'a Event) -> Self {
        let to = track.goes_to();
        let server = event.server.as_deref().unwrap_or_else(|| domain(to));
        let text = event.text.split(" (next attempt at ").next().unwrap_or_default();
        Self { to, domain: domain(to), server, text, code: event.code }
    }

    /// What stands behind `because`.
    fn why(&self, fault: Fault) -> String {
        let Self { to, domain, server, text, code } = self;
        let said = match code {
            Some(code) => format!("{code} {text}"),
            None => (*text).to_owned(),
        };
        match fault {
            Fault::NoSuchAddress => format!("{server} says that there is no address {to}"),
            Fault::MailboxDisabled => format!("{server} says that the mailbox of {to} is switched off"),
            Fault::MailboxFull => format!("{server} says that the mailbox of {to} is full"),
            Fault::TooBig => format!("the message is too big for {server}"),
            Fault::RelayingDenied => format!("{server} takes no mail for {domain} from this server"),
            Fault::Blocked => format!("{server} blocks mail from this server (\"{said}\")"),
            Fault::Spam => format!("{server} takes it for spam (\"{said}\")"),
            Fault::Unauthenticated => format!("{server} could not verify the sender (\"{said}\")"),
            Fault::Login => format!("{server} did not take the login of this server"),
            Fault::Tls => format!("no encrypted connection with {server} could be made ({text})"),
            Fault::Dns => format!("the DNS does not answer where mail for {domain} goes"),
            Fault::NoSuchDomain => format!("the domain {domain} does not exist ({text})"),
            Fault::NoMailDomain => format!("{domain} takes no mail at all"),
            Fault::NoServer => format!("the DNS names no server for {domain} that could be used ({text})"),
            Fault::ReceiverDown => format!("{server} can't be reached ({text})"),
            Fault::Timeout => format!("{server} does not answer in time"),
            Fault::Greylisted => format!("{server} lets senders that it does not know wait (greylisting)"),
            Fault::RateLimited => format!("{server} takes no more mail from here for now (\"{said}\")"),
            Fault::ServerTrouble => format!("{server} has trouble of its own (\"{said}\")"),
            Fault::Loop => format!("the message goes in a circle ({text})"),
            Fault::Sender => format!("{server} does not take the sender's address (\"{said}\")"),
            Fault::Content => format!("{server} does not take the message as it is (\"{said}\")"),
            Fault::OurTrouble => format!("this server had trouble of its own ({text})"),
            Fault::Other => format!("{server} has refused it (\"{said}\")"),
        }
    }

    /// Who must do what; empty where waiting does it.
    fn mend(&self, fault: Fault) -> String {
        let Self { to, domain, server, .. } = self;
        match fault {
            Fault::NoSuchAddress => {
                format!(
                    "The sender should check the spelling of {to}, or ask the recipient for the right address, and send the message again."
                )
            }
            Fault::MailboxDisabled => {
                format!("The recipient has to ask those who run {domain} to switch the mailbox on again.")
            }
            Fault::MailboxFull => format!("The owner of {to} has to make room; reach them another way."),
            Fault::TooBig => "The sender should send it smaller, or share the attachment in another way.".to_owned(),
            Fault::RelayingDenied => format!(
                "Those who run {domain} should check where its MX records point; where a route is set up here, an \
                 administrator should check its host and login."
            ),
            Fault::Blocked => {
                "The administrator of this server should look for its address in the list that the reply \
                               names, have it removed there, and retry."
                    .to_owned()
            }
            Fault::Spam => {
                "The sender should change wording, links or attachments; the administrator should check SPF, DKIM \
                            and DMARC of the sender's domain, and ask the other side's postmaster."
                    .to_owned()
            }
            Fault::Unauthenticated => "The administrator should check the SPF, DKIM and DMARC records of the sender's \
                                       domain, and the reverse DNS of this server."
                .to_owned(),
            Fault::Login => {
                format!("An administrator should correct the user name and password of the route to {server}.")
            }
            Fault::Tls => format!("Those who run {server} should check its certificate and its TLS versions."),
            Fault::Dns => format!(
                "Those who run the DNS of {domain} should check their name servers; the administrator, the \
                                   resolver of this server."
            ),
            Fault::NoSuchDomain => {
                format!("The sender should check the spelling behind the @ of {to}, and send the message again.")
            }
            Fault::NoMailDomain => "The sender needs another address of the recipient.".to_owned(),
            Fault::NoServer => format!("Those who run the DNS of {domain} should correct its MX records."),
            Fault::ReceiverDown | Fault::Timeout => {
                format!(
                    "Those who run {domain} should check their server {server}; the administrator, whether this server may \
                         connect to port 25."
                )
            }
            Fault::Greylisted | Fault::RateLimited => String::new(),
            Fault::ServerTrouble => format!("Those who run {server} should look into its log."),
            Fault::Loop => {
                "An administrator should look where aliases, routes and MX records lead, here and on the other \
                            servers."
                    .to_owned()
            }
            Fault::Sender => {
                "The sender should write from an address that can be answered; the administrator should check \
                              the DNS of its domain."
                    .to_owned()
            }
            Fault::Content => {
                "The sender should send it in another form, as plain text or with another program.".to_owned()
            }
            Fault::OurTrouble => "The administrator should look into the log of this server.".to_owned(),
            Fault::Other => String::new(),
        }
    }
}

fn said(outcome: Outcome, code: Code, sentence: String, next_step: impl Into<String>) -> Said {
    Said { outcome, code, sentence, next_step: next_step.into() }
}

/// Which outcome has to be looked at first.
fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Bounced => 9,
        Outcome::Refused => 8,
        Outcome::Dropped => 7,
        Outcome::Held => 6,
        Outcome::Uncertain => 5,
        Outcome::Waiting => 4,
        Outcome::Removed => 3,
        Outcome::Mixed | Outcome::Unknown => 2,
        Outcome::HandedOver => 1,
        Outcome::InMailbox => 0,
    }
}

/// When, to the minute: a person reads it.
fn when(event: &Event) -> String {
    readable(&event.at.rfc3339())
}

/// As in `2026-11-22 12:00 UTC`.
fn readable(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => rfc3339.to_owned(),
    }
}

fn lower_first(sentence: &str) -> String {
    match sentence.strip_prefix("The message") {
        Some(rest) => format!("the message{rest}"),
        None => sentence.to_owned(),
    }
}
