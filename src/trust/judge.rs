use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::join_all;
use mail_auth::common::crypto::Algorithm;
use mail_auth::dkim::Canonicalization;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, MessageAuthenticator, Parameters, SpfOutput, SpfResult,
};

use super::answers::{Answers, Resolve};
use super::bodies::Hashed;
use super::chain;
use super::verdicts::{Chain, Dkim, Dmarc, Spf, SpfOf, Verdicts, Word};
use crate::base::{Address, DomainName, limits};

/// Says who messages are from. One for the whole server.
///
/// The evaluators are those of mail-auth, which see the DNS through what they take for their cache: it knows everything
/// that they may ask, so that they never wait and their own resolver is never asked. (They read the clock of the machine,
/// for signatures that end.)
#[derive(Clone)]
pub struct Judge(MessageAuthenticator);

/// A message that has come in.
pub struct Arrival<'a> {
    /// Who brings it; `None`: somebody who is not who sends it, as a server that kept it for us.
    pub peer_ip: Option<IpAddr>,
    /// The name that the client gave itself.
    pub helo: &'a str,
    /// Ours.
    pub hostname: &'a DomainName,
    /// The sender of the envelope; `None`: the null sender.
    pub sender: Option<&'a Address>,
    /// Its header block as it came.
    pub header_block: &'a [u8],
    /// Of its body; `None`: it has none, or it is not signed.
    pub body: Option<Hashed>,
}

impl Judge {
    /// `authenticator`'s resolver is not asked.
    pub fn new(authenticator: MessageAuthenticator) -> Self {
        Self(authenticator)
    }

    /// What is known of who it is from. Asks no more than [`limits::TRUST_LOOKUPS`] questions.
    pub async fn judge(&self, arrival: &Arrival<'_>, resolve: &impl Resolve) -> Verdicts {
        let mut left = limits::TRUST_LOOKUPS;
        let peer_ip = arrival.peer_ip.map(|ip| ip.to_canonical());
        let (spf, spf_output) = self.spf(arrival, resolve, &mut left).await;
        let whole = [arrival.header_block, b"\r\n"].concat();
        let Some(mut message) = AuthenticatedMessage::parse_with_opts(&whole, None, true) else {
            let dmarc = Dmarc { word: Word::None, domain: None, policy: "none" };
            let arc = Chain { word: Word::None, domain: None };
            return Verdicts { spf, dkim: Vec::new(), dmarc, arc, peer_ip };
        };
        prepare(&mut message, arrival.body);
        let answers = Answers::new(None, false);
        let evaluate = || self.0.verify_dkim(with_answers(&message, &answers)).now_or_never().unwrap_or_default();
        let outputs = settle(&answers, resolve, &mut left, evaluate).await;
        let dkim = outputs.iter().filter_map(signature).collect();
        let sender_domain = match &spf {
            Some(Spf { of: SpfOf::MailFrom(name) | SpfOf::Helo(name), .. }) => name.as_str(),
            None => "",
        };
        let answers = Answers::new(None, false);
        let evaluate = || {
            let parameters = DmarcParameters::new(&message, &outputs, sender_domain, &spf_output);
            self.0.verify_dmarc(with_answers(parameters, &answers)).now_or_never().unwrap_or_default()
        };
        let output = settle(&answers, resolve, &mut left, evaluate).await;
        let dmarc = Dmarc {
            word: match output.result() {
                DmarcResult::Pass => Word::Pass,
                DmarcResult::Fail(_) => Word::Fail,
                DmarcResult::TempError(_) => Word::TempError,
                DmarcResult::PermError(_) => Word::PermError,
                DmarcResult::None => Word::None,
            },
            domain: DomainName::parse(output.domain()).ok(),
            policy: match output.policy() {
                Policy::Reject => "reject",
                Policy::Quarantine => "quarantine",
                Policy::None | Policy::Unspecified => "none",
            },
        };
        let arc = chain::validate(&self.0, &message, resolve, &mut left).await;
        Verdicts { spf, dkim, dmarc, arc, peer_ip }
    }

    // RFC 7208 §2.3, §2.4
    async fn spf(&self, arrival: &Arrival<'_>, resolve: &impl Resolve, left: &mut usize) -> (Option<Spf>, SpfOutput) {
        let none = || (None, SpfOutput::new(String::new()).with_result(SpfResult::None));
        let Some(peer_ip) = arrival.peer_ip.map(|ip| ip.to_canonical()) else { return none() };
        let of = match arrival.sender {
            Some(sender) => sender.host.name().cloned().map(SpfOf::MailFrom),
            None => DomainName::parse(arrival.helo).ok().map(SpfOf::Helo),
        };
        let Some(of) = of else { return none() };
        let sender = arrival.sender.map(Address::to_string);
        let answers = Answers::new(Some(peer_ip), true);
        let evaluate = || {
            let (helo, host) = (arrival.helo, arrival.hostname.as_str());
            let parameters = match &sender {
                Some(sender) => SpfParameters::verify_mail_from(peer_ip, helo, host, sender),
                None => SpfParameters::verify_ehlo(peer_ip, helo, host),
            };
            self.0.check_host(with_answers(parameters, &answers)).now_or_never()
        };
        let output = settle(&answers, resolve, left, evaluate).await.unwrap_or_else(|| SpfOutput::new(String::new()));
        // RFC 7208 §4.6.4, §2.6.6: no answer, and more than two that are none
        let result = match output.result() {
            _ if answers.is_unanswered() => SpfResult::TempError,
            SpfResult::None => SpfResult::None,
            _ if answers.void() > limits::SPF_VOID_LOOKUPS => SpfResult::PermError,
            result => result,
        };
        let word = match result {
            SpfResult::Pass => Word::Pass,
            SpfResult::Fail => Word::Fail,
            SpfResult::SoftFail => Word::SoftFail,
            SpfResult::Neutral => Word::Neutral,
            SpfResult::TempError => Word::TempError,
            SpfResult::PermError => Word::PermError,
            SpfResult::None => Word::None,
        };
        (Some(Spf { word, of }), output.with_result(result))
    }
}

/// Evaluates until nothing is missing that the DNS could say.
pub(super) async fn settle<T>(
    answers: &Answers,
    resolve: &impl Resolve,
    left: &mut usize,
    evaluate: impl Fn() -> T,
) -> T {
    loop {
        let result = evaluate();
        let missing = answers.take_missing();
        if missing.is_empty() {
            return result;
        }
        let ask = |(number, question)| {
            let is_asked = number < *left;
            async move { if is_asked { resolve.ask(question).await } else { super::answers::Answer::Unanswered } }
        };
        let found = join_all(missing.iter().enumerate().map(ask)).await;
        *left = left.saturating_sub(missing.len());
        for (question, answer) in missing.into_iter().zip(found) {
            answers.put(question, answer);
        }
    }
}

pub(super) fn with_answers<'x, P>(
    params: P,
    answers: &'x Answers,
) -> Parameters<'x, P, Answers, Answers, Answers, Answers, Answers> {
    Parameters {
        params,
        cache_txt: Some(answers),
        cache_mx: Some(answers),
        cache_ptr: Some(answers),
        cache_ipv4: Some(answers),
        cache_ipv6: Some(answers),
    }
}

/// Puts in the hashes of the body that has streamed by. What is signed with SHA-1 counts as not signed (RFC 8301 §3.1), and
/// so does what is one signature too many, names a key that there can't be, or does not [count](counts) for what it covers.
fn prepare(message: &mut AuthenticatedMessage<'_>, body: Option<Hashed>) {
    message.errors.clear();
    message.dkim_headers.retain(|field| {
        let signature = &field.header;
        let is_good = signature.a != Algorithm::RsaSha1 && signature.atps.is_none();
        is_good && is_selector(&signature.s) && counts(&signature.h)
    });
    message.dkim_headers.truncate(limits::DKIM_SIGNATURES);
    let hashed = body.unwrap_or_else(|| super::BodyHashes::default().finish());
    for (form, _, _, hash) in &mut message.body_hashes {
        *hash = match form {
            Canonicalization::Relaxed => hashed.relaxed.0.to_vec(),
            Canonicalization::Simple => hashed.simple.0.to_vec(),
        };
    }
}

/// Whether a name in the DNS can begin with it.
// RFC 6376 §3.1, RFC 1035 §2.3.4
fn is_selector(text: &str) -> bool {
    text.len() < 253 && text.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Whether a signature over these fields says who a message is from, and can be verified in a time that does not grow with
/// what a stranger writes: each name is looked for among all others.
// RFC 6376 §5.4: From is among them
pub(super) fn counts(covered: &[String]) -> bool {
    covered.len() <= limits::SIGNED_FIELDS && covered.iter().any(|name| name.eq_ignore_ascii_case("From"))
}

fn signature(output: &DkimOutput<'_>) -> Option<Dkim> {
    let signature = output.signature()?;
    Some(Dkim {
        word: match output.result() {
            DkimResult::Pass => Word::Pass,
            DkimResult::Fail(_) => Word::Fail,
            // RFC 8601 §2.7.1: a body that is not what was signed fails.
            DkimResult::Neutral(mail_auth::Error::Dkim(mail_auth::dkim::DkimError::FailedBodyHashMatch)) => Word::Fail,
            DkimResult::Neutral(_) => Word::Neutral,
            DkimResult::TempError(_) => Word::TempError,
            DkimResult::PermError(_) => Word::PermError,
            DkimResult::None => Word::None,
        },
        domain: DomainName::parse(&signature.d).ok()?,
        selector: signature.s.clone(),
        begins: STANDARD.encode(signature.b.get(..6).unwrap_or_default()),
    })
}
