use super::*;
use crate::directory::Precondition;

/// Puts a route.
pub(super) async fn put(world: &World, name: &str, matches: Match, kind: RouteKind) -> Result<Route, RouteRefused> {
    put_if(world, Precondition::None, name, matches, kind).await
}

async fn put_if(
    world: &World,
    precondition: Precondition,
    name: &str,
    matches: Match,
    kind: RouteKind,
) -> Result<Route, RouteRefused> {
    let fields = RouteFields { matches, kind, note: String::new() };
    let put = PutRoute { name: name.into(), fields, precondition, at: START };
    world.write(put).await.map(|put| put.row)
}

fn relay(port: u16, tls: TlsUse, login: Option<(&str, &str)>) -> RouteKind {
    let login = login.map(|(user, secret)| Login { user: user.into(), secret: secret.into() });
    RouteKind::Relay { host: Host::parse("smarthost.test").unwrap(), port, tls, login }
}

fn domain(name: &str) -> Match {
    Match::Domain(name.parse().unwrap())
}

/// The name of the route that mail takes.
fn taken(world: &World, to: &str, sender: &str) -> Option<String> {
    let sender = Some(sender).filter(|sender| !sender.is_empty()).map(address);
    let route = route_for(&world.store.view().unwrap(), &Host::parse(to).unwrap(), sender.as_ref()).unwrap();
    route.map(|route| route.name)
}

#[tokio::test]
async fn the_nearest_route_is_taken() {
    let world = World::new();
    assert_eq!(taken(&world, "there.test", "alice@example.test"), None);
    put(&world, "default", Match::Default, relay(587, TlsUse::Required, Some(("us", "secret")))).await.unwrap();
    assert_eq!(taken(&world, "there.test", "").as_deref(), Some("default"));
    assert_eq!(taken(&world, "[192.0.2.1]", "").as_deref(), Some("default"));
    put(&world, "ours", Match::SenderDomain("example.test".parse().unwrap()), RouteKind::Mx).await.unwrap();
    assert_eq!(taken(&world, "there.test", "alice@example.test").as_deref(), Some("ours"));
    assert_eq!(taken(&world, "there.test", "alice@elsewhere.test").as_deref(), Some("default"));
    put(&world, "alice", Match::Sender(address("Alice@example.test")), RouteKind::Mx).await.unwrap();
    assert_eq!(taken(&world, "there.test", "alice@example.test").as_deref(), Some("alice"));
    put(&world, "there", domain("there.test"), RouteKind::Hold { peer: "branch".into() }).await.unwrap();
    assert_eq!(taken(&world, "there.test", "alice@example.test").as_deref(), Some("there"));
    let view = world.store.view().unwrap();
    let names = |after, limit| -> Vec<String> {
        routes(&view, after, limit).unwrap().into_iter().map(|route| route.name).collect()
    };
    assert_eq!(names(None, 3), ["alice", "default", "ours"]);
    assert_eq!(names(Some("ours"), 3), ["there"]);
    world.is_sound();
}

#[tokio::test]
async fn a_route_changes_only_as_expected() {
    let world = World::new();
    let mut watch = world.store.bus().watch(ROUTE_TOPIC);
    let first = put_if(&world, Precondition::Absent, "out", Match::Default, RouteKind::Mx).await.unwrap();
    assert_eq!(watch.next().await, Some(Topic(ROUTE_TOPIC, 0)));
    let again = put_if(&world, Precondition::Absent, "out", Match::Default, RouteKind::Mx).await;
    assert_eq!(again, Err(RouteRefused::Precondition(Some(first.version))));
    let other = put(&world, "other", Match::Default, RouteKind::Mx).await;
    assert_eq!(other, Err(RouteRefused::Taken("out".into())));
    let precondition = Precondition::Version(first.version);
    let second = put_if(&world, precondition, "out", domain("there.test"), RouteKind::Mx).await.unwrap();
    assert!(second.version > first.version);
    assert_eq!(taken(&world, "elsewhere.test", ""), None, "it is not the default any more");
    world.is_sound();
    let delete = |precondition| DeleteRoute { name: "out".into(), precondition };
    assert_eq!(world.write(delete(precondition)).await, Err(RouteRefused::Precondition(Some(second.version))));
    assert_eq!(world.write(delete(Precondition::None)).await, Ok(()));
    assert_eq!(world.write(delete(Precondition::None)).await, Err(RouteRefused::Unknown));
    assert_eq!(taken(&world, "there.test", ""), None);
    world.is_sound();
}

#[tokio::test]
async fn a_route_that_cannot_be_is_refused() {
    let world = World::new();
    let check = async |name: &str, kind, field: &str| match put(&world, name, Match::Default, kind).await {
        Err(RouteRefused::Field(named, _)) => assert_eq!(named, field),
        other => panic!("{field}: {other:?}"),
    };
    for name in ["", "Out", "a b", "a/b", "-a", ".", &"a".repeat(65)] {
        check(name, RouteKind::Mx, "name").await;
    }
    check("out", RouteKind::Hold { peer: String::new() }, "peer").await;
    check("out", relay(0, TlsUse::Required, None), "port").await;
    check("out", relay(587, TlsUse::Opportunistic, Some(("us", "secret"))), "tls").await;
    check("out", relay(587, TlsUse::Required, Some(("", "secret"))), "user").await;
    check("out", relay(587, TlsUse::Implicit, Some(("us", "a\r\nb"))), "secret").await;
    put(&world, "out", Match::Default, relay(25, TlsUse::Opportunistic, None)).await.unwrap();
}
