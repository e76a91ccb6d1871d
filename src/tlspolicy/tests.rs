use std::sync::Arc;

use super::row::POLICIES;
use super::*;
use crate::base::{DomainName, SystemClock, Timestamp, limits};
use crate::store::{Halt, Op, Options, Schema, Store, StoreError, Tx};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
}

fn domain(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn known(max_age_s: u64, at: u64) -> Known {
    let text = format!("version: STSv1\nmode: enforce\nmx: a.test\nmax_age: {max_age_s}\n");
    Known::new("1".into(), StsPolicy::read(text.as_bytes()).unwrap(), Timestamp(at))
}

async fn keep(store: &Store, name: &str, known: Known) {
    store.write(Keep { domain: domain(name), known }).await.unwrap().into_inner();
}

#[tokio::test]
async fn a_policy_holds_until_it_expires_and_is_forgotten_then() {
    let store = store();
    keep(&store, "d.test", known(60, 1000)).await;
    let find = |at| policy(&store.view().unwrap(), &domain("d.test"), Timestamp(at)).unwrap();
    assert_eq!((find(60_999).is_some(), find(61_000).is_some()), (true, false));
    keep(&store, "d.test", known(60, 2000)).await;
    assert!(find(61_000).is_some(), "fetched anew, it holds for longer");
    store.write(Use { domain: domain("d.test"), at: Timestamp(5000) }).await.unwrap().into_inner();
    store.write(Use { domain: domain("none.test"), at: Timestamp(5000) }).await.unwrap().into_inner();
    assert_eq!(find(6000).unwrap(), Known { used_at: Timestamp(5000), ..known(60, 2000) });
    keep(&store, "e.test", known(600, 2000)).await;
    let both = vec![domain("d.test"), domain("e.test")];
    store.write(Forget { domains: both.clone(), at: Timestamp(61_999) }).await.unwrap().into_inner();
    let names = || policies(&store.view().unwrap(), None, 10).unwrap().into_iter().map(|(name, _)| name);
    assert_eq!(names().collect::<Vec<_>>(), both);
    store.write(Forget { domains: both, at: Timestamp(62_000) }).await.unwrap().into_inner();
    assert_eq!(names().collect::<Vec<_>>(), [domain("e.test")]);
    assert_eq!(policies(&store.view().unwrap(), Some(&domain("e.test")), 10).unwrap(), []);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

/// Puts rows without being asked whether they may be there.
struct Put(Vec<(String, Known)>);

impl Op for Put {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.put"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        self.0.iter().try_for_each(|(domain, known)| tx.put(&POLICIES, domain, known))
    }
}

#[tokio::test]
async fn so_many_are_kept_and_the_first_to_end_makes_room() {
    let store = store();
    let row = |n: usize| (format!("d{n}.test"), known(if n == 7 { 50 } else { 60 }, 1000));
    store.write(Put((0..limits::STS_POLICIES).map(row).collect())).await.unwrap().into_inner();
    keep(&store, "d8.test", known(60, 1000)).await;
    let all = || policies(&store.view().unwrap(), None, usize::MAX).unwrap();
    assert_eq!(all().len(), limits::STS_POLICIES, "a known one takes no room");
    keep(&store, "new.test", known(60, 1000)).await;
    let names: Vec<String> = all().into_iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names.len(), limits::STS_POLICIES);
    assert!(names.contains(&"new.test".into()) && !names.contains(&"d7.test".into()));
}

#[tokio::test]
async fn damage_is_found() {
    let store = store();
    let endless = Known { expires_at: Timestamp(u64::MAX), ..known(60, 1000) };
    let rows = vec![("D.test".into(), known(60, 1)), ("e.test".into(), endless), ("f.test".into(), known(60, 1))];
    store.write(Put(rows)).await.unwrap().into_inner();
    let found = store.check().unwrap();
    let expected = ["sts_policies: \"D.test\" is no domain", "sts_policies: that of e.test never ends"];
    assert_eq!(found.lines(), expected.map(String::from));
}
