//! Lives here: what a test makes go wrong in the model, and when.
//! Never here: what goes wrong by itself (a statement that the tables refuse).

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::ids::{EventId, MessageId, MessageSeq, ReceiptKey};
use crate::store::StoreError;

/// How a commit goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum CommitFault {
    /// It is refused: nothing of it is kept.
    Refused,
    /// Its answer is lost, and so is the commit.
    LostBefore,
    /// Its answer is lost; it is kept.
    LostAfter,
}

/// What the model will not have in any transaction, as a database refuses a value or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) enum Poison {
    /// This message's new row.
    Message(MessageId),
    /// Attempts of this message.
    Attempt(MessageSeq),
    /// Moves of this message.
    Move(MessageSeq),
    /// Receipts with this key.
    Receipt(ReceiptKey),
    /// Intents with this message.
    Intent(MessageSeq),
    /// Attempts to deliver this event.
    Delivery(EventId),
    /// The release of this message.
    Release(MessageSeq),
}

/// The faults to come, shared by a test and the stores that it opens one after the other. None at
/// first; each happens once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    begins: u32,
    /// Statements until one fails, counted from 1; 0 = none does.
    statement: u64,
    commits: VecDeque<Option<CommitFault>>,
    questions: u32,
    poison: HashSet<Poison>,
    gone: bool,
    /// Transactions have no answer for so long.
    freeze: Duration,
    /// How often the database has gone: what was open then is lost.
    outages: u64,
    statements: u64,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next `times` transactions cannot be begun.
    pub(in crate::store) fn fail_begins(&self, times: u32) {
        self.plan().begins = times;
    }

    /// The `nth` statement from now fails, counted from 1.
    pub(in crate::store) fn fail_statement(&self, nth: u64) {
        self.plan().statement = nth;
    }

    /// The commits to come go like this, one after the other; `None` is one that succeeds. A probe
    /// is a commit. Takes the place of what was planned.
    pub(in crate::store) fn plan_commits(
        &self,
        commits: impl IntoIterator<Item = Option<CommitFault>>,
    ) {
        self.plan().commits = commits.into_iter().collect();
    }

    /// The next `times` questions after a lost commit find no answer.
    pub(in crate::store) fn fail_questions(&self, times: u32) {
        self.plan().questions = times;
    }

    /// From now on the model refuses these.
    pub(in crate::store) fn poison(&self, what: impl IntoIterator<Item = Poison>) {
        self.plan().poison.extend(what);
    }

    /// It refuses nothing any more.
    pub(in crate::store) fn cure(&self) {
        self.plan().poison.clear();
    }

    /// Whether a statement is refused for what is in it.
    pub(super) fn taste(&self, mut what: impl Iterator<Item = Poison>) -> Result<(), StoreError> {
        let plan = self.plan();
        if !plan.poison.is_empty() && what.any(|one| plan.poison.contains(&one)) {
            return Err(violated("injected"));
        }
        Ok(())
    }

    /// The database is gone: nothing works, readers neither, and an open transaction is lost.
    pub(in crate::store) fn go(&self) {
        let mut plan = self.plan();
        plan.gone = true;
        plan.outages += 1;
    }

    /// From now on each transaction takes so long to begin: a server that is frozen for a while.
    pub(in crate::store) fn freeze(&self, time: Duration) {
        self.plan().freeze = time;
    }

    /// How long a transaction takes to begin.
    pub(super) fn frozen(&self) -> Duration {
        self.plan().freeze
    }

    /// It is back.
    pub(in crate::store) fn come_back(&self) {
        self.plan().gone = false;
    }

    /// Whether nothing is planned any more.
    pub(in crate::store) fn spent(&self) -> bool {
        let plan = self.plan();
        plan.begins == 0
            && plan.statement == 0
            && plan.commits.is_empty()
            && plan.questions == 0
            && !plan.gone
    }

    /// How many statements have been asked for so far.
    pub(in crate::store) fn statements(&self) -> u64 {
        self.plan().statements
    }

    /// Whether the database can be reached.
    pub(super) fn reach(&self) -> Result<(), StoreError> {
        if self.plan().gone {
            return Err(injected("the database is gone"));
        }
        Ok(())
    }

    /// A transaction begins; returns in which life of the connection.
    pub(super) fn begin(&self) -> Result<u64, StoreError> {
        self.reach()?;
        let mut plan = self.plan();
        if plan.begins > 0 {
            plan.begins -= 1;
            return Err(injected("begin"));
        }
        Ok(plan.outages)
    }

    /// A statement of a transaction begun in this life of the connection.
    pub(super) fn statement(&self, life: u64) -> Result<(), StoreError> {
        self.reach()?;
        let mut plan = self.plan();
        if plan.outages != life {
            return Err(injected("the connection was lost"));
        }
        plan.statements += 1;
        let fails = plan.statement == 1;
        plan.statement = plan.statement.saturating_sub(1);
        if fails {
            return Err(injected("a statement"));
        }
        Ok(())
    }

    /// A commit of a transaction begun in this life of the connection. When that is over, nobody
    /// has heard of the commit and nobody says so.
    pub(super) fn commit(&self, life: u64) -> Option<CommitFault> {
        let mut plan = self.plan();
        if plan.gone || plan.outages != life {
            return Some(CommitFault::LostBefore);
        }
        plan.commits.pop_front().flatten()
    }

    /// The question after a lost commit.
    pub(super) fn question(&self) -> Result<(), StoreError> {
        self.reach()?;
        let mut plan = self.plan();
        if plan.questions > 0 {
            plan.questions -= 1;
            return Err(injected("the question after a commit"));
        }
        Ok(())
    }
}

/// The error of an injected fault, as a broken connection would bring it.
pub(super) fn injected(what: &str) -> StoreError {
    StoreError::Sql(sqlx::Error::Io(io::Error::other(format!(
        "injected: {what}"
    ))))
}

/// The error of a statement that the tables refuse: a database's word about what is in it.
pub(super) const fn violated(what: &'static str) -> StoreError {
    StoreError::Corrupt { what }
}
