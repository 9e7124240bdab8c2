//! Lives here: attempts, moves and reroutes of one batch, brought into the form that the rows
//! take: each row once in a statement, in the order in which they were decided.
//! Never here: what may move where (`domain::lifecycle`).

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::Engine;
use crate::domain::ids::{MessageSeq, Place, ReceiptKey};
use crate::domain::message::State;
use crate::flow::{AttemptRecord, Ready, Reroute};
use crate::store::StoreError;
use crate::store::batch::Effects;
use crate::store::rows::{Move, Rows};

/// Makes moves, in order; a move that is not legal from where the message stands does nothing.
/// Says of each whether it was made. A mark as possible duplicate is kept in any case.
pub(super) async fn make(rows: &mut impl Rows, moves: &[Move]) -> Result<Vec<bool>, StoreError> {
    let marked: Vec<MessageSeq> = moves
        .iter()
        .filter(|one| one.possible_duplicate)
        .map(|one| one.seq)
        .collect();
    rows.mark(&marked).await?;
    let mut made = vec![false; moves.len()];
    for round in rounds(moves, |one| one.seq) {
        let chosen: Vec<&Move> = round.iter().map(|index| &moves[*index]).collect();
        let done = rows.make_moves(&chosen).await?;
        for (index, done) in round.into_iter().zip(done) {
            made[index] = done;
        }
    }
    Ok(made)
}

/// Divides a list so that no round has a key twice and what has the same key keeps its order:
/// places in the list, nearly always all of them in one round.
fn rounds<T, K: Eq + Hash>(list: &[T], key: impl Fn(&T) -> K) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::with_capacity(1);
    let mut seen: HashMap<K, usize> = HashMap::with_capacity(list.len());
    for (index, one) in list.iter().enumerate() {
        let times = seen.entry(key(one)).or_insert(0);
        if rounds.len() == *times {
            rounds.push(Vec::with_capacity(list.len() - index));
        }
        rounds[*times].push(index);
        *times += 1;
    }
    rounds
}

impl<R: Rows> Engine<R> {
    /// Writes attempts; returns the receipt keys that are new.
    pub(super) async fn attempts(
        &mut self,
        records: &[&AttemptRecord],
    ) -> Result<Vec<ReceiptKey>, StoreError> {
        let keyed: Vec<(&AttemptRecord, Option<ReceiptKey>)> = records
            .iter()
            .map(|record| {
                let id = record.carrier_message_id.as_ref();
                let key = id.map(|(_, normalised)| ReceiptKey::new(&record.carrier, normalised));
                (*record, key)
            })
            .collect();
        let attempt =
            |(record, _): &(&AttemptRecord, _)| (record.message.seq, record.part, record.attempt);
        for round in rounds(&keyed, attempt) {
            let chosen: Vec<_> = round.into_iter().map(|index| keyed[index]).collect();
            self.rows.write_attempts(&chosen).await?;
        }
        Ok(keyed.into_iter().filter_map(|(_, key)| key).collect())
    }

    /// Moves messages to the ends of lanes, and tells those that have come there. What is in doubt
    /// is in no lane's order: it comes without a place.
    pub(super) async fn reroute(
        &mut self,
        reroutes: &[&Reroute],
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let placed: Vec<(&Reroute, Place)> = reroutes
            .iter()
            .map(|reroute| (*reroute, self.next_place()))
            .collect();
        for round in rounds(&placed, |(reroute, _)| reroute.ready.message.seq) {
            let chosen: Vec<_> = round.into_iter().map(|index| placed[index]).collect();
            let come = self.rows.reroute(&chosen).await?;
            for (reroute, place) in chosen {
                let Some(state) = come.get(&reroute.ready.message.seq) else {
                    continue;
                };
                let queued = *state == State::Queued;
                effects.committed.push(Ready {
                    carrier: reroute.to,
                    place: if queued { place } else { Place::default() },
                    ..reroute.ready.clone()
                });
            }
        }
        Ok(())
    }
}

/// The first of each key, in order.
pub(super) fn once<T, K: Eq + Hash>(list: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut seen = HashSet::with_capacity(list.len());
    list.iter().filter(|one| seen.insert(key(one))).collect()
}

#[cfg(test)]
mod tests {
    use super::rounds;

    #[test]
    fn what_comes_twice_waits_for_the_next_round_in_its_order() {
        let found = rounds(&["a", "b", "a", "c", "b", "a"], |one| *one);
        assert_eq!(found, vec![vec![0, 1, 3], vec![2, 4], vec![5]]);
        assert!(rounds(&[0; 0], |one| *one).is_empty());
    }
}
