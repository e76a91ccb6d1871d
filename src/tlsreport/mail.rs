use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::json::Report;
use crate::base::{Address, MessageId, Timestamp};

/// Octets of the content of a line of base64. RFC 2045 §6.8
const ENCODED_LINE_BYTES: usize = 76;

/// A report on its way by mail.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// What it says.
    pub report: Report<'a>,
    /// In whose name.
    pub from: &'a Address,
    /// To whom.
    pub to: &'a [Address],
    /// The message.
    pub message: MessageId,
    /// When it is written.
    pub at: Timestamp,
}

impl Letter<'_> {
    /// The whole message, without signatures.
    // RFC 8460 §5.3; RFC 8689 §3: it is to arrive above all where TLS fails
    pub fn compose(&self) -> Vec<u8> {
        let Report { submitter, id, domain, .. } = self.report;
        let to: Vec<String> = self.to.iter().map(ToString::to_string).collect();
        // No line of the parts begins so: they are ours.
        let boundary = format!("tlsrpt-{}", self.message);
        let head = [
            format!("Date: {}", self.at.rfc5322()),
            format!("From: {}", self.from),
            format!("To: {}", to.join(",\r\n ")),
            format!("Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{id}>"),
            format!("Message-ID: <{}@{submitter}>", self.message),
            format!("TLS-Report-Domain: {domain}"),
            format!("TLS-Report-Submitter: {submitter}"),
            "TLS-Required: No".to_owned(),
            "Auto-Submitted: auto-generated".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            format!("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\""),
        ];
        let name = self.file_name();
        let text = [
            String::new(),
            format!("--{boundary}"),
            "Content-Type: text/plain; charset=us-ascii".to_owned(),
            String::new(),
            format!("This is a report of {submitter} on TLS at the mail servers of"),
            format!("{domain}, for {}. Questions: {}", self.day(), self.from),
            String::new(),
            format!("--{boundary}"),
            "Content-Type: application/tlsrpt+gzip".to_owned(),
            "Content-Transfer-Encoding: base64".to_owned(),
            format!("Content-Disposition: attachment;\r\n filename=\"{name}\""),
            String::new(),
        ];
        let encoded = STANDARD.encode(gzip(&self.report.json()));
        let lines =
            encoded.as_bytes().chunks(ENCODED_LINE_BYTES).map(|line| String::from_utf8_lossy(line).into_owned());
        let end = [format!("--{boundary}--")];
        let all = head.into_iter().chain(text).chain(lines).chain(end);
        all.flat_map(|line| [line, "\r\n".to_owned()]).collect::<String>().into_bytes()
    }

    fn day(&self) -> String {
        self.report.day.begin().rfc3339().split('T').next().unwrap_or_default().to_owned()
    }

    // RFC 8460 §5.1
    fn file_name(&self) -> String {
        let Report { submitter, domain, day, .. } = self.report;
        let (begin, end) = (day.begin().ms() / 1000, day.end().ms() / 1000);
        format!("{submitter}!{domain}!{begin}!{end}.json.gz")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Memory takes everything.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
