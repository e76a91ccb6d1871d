use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::mails;
use crate::wire::{Smtp, stuff};

const SENDERS: usize = 8;
const MESSAGE_BYTES: usize = 1_000_000;
/// Messages of a session: the server ends one that has brought a gibibyte.
const SESSION_MESSAGES: usize = 500;
/// Octets that all bodies are cut from.
const STOCK_BYTES: usize = 6_000_000;

/// Sends large messages until the file takes so many octets of its disk. Each begins at another line of the same stock,
/// so that no two bodies are the same, and none takes long to make.
pub fn fill(smtp: SocketAddr, file: &Path, bytes: u64) {
    let stock = mails::of_size("stock", 1, STOCK_BYTES);
    let body_at = stock.windows(4).position(|window| window == b"\r\n\r\n").expect("a header ends") + 4;
    let (header, body) = stock.split_at(body_at);
    let starts: Vec<usize> =
        body.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut session = Smtp::connect(smtp).expect("the server greets");
                let mut sent = 0;
                while fs::metadata(file).expect("the file is there").blocks() * 512 < bytes {
                    if sent == SESSION_MESSAGES {
                        session = Smtp::connect(smtp).expect("the server greets");
                        sent = 0;
                    }
                    sent += 1;
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Beyond the lines of the stock the bodies differ by their length.
                    let (start, rounds) = (starts[number % starts.len()], number / starts.len());
                    let mut content = header.to_vec();
                    content.extend(body[start..].iter().chain(body).take(MESSAGE_BYTES + rounds));
                    content.extend_from_slice(b"\r\n");
                    let to = format!("u{}@example.test", number % 6);
                    let reply = session.envelope("fill@load.test", &[&to]).expect("a reply");
                    assert_eq!(reply.code, 354, "{}", reply.text);
                    let reply = session.message(&stuff(&content)).expect("a reply");
                    assert_eq!(reply.code, 250, "{}", reply.text);
                }
            });
        }
    });
}
