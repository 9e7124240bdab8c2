//! Lives here: what a bind takes from its account's lanes ahead of the wire: so few messages that
//! they are written soon, and enough that the wire never waits for an intent. Pure.
//! Never here: OTP that goes straight to the wire (`live`), sockets, intents.

use crate::domain::class::{Class, ClassSet};
use crate::domain::time::Timestamp;
use crate::flow::Ready;
use crate::flow::lane::Lanes;

/// Segments of one intent at most: a batch is a row, and a crash puts its messages in doubt.
const BATCH_MAX: usize = 64;
/// How much of the pace is staged, seconds: an intent's commit takes a few milliseconds, and what
/// is staged can be overtaken by no other class before that.
const AHEAD_S: f64 = 0.075;
/// What is staged at least; also of promotional while transactional waits.
const FEW: usize = 4;

/// What a pull has brought.
#[derive(Default)]
pub(super) struct Pulled {
    /// Need their intent committed first.
    pub(super) to_intend: Vec<Ready>,
    /// Were past their validity.
    pub(super) expired: Vec<Ready>,
    /// There may be more.
    pub(super) full: bool,
}

/// How many segments of a class may be staged by a bind of this window and pace.
pub(super) fn stage_max(rate: f64, window: usize) -> usize {
    ((rate * AHEAD_S) as usize).min(window).max(FEW)
}

/// Takes what is to be staged beside the `staged` segments of each class: a class is filled up
/// when half of its share is gone, so that intents are batches.
pub(super) fn pull(
    lanes: &Lanes,
    classes: ClassSet,
    staged: [usize; 3],
    most: usize,
    wall: Timestamp,
) -> Pulled {
    let mut pulled = Pulled::default();
    let mut intended = 0;
    let mut before = false;
    for class in [Class::Transactional, Class::Promotional] {
        let most = if before { FEW } else { most };
        let mut staged = staged[class.index()];
        before |= staged > 0;
        if !classes.contains(class) || staged > most / 2 {
            continue;
        }
        while staged < most {
            if intended >= BATCH_MAX {
                pulled.full = true;
                return pulled;
            }
            let Some(ready) = lanes.take(class, classes) else {
                break;
            };
            if ready.message.valid_until < wall {
                pulled.expired.push(ready);
                continue;
            }
            let segments = ready.parts.count() as usize;
            staged += segments;
            intended += segments;
            before = true;
            pulled.to_intend.push(ready);
        }
    }
    pulled
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use Class::{Otp, Promotional, Transactional};
    use tokio::sync::Notify;

    use super::*;
    use crate::carrier::bind::tests::message;
    use crate::domain::message::Message;

    fn lanes(classes: &[Class]) -> Lanes {
        let lanes = Lanes::new(1000, 10, 1, Arc::new(Notify::new()));
        for class in classes {
            let message = Message {
                class: *class,
                ..message("x", 1)
            };
            lanes.offer(Ready::first(Arc::new(message))).unwrap();
        }
        lanes
    }

    fn of(pulled: &Pulled, class: Class) -> usize {
        let of = pulled.to_intend.iter();
        of.filter(|ready| ready.message.class == class).count()
    }

    #[test]
    fn a_share_of_the_pace_is_staged_and_no_more() {
        assert_eq!(stage_max(1_000.0, 200), 75);
        assert_eq!(stage_max(1_000.0, 50), 50);
        assert_eq!((stage_max(1.0, 200), stage_max(1.0, 1)), (4, 4));
        let lanes = lanes(&[Transactional; 100]);
        let pulled = pull(&lanes, ClassSet::ALL, [0; 3], 30, Timestamp(0));
        assert_eq!(of(&pulled, Transactional), 30);
        let pulled = pull(&lanes, ClassSet::ALL, [0, 16, 0], 30, Timestamp(0));
        assert_eq!(
            of(&pulled, Transactional),
            0,
            "not before half of it is gone"
        );
        let pulled = pull(&lanes, ClassSet::ALL, [0, 15, 0], 30, Timestamp(0));
        assert_eq!(of(&pulled, Transactional), 15);
        let pulled = pull(&lanes, ClassSet::ALL, [0; 3], 500, Timestamp(0));
        assert_eq!(of(&pulled, Transactional), 55);
    }

    #[test]
    fn a_few_promotional_are_staged_beside_transactional_for_their_floor() {
        let both = lanes(&[[Transactional; 50], [Promotional; 50]].concat());
        let pulled = pull(&both, ClassSet::ALL, [0; 3], 30, Timestamp(0));
        assert_eq!(
            (of(&pulled, Transactional), of(&pulled, Promotional)),
            (30, FEW)
        );
        let alone = lanes(&[Promotional; 50]);
        let pulled = pull(&alone, ClassSet::ALL, [0; 3], 30, Timestamp(0));
        assert_eq!(of(&pulled, Promotional), 30);
    }

    #[test]
    fn a_bind_takes_its_own_classes_and_never_stages_otp() {
        let all = lanes(&[Otp, Transactional, Promotional]);
        let classes = ClassSet::of([Otp, Promotional]);
        let pulled = pull(&all, classes, [0; 3], 30, Timestamp(0));
        assert_eq!((pulled.to_intend.len(), of(&pulled, Promotional)), (1, 1));
        assert_eq!((all.depth(Otp), all.depth(Transactional)), (1, 1));
    }

    #[test]
    fn an_intent_is_a_batch_of_some_segments_and_there_may_be_more() {
        let lanes = lanes(&[Transactional; 100]);
        let pulled = pull(&lanes, ClassSet::ALL, [0; 3], 90, Timestamp(0));
        assert_eq!(pulled.to_intend.len(), BATCH_MAX);
        assert!(pulled.full);
    }

    #[test]
    fn what_is_past_its_validity_is_not_sent() {
        let lanes = lanes(&[]);
        let stale = Message {
            valid_until: Timestamp(10),
            ..message("x", 1)
        };
        lanes.offer(Ready::first(Arc::new(stale))).unwrap();
        let pulled = pull(&lanes, ClassSet::ALL, [0; 3], 30, Timestamp(11));
        assert_eq!((pulled.expired.len(), pulled.to_intend.len()), (1, 0));
    }
}
