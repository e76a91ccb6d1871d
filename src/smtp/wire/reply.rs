//! The replies that are always the same, as data: code, enhanced code (RFC 3463, RFC 5248), text.

use crate::base::{Enhanced, Reply};

/// A reply of one line that never changes.
#[derive(Debug, Clone, Copy)]
pub struct Fixed {
    code: u16,
    enhanced: Enhanced,
    text: &'static str,
}

impl From<Fixed> for Reply {
    fn from(fixed: Fixed) -> Self {
        Self::new(fixed.code, fixed.enhanced, fixed.text)
    }
}

macro_rules! replies {
    ($($(#[$doc:meta])* $name:ident = $code:literal ($class:literal $subject:literal $detail:literal) $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Fixed =
            Fixed { code: $code, enhanced: Enhanced($class, $subject, $detail), text: $text };)*
        /// All of them.
        pub const ALL: &[(&str, Fixed)] = &[$((stringify!($name), $name)),*];
    };
}

replies! {
    /// RSET, NOOP.
    OK = 250 (2 0 0) "OK";
    /// QUIT.
    BYE = 221 (2 0 0) "Bye";
    /// MAIL.
    SENDER_OK = 250 (2 1 0) "Sender OK";
    /// RCPT.
    RECIPIENT_OK = 250 (2 1 5) "Recipient OK";
    /// MAIL, with a priority that this sender may not have.
    PRIORITY_CHANGED = 250 (2 3 6) "Sender OK, with a priority of 4";
    /// BDAT, but for the last chunk.
    CHUNK_OK = 250 (2 0 0) "Chunk received";
    /// STARTTLS.
    READY_FOR_TLS = 220 (2 0 0) "Ready to start TLS";
    /// AUTH.
    LOGGED_IN = 235 (2 7 0) "Authentication succeeded";
    /// VRFY and EXPN: the same for every name, so that nobody learns which exist.
    NOT_VERIFIED = 252 (2 5 0) "Cannot verify that name, but will take mail for it if it exists";
    /// VERB.
    VERBOSE_OK = 250 (2 0 0) "OK";
    /// VERB from somebody who is neither an administrator nor a peer.
    NOT_VERBOSE = 502 (5 7 0) "Command not allowed";
    /// EXPN of a list whose members the caller may not see.
    EXPANSION_REFUSED = 550 (5 7 2) "Mailing list expansion prohibited";
    /// A verb that is not known.
    UNKNOWN_COMMAND = 500 (5 5 1) "Unknown command";
    /// A control character in a command, or not UTF-8.
    BAD_CHARACTERS = 500 (5 5 2) "Commands are UTF-8 without control characters";
    /// A command line above the limit.
    LINE_TOO_LONG = 500 (5 5 2) "Line too long";
    /// A command that ends in LF alone.
    BARE_LINE_FEED = 500 (5 5 2) "Lines end with CRLF";
    /// An argument where none belongs.
    NO_ARGUMENT = 501 (5 5 4) "This command has no argument";
    /// HELO or EHLO without a usable name.
    BAD_CLIENT_NAME = 501 (5 5 4) "Syntax: EHLO host.name";
    /// MAIL that can't be read.
    BAD_MAIL = 501 (5 5 2) "Syntax: MAIL FROM:<address>";
    /// RCPT that can't be read.
    BAD_RCPT = 501 (5 5 2) "Syntax: RCPT TO:<address>";
    /// AUTH that can't be read.
    BAD_AUTH = 501 (5 5 4) "Syntax: AUTH mechanism [initial-response]";
    /// BDAT that can't be read: nobody knows where the next command begins.
    BAD_BDAT = 501 (5 5 4) "Syntax: BDAT octets [LAST]";
    /// VERB with something else.
    BAD_VERB = 501 (5 5 4) "Syntax: VERB [ON|OFF]";
    /// VRFY without an argument.
    BAD_VRFY = 501 (5 5 4) "Syntax: VRFY address";
    /// EXPN without an argument.
    BAD_EXPN = 501 (5 5 4) "Syntax: EXPN list";
    /// The reverse-path is no address.
    BAD_SENDER = 553 (5 1 7) "The sender is not a valid address";
    /// The forward-path is no address.
    BAD_RECIPIENT = 501 (5 1 3) "The recipient is not a valid address";
    /// A parameter of MAIL or RCPT that is not known.
    UNKNOWN_PARAMETER = 555 (5 5 4) "Unknown parameter";
    /// A parameter that can't have this value.
    BAD_PARAMETER = 501 (5 5 4) "Bad parameter value";
    /// An address that is not ASCII, without SMTPUTF8.
    NEEDS_SMTPUTF8 = 553 (5 6 7) "This address needs SMTPUTF8";
    /// A verb that is known and not built, or not offered in this session.
    NOT_IMPLEMENTED = 502 (5 5 1) "Command not implemented";
    /// HELP about something unknown.
    UNKNOWN_TOPIC = 504 (5 5 4) "No help on that";
    /// A mechanism that is not built.
    UNKNOWN_MECHANISM = 504 (5 5 4) "Unknown authentication mechanism";
    /// A command before HELO or EHLO.
    HELLO_FIRST = 503 (5 5 1) "Send HELO or EHLO first";
    /// MAIL or AUTH inside a transaction.
    IN_TRANSACTION = 503 (5 5 1) "A mail transaction is open";
    /// RCPT or DATA outside one.
    MAIL_FIRST = 503 (5 5 1) "Send MAIL first";
    /// Whatever may not stand between two chunks of a message.
    IN_CHUNKS = 503 (5 5 1) "A message is being sent by BDAT";
    /// HOLDUNTIL, HOLDFOR beyond what is announced.
    HELD_TOO_LONG = 501 (5 5 4) "The message would be held for too long";
    /// BY that ends before the message is released.
    DUE_BEFORE_RELEASE = 501 (5 5 4) "The message is due before it is released";
    /// DATA when every recipient was refused.
    NO_RECIPIENTS = 554 (5 5 1) "No valid recipients";
    /// STARTTLS, again.
    ALREADY_SECURED = 503 (5 5 1) "TLS is already active";
    /// AUTH, again.
    ALREADY_LOGGED_IN = 503 (5 5 1) "Already authenticated";
    /// MAIL on submission before AUTH.
    LOGIN_FIRST = 530 (5 7 0) "Authentication required";
    /// AUTH in clear text.
    TLS_FIRST = 538 (5 7 11) "Encryption required for authentication: send STARTTLS first";
    /// The login or the password is wrong; which of them is not said.
    BAD_LOGIN = 535 (5 7 8) "Authentication credentials invalid";
    /// The client gave the exchange up.
    LOGIN_CANCELLED = 501 (5 7 0) "Authentication cancelled";
    /// A response that is not base64, or not what the mechanism says.
    BAD_RESPONSE = 501 (5 5 2) "Cannot read the authentication response";
    /// A response that is too long.
    LONG_RESPONSE = 500 (5 5 6) "Authentication response too long";
    /// More recipients than a transaction may have.
    TOO_MANY_RECIPIENTS = 452 (4 5 3) "Too many recipients";
    /// SIZE, or the data itself, is above the limit.
    TOO_LARGE = 552 (5 3 4) "Message too large";
    /// Bare CR or LF on port 25.
    BARE_LINE_END = 550 (5 5 2) "The message has a CR or LF alone: lines end with CRLF";
    /// NUL in the message.
    NUL_IN_DATA = 550 (5 5 2) "The message has a NUL character";
    /// A line of the message above the limit.
    DATA_LINE_TOO_LONG = 554 (5 6 0) "The message has a line that is too long";
    /// The client spoke before the greeting.
    EARLY_TALKER = 554 (5 5 1) "You spoke before the greeting";
    /// The hard limit of errors.
    TOO_MANY_ERRORS = 421 (4 7 0) "Too many errors";
    /// The hard limit of refused recipients.
    TOO_MANY_UNKNOWN = 421 (4 7 0) "Too many refused recipients";
    /// The hard limit of failed logins.
    TOO_MANY_LOGINS = 421 (4 7 0) "Too many failed logins";
    /// TURN or ATRN: the next line is the other side's greeting.
    SWAPPING = 250 (2 0 0) "OK, roles are swapped now";
    /// TURN or ATRN with octets behind it.
    SWAP_FOLLOWED = 503 (5 5 1) "This command stands last in its group";
    /// ATRN that can't be read.
    BAD_ATRN = 501 (5 5 4) "Syntax: ATRN [domain[,domain...]]";
    /// ETRN that can't be read.
    BAD_ETRN = 501 (5 5 4) "Syntax: ETRN domain";
    /// ETRN from a stranger, or for a domain that is not the peer's: the same, whatever waits.
    ETRN_REFUSED = 459 (4 7 1) "You may not have mail released for that node";
    /// ETRN.
    ETRN_STARTED = 250 (2 0 0) "Queuing started";
    /// TURN or ATRN while another session with the same peer swaps.
    PEER_BUSY = 450 (4 3 2) "Another session of yours has swapped roles, try again later";
    /// ATRN for a domain that is not the peer's.
    SWAP_REFUSED = 450 (4 7 1) "You may not have the mail of all these domains";
    /// ATRN when nothing waits.
    NO_MAIL = 453 (4 3 0) "You have no mail";
    /// The server stops.
    SHUTTING_DOWN = 421 (4 3 2) "The server is stopping, try again soon";
    /// The account was changed: its login is good no more.
    LOGGED_OUT = 421 (4 7 0) "Your login has ended: log in again";
    /// The client was silent for too long.
    IDLE = 421 (4 4 2) "Timed out waiting for a command";
    /// The session has taken all the time or octets that it may take.
    SESSION_TOO_LONG = 421 (4 7 0) "This session has taken too long, connect again";
    /// Something of ours went wrong.
    INTERNAL = 451 (4 3 0) "Temporary server error, try again later";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_enhanced_code_are_of_one_class() {
        for (name, fixed) in ALL {
            assert_eq!(fixed.code / 100, u16::from(fixed.enhanced.0), "{name}");
            // RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets.
            assert!(fixed.text.len() < 490 && fixed.text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{name}");
        }
    }
}
