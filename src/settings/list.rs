use std::collections::BTreeMap;

use super::stored::SettingRow;
use super::value::{Key, SettingError, Source, Value};
use crate::base::{Address, DomainName, Networks};

/// Makes the list, the struct of typed values and the reading of one from the other, so that they can't differ.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:literal => $field:ident: $kind:ty = $default:literal;)*) => {
        /// Every setting's value, with where it comes from.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $kind,)*
            origins: BTreeMap<&'static str, (Source, String)>,
        }

        /// The closed list.
        pub static KEYS: &[Key] = &[$(Key {
            name: $name,
            kind: <$kind as Value>::KIND,
            default: $default,
            doc: concat!($($doc),+),
        }),*];

        impl Settings {
            fn from_origins(origins: BTreeMap<&'static str, (Source, String)>) -> Result<Self, SettingError> {
                let settings = Self { $($field: typed(&origins, $name, $default)?,)* origins };
                settings.check_zeros()?;
                Ok(settings)
            }
        }
    };
}

settings! {
    /// Octets of the file's page cache. 0: an eighth of the memory, at least 32 MiB and at most 256 MiB.
    "store.cache_bytes" => store_cache_bytes: usize = "0";
    /// Octets that all message bodies on their way in may hold in memory.
    "store.bodies_in_memory_bytes" => store_bodies_in_memory_bytes: usize = "33554432";
    /// Octets of free disk space below which no mail is taken in. 0: 5 % of the disk, at most 2 GiB, and at least 256 MiB and twice the largest message.
    "disk.reserve_bytes" => disk_reserve_bytes: u64 = "0";
    /// Octets laid by at the end of the file, given back when the disk is full.
    "disk.ballast_bytes" => disk_ballast_bytes: u64 = "8388608";
    /// Octets of the largest message that is taken in.
    "limits.message_bytes" => limits_message_bytes: u64 = "52428800";
    /// Recipients of one message.
    "limits.recipients" => limits_recipients: usize = "1000";
    /// Connections of one address at a time.
    "limits.connections_per_address" => limits_connections_per_address: usize = "20";
    /// Connections of one network (/24 or /64) at a time.
    "limits.connections_per_network" => limits_connections_per_network: usize = "100";
    /// Mail connections in all at a time.
    "limits.connections_total" => limits_connections_total: usize = "2000";
    /// Networks that the limits per address and per network spare.
    "limits.exempt_networks" => limits_exempt_networks: Networks = "127.0.0.0/8,::1/128";
    /// Milliseconds that the answer to a failed login, and to one error too many, is held back.
    "limits.refusal_delay_ms" => limits_refusal_delay_ms: u64 = "1000";
    /// The name that the server gives itself in greetings and trace fields. Empty: that of `--hostname`, else the machine's.
    "smtp.hostname" => smtp_hostname: String = "";
    /// Seconds that an SMTP session may be silent.
    "smtp.idle_seconds" => smtp_idle_seconds: u64 = "300";
    /// Whom VRFY and EXPN tell the truth: `auth` those who have logged in, about their own domains; `252` nobody; `public` everybody; `off`: the commands are not there.
    "smtp.vrfy" => smtp_vrfy: String = "auth";
    /// Whether SPF, DKIM, DMARC and ARC are evaluated for what strangers bring, and written into its header (Authentication-Results).
    "smtp.sender_authentication" => smtp_sender_authentication: bool = "true";
    /// Seconds that a POP3 session may be silent.
    "pop3.idle_seconds" => pop3_idle_seconds: u64 = "600";
    /// Seconds that an IMAP session may be silent, also while it idles.
    "imap.idle_seconds" => imap_idle_seconds: u64 = "1800";
    /// Seconds of silence after which an IMAP client that idles is sent a line, so that no router forgets the connection.
    "imap.keepalive_seconds" => imap_keepalive_seconds: u64 = "120";
    /// Capabilities that IMAP does not announce and does not use, for programs that handle them wrongly, as in CONDSTORE,COMPRESS=DEFLATE. Empty: all are there.
    "imap.capabilities_disabled" => imap_capabilities_disabled: Vec<String> = "";
    /// Whether RETR marks a message as seen, for those who read the same mailbox by IMAP.
    "pop3.retr_sets_seen" => pop3_retr_sets_seen: bool = "true";
    /// Seconds for which the trace tells of a message after the last that happened to it; of what is queued it always does. 0: for ever.
    "trace.keep_seconds" => trace_keep_seconds: u64 = "2592000";
    /// Seconds for which it is kept who changed what by REST. 0: for ever.
    "audit.keep_seconds" => audit_keep_seconds: u64 = "31536000";
    /// Seconds after which a session of the admin page ends in which nothing was done.
    "http.session_idle_seconds" => http_session_idle_seconds: u64 = "43200";
    /// Requests that one token, or one session of the admin page, may send in a minute.
    "http.requests_per_minute" => http_requests_per_minute: u64 = "1200";
    /// Seconds from each failed attempt to the next: after the first, the second, and so on; the last one repeats.
    "queue.retry_seconds" => queue_retry_seconds: Vec<u64> = "60,300,600,1200,2400,3600,3600,7200,14400";
    /// Seconds after which mail that can't be delivered goes back to its sender.
    "queue.expiry_seconds" => queue_expiry_seconds: u64 = "432000";
    /// The same for mail without a sender, such as bounces.
    "queue.bounce_expiry_seconds" => queue_bounce_expiry_seconds: u64 = "172800";
    /// The same for mail that waits for a peer.
    "queue.hold_expiry_seconds" => queue_hold_expiry_seconds: u64 = "1209600";
    /// Seconds after which the sender is told, once, that a message is delayed. 0: never.
    "queue.delay_notice_seconds" => queue_delay_notice_seconds: u64 = "14400";
    /// Seconds for which a message is kept, for an operator to deliver it once more, after the last mailbox and the queue have let it go. 0: not at all.
    "queue.keep_delivered_seconds" => queue_keep_delivered_seconds: u64 = "604800";
    /// Of addresses that are not global (private, loopback, link-local), those that mail may be sent to all the same when the DNS names them.
    "delivery.allow_networks" => delivery_allow_networks: Networks = "";
    /// A file with further CAs in PEM form, beside the public ones: for servers whose certificate is verified. Empty: none.
    "delivery.ca_file" => delivery_ca_file: String = "";
    /// Whether mail servers are proved by DNSSEC and TLSA records, where the name servers pass on what that takes. RFC 7672.
    "delivery.dane" => delivery_dane: bool = "true";
    /// Domains for whose mail, and that of those below them, nothing of DNSSEC is looked at, as in lan,corp.example.com: those that only the name servers of your own network know, which the signatures of the public DNS deny. Empty: none.
    "delivery.dane_except" => delivery_dane_except: Vec<String> = "";
    /// Whether the MTA-STS policies of other domains are looked for and kept to. RFC 8461.
    "delivery.mta_sts" => delivery_mta_sts: bool = "true";
    /// The address in whose name other domains that want to know get a report of each day on TLS at their servers; of a domain of this server that signs with DKIM. Empty: none are sent. RFC 8460.
    "delivery.tls_reports_from" => delivery_tls_reports_from: String = "";
    /// Mail for other domains goes to this account instead, and none leaves the machine. Empty: it is sent.
    "delivery.capture_to" => delivery_capture_to: String = "";
    /// Connections to other servers at a time.
    "delivery.connections_total" => delivery_connections_total: usize = "64";
    /// Connections to one destination at a time.
    "delivery.connections_per_destination" => delivery_connections_per_destination: usize = "16";
    /// Messages that are sent over one connection.
    "delivery.messages_per_connection" => delivery_messages_per_connection: usize = "100";
    /// Seconds in which a connection must be made.
    "delivery.connect_seconds" => delivery_connect_seconds: u64 = "30";
    /// Seconds in which another server must greet us.
    "delivery.greeting_seconds" => delivery_greeting_seconds: u64 = "300";
    /// Seconds in which another server must answer a command.
    "delivery.reply_seconds" => delivery_reply_seconds: u64 = "300";
    /// Seconds in which another server must answer DATA.
    "delivery.data_seconds" => delivery_data_seconds: u64 = "120";
    /// Seconds in which another server must take a block of a message.
    "delivery.block_seconds" => delivery_block_seconds: u64 = "180";
    /// Seconds in which another server must answer the end of a message.
    "delivery.end_seconds" => delivery_end_seconds: u64 = "600";
    /// Seconds in which a peer must answer TURN or ATRN.
    "delivery.turn_seconds" => delivery_turn_seconds: u64 = "600";
    /// The time of day (UTC) at which a copy of the data file is made beside it, as in 03:00. Empty: none is.
    "backup.daily_at" => backup_daily_at: String = "03:00";
    /// How many of the daily copies are kept; at least 1. Those that somebody has asked for stay until somebody removes them.
    "backup.keep" => backup_keep: usize = "1";
    /// The time of day (UTC) from which on a data file of which more than half is free is compacted by itself, while the server is quiet, as in 04:00. Empty: it is not.
    "maintenance.compact_at" => maintenance_compact_at: String = "04:00";
    /// Whether a domain that has no DKIM keys gets them by itself. They sign once their records were seen in the DNS.
    "dkim.create_keys" => dkim_create_keys: bool = "true";
    /// Whether what strangers send and an alias or an account forwards leaves with an address of ours for its sender (SRS), so that servers that hold SPF against the sender take it.
    "srs.enabled" => srs_enabled: bool = "true";
    /// The domain of such addresses, which is one of ours. Empty: that of the address that forwards.
    "srs.domain" => srs_domain: String = "";
    /// Whether what strangers send and an alias or an account forwards leaves with an ARC seal of the domain that forwards, which says what came of SPF, DKIM and DMARC here. It needs `smtp.sender_authentication`, and a DKIM key of the domain.
    "arc.seal" => arc_seal: bool = "true";
    /// What separates a name from its tag, as in alice+tag@example.test, in new domains that set none of their own. Empty: nothing.
    "directory.subaddress_separator" => directory_subaddress_separator: String = "+";
}

/// Numbers that may not be 0: a time in which nothing can be done, or a limit that lets nothing through.
const NEVER_ZERO: &[&str] = &[
    "imap.idle_seconds",
    "imap.keepalive_seconds",
    "queue.retry_seconds",
    "queue.expiry_seconds",
    "queue.bounce_expiry_seconds",
    "queue.hold_expiry_seconds",
    "http.session_idle_seconds",
    "http.requests_per_minute",
    "delivery.connections_total",
    "delivery.connections_per_destination",
    "delivery.messages_per_connection",
    "delivery.connect_seconds",
    "delivery.greeting_seconds",
    "delivery.reply_seconds",
    "delivery.data_seconds",
    "delivery.block_seconds",
    "delivery.end_seconds",
    "delivery.turn_seconds",
    "backup.keep",
];

impl Default for Settings {
    /// The defaults alone.
    fn default() -> Self {
        // The defaults are literals that a test reads.
        Self::gather(&[], "", &[]).unwrap_or_else(|error| unreachable!("a default does not parse: {error}"))
    }
}

impl Settings {
    /// Gathers the values: `file` as [`super::stored`] gives it, `environment` as `PILLARBOX_SET` holds it (one
    /// `KEY=VALUE` a line), and the `--set` flags in their order.
    ///
    /// # Errors
    /// [`SettingError`], naming the nearest key when one is not in the list.
    pub fn gather(file: &[(String, SettingRow)], environment: &str, flags: &[String]) -> Result<Self, SettingError> {
        let mut origins = BTreeMap::new();
        for (name, row) in file {
            origins.insert(key(name)?.name, (Source::from(row.setter), row.value.clone()));
        }
        let lines = environment.lines().map(str::trim).filter(|line| !line.is_empty());
        for (source, text) in
            lines.map(|line| (Source::Environment, line)).chain(flags.iter().map(|flag| (Source::Flag, flag.as_str())))
        {
            let (name, value) = text.split_once('=').ok_or_else(|| SettingError::Form(text.to_owned()))?;
            origins.insert(key(name.trim())?.name, (source, value.trim().to_owned()));
        }
        Self::from_origins(origins)
    }

    fn check_zeros(&self) -> Result<(), SettingError> {
        for name in NEVER_ZERO {
            let (_, text) = self.origin(name)?;
            if text.split(',').any(|number| number.trim().parse() == Ok(0u64)) {
                return Err(SettingError::Zero(name));
            }
        }
        Ok(())
    }

    /// Refuses what is of the right kind and yet of no use, so that no value gets into the file with which the server
    /// could not start again.
    pub(super) fn check_meaning(&self) -> Result<(), SettingError> {
        let wrong = |name, value: &str, wanted| Err(SettingError::Meaning { name, value: value.to_owned(), wanted });
        let (hostname, capture_to) = (&self.smtp_hostname, &self.delivery_capture_to);
        let separator = &self.directory_subaddress_separator;
        let vrfy = &self.smtp_vrfy;
        if !["auth", "252", "public", "off"].contains(&vrfy.as_str()) {
            return wrong("smtp.vrfy", vrfy, "one of auth, 252, public, off");
        }
        if !hostname.is_empty() && DomainName::parse(hostname).is_err() {
            return wrong("smtp.hostname", hostname, "a host name, as in mail.example.org");
        }
        if !self.srs_domain.is_empty() && DomainName::parse(&self.srs_domain).is_err() {
            return wrong("srs.domain", &self.srs_domain, "a domain of this server, as in example.org, or empty");
        }
        if !capture_to.is_empty() && !Address::parse(capture_to).is_ok_and(|address| address.host.name().is_some()) {
            return wrong("delivery.capture_to", capture_to, "an address, as in captured@example.org");
        }
        if let Some(name) = self.delivery_dane_except.iter().find(|name| DomainName::parse(name).is_err()) {
            return wrong("delivery.dane_except", name, "domains, as in lan,corp.example.com");
        }
        let reports_from = &self.delivery_tls_reports_from;
        let is_sender = |address: Address| address.is_ascii() && address.host.name().is_some();
        if !reports_from.is_empty() && !Address::parse(reports_from).is_ok_and(is_sender) {
            return wrong("delivery.tls_reports_from", reports_from, "an address, as in tls-reports@example.org");
        }
        let separates = |c: char| c.is_ascii_punctuation() && !"@.\"\\(),:;<>[]".contains(c);
        if !self.backup_daily_at.is_empty() && self.backup_daily_at_ms().is_none() {
            return wrong("backup.daily_at", &self.backup_daily_at, "a time of day, as in 03:00, or empty for none");
        }
        if !self.maintenance_compact_at.is_empty() && self.maintenance_compact_at_ms().is_none() {
            let wanted = "a time of day, as in 04:00, or empty for never";
            return wrong("maintenance.compact_at", &self.maintenance_compact_at, wanted);
        }
        if separator.chars().count() > 1 || !separator.chars().all(separates) {
            let wanted = "one of !#$%&'*+-/=?^_`{|}~, or empty for none";
            return wrong("directory.subaddress_separator", separator, wanted);
        }
        Ok(())
    }

    /// `backup.daily_at` in milliseconds from midnight; `None` when no copies are made.
    pub fn backup_daily_at_ms(&self) -> Option<u64> {
        time_of_day_ms(&self.backup_daily_at)
    }

    /// `maintenance.compact_at` in milliseconds from midnight; `None` when the file is not compacted by itself.
    pub fn maintenance_compact_at_ms(&self) -> Option<u64> {
        time_of_day_ms(&self.maintenance_compact_at)
    }

    /// Where the key's value comes from, and the value as text.
    ///
    /// # Errors
    /// [`SettingError::Unknown`].
    pub fn origin(&self, name: &str) -> Result<(Source, &str), SettingError> {
        let key = key(name)?;
        Ok(self.origins.get(key.name).map_or((Source::Default, key.default), |(source, text)| (*source, text)))
    }
}

/// The entry of that name.
///
/// # Errors
/// [`SettingError::Unknown`], with the nearest name.
pub fn key(name: &str) -> Result<&'static Key, SettingError> {
    KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let nearest = KEYS.iter().min_by_key(|key| distance(name, key.name)).map_or("", |key| key.name);
        SettingError::Unknown { name: name.to_owned(), nearest }
    })
}

fn typed<V: Value>(
    origins: &BTreeMap<&'static str, (Source, String)>,
    name: &'static str,
    default: &str,
) -> Result<V, SettingError> {
    let text = origins.get(name).map_or(default, |(_, text)| text);
    V::parse(text).ok_or_else(|| SettingError::Value { name, value: text.to_owned(), kind: V::KIND })
}

/// How many characters must be added, removed or changed to make `a` out of `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    // A hostile name is not worth more work than its length shows.
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A time of day, as in 03:00, in milliseconds from midnight.
fn time_of_day_ms(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: u64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u64| is_number && *number < below)
    };
    Some((number(hour, 24)? * 60 + number(minute, 60)?) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;
    use crate::settings::Setter;

    fn check(environment: &str, flags: &[&str], name: &str, expected: (Source, &str)) {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let settings = Settings::gather(&[], environment, &flags).unwrap();
        assert_eq!(settings.origin(name), Ok(expected), "{environment:?} {flags:?}");
    }

    #[test]
    fn the_later_source_wins() {
        check("", &[], "limits.recipients", (Source::Default, "1000"));
        check(
            "limits.recipients=7\n\n smtp.hostname = mx.test\n",
            &[],
            "smtp.hostname",
            (Source::Environment, "mx.test"),
        );
        check("limits.recipients=7", &["limits.recipients=8"], "limits.recipients", (Source::Flag, "8"));
        let row = |setter| SettingRow { value: "5".into(), changed_at: crate::base::Timestamp(1), setter };
        let file = [("limits.recipients".to_owned(), row(Setter::State))];
        let settings = Settings::gather(&file, "", &[]).unwrap();
        assert_eq!((settings.limits_recipients, settings.origin("limits.recipients").unwrap().0), (5, Source::State));
        let file = [("limits.recipients".to_owned(), row(Setter::Page))];
        let settings = Settings::gather(&file, "", &[]).unwrap();
        assert_eq!(settings.origin("limits.recipients").unwrap(), (Source::Page, "5"));
        let settings = Settings::gather(&file, "limits.recipients=6", &["limits.recipients=8".into()]).unwrap();
        assert_eq!(settings.limits_recipients, 8);
    }

    #[test]
    fn names_are_read_one_by_one() {
        let flag = "imap.capabilities_disabled=condstore, COMPRESS=DEFLATE".to_owned();
        let settings = Settings::gather(&[], "", &[flag, "pop3.retr_sets_seen=false".into()]).unwrap();
        assert_eq!(settings.imap_capabilities_disabled, ["condstore", "COMPRESS=DEFLATE"]);
        assert!(!settings.pop3_retr_sets_seen);
    }

    #[test]
    fn a_wrong_setting_is_refused_in_words() {
        let refused = |flag: &str| Settings::gather(&[], "", &[flag.to_owned()]).unwrap_err().to_string();
        assert_eq!(
            refused("limits.recipent=3"),
            "there is no setting \"limits.recipent\"; the nearest is limits.recipients"
        );
        assert_eq!(refused("limits.recipients"), "setting \"limits.recipients\" has no value: the form is KEY=VALUE");
        assert_eq!(refused("limits.recipients=many"), "setting limits.recipients: \"many\" is not a whole number");
        assert_eq!(refused("limits.recipients=+3"), "setting limits.recipients: \"+3\" is not a whole number");
        assert_eq!(refused("limits.recipients="), "setting limits.recipients: \"\" is not a whole number");
        assert_eq!(refused("queue.retry_seconds=60, 0,60"), "setting queue.retry_seconds must be at least 1");
        assert_eq!(
            refused("delivery.messages_per_connection=0"),
            "setting delivery.messages_per_connection must be at least 1"
        );
        assert_eq!(refused("imap.keepalive_seconds=0"), "setting imap.keepalive_seconds must be at least 1");
        assert_eq!(refused("pop3.retr_sets_seen=yes"), "setting pop3.retr_sets_seen: \"yes\" is not true or false");
        assert_eq!(
            refused("imap.capabilities_disabled=IDLE,,ID"),
            "setting imap.capabilities_disabled: \"IDLE,,ID\" is not names with commas between them, as in IDLE,MOVE"
        );
        assert!(refused("limits.exempt_networks=10.0.0.0/40").contains("is not networks"));
        assert!(refused("smtp.hostname=a\u{7}b").contains("control characters"));
    }

    #[test]
    fn the_defaults_are_those_of_the_limits() {
        let settings = Settings::default();
        assert_eq!(settings.limits_message_bytes, limits::MESSAGE_BYTES);
        assert_eq!(settings.limits_recipients, limits::RECIPIENTS);
        assert_eq!(settings.limits_connections_per_address, limits::CONNECTIONS_PER_ADDRESS);
        assert_eq!(settings.limits_connections_per_network, limits::CONNECTIONS_PER_NETWORK);
        assert_eq!(settings.limits_connections_total, limits::CONNECTIONS_TOTAL);
        assert_eq!(settings.store_bodies_in_memory_bytes, limits::BODIES_IN_MEMORY_BYTES);
        assert_eq!(settings.smtp_idle_seconds, limits::SMTP_IDLE_S);
        assert_eq!(settings.pop3_idle_seconds, limits::POP3_IDLE_S);
        assert_eq!(settings.imap_idle_seconds, limits::IMAP_IDLE_S);
        assert_eq!(settings.imap_keepalive_seconds, limits::IMAP_KEEPALIVE_S);
        assert!(settings.imap_capabilities_disabled.is_empty() && settings.pop3_retr_sets_seen);
        assert_eq!(settings.limits_exempt_networks, Networks::loopback());
    }
}
