use super::context::{Context, Enabled};
use super::session::{Session, State};
use crate::sasl::Mechanism;

/// What is announced after the login, in this order. RFC 9051 §7.2.2
const AFTER_LOGIN: [&str; 23] = [
    "IMAP4rev1",
    // RFC 7888
    "LITERAL+",
    // RFC 2177
    "IDLE",
    // RFC 2342
    "NAMESPACE",
    // RFC 3348
    "CHILDREN",
    // RFC 3691
    "UNSELECT",
    // RFC 4315
    "UIDPLUS",
    // RFC 6851
    "MOVE",
    // RFC 5161
    "ENABLE",
    // RFC 2971
    "ID",
    // RFC 7162
    "CONDSTORE",
    // RFC 5258
    "LIST-EXTENDED",
    // RFC 5819
    "LIST-STATUS",
    // RFC 6154
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    // RFC 4731
    "ESEARCH",
    // RFC 8438
    "STATUS=SIZE",
    // RFC 6855
    "UTF8=ACCEPT",
    // RFC 7889
    "APPENDLIMIT",
    // RFC 3502
    "MULTIAPPEND",
    // RFC 4978
    "COMPRESS=DEFLATE",
    // RFC 9208
    "QUOTA",
    "QUOTA=RES-STORAGE",
];

impl Context {
    /// Whether the capability is switched off.
    pub(super) fn is_disabled(&self, capability: &str) -> bool {
        self.capabilities_disabled.iter().any(|name| name == capability)
    }
}

impl Session {
    /// Whether a password may be sent now.
    pub(super) fn takes_passwords(&self) -> bool {
        self.link.connection.tls().is_some() || self.link.connection.is_loopback()
    }

    /// What is true now, separated by spaces.
    pub(super) fn capabilities(&self, state: &State) -> String {
        let mut names: Vec<String> = Vec::new();
        if let State::NotAuthenticated = state {
            names.extend(["IMAP4rev1", "LITERAL-", "SASL-IR", "ID", "ENABLE"].map(str::to_owned));
            if self.can_start_tls() {
                names.push("STARTTLS".into());
            }
            if self.takes_passwords() {
                names.extend(Mechanism::PASSWORDS.map(|mechanism| format!("AUTH={}", mechanism.name())));
            } else {
                // RFC 9051 §6.2.3
                names.push("LOGINDISABLED".into());
            }
        } else {
            names.extend(AFTER_LOGIN.map(|name| match name {
                "APPENDLIMIT" => format!("APPENDLIMIT={}", self.context.message_bytes_max),
                name => name.to_owned(),
            }));
        }
        names.retain(|name| {
            let base = if name.starts_with("APPENDLIMIT") { "APPENDLIMIT" } else { name };
            base == "IMAP4rev1" || !self.context.is_disabled(base)
        });
        names.join(" ")
    }

    // RFC 9051 §6.1.1
    pub(super) fn tell_capabilities(&mut self, state: &State) {
        let line = format!("* CAPABILITY {}\r\n", self.capabilities(state));
        self.link.connection.write(line.as_bytes());
    }

    // RFC 5161 §3.1: what is not known is passed over.
    pub(super) fn enable(&mut self, names: &[&[u8]]) {
        let mut line = String::from("* ENABLED");
        for name in names {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes()) && !self.context.is_disabled(known);
            if is("CONDSTORE") && !self.enabled.condstore {
                self.enabled = Enabled { condstore: true, ..self.enabled };
                line.push_str(" CONDSTORE");
            } else if is("UTF8=ACCEPT") && !self.enabled.utf8 {
                self.enabled = Enabled { utf8: true, ..self.enabled };
                line.push_str(" UTF8=ACCEPT");
            }
        }
        line.push_str("\r\n");
        self.link.connection.write(line.as_bytes());
    }
}
