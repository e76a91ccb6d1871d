//! The part that programs read.
// RFC 3464 §2

use super::encode::{ascii_line, field};
use super::{Fate, Report, Told};
use crate::base::{Address, Enhanced, OriginalRecipient};

/// The fields of the message, then those of each recipient behind a blank line.
pub(super) fn fields(report: &Report<'_>) -> String {
    let mut out = String::new();
    // RFC 3464 §2.2.1
    if let Some(id) = report.message.envelope_id {
        out.push_str(&field("Original-Envelope-Id", &ascii_line(id)));
    }
    out.push_str(&field("Reporting-MTA", &format!("dns; {}", report.hostname)));
    out.push_str(&field("Arrival-Date", &report.message.arrived_at.rfc5322()));
    // RFC 2852 §5
    if let Some(at) = report.message.deliver_by {
        out.push_str(&field("Deliver-By-Date", &at.rfc5322()));
    }
    for told in report.recipients {
        out.push_str("\r\n");
        out.push_str(&of_recipient(told));
    }
    out
}

// RFC 3464 §2.3
fn of_recipient(told: &Told) -> String {
    let mut out = String::new();
    // RFC 3464 §2.3.1: as the sender of the message had named it, where that is known.
    if let Some(OriginalRecipient { kind, address }) = &told.named_at_first {
        out.push_str(&field("Original-Recipient", &format!("{kind}; {}", escaped(address))));
    } else if let Some(original) = &told.original {
        out.push_str(&field("Original-Recipient", &typed(original)));
    }
    out.push_str(&field("Final-Recipient", &typed(&told.recipient)));
    let action = match told.fate {
        Fate::Failed | Fate::Expired | Fate::Overdue => "failed",
        Fate::Delayed { .. } => "delayed",
        Fate::Delivered => "delivered",
        Fate::Relayed => "relayed",
        Fate::Expanded => "expanded",
    };
    out.push_str(&field("Action", action));
    out.push_str(&field("Status", &status(told).to_string()));
    if let Some(server) = &told.server {
        out.push_str(&field("Remote-MTA", &format!("dns; {}", ascii_line(server))));
    }
    // RFC 3464 §2.3.6: where there is something to diagnose
    if !matches!(told.fate, Fate::Delivered | Fate::Expanded) {
        out.push_str(&field("Diagnostic-Code", &diagnostic(told)));
    }
    if let Some(at) = told.tried_at {
        out.push_str(&field("Last-Attempt-Date", &at.rfc5322()));
    }
    if let Fate::Delayed { until } = told.fate {
        out.push_str(&field("Will-Retry-Until", &until.rfc5322()));
    }
    out
}

/// The status: what was answered where it says the same as the fate does.
// RFC 3464 §2.3.4, RFC 3463 §3.5, RFC 2852 §4.2
pub(super) fn status(told: &Told) -> Enhanced {
    let answered = |class| told.enhanced.filter(|enhanced| enhanced.0 == class);
    match told.fate {
        Fate::Failed => answered(5).unwrap_or(Enhanced(5, 0, 0)),
        Fate::Expired => Enhanced(4, 4, 7),
        Fate::Overdue => Enhanced(5, 4, 7),
        Fate::Delayed { .. } => answered(4).unwrap_or(Enhanced(4, 0, 0)),
        Fate::Delivered | Fate::Relayed | Fate::Expanded => answered(2).unwrap_or(Enhanced(2, 0, 0)),
    }
}

/// What was answered, and in which language: SMTP's, or our own.
// RFC 3464 §2.3.6, §4.4
fn diagnostic(told: &Told) -> String {
    let kind = if told.code.is_some() { "smtp" } else { "X-Pillarbox" };
    format!("{kind}; {}", ascii_line(&answer(told)))
}

/// The codes and the text, as a server writes them.
pub(super) fn answer(told: &Told) -> String {
    let code = told.code.map(|code| code.to_string());
    // Our own codes say nothing to people that our words don't.
    let enhanced = told.enhanced.filter(|_| told.code.is_some()).map(|enhanced| enhanced.to_string());
    let words = code.into_iter().chain(enhanced).chain([told.text.clone()]);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An address with its type.
// RFC 3464 §2.1.2; RFC 6533 §3: utf-8-addr-xtext, the only form of such an address in this part
pub(super) fn typed(address: &Address) -> String {
    let text = address.to_string();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return format!("rfc822; {text}");
    }
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=');
    let encoded = text.chars().map(|c| match c {
        c if is_plain(c) => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    });
    format!("utf-8; {}", encoded.collect::<String>())
}

/// An address of any type, of which only what is not ASCII is written in another way.
fn escaped(text: &str) -> String {
    let escape = |c: char| if matches!(c, ' '..='~') { c.to_string() } else { format!("\\x{{{:X}}}", u32::from(c)) };
    text.chars().map(escape).collect()
}
