//! Whatever a domain's web server or its DNS gives for a policy of TLS: it is read within bounds or refused, and what was
//! read says the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pure::base::{Address, limits};
use pure::tlspolicy::sts_policy::{Mode, StsPolicy};
use pure::tlspolicy::sts_record::sts_id;
use pure::tlsreport::record::wanted as wanted_by;

fuzz_target!(|octets: &[u8]| {
    if let Ok(policy) = StsPolicy::read(octets) {
        look_into(&policy);
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Some(id) = sts_id([text]) {
        assert!((1..=limits::STS_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(sts_id([text, text]), None, "of two records none counts");
        assert_eq!(sts_id([format!("v=STSv1; id={id};").as_str()]), Some(id));
    }
    if let Some(wanted) = wanted_by([text]) {
        assert!(wanted.addresses.len() <= limits::TLS_REPORT_ADDRESSES);
        let is_sane = |address: &Address| address.is_ascii() && !address.to_string().contains(['\r', '\n', '\0']);
        assert!(wanted.addresses.iter().all(is_sane), "nothing in it becomes a line of a message");
        assert_eq!(wanted_by([text, text]), None, "of two records none counts");
    }
});

fn look_into(policy: &StsPolicy) {
    assert!(policy.max_age_s <= limits::STS_MAX_AGE_S && policy.mx.len() <= limits::STS_MX);
    assert!(policy.mode == Mode::None || !policy.mx.is_empty());
    let mut text = format!("version: STSv1\r\nmode: {}\r\nmax_age: {}\r\n", policy.mode, policy.max_age_s);
    for mx in &policy.mx {
        let name = mx.to_string();
        text.push_str(&format!("mx: {name}\r\n"));
        let host = name.replacen("*.", "label.", 1);
        assert!(policy.names(&host), "{host} is named");
        assert!(!policy.names(""), "nothing is not");
    }
    assert_eq!(StsPolicy::read(text.as_bytes()).as_ref(), Ok(policy));
}
