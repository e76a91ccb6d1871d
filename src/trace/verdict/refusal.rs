use super::{Code, Event, Kind, Outcome, Said, words};

/// Whether it tells of something that was not taken in; not only of how many more there were.
pub(super) fn is_one(event: &Event) -> bool {
    match event.kind {
        Kind::Rejected => event.code.is_some(),
        kind => matches!(kind, Kind::LoginFailed | Kind::Aborted),
    }
}

/// What this server has refused, and why.
pub(super) fn of(event: &Event) -> Said {
    let (code, sentence, next_step) = match event.kind {
        Kind::LoginFailed => login_failed(event),
        Kind::Aborted => aborted(event),
        _ => rejected(event),
    };
    Said { outcome: Outcome::Refused, code, sentence, next_step }
}

fn login_failed(event: &Event) -> (Code, String, String) {
    let who = event.account.as_deref().filter(|who| !who.is_empty()).unwrap_or("Somebody");
    let how = match event.actor.split(' ').next().unwrap_or_default() {
        "pop3" => "by POP3",
        "imap" => "by IMAP",
        "submission" => "to send mail",
        _ => "by SMTP",
    };
    let sentence = match event.enhanced {
        Some((4, ..)) => format!("{who} could not log in {how}{}: this server could not check it.", from(event)),
        _ => format!("{who} could not log in {how}{}: the name or the password was wrong.", from(event)),
    };
    let next_step = "The user should check the user name (the whole address) and the password in the mail program. Where \
                     nobody knows of this attempt, somebody may be guessing passwords.";
    (Code::LoginFailed, sentence, next_step.to_owned())
}

fn aborted(event: &Event) -> (Code, String, String) {
    let why = if event.text.is_empty() { "the connection ended" } else { &event.text };
    let sentence = format!("{} was not taken in: {why} before the message was complete.", what(event));
    let next_step = if is_user(event) {
        "The sender should send it again; where it happens again, look at the network between the mail program and this \
         server."
    } else {
        "Nothing is to be done: the sending server tries again by itself. Where it happens again, those who run it should \
         look at the network between both servers."
    };
    (Code::Aborted, sentence, next_step.to_owned())
}

/// A refusal of ours: we know all of them.
fn rejected(event: &Event) -> (Code, String, String) {
    let to = event.recipient.as_deref().unwrap_or("the recipient");
    let domain = words::domain(to);
    let text = event.text.to_lowercase();
    let says = |word: &str| text.contains(word);
    let (code, why, next_step) = match event.enhanced.unwrap_or_default() {
        (5, 1, 1) => (
            Code::RefusedNoSuchAddress,
            format!("there is no address {to} here"),
            format!(
                "If {to} is right, an administrator should create the account or an alias for it. Otherwise the sender \
                 should correct the address and send the message again."
            ),
        ),
        (5, 2, 1) => (
            Code::RefusedMailboxDisabled,
            format!("the account of {to} is disabled"),
            "An administrator can enable the account; then the sender has to send the message again.".to_owned(),
        ),
        (_, 2, 2) => (
            Code::RefusedMailboxFull,
            format!("the mailbox of {to} is full"),
            format!(
                "{to} should delete mail, or an administrator raise the quota. The sender's server tries again by itself."
            ),
        ),
        (_, 3, 4) => (
            Code::RefusedTooBig,
            "the message, or its header, is bigger than this server takes".to_owned(),
            "The sender should send it smaller, or share the attachment in another way; an administrator can raise \
             smtp.message_bytes_max."
                .to_owned(),
        ),
        (_, 4, 6) => (
            Code::RefusedLoop,
            "the message goes in a circle".to_owned(),
            "An administrator should look where aliases and forwarding rules lead, here and on the other servers."
                .to_owned(),
        ),
        (5, 7, 0) if says("authentication") => (
            Code::RefusedLoginFirst,
            "the mail program did not log in".to_owned(),
            "The sender should switch on authentication for outgoing mail in the mail program.".to_owned(),
        ),
        (5, 7, 1) if says("relaying denied") => (
            Code::RefusedNotOurDomain,
            format!("{domain} is not a domain of this server, and the sender had not logged in"),
            format!(
                "If the sender is a user of yours, the mail program must log in and send by port 587 or 465. If {domain} \
                 belongs here, an administrator should add it."
            ),
        ),
        (5, 7, 1) if says("own users") => (
            Code::RefusedInternalOnly,
            format!("{to} takes mail from this server's own users only"),
            "An administrator can open the alias to others; a user has to log in to write to it.".to_owned(),
        ),
        (5, 7, 1) if says("not an address of") => (
            Code::RefusedNotYourAddress,
            format!("the user may not write as {}", words::sender(event.sender.as_deref())),
            "The user should write with an own address; an administrator can allow another one (send_as).".to_owned(),
        ),
        (_, 1, 7) | (_, 1, 8) => (
            Code::RefusedSender,
            "the sender's address can't be used".to_owned(),
            "The sender should correct the address that the message is sent from.".to_owned(),
        ),
        (_, 5, 2) | (_, 6, _) => (
            Code::RefusedContent,
            format!("it is not as it has to be ({})", event.text),
            "Those who made the program that sends it should correct it; another program may do.".to_owned(),
        ),
        (4, 7, _) | (_, 5, 3) => (
            Code::RefusedRateLimited,
            format!("the sender has asked for too much ({})", event.text),
            "The sender's server should try again later, with less at a time.".to_owned(),
        ),
        (4, ..) => (
            Code::RefusedOurTrouble,
            "this server had trouble at that moment".to_owned(),
            "An administrator should look into the log of that time and at the free space of the disk. The sender's \
             server tries again by itself."
                .to_owned(),
        ),
        _ => (
            Code::RefusedOther,
            if event.text.is_empty() { "it gave no reason".to_owned() } else { format!("\"{}\"", event.text) },
            "The sender should read the reply; an administrator finds what led to it in the events of this story."
                .to_owned(),
        ),
    };
    (code, format!("{} was refused by this server: {why}.", what(event)), next_step)
}

/// As in `A message from a@x.test for b@y.test`.
fn what(event: &Event) -> String {
    let sender = event.sender.as_deref().map(|sender| format!(" from {}", words::sender(Some(sender))));
    let to = event.recipient.as_deref().map(|to| format!(" for {to}"));
    format!("A message{}{}", sender.unwrap_or_default(), to.unwrap_or_default())
}

fn from(event: &Event) -> String {
    event.peer_ip.map(|ip| format!(" from {ip}")).unwrap_or_default()
}

fn is_user(event: &Event) -> bool {
    event.actor.starts_with("submission")
}
