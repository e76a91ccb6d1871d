//! A name server of the tests with DNSSEC: all its names lie in one zone, the root, that is signed while it answers, with
//! a key of its own; zones that nobody signs can be cut out of it, and signatures can be spoilt or held back.
//!
//! Whole of itself, as its neighbours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, NULL, SOA, TLSA, TXT};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use hickory_resolver::proto::serialize::binary::BinEncodable;
use tempfile::TempDir;
use time::OffsetDateTime;

/// What a signed DNS holds. What is not in it exists, and has no records.
#[derive(Debug, Clone, Default)]
pub struct SignedZone {
    names: BTreeMap<Name, Vec<RData>>,
    unsigned: BTreeSet<Name>,
    spoilt: BTreeSet<(Name, RecordType)>,
    /// DNAME records.
    moved: BTreeMap<Name, Name>,
    is_stripped: bool,
    is_partial: bool,
}

impl SignedZone {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// A server for the mail of `name`.
    pub fn mx(self, name: &str, preference: u16, host: &str) -> Self {
        let data = RData::MX(MX::new(preference, absolute(host)));
        self.with(name, data)
    }

    /// An address of `name`, IPv4 or IPv6.
    pub fn address(self, name: &str, address: &str) -> Self {
        let data = match address.parse().unwrap_or_else(|_| panic!("an address of {name}, not {address}")) {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        self.with(name, data)
    }

    /// A domain with one MX, `mx.NAME`, that has one address.
    pub fn mail(self, name: &str, address: &str) -> Self {
        let host = format!("mx.{name}");
        self.mx(name, 10, &host).address(&host, address)
    }

    /// `name` is another name of `target`.
    pub fn cname(self, name: &str, target: &str) -> Self {
        let data = RData::CNAME(CNAME(absolute(target)));
        self.with(name, data)
    }

    /// What is below `name` is below `target` (DNAME).
    pub fn dname(mut self, name: &str, target: &str) -> Self {
        self.moved.insert(absolute(name), absolute(target));
        self
    }

    pub fn text(self, name: &str, text: &str) -> Self {
        let data = RData::TXT(TXT::new(vec![text.to_owned()]));
        self.with(name, data)
    }

    /// A TLSA record of the server at that port of `host`: usage, selector, matching type, and data.
    pub fn tlsa(self, host: &str, port: u16, (usage, selector, matching, data): (u8, u8, u8, Vec<u8>)) -> Self {
        let data = RData::TLSA(TLSA::new(usage.into(), selector.into(), matching.into(), data));
        self.with(&format!("_{port}._tcp.{host}"), data)
    }

    /// Nobody signs `name` and what is below it.
    pub fn unsigned(mut self, name: &str) -> Self {
        self.unsigned.insert(absolute(name));
        self.with(name, RData::NS(NS(absolute("ns.test"))))
    }

    /// The signatures of what is answered for this name and kind of record are wrong.
    pub fn spoilt(mut self, name: &str, kind: RecordType) -> Self {
        self.spoilt.insert((absolute(name), kind));
        self
    }

    /// Nothing of DNSSEC is answered, as by a name server that knows nothing of it.
    pub fn stripped(self) -> Self {
        Self { is_stripped: true, ..self }
    }

    /// Of a chain only the first link is answered, as by a name server that is not asked to resolve.
    pub fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    fn with(mut self, name: &str, data: RData) -> Self {
        self.names.entry(absolute(name)).or_default().push(data);
        self
    }

    /// The zone that nobody signs, where the name is in one.
    fn cut(&self, name: &Name) -> Option<&Name> {
        self.unsigned.iter().find(|cut| cut.zone_of(name))
    }
}

/// A running name server. Its thread ends with the process.
pub struct SignedDns {
    /// For `--resolver`.
    pub address: SocketAddr,
    zone: Arc<Mutex<SignedZone>>,
    folder: TempDir,
}

impl SignedDns {
    /// Serves `zone` on a free port of 127.0.0.1.
    pub fn start(zone: SignedZone) -> Self {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().expect("a key");
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).expect("a key");
        let dnskey = DNSKEY::from_key(&key.to_public_key().expect("its public half"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("root.key"), format!(". IN DNSKEY {dnskey}\n")).expect("a file");
        let signer = DnssecSigner::new(dnskey, Box::new(key), Name::root(), Duration::from_secs(24 * 60 * 60));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("a bound address");
        let zone = Arc::new(Mutex::new(zone));
        let shared = Arc::clone(&zone);
        std::thread::spawn(move || {
            let mut query = [0; 4096];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
                let zone = shared.lock().expect("no holder panics").clone();
                if let Some(answer) = answer(&query[..length], &zone, &signer) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, zone, folder }
    }

    /// For `--trust-anchor`.
    pub fn trust_anchor(&self) -> PathBuf {
        self.folder.path().join("root.key")
    }

    /// Serves another zone from now on. Answers have no time to live: nobody may remember the old one.
    pub fn set(&self, zone: SignedZone) {
        *self.zone.lock().expect("no holder panics") = zone;
    }
}

fn answer(query: &[u8], zone: &SignedZone, signer: &DnssecSigner) -> Option<Vec<u8>> {
    let asked = Message::from_vec(query).ok()?;
    let query = asked.queries.first()?.clone();
    let (mut name, kind) = (query.name().to_lowercase(), query.query_type());
    let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
    reply.metadata.recursion_available = true;
    reply.add_query(query);
    let look = Look { zone, signer, kind };
    // As who resolves for others: an answer is a whole chain.
    for _ in 0..8 {
        let (records, target) = look.at(&name);
        let Some(target) = target else {
            match records.is_empty() {
                true => reply.add_authorities(look.denial(&name)?),
                false => reply.add_answers(records),
            };
            break;
        };
        reply.add_answers(records);
        name = target;
        if zone.is_partial {
            break;
        }
    }
    reply.to_vec().ok()
}

/// What is looked for in a zone.
struct Look<'a> {
    zone: &'a SignedZone,
    signer: &'a DnssecSigner,
    kind: RecordType,
}

impl Look<'_> {
    fn own(&self, name: &Name) -> Vec<RData> {
        let of_root = match self.kind {
            RecordType::DNSKEY => Some(RData::DNSSEC(DNSSECRData::DNSKEY(self.signer.to_dnskey()))),
            RecordType::SOA => Some(soa()),
            RecordType::NS => Some(RData::NS(NS(absolute("ns.test")))),
            _ => None,
        };
        match name.is_root() {
            true => of_root.into_iter().collect(),
            false => self.zone.names.get(name).cloned().unwrap_or_default(),
        }
    }

    /// The answer for a name, and what it stands for, where it is another name of that.
    fn at(&self, name: &Name) -> (Vec<Record>, Option<Name>) {
        if let Some((owner, moved)) = self.zone.moved.iter().find(|(owner, _)| owner.zone_of(name) && *owner != name) {
            let rdata = NULL::with(moved.to_bytes().expect("a name"));
            let mut records = self.sign(owner, vec![RData::Unknown { code: RecordType::DNAME, rdata }]);
            let below = name.iter().take(name.iter().count() - owner.iter().count());
            let target = Name::from_labels(below).and_then(|name| name.append_domain(moved)).expect("a name");
            // RFC 6672 §5.3.1: it is never signed
            records.extend(plain(name, vec![RData::CNAME(CNAME(target.clone()))]));
            return (records, (self.kind != RecordType::CNAME).then_some(target));
        }
        if let (Some(moved), RecordType::DNAME) = (self.zone.moved.get(name), self.kind) {
            let rdata = NULL::with(moved.to_bytes().expect("a name"));
            return (self.sign(name, vec![RData::Unknown { code: RecordType::DNAME, rdata }]), None);
        }
        let alias = self.own(name).iter().find_map(|data| match data {
            RData::CNAME(cname) if self.kind != RecordType::CNAME => Some(cname.0.clone()),
            _ => None,
        });
        let wanted = if alias.is_some() { RecordType::CNAME } else { self.kind };
        let all: Vec<RData> = self.own(name).into_iter().filter(|data| data.record_type() == wanted).collect();
        (self.sign(name, all), alias)
    }

    /// That there is nothing.
    fn denial(&self, name: &Name) -> Option<Vec<Record>> {
        let zone = self.cut(name).cloned().unwrap_or_else(Name::root);
        if !self.is_signed(name) {
            return Some(plain(&zone, vec![soa()]));
        }
        let mut records = self.sign(&zone, vec![soa()]);
        // RFC 4470 §3: it covers nothing but the name that was asked for
        let next = name.prepend_label(&[0_u8][..]).ok()?;
        let mut kinds: BTreeSet<RecordType> = self.own(name).iter().map(RData::record_type).collect();
        kinds.extend(self.zone.moved.contains_key(name).then_some(RecordType::DNAME));
        let denial = NSEC::new_cover_self(next, kinds);
        records.extend(self.sign(name, vec![RData::DNSSEC(DNSSECRData::NSEC(denial))]));
        Some(records)
    }

    /// The zone that nobody signs, where the name is in one.
    // RFC 4035 §3.1.4.1: the parent answers for DS
    fn cut(&self, name: &Name) -> Option<&Name> {
        self.zone.cut(name).filter(|cut| *cut != name || self.kind != RecordType::DS)
    }

    fn is_signed(&self, name: &Name) -> bool {
        self.cut(name).is_none() && !self.zone.is_stripped
    }

    /// Records of one name and kind, with their signature where there is one.
    fn sign(&self, name: &Name, all: Vec<RData>) -> Vec<Record> {
        let is_spoilt = self.zone.spoilt.contains(&(name.clone(), self.kind));
        match self.is_signed(name) {
            true => signed(self.signer, name, all, is_spoilt),
            false => plain(name, all),
        }
    }
}

fn plain(name: &Name, all: Vec<RData>) -> Vec<Record> {
    all.into_iter().map(|data| Record::from_rdata(name.clone(), 0, data)).collect()
}

/// Records of one kind, and their signature.
fn signed(signer: &DnssecSigner, name: &Name, all: Vec<RData>, is_spoilt: bool) -> Vec<Record> {
    let Some(kind) = all.first().map(RData::record_type) else { return Vec::new() };
    let mut set = RecordSet::with_ttl(name.clone(), kind, 0);
    for data in &all {
        set.add_rdata(data.clone());
    }
    let inception = OffsetDateTime::now_utc() - Duration::from_secs(60 * 60);
    let mut signature = RRSIG::from_rrset(&set, DNSClass::IN, inception, signer).expect("a signature");
    if is_spoilt {
        let octets: Vec<u8> = signature.sig().iter().map(|octet| octet ^ 1).collect();
        signature = RRSIG::from_sig(signature.input().clone(), octets);
    }
    let mut records = plain(name, all);
    records.push(Record::from_rdata(name.clone(), 0, RData::DNSSEC(DNSSECRData::RRSIG(signature))));
    records
}

fn soa() -> RData {
    RData::SOA(SOA::new(absolute("ns.test"), absolute("postmaster.test"), 1, 3600, 600, 86400, 0))
}

fn absolute(name: &str) -> Name {
    Name::from_ascii(format!("{}.", name.trim_end_matches('.')))
        .unwrap_or_else(|_| panic!("a name, not {name}"))
        .to_lowercase()
}
