//! Lives here: the contract for numbers and texts that are in no message: those of bulk jobs, drafts of
//! them and kept answers are erased too, and go with time.
//! Never here: messages (`retention`).

use super::jobs::{campaign, chunk, job, order};
use super::*;
use crate::domain::credits::Credits;
use crate::domain::ids::JobId;
use crate::domain::job::{Entry, JobState, Step, Waits, Why, pack, unpack};
use crate::domain::ledger::Terms;
use crate::store::erasure::{Erased, Erasure, Reached};
use crate::store::housekeeping::{Keeper, Retention};
use crate::store::jobs::{Body, Campaign, Chunk, ChunkState, Expansion, Job, Ordered};
use crate::store::memo::{Memo, Repeat};

on_each_store! {
    a_number_is_erased_from_all_that_is_no_message,
    an_erasure_without_time_goes_on_where_it_was_and_the_audit_has_all_of_it,
    a_chunk_that_was_read_before_an_erasure_makes_no_messages,
    jobs_and_their_campaigns_lose_their_texts_and_go,
}

const ONE: Credits = Credits::whole(1);
const NOW: Timestamp = Timestamp(2_000);
const DAY_MS: i64 = 86_400_000;
const NUMBER: &str = "255753276939";

fn number(digits: &str) -> Msisdn {
    Msisdn::from_digits(digits).unwrap()
}

/// Two recipients at one credit each, the first of them the one to be erased; and one who was
/// refused.
fn named() -> Chunk {
    let mut body = Vec::new();
    for to in [NUMBER, "255753276938"] {
        let waits = Waits {
            to: number(to),
            cost: ONE,
            client_ref: None,
            values: vec![Some("Ada")],
        };
        pack(&Entry::Waits(waits), &mut body);
    }
    let to = "0753 276 939";
    let why = Why::Unroutable;
    pack(&Entry::Refused { to, why }, &mut body);
    Chunk {
        recipients: 3,
        refused: 1,
        body,
        ..chunk()
    }
}

fn memo(key: u8, body: &str) -> Arc<Memo> {
    Arc::new(Memo {
        key: [key; 32],
        fingerprint: [1; 32],
        status: 201,
        body: body.to_owned().into(),
        at: NOW,
    })
}

fn erasure(span: Duration) -> Erasure {
    Erasure {
        number: number(NUMBER),
        countries: vec!["KE".into(), "TZ".into()],
        after: Reached::START,
        span,
        entry: None,
    }
}

/// The audit's line of an erasure.
pub(super) fn entry(number: Msisdn) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "test".into(),
        action: "erase".into(),
        subject: number.masked().into(),
        detail: "{}".into(),
        outcome: "".into(),
    }
}

impl World {
    async fn erase_number(&self, entry: Option<AuditEntry>) -> Erased {
        let erasure = Erasure {
            entry,
            ..erasure(Duration::from_secs(60))
        };
        self.store.erase(erasure).await.unwrap()
    }

    async fn order_named(&self, id: u128) -> Job {
        let job = Job {
            total: 3,
            cost: ONE.times(2),
            ..job(id, 1)
        };
        let ordered = self.store.order_job(order(&job, vec![named()])).await;
        assert!(matches!(ordered, Ok(Ordered::Done)), "{ordered:?}");
        job
    }

    async fn stepped(&self, job: &Job, step: Step, at: Timestamp) {
        let stepped = self.store.step_job(None, job.id, (step, at), None).await;
        assert!(stepped.is_ok());
    }
}

async fn a_number_is_erased_from_all_that_is_no_message(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let waiting = world.order_named(1).await;
    let dropped = world.order_named(2).await;
    world.stepped(&dropped, Step::Cancel, NOW).await;
    assert_eq!(world.amounts().await, (8, 2, 0));
    let draft = Campaign {
        body: r#"{"message":"Habari","recipients":["+255 753 276 939",{"to":"0753276939"},
            {"phone":"255753276939"},"+255753276938"],"rate_limit":10}"#
            .into(),
        total: 4,
        ..campaign(1, ORG)
    };
    assert!(world.store.draft(draft.clone()).await.unwrap());
    for (key, body) in [(1, "{\"to\":\"+255753276939\"}"), (2, "{\"to\":\"x\"}")] {
        assert!(
            world
                .store
                .keep_answer(memo(key, body))
                .await
                .unwrap()
                .is_none()
        );
    }

    let would = world.erase_number(None).await;
    assert_eq!((would.recipients, would.answers), (7, 1));
    let done = world.erase_number(Some(entry(number(NUMBER)))).await;
    assert_eq!((done.recipients, done.answers), (7, 1));
    let again = world.erase_number(Some(entry(number(NUMBER)))).await;
    assert_eq!((again.recipients, again.answers), (0, 0));

    // Nothing is sent to it, it is told so, and what was held for it is given back.
    assert_eq!(world.amounts().await, (9, 1, 0));
    let bodies = world.store.bodies(waiting.id, 0, 0).await.unwrap();
    let entries = unpack(&bodies[0].packed).unwrap();
    let why = Why::Erased;
    assert_eq!(
        entries[0],
        Entry::Refused {
            to: "[erased]",
            why
        }
    );
    assert!(matches!(&entries[1], Entry::Waits(waits) if waits.to == number("255753276938")));
    let view = world.store.job(None, waiting.id).await.unwrap().unwrap();
    let counts = world.store.job_counts(&view).await.unwrap();
    assert_eq!((counts.total, counts.pending, counts.failed), (3, 1, 2));
    let left = world.store.campaign(ORG, draft.id).await.unwrap().unwrap();
    assert_eq!(left.total, 1);
    assert!(left.body.contains("\"rate_limit\":10"), "{}", left.body);
    let answered = world.store.answered(&[1; 32], &[1; 32]).await.unwrap();
    let Some(Repeat::Replay(emptied)) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!((emptied.status, emptied.body.len()), (201, 0));
    world.close().await;
    let hex: String = NUMBER.bytes().map(|digit| format!("{digit:02x}")).collect();
    for (table, rows) in ground.dump().await {
        let told = format!("{rows:?}");
        for written in [NUMBER, &hex, "753276939", "753 276 939"] {
            assert!(!told.contains(written), "{table}: {told}");
        }
    }
}

async fn an_erasure_without_time_goes_on_where_it_was_and_the_audit_has_all_of_it(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    world.order_named(1).await;
    let draft = Campaign {
        body: r#"{"recipients":["+255753276939"]}"#.into(),
        ..campaign(1, ORG)
    };
    assert!(world.store.draft(draft).await.unwrap());
    let answer = memo(1, "{\"to\":\"+255753276939\"}");
    assert!(world.store.keep_answer(answer).await.unwrap().is_none());
    let all = async |entry: Option<AuditEntry>| {
        let mut erasure = Erasure {
            entry,
            ..erasure(Duration::ZERO)
        };
        let (mut asked, mut found) = (0, (0, 0));
        loop {
            let done = world.store.erase(erasure.clone()).await.unwrap();
            asked += 1;
            found = (found.0 + done.recipients, found.1 + done.answers);
            match done.next {
                Some(next) => erasure.after = next.to_string().parse().unwrap(),
                None => return (asked, found),
            }
        }
    };
    // Each of the draft, the chunk and the answer, the ends of all three, the messages.
    assert_eq!(all(None).await, (7, (3, 1)));
    assert_eq!(all(Some(entry(number(NUMBER)))).await, (7, (3, 1)));
    let audit = world.store.audit(20).await.unwrap();
    let outcomes: Vec<&str> = audit.iter().map(|entry| &*entry.outcome).collect();
    let told = |recipients, answers| {
        format!(
            "messages erased: 0, left as they are: 0; receipts deleted: 0; recipients of jobs and \
             campaigns erased: {recipients}; answers emptied: {answers}"
        )
    };
    let expected = [told(0, 0), told(0, 1), told(2, 0), told(1, 0)];
    assert_eq!(outcomes[..4], expected);
    world.close().await;
}

async fn a_chunk_that_was_read_before_an_erasure_makes_no_messages(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let waiting = world.order_named(1).await;
    let mut unsent = Vec::new();
    let (to, why) = ("0753276939", Why::Unroutable);
    pack(&Entry::Refused { to, why }, &mut unsent);
    let unsent = Chunk {
        recipients: 1,
        refused: 1,
        cost: Credits::ZERO,
        body: unsent,
    };
    let refused = Job {
        total: 1,
        cost: Credits::ZERO,
        ..job(2, 1)
    };
    let refused = order(&refused, vec![unsent]);
    world.store.order_job(refused).await.unwrap();
    let expansion = async |job: JobId, seen: &Body, messages: usize| {
        let new = || Message {
            class: Class::Promotional,
            webhook_url: None,
            cost: ONE,
            accepted_at: NOW,
            ..message(1)
        };
        let expansion = Expansion {
            job,
            chunk: 0,
            messages: (0..messages).map(|_| new()).collect(),
            body: vec![2, 0, 0, 1],
            refused: 3 - messages as u32,
            seen: seen.packed.clone(),
            at: NOW,
        };
        world.store.expand(expansion).await.unwrap()
    };
    let read = async |job: JobId| world.store.bodies(job, 0, 0).await.unwrap().remove(0);
    let other = JobId(Uuid::from_u128(2));
    let (named, typed) = (read(waiting.id).await, read(other).await);
    world.erase_number(Some(entry(number(NUMBER)))).await;
    // Nor does one keep a number that only stands among the refused.
    assert!(!expansion(waiting.id, &named, 2).await && !expansion(other, &typed, 0).await);
    let (named, typed) = (read(waiting.id).await, read(other).await);
    assert!(expansion(waiting.id, &named, 1).await && expansion(other, &typed, 0).await);
    assert_eq!(world.amounts().await, (9, 1, 0));
    world.close().await;
}

async fn jobs_and_their_campaigns_lose_their_texts_and_go(ground: Ground) {
    let world = World::with_credits(&ground, Terms::Prepaid, 10).await;
    let draft = campaign(1, ORG);
    assert!(world.store.draft(draft.clone()).await.unwrap());
    let over = job(1, 1);
    let launch = crate::store::jobs::Order {
        campaign: Some((draft.id, draft.updated_at)),
        ..order(&over, vec![chunk()])
    };
    world.store.order_job(launch).await.unwrap();
    world.stepped(&over, Step::Cancel, NOW).await;
    world
        .stepped(&over, Step::Finish { sent: false }, NOW)
        .await;
    let waits = world.order_named(2).await;
    let of_day = |id, day: i64| Campaign {
        updated_at: Timestamp(day * DAY_MS),
        ..campaign(id, ORG)
    };
    for draft in [of_day(2, 0), of_day(3, 1)] {
        assert!(world.store.draft(draft).await.unwrap());
    }
    let tend_until = async |day: i64, stop: CancellationToken| {
        let config = Retention {
            messages_days: Some(90),
            bodies_days: Some(30),
            clock_leap_days_max: None,
        };
        let now = move || Timestamp(day * DAY_MS);
        let mut keeper = Keeper::new(config, world.store.clone(), now, stop);
        keeper.tend().await.unwrap()
    };
    let tend = async |day| assert!(tend_until(day, CancellationToken::new()).await);
    let shown = async |id: JobId| {
        let view = world.store.job(None, id).await.unwrap()?;
        let bodies = world.store.bodies(id, 0, 0).await.unwrap();
        let campaign = world.store.campaign(ORG, draft.id).await.unwrap();
        let text = campaign.map(|campaign| campaign.message.into_string());
        Some((
            view.job.template.into_string(),
            bodies[0].packed.len(),
            text,
        ))
    };
    tend(30).await;
    let whole = shown(over.id).await.unwrap();
    assert_eq!((&*whole.0, whole.1), ("Hello {{name}}", 3));
    assert_eq!(whole.2.as_deref(), Some("Habari"));
    let stopped = CancellationToken::new();
    stopped.cancel();
    assert!(!tend_until(31, stopped).await);
    assert_eq!(shown(over.id).await.unwrap(), whole);
    tend(31).await;
    assert_eq!(
        shown(over.id).await,
        Some((String::new(), 0, Some(String::new())))
    );
    tend(91).await;
    assert_eq!(shown(over.id).await, None);
    let left = world.store.campaigns((ORG, false), None, 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|draft| draft.id).collect();
    assert_eq!(left, [of_day(3, 1).id]);
    let view = world.store.job(None, waits.id).await.unwrap().unwrap();
    assert_eq!(
        (view.state, &*view.job.template),
        (JobState::Scheduled, "Hello {{name}}")
    );
    let chunks = world.store.chunks(waits.id).await.unwrap();
    assert_eq!(chunks[0].state, ChunkState::Waiting);
    world.close().await;
}
