//! Lives here: `ctl jobs`.
//! Never here: what may be done to a job (`admin` judges).

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{self, CtlError};
use super::table::table;
use super::{Target, done, or_dash, read};

/// What to do with bulk jobs.
#[derive(Debug, clap::Subcommand)]
pub enum JobsCommand {
    /// Show the jobs, the newest first (the usual command).
    List {
        /// Only of this organisation: name or id.
        #[arg(long)]
        org: Option<String>,
        /// So many.
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Show a job and what has become of its recipients.
    Show {
        /// Its id.
        id: String,
    },
    /// Make no more messages of it until it is resumed.
    Pause(JobArguments),
    /// Let it go on.
    Resume(JobArguments),
    /// Take it back: what no carrier has is not sent, and given back. Cannot be undone.
    Cancel(JobArguments),
}

/// Which job, and why.
#[derive(Debug, clap::Args)]
pub struct JobArguments {
    /// Its id.
    id: String,
    /// Why, for the audit.
    #[arg(long)]
    reason: String,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

impl JobsCommand {
    /// The usual command.
    pub(super) const LIST: Self = Self::List {
        org: None,
        limit: None,
    };

    pub(super) async fn ask(&self, target: &Target) -> Result<Value, CtlError> {
        match self {
            Self::List { org, limit } => {
                let limit = limit.map(|limit| limit.to_string());
                let query = [("org", org), ("limit", &limit)];
                client::get(target, "/admin/v1/jobs", &query).await
            }
            Self::Show { id } => client::get(target, &path(id, ""), &[]).await,
            Self::Pause(change) => change.ask(target, "/pause").await,
            Self::Resume(change) => change.ask(target, "/resume").await,
            Self::Cancel(change) => change.ask(target, "/cancel").await,
        }
    }

    pub(super) fn shown(&self, told: Value) -> Result<String, CtlError> {
        match self {
            Self::List { .. } => read(told).map(|jobs: Jobs| jobs.shown()),
            Self::Show { .. } => read(told).map(|job: Detailed| job.shown()),
            Self::Pause(_) | Self::Resume(_) | Self::Cancel(_) => done(told),
        }
    }
}

impl JobArguments {
    async fn ask(&self, target: &Target, what: &str) -> Result<Value, CtlError> {
        let body = json!({"reason": self.reason, "dry_run": self.dry_run});
        client::post(target, &path(&self.id, what), &body).await
    }
}

fn path(id: &str, what: &str) -> String {
    let mut path = "/admin/v1/jobs/".to_owned();
    client::encode(&mut path, id);
    path + what
}

#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    org: String,
    name: String,
    state: String,
    class: String,
    recipients: u32,
    cost: String,
    created_at: String,
    due_at: String,
    completed_at: Option<String>,
}

impl Job {
    fn cells(self) -> [String; 10] {
        [
            self.id,
            self.org,
            self.state,
            self.class,
            self.recipients.to_string(),
            self.cost,
            self.created_at,
            self.due_at,
            or_dash(self.completed_at),
            self.name,
        ]
    }
}

const HEADS: [&str; 10] = [
    "JOB",
    "ORGANISATION",
    "STATE",
    "CLASS",
    "RECIPIENTS",
    "CREDITS",
    "CREATED",
    "DUE",
    "COMPLETED",
    "NAME",
];

impl Jobs {
    fn shown(self) -> String {
        table(HEADS, self.jobs.into_iter().map(Job::cells))
    }
}

#[derive(Deserialize)]
struct Detailed {
    #[serde(flatten)]
    job: Job,
    pending: u64,
    queued: u64,
    sent: u64,
    delivered: u64,
    failed: u64,
    canceled: u64,
    percent: f64,
    spent: String,
}

impl Detailed {
    fn shown(self) -> String {
        let counts = [
            ("pending", self.pending.to_string()),
            ("queued", self.queued.to_string()),
            ("sent", self.sent.to_string()),
            ("delivered", self.delivered.to_string()),
            ("failed", self.failed.to_string()),
            ("canceled", self.canceled.to_string()),
            ("done", format!("{} %", self.percent)),
            ("credits spent", self.spent),
        ];
        let job = table(HEADS, std::iter::once(self.job.cells()));
        let counts = counts
            .into_iter()
            .map(|(name, value)| [name.to_owned(), value]);
        format!("{job}\n{}", table(["RECIPIENTS", ""], counts))
    }
}
