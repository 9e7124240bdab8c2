//! Lives here: the contract for bulk jobs: what a job costs is held from the beginning, a chunk
//! becomes messages at once and once whatever happens to its commit, and what is taken back is given
//! back.
//! Never here: what recipients say (`bulk`), legal steps (`domain::job`).

use tokio::time::timeout;

use super::*;
use crate::domain::account::Organisation;
use crate::domain::credits::Credits;
use crate::domain::ids::{CampaignId, JobId};
use crate::domain::job::{JobState, Step};
use crate::domain::ledger::Terms;
use crate::store::jobs::{
    Campaign, Chunk, ChunkState, Expansion, Job, Order, Ordered, Stepped, Whose,
};
use crate::store::memo::{Memo, Repeat};
use crate::store::memory::CommitFault;

const ONE: Credits = Credits::whole(1);
const NOW: Timestamp = Timestamp(2_000);

on_each_store! {
    a_job_becomes_messages_chunk_by_chunk_and_costs_what_they_cost,
    a_request_that_is_repeated_makes_one_job,
    what_cannot_be_paid_as_a_whole_is_not_begun,
    what_is_sent_to_nobody_is_given_back,
    a_job_that_is_stopped_makes_no_messages,
    what_is_taken_back_is_given_back_but_what_a_bind_has_is_not,
    jobs_that_are_due_are_found_fairly,
    what_has_long_been_over_is_forgotten,
    campaigns_are_kept_changed_and_deleted,
}

pub(super) fn job(id: u128, chunks: u32) -> Job {
    Job {
        id: JobId(Uuid::from_u128(id)),
        org: ORG,
        live: true,
        name: "Q1".into(),
        from: Sender::parse("MNARA").unwrap(),
        template: "Hello {{name}}".into(),
        class: Class::Promotional,
        webhook_url: None,
        metadata: Some("{\"a\":1}".into()),
        tags: None,
        fields: "[\"name\"]".into(),
        rate_limit: 0,
        total: 2 * chunks,
        cost: ONE.times(2 * u64::from(chunks)),
        created_at: Timestamp(1_000),
        due_at: Timestamp(1_500),
    }
}

/// Two recipients at one credit each.
pub(super) fn chunk() -> Chunk {
    Chunk {
        recipients: 2,
        refused: 0,
        cost: ONE.times(2),
        body: vec![1, 0, 255],
    }
}

pub(super) fn order(job: &Job, chunks: Vec<Chunk>) -> Order {
    Order {
        job: job.clone(),
        chunks,
        campaign: None,
        memo: None,
    }
}

pub(super) fn campaign(id: u128, org: OrgId) -> Campaign {
    Campaign {
        id: CampaignId(Uuid::from_u128(id)),
        org,
        live: false,
        name: "Ramadan".into(),
        from: "MNARA".into(),
        message: "Habari".into(),
        class: Class::Promotional,
        total: 2,
        due_at: None,
        body: "{\"message\":\"Habari\"}".into(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        job: None,
    }
}

fn expansion(job: &Job, chunk: u32, messages: usize) -> Expansion {
    let new = || Message {
        class: Class::Promotional,
        webhook_url: None,
        cost: ONE,
        accepted_at: NOW,
        due_at: NOW,
        ..message(1)
    };
    Expansion {
        job: job.id,
        chunk,
        messages: (0..messages).map(|_| new()).collect(),
        body: vec![1, 1],
        refused: 2 - messages as u32,
        seen: self::chunk().body,
        at: NOW,
    }
}

impl World {
    /// A job of a test key that was over at a time.
    pub(super) async fn job_over(&self, at: Timestamp) -> JobId {
        let job = Job {
            live: false,
            ..job(1, 1)
        };
        self.create(&job).await;
        for step in [Step::Cancel, Step::Finish { sent: false }] {
            let step = self.store.step_job(None, job.id, (step, at), None);
            assert!(matches!(step.await, Ok(Stepped::Done(_))));
        }
        job.id
    }

    async fn create(&self, job: &Job) {
        let chunks = (0..job.total / 2).map(|_| chunk()).collect();
        let ordered = self.store.order_job(order(job, chunks)).await;
        assert!(matches!(ordered, Ok(Ordered::Done)), "{ordered:?}");
    }

    async fn step(&self, job: &Job, step: Step) -> Option<JobState> {
        let stepped = self.store.step_job(Some(ORG), job.id, (step, NOW), None);
        match stepped.await.unwrap() {
            Stepped::Done(view) => Some(view.state),
            Stepped::Refused(_) | Stepped::Missing => None,
        }
    }

    async fn stands(&self, job: &Job) -> JobState {
        self.store
            .job(Some(ORG), job.id)
            .await
            .unwrap()
            .unwrap()
            .state
    }

    /// Pending, queued, sent, failed, canceled.
    async fn counts(&self, job: &Job) -> [u64; 5] {
        let view = self.store.job(None, job.id).await.unwrap().unwrap();
        let counts = self.store.job_counts(&view).await.unwrap();
        assert_eq!(counts.total, u64::from(job.total));
        let all = counts.pending + counts.queued + counts.sent + counts.failed + counts.canceled;
        assert_eq!(all, counts.total, "{counts:?}");
        [
            counts.pending,
            counts.queued,
            counts.sent,
            counts.failed,
            counts.canceled,
        ]
    }

    fn told_messages(&mut self) -> Vec<Arc<Message>> {
        let committed = std::iter::from_fn(|| self.committed.try_recv().ok());
        let messages = committed.flat_map(|one| one.messages);
        messages.map(|ready| ready.message).collect()
    }
}

async fn a_job_becomes_messages_chunk_by_chunk_and_costs_what_they_cost(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let job = job(1, 2);
    world.create(&job).await;
    assert_eq!(world.amounts().await, (6, 4, 0));
    assert_eq!(world.stands(&job).await, JobState::Scheduled);
    assert!(world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    assert!(!world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    assert_eq!(world.stands(&job).await, JobState::Processing);
    let told = world.told_messages();
    assert_eq!(told.len(), 2);
    assert!(told[0].seq < told[1].seq);
    let chunks = world.store.chunks(job.id).await.unwrap();
    assert_eq!(chunks[0].span, Some((told[0].seq, told[1].seq)));
    let bodies = world.store.bodies(job.id, 0, 0).await.unwrap();
    assert_eq!(
        (&*bodies[0].packed, chunks[1].state),
        (&[1, 1][..], ChunkState::Waiting)
    );
    assert_eq!(world.counts(&job).await, [2, 2, 0, 0, 0]);
    assert_eq!(world.amounts().await, (6, 4, 0));

    world.submit(&told[0], &["A1"]).await;
    assert_eq!(world.amounts().await, (6, 3, 1));
    assert!(world.store.expand(expansion(&job, 1, 2)).await.unwrap());
    assert_eq!(world.counts(&job).await, [0, 3, 1, 0, 0]);
    let run = world.store.messages_of(job.id, 0, 1).await.unwrap();
    assert_eq!(run[0].message.id, told[0].id);
    assert_eq!((run.len(), run[1].state), (4, State::Queued));
    assert_eq!(
        world.store.messages_of(job.id, 1, 1).await.unwrap().len(),
        2
    );
    world.close().await;
}

async fn a_request_that_is_repeated_makes_one_job(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let memo = |fingerprint| {
        Arc::new(Memo {
            key: [7; 32],
            fingerprint: [fingerprint; 32],
            status: 202,
            body: "{}".into(),
            at: NOW,
        })
    };
    let named = |id, fingerprint| Order {
        memo: Some(memo(fingerprint)),
        ..order(&job(id, 1), vec![chunk()])
    };
    let first = world.store.order_job(named(1, 1)).await.unwrap();
    let again = world.store.order_job(named(2, 1)).await.unwrap();
    let other = world.store.order_job(named(3, 2)).await.unwrap();
    assert!(matches!(first, Ordered::Done));
    assert!(matches!(again, Ordered::Repeats(Repeat::Replay(_))));
    assert!(matches!(other, Ordered::Repeats(Repeat::Reused)));
    assert_eq!(
        world.store.jobs(Whose::All, None, 9).await.unwrap().len(),
        1
    );
    assert_eq!(world.amounts().await, (8, 2, 0));
    world.close().await;
}

async fn what_cannot_be_paid_as_a_whole_is_not_begun(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 3).await;
    let job = job(1, 2);
    let ordered = world
        .store
        .order_job(order(&job, vec![chunk(), chunk()]))
        .await;
    let Err(StoreError::Short(short)) = ordered else {
        panic!("{ordered:?}");
    };
    assert_eq!((short.required, short.missing()), (ONE.times(4), ONE));
    assert!(world.store.job(None, job.id).await.unwrap().is_none());
    assert_eq!(world.amounts().await, (3, 0, 0));
    world.close().await;
}

async fn what_is_sent_to_nobody_is_given_back(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let job = job(1, 2);
    world.create(&job).await;
    assert!(world.store.expand(expansion(&job, 0, 1)).await.unwrap());
    assert!(world.store.expand(expansion(&job, 1, 0)).await.unwrap());
    assert_eq!(world.amounts().await, (9, 1, 0));
    assert_eq!(world.counts(&job).await, [0, 1, 0, 3, 0]);
    let told = world.told_messages();
    world.submit(&told[0], &["A1"]).await;
    let done = world.step(&job, Step::Finish { sent: true }).await;
    assert_eq!(done, Some(JobState::Completed));
    let view = world.store.job(None, job.id).await.unwrap().unwrap();
    assert_eq!((view.started_at, view.completed_at), (Some(NOW), Some(NOW)));
    assert_eq!(world.amounts().await, (9, 0, 1));
    world.close().await;
}

async fn a_job_that_is_stopped_makes_no_messages(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let job = job(1, 2);
    world.create(&job).await;
    assert_eq!(world.step(&job, Step::Pause).await, Some(JobState::Paused));
    assert!(!world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    assert_eq!(world.step(&job, Step::Pause).await, None);
    assert_eq!(
        world.step(&job, Step::Resume).await,
        Some(JobState::Scheduled)
    );
    assert!(world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    world.step(&job, Step::Pause).await;
    assert_eq!(
        world.step(&job, Step::Resume).await,
        Some(JobState::Processing)
    );
    let stranger = OrgId(Uuid::from_u128(99));
    let step = (Step::Cancel, NOW);
    let stepped = world
        .store
        .step_job(Some(stranger), job.id, step, None)
        .await;
    assert!(matches!(stepped, Ok(Stepped::Missing)), "{stepped:?}");
    assert_eq!(world.told_messages().len(), 2);
    world.close().await;
}

async fn what_is_taken_back_is_given_back_but_what_a_bind_has_is_not(ground: Ground) {
    let mut world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let job = job(1, 3);
    world.create(&job).await;
    assert!(world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    assert_eq!(world.store.sweep_chunk(job.id, 0, NOW).await.unwrap(), 0);
    let told = world.told_messages();
    let (to, mut answered) = mpsc::channel(1);
    let ready = Ready::first(Arc::clone(&told[0]));
    let bind = (carrier(), BindName("mtn_ng/1".into()));
    world.store.intend(bind, NOW, vec![ready], to).unwrap();
    answered.recv().await.unwrap();

    assert_eq!(
        world.step(&job, Step::Cancel).await,
        Some(JobState::Canceling)
    );
    assert_eq!(world.amounts().await, (8, 2, 0));
    assert!(!world.store.expand(expansion(&job, 1, 2)).await.unwrap());
    assert_eq!(world.store.sweep_chunk(job.id, 0, NOW).await.unwrap(), 1);
    assert_eq!(world.store.sweep_chunk(job.id, 1, NOW).await.unwrap(), 0);
    assert_eq!(world.amounts().await, (9, 1, 0));
    assert_eq!(world.state(&told[1]).await, State::Cancelled);
    assert_eq!(world.counts(&job).await, [0, 1, 0, 0, 5]);
    world.submit(&told[0], &["A1"]).await;
    let done = world.step(&job, Step::Finish { sent: false }).await;
    assert_eq!(done, Some(JobState::Canceled));
    assert_eq!(world.amounts().await, (9, 0, 1));
    world.close().await;
}

async fn jobs_that_are_due_are_found_fairly(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Postpaid, 0).await;
    let other = Organisation {
        id: OrgId(Uuid::from_u128(8)),
        name: "Soko".into(),
        country: "TZ".into(),
        senders: Vec::new(),
        webhook_secret: "whsec_x".to_owned().into(),
        created_at: Timestamp(1),
    };
    let theirs = other.id;
    assert!(
        world
            .store
            .create_org(other, Terms::Postpaid, None)
            .await
            .unwrap()
    );
    for id in 1..=4 {
        world.create(&job(id, 1)).await;
    }
    let later = Job {
        org: theirs,
        due_at: Timestamp(1_900),
        ..job(5, 1)
    };
    world.create(&later).await;
    let never = Job {
        due_at: Timestamp(9_000),
        ..job(6, 1)
    };
    world.create(&never).await;
    assert_eq!(
        world.step(&job(1, 1), Step::Pause).await,
        Some(JobState::Paused)
    );
    world.step(&never, Step::Cancel).await;
    let due = |each, limit| world.store.due_jobs(NOW, each, limit);
    let ids = |found: Vec<crate::store::jobs::JobView>| -> Vec<u128> {
        found.iter().map(|view| view.job.id.0.as_u128()).collect()
    };
    assert_eq!(ids(due(9, 9).await.unwrap()), [6, 2, 5, 3, 4]);
    assert_eq!(ids(due(1, 9).await.unwrap()), [6, 2, 5]);
    assert_eq!(ids(due(9, 2).await.unwrap()), [6, 2]);
    // What only waits for an outcome takes nobody's place.
    assert!(
        world
            .store
            .expand(expansion(&job(2, 1), 0, 2))
            .await
            .unwrap()
    );
    assert_eq!(ids(due(1, 9).await.unwrap()), [6, 3, 5, 2]);
    assert_eq!(ids(due(9, 9).await.unwrap()), [6, 3, 5, 4, 2]);
    let own = world.store.jobs(Whose::Org(ORG), None, 2).await.unwrap();
    assert_eq!(ids(own), [6, 4]);
    let before = Some(JobId(Uuid::from_u128(4)));
    let own = world.store.jobs(Whose::Org(ORG), before, 2).await.unwrap();
    assert_eq!(ids(own), [3, 2]);
    assert_eq!(
        ids(world.store.jobs(Whose::All, before, 9).await.unwrap()),
        [3, 2, 1]
    );
    let keys = async |live| world.store.jobs(Whose::Keys(ORG, live), None, 1).await;
    assert_eq!(ids(keys(false).await.unwrap()), [] as [u128; 0]);
    world
        .create(&Job {
            live: false,
            ..job(7, 1)
        })
        .await;
    assert_eq!(ids(keys(true).await.unwrap()), [6]);
    assert_eq!(ids(keys(false).await.unwrap()), [7]);
    world.close().await;
}

async fn what_has_long_been_over_is_forgotten(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Postpaid, 0).await;
    for id in 1..=3 {
        let job = job(id, 1);
        world.create(&job).await;
        if id < 3 {
            world.step(&job, Step::Cancel).await;
            world.step(&job, Step::Finish { sent: false }).await;
        }
    }
    let forget = |before| world.store.forget_jobs(Timestamp(before), 9);
    assert_eq!(forget(NOW.0).await.unwrap(), 0);
    assert_eq!(forget(NOW.0 + 1).await.unwrap(), 2);
    assert!(world.store.chunks(job(1, 1).id).await.unwrap().is_empty());
    assert_eq!(world.store.chunks(job(3, 1).id).await.unwrap().len(), 1);
    world.close().await;
}

async fn campaigns_are_kept_changed_and_deleted(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Postpaid, 0).await;
    let drafted = job(1, 1);
    let mut campaign = campaign(1, ORG);
    assert!(world.store.draft(campaign.clone()).await.unwrap());
    let seen = campaign.updated_at;
    campaign.name = "Eid".into();
    campaign.updated_at = NOW;
    let redraft = |seen| world.store.redraft(campaign.clone(), seen);
    assert!(redraft(seen).await.unwrap());
    let face = world.store.campaign_face(ORG, campaign.id).await.unwrap();
    let bare = Campaign {
        body: "".into(),
        ..campaign.clone()
    };
    assert_eq!(face, Some(bare));
    assert!(
        !redraft(seen).await.unwrap(),
        "of a draft that is not there"
    );
    let launch = |seen| Order {
        campaign: Some((campaign.id, seen)),
        ..order(&drafted, vec![chunk()])
    };
    let early = world.store.order_job(launch(seen)).await.unwrap();
    let first = world.store.order_job(launch(NOW)).await.unwrap();
    let second = world.store.order_job(launch(NOW)).await.unwrap();
    assert!(matches!(
        (early, first, second),
        (Ordered::Launched, Ordered::Done, Ordered::Launched)
    ));
    assert!(!redraft(NOW).await.unwrap(), "of what was launched");
    assert!(
        !redraft(drafted.created_at).await.unwrap(),
        "nor by its time"
    );
    assert_eq!(world.amounts().await, (0, 2, 0));
    // What it says has become the job's.
    campaign.body = "".into();
    campaign.job = Some(drafted.id);
    let found = world.store.campaign(ORG, campaign.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&campaign));
    let list = async |live| world.store.campaigns((ORG, live), None, 9).await.unwrap();
    assert_eq!(list(false).await, [campaign.clone()]);
    assert!(list(true).await.is_empty());
    let stranger = OrgId(Uuid::from_u128(99));
    assert!(
        !world
            .store
            .delete_campaign((stranger, false), campaign.id)
            .await
            .unwrap()
    );
    let delete = |live| world.store.delete_campaign((ORG, live), campaign.id);
    assert!(!delete(true).await.unwrap() && delete(false).await.unwrap());
    assert!(
        world
            .store
            .campaign(ORG, campaign.id)
            .await
            .unwrap()
            .is_none()
    );
    world.close().await;
}

/// Creates a job and expands it under faults, closes, and looks again.
async fn expanded_under(fault: CommitFault) {
    let ground = Ground::memory().await;
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let job = job(1, 2);
    world.create(&job).await;
    let faults = ground.faults();
    faults.plan_commits([Some(fault)]);
    faults.fail_questions(2);
    let made = world.store.expand(expansion(&job, 0, 2)).await;
    // Told or not, asking again makes no message twice.
    let again = loop {
        match world.store.expand(expansion(&job, 0, 2)).await {
            Ok(again) => break again,
            Err(StoreError::Unavailable) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(made.is_ok_and(|made| made) || again, "{fault:?}");
    world.close().await;
    let mut world = World::open(&ground).await;
    assert_eq!(world.counts(&job).await, [2, 2, 0, 0, 0]);
    assert_eq!(world.amounts().await, (6, 4, 0));
    assert!(!world.store.expand(expansion(&job, 0, 2)).await.unwrap());
    assert!(world.store.expand(expansion(&job, 1, 2)).await.unwrap());
    assert_eq!(world.told_messages().len(), 2);
    world.close().await;
    assert_eq!(ground.dump().await["messages"].len(), 4, "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_its_commit_a_chunk_has_its_messages_once() {
    for fault in [
        CommitFault::Refused,
        CommitFault::LostBefore,
        CommitFault::LostAfter,
    ] {
        let done = timeout(Duration::from_secs(600), expanded_under(fault));
        done.await.expect("an expansion comes to an end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_statement_of_an_expansion_loses_and_repeats_nobody() {
    for statement in 1..=16 {
        let ground = Ground::memory().await;
        let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
        let job = job(1, 1);
        world.create(&job).await;
        ground.faults().fail_statement(statement);
        let store = world.store.clone();
        let asked = expansion(&job, 0, 2);
        let expanding = tokio::spawn(async move { store.expand(asked).await });
        // The daemon is killed wherever it has come to.
        let _ = timeout(Duration::from_millis(20), expanding).await;
        world.writer.abort();
        let _ = world.writer.await;
        drop((world.store, world.committed));
        ground.faults().fail_statement(0);
        let world = World::open(&ground).await;
        let found = world.counts(&job).await;
        assert!(
            found == [2, 0, 0, 0, 0] || found == [0, 2, 0, 0, 0],
            "{found:?}"
        );
        let again = world.store.expand(expansion(&job, 0, 2)).await.unwrap();
        assert_eq!(again, found[0] == 2);
        assert_eq!(world.counts(&job).await, [0, 2, 0, 0, 0]);
        assert_eq!(world.amounts().await, (8, 2, 0));
        world.close().await;
    }
}
