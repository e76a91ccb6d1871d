//! What a message says, without what the server puts before it.

/// Begins what the model knows of a message; before it stands what the server adds, behind it the mark.
pub const FIELD: &[u8] = b"X-Torn: ";

/// Two that are equal say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Of a message that came in: from its mark to its end.
    Own {
        /// Nothing else has it.
        mark: u64,
        digest: [u8; 32],
    },
    /// Of a report on such a message.
    Report {
        /// Of which; 0 of another report, whose header has none.
        mark: u64,
        /// For whom it failed, in order.
        failed: Vec<String>,
    },
}

impl Content {
    /// Of a message that came in.
    pub fn own(mark: u64, head: &[u8], body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(head).update(body);
        Self::Own { mark, digest: *hasher.finalize().as_bytes() }
    }

    /// Of a report on a message that failed for these, in their order.
    pub fn report(about: &Self, failed: Vec<String>) -> Self {
        let mark = if let Self::Own { mark, .. } = about { *mark } else { 0 };
        Self::Report { mark, failed }
    }

    /// Of a message as it is read.
    pub fn of(message: &[u8]) -> Self {
        let place = message.windows(FIELD.len()).position(|window| window == FIELD);
        let mark = place.map_or(0, |place| {
            let digits = std::str::from_utf8(&message[place + FIELD.len()..][..16]).expect("digits");
            u64::from_str_radix(digits, 16).expect("a number")
        });
        let end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(message.len());
        let head = String::from_utf8_lossy(&message[..end]);
        if !head.contains("multipart/report") {
            let place = place.unwrap_or_else(|| panic!("a mark in {}", String::from_utf8_lossy(message)));
            return Self::Own { mark, digest: *blake3::hash(&message[place..]).as_bytes() };
        }
        let text = String::from_utf8_lossy(message);
        let mut failed: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822;")).map(clean).collect();
        failed.sort_unstable();
        Self::Report { mark, failed }
    }

    /// Of the message, or of the one that it reports on.
    pub fn mark(&self) -> u64 {
        let (Self::Own { mark, .. } | Self::Report { mark, .. }) = self;
        *mark
    }
}

fn clean(text: &str) -> String {
    text.trim().to_owned()
}
