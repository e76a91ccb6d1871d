//! What is in a mailbox, and how a message gets there: by POP3, SMTP and IMAP alone, so that it works on any server.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::stage::{PASSWORD, Stage};
use crate::wire::Wire;

/// All messages of an account, oldest first, as RETR gives them.
pub async fn messages(stage: &Stage, address: &str) -> Result<Vec<Vec<u8>>, String> {
    let (mut wire, count) = log_in(stage, address).await?;
    let mut messages = Vec::new();
    for number in 1..=count {
        positive(&mut wire, &format!("RETR {number}")).await?;
        messages.push(wire.lines().await.map_err(|error| error.to_string())?.concat());
    }
    log_out(wire).await?;
    Ok(messages)
}

/// Says QUIT and reads to the end: the server has let the maildrop go by then.
async fn log_out(mut wire: Wire) -> Result<(), String> {
    positive(&mut wire, "QUIT").await?;
    match wire.line().await {
        Ok(None) => Ok(()),
        other => Err(format!("behind QUIT: {other:?}")),
    }
}

/// Deletes all mail of the cast.
pub async fn clear_all(stage: &Stage) -> Result<(), String> {
    if stage.reset()? {
        return Ok(());
    }
    for address in ["alice@example.test", "bob@example.test"] {
        clear(stage, address).await?;
    }
    Ok(())
}

/// Deletes all messages of an account.
pub async fn clear(stage: &Stage, address: &str) -> Result<(), String> {
    let (mut wire, count) = log_in(stage, address).await?;
    for number in 1..=count {
        positive(&mut wire, &format!("DELE {number}")).await?;
    }
    log_out(wire).await
}

/// Sends a message to an account, and comes back when it is there.
pub async fn put(stage: &Stage, address: &str, message: &[u8]) -> Result<(), String> {
    let before = count(stage, address).await?;
    let mut wire = stage.connect("smtp").await?;
    let mut stuffed = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    let envelope = format!("MAIL FROM:<sender@elsewhere.test> BODY=8BITMIME\r\nRCPT TO:<{address}>\r\nDATA\r\n");
    let says: [(&[u8], &[&str]); 5] = [
        (b"", &["220"]),
        (b"EHLO client.example.test\r\n", &["250"]),
        (envelope.as_bytes(), &["250", "250", "354"]),
        (&stuffed, &["250"]),
        (b"QUIT\r\n", &["221"]),
    ];
    for (octets, codes) in says {
        wire.send(octets).await;
        for code in codes {
            let reply = wire.reply().await.map_err(|error| error.to_string())?.join(" / ");
            if !reply.starts_with(code) {
                return Err(format!("given {address}: expected {code}, got {reply}"));
            }
        }
    }
    let patience = Instant::now() + stage.delivery_time();
    while count(stage, address).await? <= before {
        if Instant::now() >= patience {
            return Err(format!("the message for {address} did not arrive"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Puts messages into a mailbox by APPEND; a mailbox that is not there is created.
pub async fn append(
    stage: &Stage,
    address: &str,
    mailbox: &str,
    flags: &str,
    messages: &[Vec<u8>],
) -> Result<(), String> {
    let mut wire = stage.connect("imap").await?;
    wire.response().await.map_err(|error| error.to_string())?;
    tagged(&mut wire, format!("LOGIN {address} {PASSWORD}").as_bytes()).await?;
    let flags = if flags.is_empty() { String::new() } else { format!("{flags} ") };
    for message in messages {
        let octets = [format!("APPEND {mailbox} {flags}{{{}+}}\r\n", message.len()).as_bytes(), message].concat();
        if tagged(&mut wire, &octets).await.is_err() {
            tagged(&mut wire, format!("CREATE {mailbox}").as_bytes()).await?;
            tagged(&mut wire, &octets).await?;
        }
    }
    tagged(&mut wire, b"LOGOUT").await
}

/// Gives an IMAP command, and reads up to its positive answer.
async fn tagged(wire: &mut Wire, command: &[u8]) -> Result<(), String> {
    wire.send(&[b"g ", command, b"\r\n"].concat()).await;
    loop {
        let response = wire.response().await.map_err(|error| error.to_string())?;
        let response = response.ok_or("the server closed instead of answering")?;
        if let Some(answer) = response.strip_prefix(b"g ") {
            let shown = String::from_utf8_lossy(answer).into_owned();
            let command = String::from_utf8_lossy(&command[..command.len().min(60)]).into_owned();
            return if answer.starts_with(b"OK") { Ok(()) } else { Err(format!("given: {command}: {shown}")) };
        }
    }
}

/// How many messages an account has. None is read: that would set `\Seen`.
async fn count(stage: &Stage, address: &str) -> Result<usize, String> {
    let (wire, count) = log_in(stage, address).await?;
    log_out(wire).await?;
    Ok(count)
}

async fn log_in(stage: &Stage, address: &str) -> Result<(Wire, usize), String> {
    let mut wire = stage.connect("pop3").await?;
    let greeting = wire.line().await.map_err(|error| error.to_string())?.unwrap_or_default();
    if !greeting.starts_with(b"+OK") {
        return Err(format!("POP3 greeting: {}", String::from_utf8_lossy(&greeting)));
    }
    positive(&mut wire, &format!("USER {address}")).await?;
    positive(&mut wire, &format!("PASS {PASSWORD}")).await?;
    let stat = positive(&mut wire, "STAT").await?;
    let count = stat.split(' ').nth(1).and_then(|count| count.parse().ok());
    Ok((wire, count.ok_or_else(|| format!("not an answer to STAT: {stat}"))?))
}

async fn positive(wire: &mut Wire, command: &str) -> Result<String, String> {
    wire.send(format!("{command}\r\n").as_bytes()).await;
    let line = wire.line().await.map_err(|error| error.to_string())?.unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    if line.starts_with("+OK") { Ok(line) } else { Err(format!("POP3 {command}: {line}")) }
}
