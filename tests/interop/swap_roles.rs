//! The two parts that a test plays against a server: the customer that takes the server's role behind a swap, and the
//! provider that is dialled and takes the client's.

use std::net::{SocketAddr, TcpListener};

use super::swap_site::subject_of;
use super::swap_talk::{Identity, PATIENCE, Talk};

/// What a server may do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Behind the 220 of the reversed session, before EHLO is answered.
    Hello,
    /// Behind MAIL, before its answer.
    Sender,
    /// Behind RCPT, before its answer.
    Recipient,
    /// Behind DATA, before its answer.
    Data,
    /// In the middle of the message.
    Content,
    /// Behind the end of data, before its answer.
    End,
    /// Behind the answer to the end of data.
    Answered,
}

impl Stop {
    /// Each, in the order of a session.
    pub const ALL: [Self; 7] =
        [Self::Hello, Self::Sender, Self::Recipient, Self::Data, Self::Content, Self::End, Self::Answered];
}

/// Takes the server's role behind the 250 to TURN or ATRN: greets, and takes mail until QUIT. The subjects of what was
/// taken.
pub fn take_all(talk: &mut Talk) -> Vec<String> {
    talk.send("220 customer.example.test ESMTP\r\n");
    let mut taken = Vec::new();
    while let Some(line) = talk.line() {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                talk.send("250-customer.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n")
            }
            "MAIL" | "RCPT" | "RSET" | "NOOP" => talk.send("250 2.0.0 OK\r\n"),
            "DATA" => {
                talk.send("354 Go ahead\r\n");
                let Some(message) = talk.message() else { break };
                taken.push(subject_of(&message));
                talk.send("250 2.0.0 taken\r\n");
            }
            "QUIT" => {
                talk.send("221 2.0.0 Bye\r\n");
                break;
            }
            _ => panic!("{line} in a reversed session"),
        }
    }
    taken
}

/// Takes the server's role like [`take_all`], without PIPELINING, up to a step of the first message, and stops there:
/// what of the message was seen by then.
pub fn take_until(talk: &mut Talk, stop: Stop) -> Option<Vec<u8>> {
    talk.send("220 customer.example.test ESMTP\r\n");
    talk.hear("EHLO");
    if stop == Stop::Hello {
        return None;
    }
    talk.send("250-customer.example.test\r\n250 8BITMIME\r\n");
    talk.hear("MAIL FROM:");
    if stop == Stop::Sender {
        return None;
    }
    talk.send("250 2.1.0 OK\r\n");
    talk.hear("RCPT TO:");
    if stop == Stop::Recipient {
        return None;
    }
    talk.send("250 2.1.5 OK\r\n");
    talk.hear("DATA");
    if stop == Stop::Data {
        return None;
    }
    talk.send("354 Go ahead\r\n");
    if stop == Stop::Content {
        return Some(talk.octets(100));
    }
    let message = talk.message().expect("a whole message");
    if stop == Stop::Answered {
        talk.send("250 2.0.0 taken\r\n");
    }
    Some(message)
}

/// A provider that is dialled: it has a certificate and waits.
pub struct Provider {
    /// Its certificate.
    pub identity: Identity,
    listener: TcpListener,
}

impl Provider {
    /// Listens on a free port.
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self { identity: Identity::new(), listener }
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound address")
    }

    /// The next connection, nothing said yet.
    pub fn accept(&self) -> Talk {
        Talk::accept(&self.listener, PATIENCE).expect("the provider is dialled")
    }

    /// The next connection, up to the handshake that STARTTLS begins; `None` when the client did not go along with it.
    pub fn secure(&self) -> Option<Talk> {
        let mut talk = self.accept();
        talk.send("220 provider.example.test ESMTP\r\n");
        talk.answer("EHLO", "250-provider.example.test\r\n250 STARTTLS");
        talk.answer("STARTTLS", "220 Go ahead");
        talk.serve_tls(&self.identity).then_some(talk)
    }

    /// The next connection, logged in, everything that the client had for us taken, up to TURN or ATRN, which is not yet
    /// answered: what was taken, and the command.
    pub fn until_turn(&self) -> (Talk, Vec<String>, String) {
        let mut talk = self.secure().expect("the client goes along with TLS");
        talk.answer("EHLO", "250-provider.example.test\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250-ATRN\r\n250 TURN");
        talk.answer("AUTH PLAIN", "235 2.7.0 Welcome");
        let mut taken = Vec::new();
        loop {
            let line = talk.line().expect("the client asks for a swap");
            match line.split([' ', ':']).next().unwrap_or_default() {
                "MAIL" | "RCPT" | "RSET" | "NOOP" => talk.send("250 2.0.0 OK\r\n"),
                "DATA" => {
                    talk.send("354 Go ahead\r\n");
                    taken.push(subject_of(&talk.message().expect("a whole message")));
                    talk.send("250 2.0.0 taken\r\n");
                }
                "ATRN" | "TURN" => return (talk, taken, line),
                _ => panic!("{line} before a swap"),
            }
        }
    }

    /// The same, and the roles are swapped: the client's greeting is read, the next word is ours.
    pub fn swapped(&self) -> Talk {
        let (mut talk, _, _) = self.until_turn();
        talk.send("250 2.0.0 reversing\r\n");
        talk.expect("220");
        talk
    }
}
