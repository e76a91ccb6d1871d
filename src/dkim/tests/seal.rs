use super::*;

/// What came of it, as Authentication-Results says it.
const RESULTS: &str = "mx.example.test;\r\n\tspf=pass smtp.mailfrom=far.test;\r\n\tdkim=none";

/// A domain with a key of each kind.
fn world() -> World {
    let world = World::new();
    for (selector, algorithm) in [("e1", Algorithm::Ed25519), ("r1", Algorithm::Rsa2048)] {
        world.add("example.test", selector, algorithm).unwrap();
        world.activate("example.test", selector, &["example.test"]).unwrap();
    }
    world
}

impl World {
    /// The set of a message that this domain passes on.
    fn seal(&self, by: &str, message: &str, chain: ChainStatus) -> Option<Seal> {
        let (head, body) = split(message);
        let (by, body) = (name(by), hash(body));
        let unsealed = Unsealed { by: &by, head: head.as_bytes(), body, results: RESULTS, chain, at: AT };
        self.signers.seal(&self.store.view().unwrap(), &unsealed).unwrap()
    }

    /// The message with its next set.
    fn sealed(&self, message: &str, chain: ChainStatus) -> String {
        let seal = self.seal("example.test", message, chain).expect("a seal");
        String::from_utf8(seal.fields).unwrap() + message
    }

    fn seal_again(&self, message: &str) -> String {
        let again = self.signers.sign_again(&self.store.view().unwrap(), message.as_bytes().to_vec(), AT);
        String::from_utf8(again.unwrap()).unwrap()
    }
}

async fn holds(message: &str, records: &Records) -> bool {
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let output = verifier().verify_arc(Parameters::new(&parsed).with_txt_cache(records)).await;
    *output.result() == DkimResult::Pass
}

/// The message with so many sets, which only look like some.
fn chain_of(sets: usize) -> String {
    let set = |number: usize| {
        let cv = if number == 1 { "none" } else { "pass" };
        format!(
            "ARC-Seal: i={number}; cv={cv}; d=far.test; s=x; b=aa\r\nARC-Message-Signature: i={number}; d=far.test\r\n\
             ARC-Authentication-Results: i={number}; far.test; none\r\n"
        )
    };
    (1..=sets).rev().map(set).collect::<String>() + MESSAGE
}

fn last_seal(message: &str) -> &str {
    message.split("\r\nARC-Message-Signature:").next().unwrap()
}

#[tokio::test]
async fn each_who_passes_it_on_adds_a_set_and_all_hold() {
    let (world, mut message) = (world(), MESSAGE.to_owned());
    let records = world.published();
    for (instance, chain, cv) in
        [(1, ChainStatus::None, "none"), (2, ChainStatus::Pass, "pass"), (3, ChainStatus::Pass, "pass")]
    {
        message = world.sealed(&message, chain);
        let expected = format!("ARC-Seal: i={instance}; a=rsa-sha256; s=r1; d=example.test; t=1795341900; cv={cv};");
        assert!(message.replace("\r\n\t", " ").starts_with(&expected), "{message}");
        assert!(message.contains(&format!("ARC-Authentication-Results: i={instance}; {RESULTS}\r\n")));
        assert!(message.lines().all(|line| line.len() <= 78 || line.starts_with("X-")), "{message}");
        assert!(holds(&message, &records).await, "{message}");
        // Fields that trace its way may be added.
        assert!(holds(&format!("Delivered-To: a@example.test\r\nReceived: x\r\n{message}"), &records).await);
    }
    for (from, to) in [("Hello", "Hallo"), ("on  two", "of  two"), ("i=2; mx", "i=2; my"), ("cv=none", "cv=pass")] {
        let changed = message.replacen(from, to, 1);
        assert!(changed != message && !holds(&changed, &records).await, "{from}");
    }
}

#[tokio::test]
async fn what_others_have_signed_is_covered_and_results_are_not() {
    let world = world();
    let theirs = format!("Authentication-Results: x\r\nDKIM-Signature: v=1; d=far.test; b=aa\r\n{MESSAGE}");
    let message = world.sealed(&theirs, ChainStatus::None);
    let records = world.published();
    assert!(holds(&message, &records).await);
    assert!(holds(&message.replace("Authentication-Results: x\r\n", ""), &records).await);
    assert!(!holds(&message.replace("d=far.test; b=aa", "d=far.test; b=ab"), &records).await);
    let signed = message.replace("\r\n\t", "");
    let names = signed.split(" h=").nth(1).unwrap().split(';').next().unwrap();
    assert!(names.ends_with(":DKIM-Signature") && !names.to_ascii_lowercase().contains("arc-"), "{names}");
}

// RFC 8617 §5.1.2
#[test]
fn behind_a_broken_chain_a_seal_covers_its_own_set_alone() {
    let world = world();
    let (one, other) = (chain_of(2), chain_of(2).replace("d=far.test", "d=elsewhere.test"));
    let seals = |chain| [&one, &other].map(|message| last_seal(&world.sealed(message, chain)).to_owned());
    let [one_failed, other_failed] = seals(ChainStatus::Fail);
    assert!(one_failed.starts_with("ARC-Seal: i=3;") && one_failed.contains("cv=fail;"), "{one_failed}");
    assert_eq!(one_failed, other_failed);
    let [one_passed, other_passed] = seals(ChainStatus::Pass);
    assert_ne!(one_passed, other_passed);
}

#[test]
fn a_chain_comes_to_its_end() {
    let world = world();
    let check = |message: &str, chain, expected: Option<&str>| {
        let seal = world.seal("example.test", message, chain).map(|seal| String::from_utf8(seal.fields).unwrap());
        let begins = seal.as_deref().map(|text| text.split(" a=").next().unwrap());
        assert_eq!(begins, expected);
    };
    check(&chain_of(49), ChainStatus::Pass, Some("ARC-Seal: i=50;"));
    // RFC 8617 §4.2.1
    check(&chain_of(50), ChainStatus::Pass, None);
    check(&chain_of(50), ChainStatus::Fail, None);
    // RFC 8617 §5.1
    for cv in ["cv=fail", "CV = fail", "cv=FAIL"] {
        let ended = chain_of(2).replacen("cv=pass", cv, 1);
        check(&ended, ChainStatus::Fail, None);
    }
    check(&chain_of(3).replacen("cv=none", "cv=fail", 1), ChainStatus::Fail, Some("ARC-Seal: i=4;"));
    // A set that nobody can count.
    check(&format!("ARC-Seal: i=x; cv=none\r\n{MESSAGE}"), ChainStatus::Fail, Some("ARC-Seal: i=1;"));
    // What was not seen so does not go on as if it had been.
    check(&chain_of(1), ChainStatus::None, None);
    check(MESSAGE, ChainStatus::Pass, None);
    check(&chain_of(2).replacen("ARC-Message-Signature: i=1", "X-Gone: x", 1), ChainStatus::Pass, None);
}

#[test]
fn only_a_domain_of_ours_with_a_key_seals() {
    let world = World::new();
    assert_eq!(world.seal("example.test", MESSAGE, ChainStatus::None), None);
    world.add("example.test", "e1", Algorithm::Ed25519).unwrap();
    assert_eq!(world.seal("example.test", MESSAGE, ChainStatus::None), None, "it is pending");
    world.activate("example.test", "e1", &["example.test"]).unwrap();
    assert_eq!(world.seal("far.test", MESSAGE, ChainStatus::None), None);
    let by = |domain| world.seal(domain, MESSAGE, ChainStatus::None).unwrap().by;
    // Where its record was not seen in the other name, it seals in its own.
    assert_eq!((by("example.test"), by("other.test")), (name("example.test"), name("example.test")));
    world.activate("example.test", "e1", &["example.test", "other.test"]).unwrap();
    assert_eq!(by("other.test"), name("other.test"));
}

#[tokio::test]
async fn what_was_changed_here_is_sealed_anew() {
    let world = world();
    let records = world.published();
    let first = world.sealed(MESSAGE, ChainStatus::None);
    let second = world.sealed(&first, ChainStatus::Pass);
    for (message, front) in [(&first, ""), (&second, ""), (&second, "Delivered-To: list@example.test\r\n")] {
        let (seal, rest) = split_seal(message.as_bytes()).unwrap();
        let set = String::from_utf8(seal.fields).unwrap();
        let sent = format!("{set}{front}{}", std::str::from_utf8(rest).unwrap());
        let changed = sent.replace("caf\u{e9}", "cafe");
        assert!(!holds(&changed, &records).await);
        let again = world.seal_again(&changed);
        assert!(holds(&again, &records).await, "{again}");
        assert_eq!(split_seal(again.as_bytes()).unwrap().1, &changed.as_bytes()[set.len()..]);
        assert_eq!(world.seal_again(&sent), sent, "what has not changed is sealed with the same words");
    }
    // What comes from elsewhere has our Received there.
    let theirs = format!("Received: x\r\n{first}");
    assert_eq!(world.seal_again(&theirs), theirs);
    // A seal that does not hold is worse than none.
    world.delete("r1", true).unwrap();
    world.delete("e1", true).unwrap();
    assert_eq!(world.seal_again(&first), MESSAGE);
}
