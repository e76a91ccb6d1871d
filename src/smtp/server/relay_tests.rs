//! Who may have mail sent elsewhere, and what the queue is told of it.

use std::sync::Arc;

use proptest::prelude::*;

use super::Profile;
use super::context::Context;
use super::policy;
use super::session::Smtp;
use super::tests::{context, play};
use crate::base::{AccountId, Address, Host, Timestamp};
use crate::directory::{self, AliasFields, Precondition, PutAlias};
use crate::queue::{self, Notify};
use crate::smtp::machine::{Facts, Hello, Identity, Sender};
use crate::smtp::wire::{MailParameters, rcpt_arguments};

/// A server with two groups that lead elsewhere, one of them for our own users alone.
async fn with_groups() -> Context {
    let context = context().await;
    for (local, internal_only) in [("away", false), ("inside", true)] {
        let targets = ["bob@example.test", "carol@elsewhere.test"].map(|text| Address::parse(text).unwrap());
        let fields = AliasFields { internal_only, ..AliasFields::leading_to(targets.to_vec()) };
        let address = Address::parse(&format!("{local}@example.test")).unwrap();
        let put = PutAlias { address, fields, precondition: Precondition::None, at: Timestamp(1) };
        context.store.write(put).await.unwrap().into_inner();
    }
    context
}

fn facts(identity: Option<Identity<Smtp>>) -> Facts<Smtp> {
    Facts { hello: Arc::new(Hello { name: "c.test".into(), is_extended: true }), is_secured: true, identity }
}

fn sender(text: Option<&str>) -> Sender {
    Sender {
        address: text.map(|text| Address::parse(text).unwrap()),
        smtputf8: true,
        size_bytes: None,
        parameters: MailParameters::default(),
    }
}

/// The addresses elsewhere that a RCPT leads to; `None` when it is refused or is no RCPT.
fn remote(context: &Context, facts: &Facts<Smtp>, from: Option<&str>, argument: &str) -> Option<Vec<String>> {
    let recipient = rcpt_arguments(argument, true).ok()?.recipient;
    let recipient = policy::check_recipient(context, facts, &sender(from), recipient).ok()?;
    Some(recipient.remote.iter().map(ToString::to_string).collect())
}

fn account(context: &Context) -> Option<Identity<Smtp>> {
    let view = context.store.view().unwrap();
    let login = Address::parse("alice@example.test").unwrap();
    let account: AccountId = directory::account(&view, &login).unwrap().unwrap().id;
    Some(Identity::Account(Arc::new(directory::Identity { account, login, roles: Vec::new(), version: 1 })))
}

#[tokio::test]
async fn relaying_is_for_our_users_and_our_aliases() {
    let context = with_groups().await;
    let check = |who: Option<Identity<Smtp>>, argument: &str, expected: Option<&[&str]>| {
        let seen = remote(&context, &facts(who), Some("alice@example.test"), argument);
        let expected = expected.map(|all| all.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(seen, expected, "{argument}");
    };
    check(None, "TO:<x@elsewhere.test>", None);
    check(None, "TO:<x@[192.0.2.1]>", None);
    check(None, "TO:<inside@example.test>", None);
    check(None, "TO:<away@example.test>", Some(&["carol@elsewhere.test"]));
    check(None, "TO:<bob@example.test>", Some(&[]));
    check(account(&context), "TO:<x@elsewhere.test>", Some(&["x@elsewhere.test"]));
    check(account(&context), "TO:<x@[IPv6:2001:db8::1]>", Some(&["x@[IPv6:2001:db8::1]"]));
    check(account(&context), "TO:<inside@example.test>", Some(&["carol@elsewhere.test"]));
    check(account(&context), "TO:<nobody@example.test>", None);
    assert_eq!(policy::notify(&facts(None), &sender(Some("alice@example.test"))), Notify::Postmaster);
    assert_eq!(policy::notify(&facts(account(&context)), &sender(Some("alice@example.test"))), Notify::Sender);
    assert_eq!(policy::notify(&facts(account(&context)), &sender(None)), Notify::Postmaster);
}

/// Pieces that addresses which relay elsewhere were made of.
fn spelled() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("bob"),
        Just("away"),
        Just("Postmaster"),
        Just("x"),
        Just("@"),
        Just("@"),
        Just("@"),
        Just("%"),
        Just("!"),
        Just("\""),
        Just("\\"),
        Just(","),
        Just(":"),
        Just("."),
        Just("example.test"),
        Just("EXAMPLE.test"),
        Just("elsewhere.test"),
        Just("[192.0.2.1]"),
        Just("[IPv6:::1]"),
        Just("b\u{fc}cher.test"),
        Just("\u{ff20}"),
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| format!("TO:<{}>", pieces.concat()))
}

#[test]
fn no_spelling_makes_a_stranger_relay() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let context = runtime.block_on(with_groups());
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
    let tried = runner.run(&(spelled(), any::<bool>()), |(argument, null)| {
        let from = (!null).then_some("alice@example.test");
        let leads = remote(&context, &facts(None), from, &argument).unwrap_or_default();
        // RFC 5321 §3.6.2: elsewhere is only where an alias of ours leads.
        prop_assert!(leads.is_empty() || leads == ["carol@elsewhere.test"], "{argument}: {leads:?}");
        if let Ok(arguments) = rcpt_arguments(&argument, true)
            && let Ok(recipient) = policy::check_recipient(&context, &facts(None), &sender(from), arguments.recipient)
        {
            let is_ours = |name: &str| name == "example.test" || name == "mx.test";
            prop_assert!(matches!(&recipient.given.host, Host::Name(name) if is_ours(name.as_str())), "{argument}");
        }
        Ok(())
    });
    tried.unwrap();
}

#[tokio::test]
async fn the_queue_is_told_what_the_message_is_made_of() {
    use base64::Engine;
    let context = context().await;
    let login = base64::engine::general_purpose::STANDARD.encode("\0alice@example.test\0pillarbox");
    let check = async |content: &[u8], expected: (bool, bool)| {
        // SMTPUTF8 is given with each message: that alone needs nothing of the next server.
        let mut script = format!(
            "EHLO c.test\r\nAUTH PLAIN {login}\r\nMAIL FROM:<alice@example.test> SMTPUTF8 BODY=8BITMIME\r\n\
             RCPT TO:<x@elsewhere.test>\r\nDATA\r\nFrom: alice@example.test\r\n"
        )
        .into_bytes();
        script.extend_from_slice(content);
        script.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
        let heard = play(&context, Profile::Submission, &script, script.len()).await;
        assert!(heard.contains("250 2.0.0 ID queued"), "{heard}");
        let view = context.store.view().unwrap();
        let newest = queue::newest(&view).unwrap().unwrap();
        let message = queue::message(&view, newest).unwrap().unwrap();
        assert_eq!((message.eight_bit, message.smtputf8), expected, "{content:?}");
        assert_eq!(message.notify, Notify::Sender);
    };
    check(b"Subject: plain\r\n\r\ntext", (false, false)).await;
    check("Subject: plain\r\n\r\ncaf\u{e9}".as_bytes(), (true, false)).await;
    check("Subject: caf\u{e9}\r\n\r\ntext".as_bytes(), (true, true)).await;
    check(b"Subject: caf\xe9\r\n\r\ntext", (true, false)).await;
}
