//! Lives here: one message's outcomes and receipts in every order, with duplicates: one end, told
//! once.
//! Never here: the world they run in (`tests`).

use super::dice::Dice;
use super::*;

on_each_store! {
    outcomes_and_receipts_in_any_order_end_in_one_state_told_once,
}

const SEEDS: u64 = 150;

/// What may happen to a message one of whose segments is in doubt and is sent again.
#[derive(Clone, Debug)]
enum Happening {
    /// The first attempt's outcomes: all segments taken but one.
    First,
    /// The other one's second attempt is taken.
    Resend,
    /// The first one's answer after all.
    Late,
    /// A receipt with this id for a segment.
    Receipt(String, u8, Option<SegmentState>),
}

/// All that happens, in some order: a resend and a late answer come after the doubt.
fn story(dice: &mut Dice, message: &Message, doubted: u8, copies: usize) -> Vec<Happening> {
    let mut all = vec![Happening::First];
    if dice.below(2) == 0 {
        all.push(Happening::Resend);
    }
    if dice.below(3) == 0 {
        all.push(Happening::Late);
    }
    let resent = all
        .iter()
        .any(|one| matches!(one, Happening::Resend))
        .then_some((format!("{}-R", message.seq), doubted));
    let ids = (1..=message.segments).map(|part| (format!("{}-{part}", message.seq), part));
    for (id, part) in ids.chain(resent) {
        all.push(Happening::Receipt(id.clone(), part, None));
        for _ in 0..copies {
            let delivered = Some(SegmentState::Delivered);
            all.push(Happening::Receipt(id.clone(), part, delivered));
        }
    }
    dice.shuffle(&mut all);
    let first = all
        .iter()
        .position(|one| matches!(one, Happening::First))
        .unwrap();
    let after_it = |one: &Happening| matches!(one, Happening::Resend | Happening::Late);
    if let Some(early) = all[..first].iter().position(after_it) {
        all.swap(early, first);
    }
    // Of two that came too early one may be left: it comes last.
    let first = all
        .iter()
        .position(|one| matches!(one, Happening::First))
        .unwrap();
    let early = all[..first].iter().position(after_it);
    if let Some(early) = early {
        let moved = all.remove(early);
        all.push(moved);
    }
    all
}

fn first_attempt(message: &Arc<Message>, doubted: u8, at: Timestamp) -> Settlement {
    let record = |part: u8| {
        let record = if part == doubted {
            attempt(message, part, SegmentState::InDoubt, None)
        } else {
            taken(message, part, &format!("{}-{part}", message.seq))
        };
        AttemptRecord {
            answered_at: at,
            sequence: u32::from(part),
            ..record
        }
    };
    Settlement {
        attempts: (1..=message.segments).map(record).collect(),
        transitions: vec![Transition {
            at,
            ..moved(message, State::Uncertain)
        }],
        ..Settlement::default()
    }
}

impl World {
    async fn happen(&self, message: &Arc<Message>, doubted: u8, at: Timestamp, one: &Happening) {
        let submitted = |possible_duplicate| Transition {
            at,
            sent_at: Some(at),
            possible_duplicate,
            ..moved(message, State::Submitted)
        };
        let settlement = match one {
            Happening::First => first_attempt(message, doubted, at),
            Happening::Resend => Settlement {
                attempts: vec![AttemptRecord {
                    attempt: 2,
                    answered_at: at,
                    ..taken(message, doubted, &format!("{}-R", message.seq))
                }],
                transitions: vec![submitted(true)],
                ..Settlement::default()
            },
            Happening::Late => Settlement {
                attempts: vec![AttemptRecord {
                    answered_at: at,
                    ..taken(message, doubted, &format!("{}-{doubted}", message.seq))
                }],
                transitions: (message.segments == 1)
                    .then(|| submitted(false))
                    .into_iter()
                    .collect(),
                ..Settlement::default()
            },
            Happening::Receipt(id, part, state) => {
                let mut brought = receipt(id, *state);
                brought.received_at = at;
                brought.evidence.recipient = Some(message.to);
                brought.evidence.reference = Some(message.id.reference(*part));
                self.store.receipts(vec![brought]).await.unwrap();
                return;
            }
        };
        self.settle(settlement).await;
    }
}

async fn outcomes_and_receipts_in_any_order_end_in_one_state_told_once(ground: Ground) {
    let mut world = World::open(&ground).await;
    for seed in 1..=SEEDS {
        let mut dice = Dice::new(seed);
        let segments = u8::try_from(1 + dice.below(3)).unwrap();
        let message = world.accept(segments).await;
        let doubted = u8::try_from(1 + dice.below(usize::from(segments))).unwrap();
        let copies = 1 + dice.below(2);
        let story = story(&mut dice, &message, doubted, copies);
        for (step, one) in (1i64..).zip(&story) {
            let at = Timestamp(10_000 + step * 10);
            world.happen(&message, doubted, at, one).await;
        }
        let state = world.state(&message).await;
        assert_eq!(state, State::Delivered, "seed {seed}: {story:?}");
        let events = world.events();
        assert_eq!(
            events,
            [(EventKind::Sent, 1), (EventKind::Delivered, 2)],
            "seed {seed}: {story:?}"
        );
    }
    world.close().await;
}
