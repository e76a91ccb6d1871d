//! A session that ends in the middle of an attempt without having said how.

use pillarbox::base::QueueId;
use pillarbox::delivery::PeerCourier;
use pillarbox::queue::{self, Match, RouteKind};
use pillarbox::smtp::client::{Courier, Room};

use crate::dns::Zone;
use crate::site::{Site, is_parked};

#[tokio::test(flavor = "multi_thread")]
async fn what_it_has_opened_is_closed_and_sent_again() {
    let site = Site::open(Zone::new(), 9, &[]).await;
    let matches = Match::Domain("there.test".parse().unwrap());
    site.route("held", matches, RouteKind::Hold { peer: "branch".into() }).await;
    let id = site.send(&["b@there.test", "c@there.test"]).await;
    site.until("it is held", |site| site.entries().iter().all(is_parked)).await;
    let courier = || {
        let domains = vec!["there.test".parse().unwrap()];
        PeerCourier::new(site.house.delivery.clone(), domains, "turn branch".to_owned())
    };
    let entries = [0, 1].map(|number| QueueId { message: id, number });

    let mut first = courier();
    assert_eq!(first.next(Room::ANY).await.unwrap().recipients.len(), 2);
    first.open(&entries).await.unwrap();
    assert!(courier().next(Room::ANY).await.is_none(), "nobody else has it meanwhile");
    drop(first);
    let is_open = |site: &Site, id| queue::open_attempt(&site.house.store.view().unwrap(), id).unwrap().is_some();
    site.until("nothing is open", |site| entries.iter().all(|id| !is_open(site, *id))).await;
    assert_eq!(site.story(id).matches("Uncertain").count(), 2, "{}", site.story(id));
    site.until("it is free", |site| !entries.iter().any(|id| site.house.delivery.claims.has(*id))).await;
    assert_eq!(courier().next(Room::ANY).await.unwrap().recipients.len(), 2, "it is there for the next session");
    site.stop().await;
}
