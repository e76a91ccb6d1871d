//! What only IMAP has: responses up to a tagged answer, a login in one line, COMPRESS.

use crate::play::Play;
use crate::stage::PASSWORD;
use crate::text;

impl Play<'_> {
    /// Reads responses up to the answer with the tag.
    pub async fn until(&mut self, tag: &str, status: &str) -> Result<(), String> {
        self.block.clear();
        let end = format!("{tag} ");
        loop {
            let response = self.read_octets().await?;
            if let Some(answer) = response.strip_prefix(end.as_bytes()) {
                let is_so = answer.starts_with(status.as_bytes());
                self.block.push(response.clone());
                self.claimed = vec![false; self.block.len()];
                // The answer itself is named here.
                self.claimed[self.block.len() - 1] = true;
                return is_so.then_some(()).ok_or_else(|| format!("expected {status}, got {}", text::shown(&response)));
            }
            self.block.push(response);
        }
    }

    /// Whether each response read last was named.
    pub fn nothing_else(&self) -> Result<(), String> {
        let unnamed = self.block.iter().zip(&self.claimed).find(|(_, claimed)| !**claimed);
        unnamed.map_or(Ok(()), |(response, _)| Err(format!("nobody asked for {}", text::shown(response))))
    }

    /// Reads the greeting, logs in, and selects a mailbox where one is named.
    pub async fn log_in(&mut self, user: &str, mailbox: Option<&str>) -> Result<(), String> {
        let greeting = self.read_line().await?;
        if !greeting.starts_with("* OK ") {
            return Err(format!("expected a greeting, got {greeting}"));
        }
        let address = if user.contains('@') { user.to_owned() } else { format!("{user}@example.test") };
        self.ask("login", &format!("LOGIN {address} {PASSWORD}")).await?;
        match mailbox {
            Some(mailbox) => self.ask("select", &format!("SELECT {mailbox}")).await,
            None => Ok(()),
        }
    }

    /// COMPRESS. RFC 4978
    pub async fn compress(&mut self) -> Result<(), String> {
        self.ask("deflate", "COMPRESS DEFLATE").await?;
        self.wire().await?.compress().map_err(|error| error.to_string())
    }

    async fn ask(&mut self, tag: &str, command: &str) -> Result<(), String> {
        self.note(&format!("{tag} {command}"));
        self.wire().await?.send(format!("{tag} {command}\r\n").as_bytes()).await;
        self.until(tag, "OK").await
    }
}
