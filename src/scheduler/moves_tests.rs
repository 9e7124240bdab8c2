//! Lives here: who leaves an account that is out of use, and that nobody is lost on the way.
//! Never here: anything but tests.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::*;
use crate::domain::ids::CarrierId;
use crate::flow::health::{Breaker, Health};
use crate::flow::lane::Lanes;
use crate::flow::routes::Routes;
use crate::flow::routes::tests::two_of_a_network;
use crate::scheduler::Config;
use crate::scheduler::decide::tests::of_class;
use crate::scheduler::feed::Links;
use crate::store::{self, Carriers};

const FIRST: CarrierIndex = CarrierIndex(0);
const SECOND: CarrierIndex = CarrierIndex(1);
const OTP: Lane = (FIRST, Class::Otp);
const AT: Timestamp = Timestamp(2_000);

/// Two accounts of a network, of which the first is out of use.
struct House {
    feed: Feed,
    health: Arc<Health>,
    now: Instant,
    _folder: TempDir,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = store::Config {
            url: format!("sqlite:{}/mnara.db", folder.path().display()),
            ..store::Config::default()
        };
        let ids = ["first", "second"].map(|id| CarrierId(id.into())).to_vec();
        let (committed, events) = (mpsc::channel(1).0, mpsc::channel(1).0);
        let opened = store::open(&config, ids.clone(), committed, events)
            .await
            .unwrap();
        let lanes: Vec<_> = (0..2)
            .map(|_| Arc::new(Lanes::new(16, 16, 1, Arc::new(Notify::new()))))
            .collect();
        let scheduler = Config::default();
        let health = Health::new(2, scheduler.patience).with_lanes(lanes.clone(), 3);
        let health = Arc::new(health);
        let links = Links {
            store: opened.store,
            routes: Arc::new(Routes::new(two_of_a_network(), Arc::clone(&health))),
            carriers: Arc::new(Carriers::new(ids)),
            now: || AT,
        };
        health.set_breaker(FIRST, Breaker::Open, AT);
        Self {
            feed: Feed::new(scheduler, links, lanes, Place(0)),
            health,
            now: Instant::now(),
            _folder: folder,
        }
    }

    fn look(&mut self, asked: bool) {
        self.now += LOOK;
        self.feed.look_at(OTP, asked, self.now, AT);
    }

    /// Whom a page would be read for, and from where.
    fn wanted(&mut self) -> Option<(OrgId, Place)> {
        let wanted = self.feed.moves.wanted(OTP);
        wanted.map(|(org, after, _)| (org, after))
    }

    /// A page in which nothing can go elsewhere.
    fn page(&mut self, org: OrgId, rows: u32) {
        let row = |place| Ready {
            place: Place(i64::from(place)),
            ..of_class(1, 1, Class::Otp)
        };
        let rows = (1..=rows).map(row).collect();
        self.feed.moves.swept(OTP, org, rows, |_| None);
    }
}

#[tokio::test]
async fn what_finds_no_invitation_any_more_stays_and_nothing_is_lost() {
    let mut house = House::open().await;
    house.health.set_breaker(SECOND, Breaker::HalfOpen, AT);
    house.health.invite(SECOND, 2, true);
    let lanes = Arc::clone(&house.feed.accounts[0].lanes);
    for seq in 1..=3 {
        lanes.offer(of_class(seq, 1, Class::Otp)).unwrap();
    }
    let at = house.now;
    let retry = Ready {
        refusals: 2,
        ..of_class(4, 1, Class::Otp)
    };
    house.feed.returns.take(Return { ready: retry, at });
    house.look(true);
    let leaving = &house.feed.moves.waiting[Class::Otp.index()];
    let leaving: Vec<_> = leaving
        .iter()
        .map(|one| (one.reroute.ready.message.seq.0, one.reroute.to))
        .collect();
    assert_eq!(leaving, [(1, SECOND), (2, SECOND)]);
    assert_eq!(lanes.depth(Class::Otp), 1);
    assert_eq!(house.feed.returns.waiting(OTP), 1);
    house.health.invite(SECOND, 2, true);
    house.look(true);
    let leaving = &house.feed.moves.waiting[Class::Otp.index()];
    assert_eq!(leaving.len(), 4);
    assert!(leaving.iter().all(|one| one.reroute.ready.refusals == 0));
}

#[tokio::test]
async fn a_lane_is_gone_through_to_its_end_however_often_something_changes() {
    let mut house = House::open().await;
    let orgs = [1, 2].map(|org| OrgId(Uuid::from_u128(org)));
    let fair = &mut house.feed.accounts[0].fair[Class::Otp.index()];
    fair.found(fair.epoch(), orgs.map(|org| (org, Place(9_000))).to_vec());
    house.look(true);
    assert_eq!(house.wanted(), Some((orgs[0], Place(0))));
    house.page(orgs[0], PAGE);
    house.look(true);
    assert_eq!(house.wanted(), Some((orgs[0], Place(256))));
    house.page(orgs[0], 0);
    assert_eq!(house.wanted(), Some((orgs[1], Place(0))));
    house.page(orgs[1], 0);
    assert_eq!(house.wanted(), None);
    house.look(false);
    assert_eq!(
        house.wanted(),
        Some((orgs[0], Place(0))),
        "something has changed"
    );
    for org in orgs {
        house.page(org, 0);
    }
    house.look(false);
    assert_eq!(house.wanted(), None, "nothing has");
    house.now += AGAIN;
    house.look(false);
    assert!(house.wanted().is_some());
}
