//! Lives here: what a bind holds for the wire: one queue for each class, and whose turn it is. Pure.
//! Never here: tokens, window slots, sessions (`live` asks for them before it takes a turn).

use std::collections::VecDeque;

use crate::domain::class::Class;

/// A message's place in its queue and the part of it: parts stay together, in order.
pub(super) type Place = (u64, u8);

/// Segments that are to be written, OTP first.
#[derive(Debug)]
pub(super) struct Stage<T> {
    queues: [VecDeque<(Place, T)>; 3],
    /// Turns in which each class waited and another went.
    passed_over: [u32; 3],
    floor: u32,
    next: u64,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// The class that goes.
    pub(super) class: Class,
    /// The class whose share of tokens and slots it may use: its own, or that of OTP where it
    /// has its floor's turn. Without that a link full of OTP would never have a token left for it.
    pub(super) share: Class,
}

impl<T> Stage<T> {
    /// An empty one. A class that has waited for `floor` turns of others has one (0 = never).
    pub(super) fn new(floor: u32) -> Self {
        Self {
            queues: [VecDeque::new(), VecDeque::new(), VecDeque::new()],
            passed_over: [0; 3],
            floor,
            next: 0,
        }
    }

    /// The place for one more message: behind all others.
    pub(super) fn place(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Puts a segment where it belongs: what comes back goes before all that came after it.
    pub(super) fn put(&mut self, class: Class, place: Place, segment: T) {
        let queue = &mut self.queues[class.index()];
        let at = if queue.back().is_none_or(|(last, _)| *last < place) {
            queue.len()
        } else {
            queue.partition_point(|(known, _)| *known < place)
        };
        queue.insert(at, (place, segment));
    }

    /// Whose turn it is, if anybody waits.
    pub(super) fn turn(&self) -> Option<Turn> {
        let waits = |class: &Class| !self.queues[class.index()].is_empty();
        let due = |class: &Class| {
            self.floor > 0 && self.passed_over[class.index()] >= self.floor && waits(class)
        };
        let share = Class::Otp;
        Class::ALL
            .into_iter()
            .rev()
            .find(due)
            .map(|class| Turn { class, share })
            .or_else(|| {
                let class = Class::ALL.into_iter().find(waits)?;
                Some(Turn {
                    class,
                    share: class,
                })
            })
    }

    /// The next segment of a class.
    pub(super) fn front(&self, class: Class) -> Option<&T> {
        self.queues[class.index()]
            .front()
            .map(|(_, segment)| segment)
    }

    /// Takes the turn.
    pub(super) fn take(&mut self, class: Class) -> Option<(Place, T)> {
        let taken = self.drop_front(class)?;
        for other in Class::ALL {
            let waits = !self.queues[other.index()].is_empty();
            let passed_over = &mut self.passed_over[other.index()];
            *passed_over = if other == class || !waits {
                0
            } else {
                passed_over.saturating_add(1)
            };
        }
        Some(taken)
    }

    /// Takes a segment out without a turn: it is not written.
    pub(super) fn drop_front(&mut self, class: Class) -> Option<(Place, T)> {
        self.queues[class.index()].pop_front()
    }

    /// Takes everything out that is not to be `kept`, in order.
    pub(super) fn empty(&mut self, mut kept: impl FnMut(Place, &T) -> bool) -> Vec<T> {
        let mut out = Vec::new();
        for queue in &mut self.queues {
            for (place, segment) in std::mem::take(queue) {
                if kept(place, &segment) {
                    queue.push_back((place, segment));
                } else {
                    out.push(segment);
                }
            }
        }
        out
    }

    /// Segments of a class.
    pub(super) fn len(&self, class: Class) -> usize {
        self.queues[class.index()].len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use Class::{Otp, Promotional, Transactional};

    use super::*;

    fn filled(classes: &[Class], floor: u32) -> Stage<Class> {
        let mut stage = Stage::new(floor);
        for class in classes {
            let place = stage.place();
            stage.put(*class, (place, 1), *class);
        }
        stage
    }

    fn order(stage: &mut Stage<Class>) -> Vec<Class> {
        std::iter::from_fn(|| {
            let turn = stage.turn()?;
            stage.take(turn.class).map(|(_, class)| class)
        })
        .collect()
    }

    #[test]
    fn otp_goes_first_then_transactional_then_promotional() {
        let mut stage = filled(&[Promotional, Transactional, Otp, Promotional, Otp], 0);
        let expected = [Otp, Otp, Transactional, Promotional, Promotional];
        assert_eq!(order(&mut stage), expected);
        assert!(stage.is_empty() && stage.turn().is_none());
    }

    #[test]
    fn who_has_waited_for_the_floor_has_one_turn_with_the_share_of_otp() {
        let mut classes = vec![Otp; 40];
        classes.extend([Transactional; 3]);
        classes.extend([Promotional; 3]);
        let mut stage = filled(&classes, 10);
        let order = order(&mut stage);
        let places = |class: Class| {
            let at = order.iter().enumerate().filter(|(_, each)| **each == class);
            at.map(|(at, _)| at).take(2).collect::<Vec<_>>()
        };
        assert_eq!(places(Promotional), [10, 21], "{order:?}");
        assert_eq!(places(Transactional), [11, 22], "{order:?}");
        let mut stage = filled(&[Otp, Otp, Promotional], 1);
        assert_eq!(stage.turn().map(|turn| turn.share), Some(Otp));
        stage.take(Otp);
        let turn = Turn {
            class: Promotional,
            share: Otp,
        };
        assert_eq!(stage.turn(), Some(turn));
    }

    #[test]
    fn what_comes_back_goes_before_what_came_after_it_and_parts_stay_in_order() {
        let mut stage = Stage::new(0);
        let places: Vec<u64> = (0..3).map(|_| stage.place()).collect();
        for place in &places {
            for part in 1..=2 {
                stage.put(Transactional, (*place, part), (*place, part));
            }
        }
        let taken: Vec<_> = (0..3).filter_map(|_| stage.take(Transactional)).collect();
        for (place, segment) in taken.into_iter().rev() {
            stage.put(Transactional, place, segment);
        }
        let order: Vec<_> = std::iter::from_fn(|| stage.take(Transactional))
            .map(|(place, _)| place)
            .collect();
        assert_eq!(order, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]);
    }

    #[test]
    fn it_is_emptied_of_what_is_not_kept() {
        let mut stage = filled(&[Otp, Promotional, Transactional, Otp], 0);
        let out = stage.empty(|_, class| *class == Transactional);
        assert_eq!(out, [Otp, Otp, Promotional]);
        assert_eq!((stage.len(Transactional), stage.len(Otp)), (1, 0));
    }
}
