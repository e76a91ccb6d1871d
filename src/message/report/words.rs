//! The part that people read.

use super::encode::{line, paragraph};
use super::status::{answer, status};
use super::{Fate, Reader, Report, Told};
use crate::base::{Enhanced, Timestamp};
use crate::message::fields;

/// Characters of a field of the message that are shown.
const SHOWN_CHARS: usize = 200;

/// What happened to whom, and what to do.
pub(super) fn text(report: &Report<'_>) -> String {
    let mut text = paragraph(&format!("This is the mail server {}.", report.hostname), "");
    text.push_str("\r\n");
    text.push_str(&paragraph(&opening(report), ""));
    for told in report.recipients {
        text.push_str("\r\n");
        text.push_str(&of_recipient(report, told));
    }
    text.push_str("\r\n");
    text.push_str(&about(report));
    text
}

fn opening(report: &Report<'_>) -> String {
    let is_one = report.recipients.len() == 1;
    let below = if is_one { "the recipient below" } else { "the recipients below" };
    let is_delayed = |told: &Told| matches!(told.fate, Fate::Delayed { .. });
    let delayed = report.recipients.iter().filter(|told| is_delayed(told)).count();
    let is_success = |told: &Told| told.fate.is_success();
    match (report.reader, report.message.sender) {
        (Reader::Sender, _) if report.recipients.iter().all(is_success) => {
            format!("You have asked to be told what becomes of your message. It has reached {below}.")
        }
        (Reader::Sender, _) if report.recipients.iter().any(is_success) => {
            "This became of your message for each of the recipients below.".to_owned()
        }
        (Reader::Sender, _) if delayed == report.recipients.len() => format!(
            "Your message could not be delivered to {below} yet. You need not send it again: the server goes on trying."
        ),
        (Reader::Sender, _) if delayed > 0 => {
            "Your message could not be delivered to some of the recipients below; to the others it is still being sent."
                .to_owned()
        }
        (Reader::Sender, _) => format!("Your message could not be delivered to {below}, and is not tried again."),
        (Reader::Postmaster, None) => format!(
            "A message without a sender, such as a report like this one, could not be delivered to {below}. There is \
             nobody else to tell."
        ),
        (Reader::Postmaster, Some(_)) => format!(
            "A message could not be delivered to {below}. Its sender was not told, since the address may be forged."
        ),
    }
}

fn of_recipient(report: &Report<'_>, told: &Told) -> String {
    let mut text = paragraph(&format!("<{}>", line(&told.recipient.to_string())), "  ");
    if let Some(original) = &told.original {
        text.push_str(&paragraph(
            &format!("The message was for <{}>, which leads there.", line(&original.to_string())),
            "    ",
        ));
    }
    text.push_str(&paragraph(&what_happened(report, told), "    "));
    if !told.fate.is_success() {
        text.push_str(&paragraph(&line(&answer(told)), "      "));
        text.push_str(&paragraph(advice(told), "    "));
    }
    text
}

/// Ends with a colon where what was answered follows.
fn what_happened(report: &Report<'_>, told: &Told) -> String {
    let server = told.server.as_ref().map(|server| line(server));
    let answered = match (&server, told.code) {
        (Some(server), Some(_)) => format!("the server {server} answered"),
        (Some(server), None) => format!("at the server {server} this happened"),
        (None, Some(_)) => "the server answered".to_owned(),
        (None, None) => "this happened".to_owned(),
    };
    match told.fate {
        Fate::Failed => match (&server, told.code) {
            (Some(server), Some(_)) => format!("The server {server} refused it for good:"),
            (None, Some(_)) => "It was refused for good:".to_owned(),
            (_, None) if is_decision(told) => "It was given up by the administrators of this server:".to_owned(),
            (_, None) => "It can't be delivered:".to_owned(),
        },
        Fate::Expired => {
            let tried = length(report.at.ms_since(report.message.arrived_at));
            format!("It was kept for {tried} and is now given up. In the end, {answered}:")
        }
        Fate::Overdue => {
            let by = report.message.deliver_by.map_or_else(|| "now".to_owned(), moment);
            format!("It was to be delivered by {by} or to come back, and is given up. In the end, {answered}:")
        }
        Fate::Delayed { until } => {
            format!("It is tried again until {}. Last, {answered}:", moment(until))
        }
        Fate::Delivered => "It is in the mailbox.".to_owned(),
        Fate::Relayed => match &server {
            Some(server) => format!("The server {server} has taken it, and will not report what becomes of it there."),
            None => "Another server has taken it, and will not report what becomes of it there.".to_owned(),
        },
        Fate::Expanded => "It has gone to everybody whom this address leads to.".to_owned(),
    }
}

/// Whether it was refused by people here, without another try.
fn is_decision(told: &Told) -> bool {
    told.fate == Fate::Failed && told.tried_at.is_none()
}

/// What the reader can do about it.
// RFC 3463 §3
fn advice(told: &Told) -> &'static str {
    if let Fate::Delayed { .. } = told.fate {
        return "You are told when it fails for good. If it is urgent, reach the recipient in another way.";
    }
    if is_decision(told) {
        return "They can say more: write to the postmaster of this server.";
    }
    match status(told) {
        Enhanced(_, 1, _) => "Look whether the address is spelled right. If it is, ask the recipient for another one.",
        Enhanced(_, 2, 2) => {
            "The mailbox is full: reach the recipient in another way, and send the message again later."
        }
        Enhanced(_, 2, _) => "The mailbox takes no mail: reach the recipient in another way.",
        Enhanced(_, 3, 4) => "The message is too large for that server: send it in smaller pieces, or in another way.",
        Enhanced(_, 4, 7) => "Send the message again later, or reach the recipient in another way.",
        Enhanced(_, 4, _) => {
            "That server or its domain is not set up right, or is gone: tell its administrators if you can, or reach \
             the recipient in another way."
        }
        Enhanced(_, 6, _) => {
            "That server can't take messages of this kind: send it as plain text, with addresses and names in ASCII."
        }
        Enhanced(_, 7, _) => {
            "That server refuses the message by its own rules. Its administrators can say why: show them the words above."
        }
        _ => "The recipient's administrators can say what this means: show them the words above.",
    }
}

/// Which message this is about.
fn about(report: &Report<'_>) -> String {
    let sender = report.message.sender.map(ToString::to_string).unwrap_or_default();
    let taken = format!("taken in on {} as {}", moment(report.message.arrived_at), report.message.id);
    let mut text = format!("The message, {taken}:\r\n\r\n");
    text.push_str(&paragraph(&format!("Sender: <{}>", line(&sender)), "  "));
    for name in ["From", "To", "Subject", "Date", "Message-ID"] {
        if let Some(field) = fields(report.message.head).find(|field| field.is(name)) {
            text.push_str(&paragraph(&format!("{name}: {}", line(&field.text(SHOWN_CHARS))), "  "));
        }
    }
    text
}

fn moment(at: Timestamp) -> String {
    at.rfc5322()
}

/// A length of time in words: in the largest unit of which there are two.
fn length(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (number, unit) = match minutes {
        0..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}
