use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::server::{Begun, begin};
use crate::base::{Secret, limits};
use crate::sasl::{Channel, Claim, ClientTerms, Exchange, Mechanism, Responder, SaslError, Step, Terms, Unanswerable};

/// TLS 1.3.
fn modern() -> Channel {
    Channel { exporter: Some([3; 32]), server_end_point: Some(vec![4; 48]), client_certificate: None }
}

/// TLS 1.2.
fn older() -> Channel {
    Channel { exporter: None, ..modern() }
}

fn terms(channel: Channel) -> Terms {
    Terms { nonce: "theirs".into(), salt_key: Secret::new([7; 32]), channel }
}

fn responder(mechanism: Mechanism, secret: &str, channel: &Channel, offers_plus: bool) -> Responder {
    let terms = ClientTerms { nonce: "ours", channel, offers_plus };
    Responder::new(mechanism, "branch", &Secret::new(secret.to_owned()), &terms).unwrap()
}

/// What comes of a client with its secret at a server: who has proved it with `s3cret`, and whether the client is content.
fn play(
    mechanism: Mechanism,
    secret: &str,
    (ours, offers_plus): (&Channel, bool),
    theirs: Channel,
) -> Result<(String, bool), SaslError> {
    let mut responder = responder(mechanism, secret, ours, offers_plus);
    let mut step = Exchange::start(mechanism, None, Some(terms(theirs)))?;
    loop {
        match step {
            Step::Challenge(exchange, challenge) => {
                assert!(!responder.is_satisfied(), "nothing is proved yet");
                let answer = responder.answer(&challenge).unwrap();
                step = exchange.answer(answer.expose().as_bytes())?;
            }
            Step::Done(Claim::Scram(proof)) => {
                let Some(last) = proof.verify("s3cret") else { return Ok((String::new(), false)) };
                assert_eq!(responder.answer(&last).map(|answer| answer.expose().clone()), Ok(String::new()));
                return Ok((proof.login().to_owned(), responder.is_satisfied()));
            }
            Step::Done(_) => panic!("no proof"),
        }
    }
}

#[test]
fn both_sides_prove_that_they_know_the_secret() {
    use Mechanism::{ScramSha256, ScramSha256Plus};
    let clear = Channel::default;
    for (mechanism, ours, offers_plus, theirs, expected) in [
        (ScramSha256, clear(), false, clear(), Ok(true)),
        (ScramSha256Plus, modern(), true, modern(), Ok(true)),
        (ScramSha256Plus, older(), true, older(), Ok(true)),
        // A client that may not bind though both could says `n`, and is taken.
        (ScramSha256, modern(), true, modern(), Ok(true)),
        // Somebody has taken the -PLUS out of what the server announced.
        (ScramSha256, modern(), false, modern(), Err(SaslError::ChannelBinding)),
        // A server that can't bind is no such case.
        (ScramSha256, modern(), false, clear(), Ok(true)),
        // Another connection than the client's: somebody is between.
        (
            ScramSha256Plus,
            modern(),
            true,
            Channel { exporter: Some([9; 32]), ..modern() },
            Err(SaslError::ChannelBinding),
        ),
        (ScramSha256Plus, modern(), true, older(), Err(SaslError::ChannelBinding)),
        (ScramSha256Plus, modern(), true, clear(), Err(SaslError::ChannelBinding)),
    ] {
        let seen = play(mechanism, "s3cret", (&ours, offers_plus), theirs.clone());
        let expected = expected.map(|is_satisfied| ("branch".to_owned(), is_satisfied));
        assert_eq!(seen, expected, "{mechanism:?} {ours:?} {theirs:?}");
    }
    assert_eq!(play(ScramSha256, "wrong", (&clear(), false), clear()), Ok((String::new(), false)));
}

/// RFC 7677 §3
#[test]
fn the_example_of_the_rfc_is_ours() {
    let (ours, theirs) = ("rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let challenge = format!("r={ours}{theirs},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let last = format!("c=biws,r={ours}{theirs},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let proof = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    // The client
    let terms = ClientTerms { nonce: ours, channel: &Channel::default(), offers_plus: false };
    let secret = Secret::new("pencil".to_owned());
    let mut client = Responder::new(Mechanism::ScramSha256, "user", &secret, &terms).unwrap();
    let decoded = |secret: Secret<String>| String::from_utf8(STANDARD.decode(secret.expose()).unwrap()).unwrap();
    assert_eq!(decoded(client.initial(500).unwrap()), format!("n,,n=user,r={ours}"));
    assert_eq!(client.answer(&STANDARD.encode(&challenge)).map(decoded), Ok(last.clone()));
    assert_eq!(client.answer(&STANDARD.encode(proof)).map(decoded), Ok(String::new()));
    assert!(client.is_satisfied());
    // The server
    let begun = Begun {
        login: "user".into(),
        salt: STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap(),
        binding: "biws".into(),
        nonce: format!("{ours}{theirs}"),
        said: format!("n=user,r={ours},{challenge},"),
    };
    let shown = begun.answer(last.as_bytes()).unwrap();
    assert_eq!(shown.verify("pencil"), Some(STANDARD.encode(proof)));
    assert_eq!(shown.verify("pencils"), None);
}

fn first(is_plus: bool, message: &str) -> Result<(String, String), SaslError> {
    begin(is_plus, message.as_bytes(), &terms(modern())).map(|(begun, challenge)| (begun.login, challenge))
}

#[test]
fn a_first_message_is_read_as_the_grammar_says() {
    let login = |is_plus, message| first(is_plus, message).map(|(login, _)| login);
    assert_eq!(login(false, "n,,n=branch,r=x"), Ok("branch".into()));
    assert_eq!(login(false, "n,a=branch,n=branch,r=x,z=what,y=is=not=known"), Ok("branch".into()));
    assert_eq!(login(false, "n,a=a=2Cb=3D,n=a=2Cb=3D,r=x"), Ok("a,b=".into()));
    assert_eq!(login(true, "p=tls-exporter,,n=branch,r=x"), Ok("branch".into()));
    assert_eq!(login(true, "p=tls-server-end-point,,n=branch,r=x"), Ok("branch".into()));
    for (is_plus, message, expected) in [
        (false, "n,a=other,n=branch,r=x", SaslError::AuthorizationId),
        (false, "n,other,n=branch,r=x", SaslError::Malformed),
        (false, "y,,n=branch,r=x", SaslError::ChannelBinding),
        (false, "p=tls-exporter,,n=branch,r=x", SaslError::ChannelBinding),
        (true, "n,,n=branch,r=x", SaslError::ChannelBinding),
        (true, "p=tls-unique,,n=branch,r=x", SaslError::ChannelBinding),
        (true, "p=,,n=branch,r=x", SaslError::ChannelBinding),
        (true, "x,,n=branch,r=x", SaslError::Malformed),
        (false, "", SaslError::Malformed),
        (false, "n,", SaslError::Malformed),
        (false, "n,,", SaslError::Malformed),
        (false, "n,,n=branch", SaslError::Malformed),
        (false, "n,,r=x,n=branch", SaslError::Malformed),
        (false, "n,,m=must,n=branch,r=x", SaslError::Malformed),
        (false, "n,,n=branch,r=x,", SaslError::Malformed),
        (false, "n,,n=branch,r=x,1=2", SaslError::Malformed),
        (false, "n,,n=,r=x", SaslError::Malformed),
        (false, "n,,n=branch,r=", SaslError::Malformed),
        (false, "n,,n=branch,r=x y", SaslError::Malformed),
        (false, "n,,n=a=2cb,r=x", SaslError::Malformed),
        (false, "n,,n=a=,r=x", SaslError::Malformed),
        (false, "n,,n=zoë,r=x", SaslError::Malformed),
        (false, "n,,n=a\0b,r=x", SaslError::Malformed),
    ] {
        assert_eq!(first(is_plus, message), Err(expected), "{message:?}");
    }
    let long = |octets| first(false, &format!("n,,n=branch,r={}", "x".repeat(octets))).map(|_| ());
    assert_eq!(long(limits::SCRAM_NONCE_BYTES), Ok(()));
    assert_eq!(long(limits::SCRAM_NONCE_BYTES + 1), Err(SaslError::TooLong));
}

#[test]
fn the_salt_of_a_name_stays_the_same_and_is_its_own() {
    let salt = |name: &str| {
        let (_, challenge) = first(false, &format!("n,,n={name},r=x")).unwrap();
        assert!(challenge.starts_with("r=xtheirs,s=") && challenge.ends_with(",i=4096"), "{challenge}");
        challenge
    };
    assert_eq!(salt("branch"), salt("branch"));
    assert_ne!(salt("branch"), salt("nobody"));
}

#[test]
fn a_final_message_belongs_to_its_exchange() {
    let proof = STANDARD.encode([0; 32]);
    let answer = |message: &str| {
        let (begun, _) = begin(false, b"n,,n=branch,r=x", &terms(modern())).unwrap();
        begun.answer(message.as_bytes()).map(|proof| proof.verify("s3cret"))
    };
    assert_eq!(answer(&format!("c=biws,r=xtheirs,p={proof}")), Ok(None));
    assert_eq!(answer(&format!("c=biws,r=xtheirs,e=xtension,p={proof}")), Ok(None));
    for (message, expected) in [
        (format!("c=biws,r=xothers,p={proof}"), SaslError::Malformed),
        (format!("c=biws,r=x,p={proof}"), SaslError::Malformed),
        (format!("c=eSws,r=xtheirs,p={proof}"), SaslError::ChannelBinding),
        (format!("r=xtheirs,c=biws,p={proof}"), SaslError::Malformed),
        ("c=biws,r=xtheirs".into(), SaslError::Malformed),
        ("c=biws,r=xtheirs,p=".into(), SaslError::Malformed),
        ("c=biws,r=xtheirs,p=AAAA".into(), SaslError::Malformed),
        ("c=biws,r=xtheirs,p=!".into(), SaslError::Base64),
        (format!("c=biws,r=xtheirs,p={proof},x=behind"), SaslError::Base64),
        (String::new(), SaslError::Malformed),
    ] {
        assert_eq!(answer(&message), Err(expected), "{message}");
    }
}

/// A client that has said its first message.
fn asked() -> Responder {
    let mut responder = responder(Mechanism::ScramSha256, "s3cret", &Channel::default(), false);
    assert!(responder.initial(500).is_some());
    responder
}

#[test]
fn a_client_does_not_let_a_server_lead_it() {
    let hear = |challenge: &str| asked().answer(&STANDARD.encode(challenge)).map(|_| ());
    assert_eq!(hear("r=ourstheirs,s=AAAA,i=4096"), Ok(()));
    assert_eq!(hear("r=ourstheirs,s=AAAA,i=4096,x=tension"), Ok(()));
    let most = limits::SCRAM_ITERATIONS_MAX;
    for (challenge, expected) in [
        ("", Unanswerable::Nonsense),
        ("r=ours,s=AAAA,i=4096", Unanswerable::Nonsense),
        ("r=other,s=AAAA,i=4096", Unanswerable::Nonsense),
        ("r=ourstheirs,s=,i=4096", Unanswerable::Nonsense),
        ("r=ourstheirs,s=!,i=4096", Unanswerable::Nonsense),
        ("m=must,r=ourstheirs,s=AAAA,i=4096", Unanswerable::Nonsense),
        ("r=ourstheirs,s=AAAA", Unanswerable::Nonsense),
        ("r=ourstheirs,s=AAAA,i=4095", Unanswerable::Iterations),
        ("r=ourstheirs,s=AAAA,i=0", Unanswerable::Iterations),
        ("r=ourstheirs,s=AAAA,i=-1", Unanswerable::Iterations),
        (&format!("r=ourstheirs,s=AAAA,i={}", most + 1), Unanswerable::Iterations),
        ("r=ourstheirs,s=AAAA,i=99999999999", Unanswerable::Iterations),
    ] {
        assert_eq!(hear(challenge), Err(expected), "{challenge}");
    }
    assert_eq!(asked().answer("!").map(|_| ()), Err(Unanswerable::Nonsense));
}

#[test]
fn a_server_that_does_not_know_the_secret_is_seen_through() {
    for last in ["", "v=", "v=AAAA", "e=other-error", "x=y", &format!("v={}", STANDARD.encode([0; 32]))] {
        let mut client = asked();
        client.answer(&STANDARD.encode("r=ourstheirs,s=AAAA,i=4096")).map(|_| ()).unwrap();
        assert_eq!(client.answer(&STANDARD.encode(last)).map(|_| ()), Err(Unanswerable::Unproved), "{last}");
        assert!(!client.is_satisfied());
    }
}

#[test]
fn what_saslprep_might_change_is_not_proved() {
    let terms = ClientTerms { nonce: "ours", channel: &Channel::default(), offers_plus: false };
    for (login, secret) in [("branch", "pässwörd"), ("zoë", "s3cret"), ("branch", "a\tb"), ("branch", "")] {
        let secret = Secret::new(secret.to_owned());
        assert!(Responder::new(Mechanism::ScramSha256, login, &secret, &terms).is_err(), "{login}");
    }
    // Bound to a connection that can't be bound to.
    let secret = Secret::new("s3cret".to_owned());
    assert!(Responder::new(Mechanism::ScramSha256Plus, "branch", &secret, &terms).is_err());
}

proptest! {
    #[test]
    fn whatever_is_said_is_answered(
        message in "(n|y|p=tls-exporter|),(a=b)?,(n=[a-z,=]{0,4},)?(r=[!-~]{0,6})?\\PC{0,8}",
        last in "(c=[a-zA-Z0-9]{0,5},)?(r=[!-~]{0,8})?(,p=[a-zA-Z0-9=]{0,50})?",
        is_plus in any::<bool>(),
    ) {
        if let Ok((begun, challenge)) = begin(is_plus, message.as_bytes(), &terms(modern())) {
            prop_assert!(challenge.is_ascii() && !challenge.contains(['\r', '\n']));
            let proved = begun.answer(last.as_bytes()).ok().and_then(|proof| proof.verify("s3cret"));
            prop_assert_eq!(proved, None);
        }
        let _ = asked().answer(&STANDARD.encode(&message));
    }
}
