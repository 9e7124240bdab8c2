//! Lives here: what becomes of a request: its template read, every recipient's text rendered and
//! measured (so that what is held is what it costs), and packed into chunks. One pass; nothing is
//! kept of a recipient but what its message will need.
//! Never here: the form of the request's body (`api`), writing it (`store`).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use uuid::Uuid;

use crate::domain::account::Organisation;
use crate::domain::class::Class;
use crate::domain::credits::Credits;
use crate::domain::ids::JobId;
use crate::domain::job::{self, CHUNK_MAX, Entry, Waits, Why};
use crate::domain::phone::Msisdn;
use crate::domain::template::{OnMissing, Template, TemplateError};
use crate::domain::time::Timestamp;
use crate::ingest::batch::{Quote, Shared};
use crate::ingest::{Ingest, Refusal};
use crate::store::jobs::{Chunk, Job, Order};

/// Faults that are told of one request.
const FAULTS_MAX: usize = 100;
/// Different names of personalisation that a request may use.
const NAMES_MAX: usize = 100;

/// What a door hands in.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The client's name for the job.
    pub name: Cow<'a, str>,
    /// Sender as typed.
    pub from: Cow<'a, str>,
    /// The text with its places.
    pub message: Cow<'a, str>,
    /// To whom, at most [`job::RECIPIENTS_MAX`].
    pub recipients: Vec<Recipient<'a>>,
    /// The class.
    pub class: Class,
    /// Where events go.
    pub webhook_url: Option<Cow<'a, str>>,
    /// Not before this.
    pub due_at: Option<Timestamp>,
    /// A JSON object's text, checked by the door.
    pub metadata: Option<Cow<'a, str>>,
    /// A JSON array's text, checked by the door.
    pub tags: Option<Cow<'a, str>>,
    /// What is done where a value is missing.
    pub on_missing: OnMissing,
    /// One recipient that cannot be sent to refuses all.
    pub strict: bool,
    /// A number that is named again is not sent to again.
    pub dedupe: bool,
    /// Messages a second at most; 0 = no limit.
    pub rate_limit: u32,
}

/// One of the recipients.
#[derive(Clone, Debug, Default)]
pub struct Recipient<'a> {
    /// The number as typed.
    pub to: Cow<'a, str>,
    /// The client's own name for the message.
    pub client_ref: Option<Cow<'a, str>>,
    /// Values by name.
    pub values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A job ready to be written.
#[derive(Debug)]
pub struct Prepared {
    /// The job, with its recipients.
    pub order: Order,
    /// Names of what is personalised, in their order.
    pub fields: Vec<String>,
    /// Segments of all messages together.
    pub segments: u64,
    /// Recipients that nothing is sent to, the first of them.
    pub faults: Vec<Fault>,
    /// What each of the first recipients would get.
    pub foreseen: Vec<Foreseen>,
}

/// What one recipient would get: for dry runs.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// What it would be.
    pub quote: Quote,
    /// The text.
    pub text: String,
}

/// What is wrong with a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which, from 0.
    pub recipient: usize,
    /// What.
    pub why: Why,
    /// Which field has no value.
    pub field: Option<Box<str>>,
    /// For people.
    pub detail: Box<str>,
}

/// Why nothing of a request may be sent.
#[derive(Debug)]
pub enum Refused {
    /// What all messages share may not be sent.
    Shared(Refusal),
    /// The text is no template.
    Template(TemplateError),
    /// More different names than `NAMES_MAX`.
    Fields,
    /// Recipients that cannot be sent to, the first hundred, and how many they are: all of them, or
    /// too bad for the others to be sent to.
    Recipients(Vec<Fault>, usize),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Shared(refusal)
    }
}

/// As [`super::prepare`].
pub(super) fn prepare(
    ingest: &Ingest,
    (org, live): (&Organisation, bool),
    request: &Request<'_>,
    now: Timestamp,
) -> Result<Prepared, Refused> {
    let template = Template::parse(&request.message).map_err(Refused::Template)?;
    let shared = ingest.share((org, live), &request.from, request.class)?;
    if let Some(url) = &request.webhook_url {
        ingest.check_webhook(url)?;
    }
    let due_at = ingest.due_at(request.due_at, now)?;
    let fields = fields(&template, &request.recipients)?;
    let mut packer = Packer {
        ingest,
        org,
        shared: &shared,
        template: &template,
        request,
        now,
        text: String::new(),
        seen: HashSet::new(),
        chunks: Vec::with_capacity(request.recipients.len().div_ceil(CHUNK_MAX)),
        segments: 0,
        faults: Vec::new(),
        fatal: 0,
        foreseen: Vec::new(),
    };
    let size = job::chunk_size(request.rate_limit);
    let mut first = 0;
    for recipients in request.recipients.chunks(size) {
        packer.pack(first, recipients);
        first += recipients.len();
    }
    let nobody = packer
        .chunks
        .iter()
        .all(|chunk| chunk.refused == chunk.recipients);
    if packer.fatal > 0 || nobody {
        let refused = request.recipients.len();
        let refused = if nobody { refused } else { packer.fatal };
        return Err(Refused::Recipients(packer.faults, refused));
    }
    let Packer {
        chunks,
        segments,
        faults,
        foreseen,
        ..
    } = packer;
    let job = Job {
        id: JobId(Uuid::now_v7()),
        org: org.id,
        live,
        name: (&*request.name).into(),
        from: shared.from,
        template: (&*request.message).into(),
        class: request.class,
        webhook_url: request.webhook_url.as_deref().map(Into::into),
        metadata: request.metadata.as_deref().map(Into::into),
        tags: request.tags.as_deref().map(Into::into),
        fields: serde_json::to_string(&fields).unwrap_or_default().into(),
        rate_limit: request.rate_limit,
        // At most RECIPIENTS_MAX: the door has looked.
        total: u32::try_from(request.recipients.len()).unwrap_or(u32::MAX),
        cost: chunks.iter().map(|chunk| chunk.cost).sum(),
        created_at: now,
        due_at,
    };
    Ok(Prepared {
        order: Order {
            job,
            chunks,
            campaign: None,
            memo: None,
        },
        fields,
        segments,
        faults,
        foreseen,
    })
}

/// What is personalised: the template's places and what recipients bring values for, in order.
fn fields(template: &Template<'_>, recipients: &[Recipient<'_>]) -> Result<Vec<String>, Refused> {
    let mut fields: BTreeSet<&str> = template.fields().iter().copied().collect();
    let mut before: &[(Cow<'_, str>, Cow<'_, str>)] = &[];
    for recipient in recipients {
        let values = &recipient.values;
        let names = || values.iter().map(|(name, _)| &**name);
        // Nearly all recipients bring the same names in the same order.
        if !names().eq(before.iter().map(|(name, _)| &**name)) {
            fields.extend(names());
            if fields.len() > NAMES_MAX {
                return Err(Refused::Fields);
            }
            before = values;
        }
    }
    Ok(fields.into_iter().map(str::to_owned).collect())
}

struct Packer<'r> {
    ingest: &'r Ingest,
    org: &'r Organisation,
    shared: &'r Shared,
    template: &'r Template<'r>,
    request: &'r Request<'r>,
    now: Timestamp,
    /// The text of the recipient at hand.
    text: String,
    /// Numbers so far, if each is to be sent to once.
    seen: HashSet<Msisdn>,
    chunks: Vec<Chunk>,
    segments: u64,
    faults: Vec<Fault>,
    /// Faults that refuse the whole.
    fatal: usize,
    foreseen: Vec<Foreseen>,
}

impl Packer<'_> {
    fn pack(&mut self, first: usize, recipients: &[Recipient<'_>]) {
        let mut chunk = Chunk {
            recipients: u32::try_from(recipients.len()).unwrap_or(u32::MAX),
            refused: 0,
            cost: Credits::ZERO,
            body: Vec::with_capacity(recipients.len() * 40),
        };
        let mut values = Vec::with_capacity(self.template.fields().len());
        for (recipient, index) in recipients.iter().zip(first..) {
            values.clear();
            let named = |field: &&str| {
                let mut given = recipient.values.iter();
                let found = given.find(|(name, _)| name == field);
                found.map(|(_, value)| &**value)
            };
            values.extend(self.template.fields().iter().map(named));
            match self.quote(recipient, &values) {
                Ok(quote) => {
                    chunk.cost += quote.cost;
                    self.segments += u64::from(quote.segments);
                    let waits = Waits {
                        to: quote.to,
                        cost: quote.cost,
                        client_ref: recipient.client_ref.as_deref(),
                        values: std::mem::take(&mut values),
                    };
                    let entry = Entry::Waits(waits);
                    job::pack(&entry, &mut chunk.body);
                    if let Entry::Waits(waits) = entry {
                        values = waits.values;
                    }
                    if self.foreseen.len() < FAULTS_MAX {
                        let text = self.text.clone();
                        self.foreseen.push(Foreseen { quote, text });
                    }
                }
                Err((why, field, detail)) => {
                    chunk.refused += 1;
                    let to = &recipient.to;
                    job::pack(&Entry::Refused { to, why }, &mut chunk.body);
                    self.fault(Fault {
                        recipient: index,
                        why,
                        field: field.map(Into::into),
                        detail: detail.into(),
                    });
                }
            }
        }
        self.chunks.push(chunk);
    }

    fn fault(&mut self, fault: Fault) {
        let missing = fault.why == Why::Missing && self.request.on_missing == OnMissing::Fail;
        let fatal = missing || (self.request.strict && fault.why != Why::Duplicate);
        if fatal && self.fatal == 0 {
            // What refuses the whole comes before what does not.
            self.faults.clear();
        }
        self.fatal += usize::from(fatal);
        if self.faults.len() < FAULTS_MAX && (fatal || self.fatal == 0) {
            self.faults.push(fault);
        }
    }

    /// Renders the text and says what it would be.
    fn quote(
        &mut self,
        recipient: &Recipient<'_>,
        values: &[Option<&str>],
    ) -> Result<Quote, (Why, Option<String>, String)> {
        let refused = |refusal: Refusal| (why(&refusal), None, refusal.to_string());
        let to = self
            .ingest
            .place(self.org, &recipient.to)
            .map_err(refused)?;
        if self.request.dedupe && self.seen.contains(&to.number) {
            let detail = Why::Duplicate.reason().to_owned();
            return Err((Why::Duplicate, None, detail));
        }
        let empty = self.request.on_missing == OnMissing::Empty;
        if let Err(field) = self.template.render(values, empty, &mut self.text) {
            let detail = format!(
                "the message has {{{{{field}}}}}, and this recipient has no value for it; give \
                 one, or a default as {{{{{field}|…}}}}, or say on_missing"
            );
            return Err((Why::Missing, Some(field.to_owned()), detail));
        }
        if self.text.contains('\0') {
            let detail = "the text has a NUL character; leave it out".to_owned();
            return Err((Why::Text, None, detail));
        }
        let quoted = self.ingest.quote(self.shared, to, &self.text, self.now);
        let quoted = quoted.map_err(refused)?;
        if self.request.dedupe {
            self.seen.insert(to.number);
        }
        Ok(quoted)
    }
}

/// Why a recipient is not sent to, as it is kept.
pub(super) fn why(refusal: &Refusal) -> Why {
    match refusal {
        Refusal::Number(_) | Refusal::Place(_) => Why::Number,
        Refusal::Sender(_) | Refusal::SenderNotCarried(_) | Refusal::SenderNotApproved => {
            Why::Sender
        }
        Refusal::EmptyMessage => Why::Text,
        Refusal::MessageTooLong { .. } => Why::TooLong,
        Refusal::Unroutable
        | Refusal::WebhookUrl(_)
        | Refusal::Schedule
        | Refusal::Balance(_)
        | Refusal::TooMany(_)
        | Refusal::Fault
        | Refusal::Store(_) => Why::Unroutable,
    }
}
