//! A report on TLS (RFC 8460), as it comes by mail.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The header of a report, and what it says.
pub fn read(content: &[u8]) -> (String, Value) {
    let text = String::from_utf8(content.to_vec()).expect("it is ASCII");
    let (head, body) = text.split_once("\r\n\r\n").expect("a header");
    let (_, attached) = body.split_once(".json.gz\"\r\n\r\n").expect("an attachment");
    let (encoded, _) = attached.split_once("--").expect("the end of a part");
    let packed = STANDARD.decode(encoded.replace("\r\n", "")).expect("it is in base64");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("it is packed by gzip");
    (head.to_owned(), serde_json::from_slice(&unpacked).expect("it is JSON"))
}
