//! DANE (RFC 7672) by a real chain of trust: Knot signs a root of the tests and a zone below it, and Postfix is the server
//! that its records name.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pillarbox::trace::Kind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::{Outside, Program, alice, note, wait_until};
use crate::dns::Zone;
use crate::programs::{has, run};
use crate::sink::free_port;

/// What the root says of the zone's key instead of its digest: nothing that is signed with the key can be proved then.
const BOGUS: &str = "00";

/// Knot with two zones, each signed with a key of its own.
struct Knot<'a> {
    folder: &'a Path,
    address: SocketAddr,
    process: Option<Child>,
}

impl<'a> Knot<'a> {
    fn new(folder: &'a Path) -> Self {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().expect("an address");
        for name in ["run", "db"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        let place = folder.display();
        let config = format!(
            "server:\n  listen: {}@{}\n  rundir: {place}/run\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             database:\n  storage: {place}/db\n\
             log:\n  - target: stderr\n    any: info\n\
             policy:\n  - id: ours\n    manual: on\n    single-type-signing: on\n    algorithm: ecdsap256sha256\n    nsec3: on\n    dnskey-ttl: 0\n\
             template:\n  - id: default\n    storage: {place}\n    dnssec-signing: on\n    dnssec-policy: ours\n    zonefile-sync: -1\n    zonefile-load: whole\n    journal-content: none\n\
             zone:\n  - domain: .\n    file: root.zone\n  - domain: postfix.test.\n    file: postfix.zone\n",
            address.ip(),
            address.port()
        );
        fs::write(folder.join("knot.conf"), config).expect("a file");
        let knot = Self { folder, address, process: None };
        for zone in [".", "postfix.test."] {
            knot.keymgr(&[zone, "generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes"]);
        }
        knot
    }

    fn keymgr(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("keymgr");
        command.arg("-c").arg(self.folder.join("knot.conf")).args(arguments);
        String::from_utf8(run(&mut command, None, self.folder)).expect("text")
    }

    /// The file for `--trust-anchor`.
    fn trust_anchor(&self) -> String {
        let path = self.folder.join("root.key");
        fs::write(&path, self.keymgr(&[".", "dnskey"]).replace(" DNSKEY ", " IN DNSKEY ")).expect("a file");
        path.display().to_string()
    }

    /// Serves the mail server at `port` with that TLSA record; `digest`: each octet of what the root says of the zone's key.
    fn serve(&mut self, port: u16, tlsa: &str, digest: Option<&str>) {
        self.stop();
        let delegation = self.keymgr(&["postfix.test.", "ds"]);
        let delegation = delegation.lines().find(|line| line.contains(" 13 2 ")).expect("a digest by SHA-256");
        let (begin, real) = delegation.rsplit_once(' ').expect("a digest");
        let digest = digest.map_or(real.to_owned(), |octet| octet.repeat(real.len() / 2));
        let soa = "SOA ns.test. admin.test. 1 3600 600 86400 0\n";
        let root = format!(
            "$TTL 0\n. {soa}. NS ns.test.\nns.test. A 127.0.0.1\npostfix.test. NS ns.test.\n{begin} {digest}\n"
        );
        let zone = format!(
            "$ORIGIN postfix.test.\n$TTL 0\n@ {soa}@ NS ns.test.\n@ MX 10 mx\nmx A {}\n_{port}._tcp.mx TLSA {tlsa}\n",
            Program::Postfix.address()
        );
        fs::write(self.folder.join("root.zone"), root).expect("a file");
        fs::write(self.folder.join("postfix.zone"), zone).expect("a file");
        let log = fs::File::create(self.folder.join("knot.log")).expect("a file");
        let mut command = Command::new("knotd");
        command.arg("-c").arg(self.folder.join("knot.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("knotd starts"));
        wait_until("both zones are served", || self.answers(&[]) && self.answers(&["postfix", "test"]), |ready| *ready);
    }

    /// Whether the zone's SOA record is answered.
    fn answers(&self, labels: &[&str]) -> bool {
        let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            query.push(u8::try_from(label.len()).expect("a short label"));
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, 6, 0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time-out");
        let mut answer = [0; 1500];
        let received = socket.send_to(&query, self.address).and_then(|_| socket.recv(&mut answer));
        received.is_ok_and(|length| length > 12 && answer[3] & 15 == 0 && answer[7] > 0)
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Knot<'_> {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            crate::site::say(&fs::read_to_string(self.folder.join("knot.log")).unwrap_or_default());
        }
    }
}

#[test]
fn a_zone_that_knot_signs_says_who_postfix_is() {
    if ![has("knotd"), has("keymgr"), Program::Postfix.is_here()].into_iter().all(|is_here| is_here) {
        return;
    }
    let world = Outside::new(Zone::new());
    let folder = world.folder.path().join("knot");
    let mut knot = Knot::new(&folder);
    let peer = Program::Postfix.start(&world);
    let pem = fs::read(world.folder.path().join("postfix.test/peer/cert.pem")).expect("Postfix's certificate");
    let certificate = CertificateDer::from_pem_slice(&pem).expect("a certificate");
    let digest: String = Sha256::digest(&certificate).iter().map(|octet| format!("{octet:02x}")).collect();
    let (right, wrong) = (format!("3 0 1 {digest}"), format!("3 0 1 {}", "00".repeat(32)));
    knot.serve(world.port, &right, None);
    let site = world.serve_asking(knot.address, &["--trust-anchor", &knot.trust_anchor()]);
    site.create_accounts(&["alice".to_owned()]);
    let mut session = alice(&site);
    let mut send =
        |id: &str| session.submit("alice@example.test", &["carol@postfix.test"], &note(id)).expect("it is taken");
    send("right");
    peer.wait_for("carol", 1);

    let waits = |words: &str| {
        let queue = || site.rest("GET", "/api/v1/queue", "").1.to_string();
        wait_until(&format!("{words} in the queue"), queue, |queue| queue.contains(words));
    };
    knot.serve(world.port, &wrong, None);
    send("wrong");
    waits("by the TLSA records of mx.postfix.test (DANE)");
    knot.serve(world.port, &right, Some(BOGUS));
    send("bogus");
    waits("can't be proved");
    assert_eq!(peer.mailbox("carol").len(), 1);
    knot.serve(world.port, &right, None);
    let received = peer.wait_for("carol", 3);
    assert_eq!(received.len(), 3, "nothing twice");

    let stories = world.stop(site);
    for id in ["right", "wrong", "bogus"] {
        let story = stories.story(&format!("{id}@example.test"));
        let relayed = story.of(Kind::Relayed);
        assert_eq!(relayed.len(), 1, "{id}: {:?}", story.events);
        let tls = relayed[0].tls.as_deref().unwrap_or("none");
        assert!(tls.starts_with("TLSv1.3 ") && tls.ends_with(" DANE-EE; dane"), "{id}: {tls}");
    }
}
