//! The world of the tests, proved by other people's clients before anything is proved by it.

use std::process::Command;
use std::time::Duration;

use crate::dns::{Dns, Zone};
use crate::mails;
use crate::programs::{has, run};
use crate::sink::{ALWAYS, Fault, STAGES, Sink, Stage};
use crate::wire::Smtp;

const LIMIT: Duration = Duration::from_secs(10);

/// Asks with Net::DNS, as any resolver would, and prints the code and the answers in order.
const ASK: &str = r#"
use Net::DNS;
my ($port, $name, $kind) = @ARGV;
my $resolver = Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $port, udp_timeout => 1, retry => 1, retrans => 1,
    recurse => 1, dnsrch => 0, defnames => 0);
my $packet = $resolver->send($name, $kind);
if (!$packet) { print "silence\n"; exit 0 }
print $packet->header->rcode, "\n";
for my $row ($packet->answer) {
    my $data = $row->type eq "MX" ? $row->preference . " " . ($row->exchange || ".") : $row->rdstring;
    print join(" ", $row->owner, $row->type, $data), "\n";
}
"#;

#[test]
fn the_name_server_answers_as_it_is_told() {
    if !has("perl") {
        return;
    }
    let many = (0..60).fold(Zone::new(), |zone, number| zone.mx("many.test", number, &format!("mx{number}.many.test")));
    let zone = many
        .mx("two.test", 20, "b.two.test")
        .mx("two.test", 10, "a.two.test")
        .address("a.two.test", "127.0.0.9")
        .address("a.two.test", "::1")
        .cname("other.test", "two.test")
        .null_mx("null.test")
        .text("empty.test", "it is there")
        .broken("broken.test")
        .silent("silent.test");
    let dns = Dns::start(zone);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ask = |name: &str, kind: &str| {
        let port = dns.address.port().to_string();
        let answer = run(Command::new("perl").args(["-e", ASK, &port, name, kind]), None, folder.path());
        String::from_utf8(answer).expect("text").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let check = |name: &str, kind: &str, expected: &[&str]| assert_eq!(ask(name, kind), expected, "{name} {kind}");
    check("two.test", "MX", &["NOERROR", "two.test MX 20 b.two.test", "two.test MX 10 a.two.test"]);
    check("A.Two.Test", "A", &["NOERROR", "A.Two.Test A 127.0.0.9"]);
    check("a.two.test", "AAAA", &["NOERROR", "a.two.test AAAA ::1"]);
    let followed = ["other.test CNAME two.test.", "two.test MX 20 b.two.test", "two.test MX 10 a.two.test"];
    check("other.test", "MX", &[&["NOERROR"], followed.as_slice()].concat());
    check("null.test", "MX", &["NOERROR", "null.test MX 0 ."]);
    check("empty.test", "MX", &["NOERROR"]);
    check("nowhere.test", "MX", &["NXDOMAIN"]);
    check("broken.test", "MX", &["SERVFAIL"]);
    check("silent.test", "MX", &["silence"]);
    assert_eq!(ask("many.test", "MX").len(), 61, "an answer that is too long for UDP comes by TCP");
    let asked = |name: &str| dns.asked().iter().filter(|(asked, kind)| asked == name && kind == "MX").count();
    assert_eq!((asked("two.test"), asked("many.test")), (1, 2), "by UDP, and again by TCP");
}

#[test]
fn the_sink_writes_down_what_it_takes() {
    let mut sink = Sink::start("127.0.0.9:0");
    let content = mails::of_size("whole", 1, 5000);
    let mut session = Smtp::connect(sink.address).expect("the sink greets");
    session.submit("a@here.test", &["b@there.test", "c@there.test"], &content).expect("it is taken");
    sink.refuse("nobody@there.test", "550 5.1.1 no such user");
    let reply = session.envelope("a@here.test", &["nobody@there.test"]).expect("a reply");
    assert_eq!(reply.text, "550 5.1.1 no such user");
    assert_eq!(session.reply().expect("a reply to DATA").code, 554);
    let taken = &sink.wait_for(1, LIMIT)[0];
    assert_eq!((taken.sender.as_str(), taken.message_id.as_str()), ("a@here.test", "whole@example.test"));
    assert_eq!(taken.recipients, ["b@there.test", "c@there.test"]);
    assert_eq!((taken.content.as_slice(), taken.is_answered), (content.as_slice(), true));
    assert_eq!(taken.digest, *blake3::hash(&content).as_bytes(), "nothing stood before its Date");
    sink.down();
    assert!(session.command("NOOP").is_err(), "a sink that went down has no sessions");
    assert!(Smtp::connect(sink.address).is_err(), "and takes no connections");
    sink.up();
    Smtp::connect(sink.address)
        .expect("it greets again")
        .submit("a@here.test", &["b@there.test"], &content)
        .expect("taken");
    assert_eq!(sink.count(), 2);
}

#[test]
fn the_sink_fails_where_it_is_told_to() {
    let sink = Sink::start("127.0.0.9:0");
    let content = mails::of_size("fault", 1, 5000);
    let send = || Smtp::connect(sink.address)?.submit("a@here.test", &["b@there.test"], &content);
    for stage in STAGES {
        sink.fail(stage, Fault::Reply("451 4.3.0 not now"), 1);
        assert!(send().expect_err("it fails").to_string().contains("451 4.3.0 not now"), "{stage:?}");
        sink.fail(stage, Fault::Drop, 1);
        assert_eq!(send().expect_err("it is dropped").kind(), std::io::ErrorKind::UnexpectedEof, "{stage:?}");
        assert_eq!(sink.count(), 0, "{stage:?}");
    }
    sink.fail(Stage::End, Fault::TakeAndDrop, 1);
    send().expect_err("the answer is lost");
    assert_eq!(sink.wait_for(1, LIMIT).iter().map(|taken| taken.is_answered).collect::<Vec<_>>(), [false]);
    send().expect("no fault is left");
    sink.fail(Stage::Greeting, Fault::Hang, ALWAYS);
    sink.heal();
    send().expect("no fault is left");
    assert_eq!(sink.count(), 3);
}
