use futures_util::FutureExt;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::VerifySignature;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};

use super::answers::{Answers, Question, Resolve};
use super::judge::{counts, settle, with_answers};
use super::verdicts::{Chain, Word};
use crate::base::{DomainName, limits};

/// Whether the chain of those who have passed the message on holds. Nothing is asked of one that can't.
// RFC 8617 §5.2
pub(super) async fn validate(
    authenticator: &MessageAuthenticator,
    message: &AuthenticatedMessage<'_>,
    resolve: &impl Resolve,
    left: &mut usize,
) -> Chain {
    let seals = &message.as_headers;
    let is_empty = seals.is_empty() && message.ams_headers.is_empty() && message.aar_headers.is_empty();
    if is_empty && !message.has_arc_errors {
        return Chain { word: Word::None, domain: None };
    }
    // Of a chain that is out of order they are, too.
    let last = seals.iter().max_by_key(|seal| seal.header.i);
    let domain = last.and_then(|seal| DomainName::parse(&seal.header.d).ok());
    if !may_hold(message) {
        return Chain { word: Word::Fail, domain };
    }
    let answers = Answers::new(None, false);
    let evaluate = || {
        let output = authenticator.verify_arc(with_answers(message, &answers)).now_or_never();
        // It asks for one key after the other, and begins anew with each.
        answers.foresee(seals.iter().map(|seal| Question::Texts(seal.header.domain_key())));
        output.is_some_and(|output| *output.result() == DkimResult::Pass)
    };
    let holds = settle(&answers, resolve, left, evaluate).await;
    Chain { word: if holds { Word::Pass } else { Word::Fail }, domain }
}

/// What the evaluator leaves to others: it takes a seal without any signature for no chain at all, SHA-1, and
/// signatures that leave From out.
fn may_hold(message: &AuthenticatedMessage<'_>) -> bool {
    let Some(signature) = message.ams_headers.last() else { return false };
    let is_sha1 = |algorithm: Algorithm| algorithm == Algorithm::RsaSha1;
    !message.has_arc_errors
        && message.as_headers.len() <= limits::ARC_SETS
        // RFC 8301 §3.1
        && !is_sha1(signature.header.a)
        && !message.as_headers.iter().any(|seal| is_sha1(seal.header.a))
        && counts(&signature.header.h)
        // RFC 8617 §4.1.2: a seal is made behind the signature, and can't be covered by it
        && !signature.header.h.iter().any(|name| name.eq_ignore_ascii_case("ARC-Seal"))
}
