-- Organisations, keys, messages, attempts, receipts, outbox: the first schema.
-- Times are milliseconds since 1970 UTC; ids are 16-octet UUIDv7; states and classes are the
-- numbers of src/domain. Expand/contract only: a released column never changes meaning.

-- What a run leaves to the next. commit: the number of the last commit. compat: the oldest level of
-- the schema whose programs may run on this one; a migration that takes something away raises it.
-- given: no message number or place above it has been given; there once one has been.
create table house (
    key text primary key,
    value integer not null
) strict, without rowid;
insert into house (key, value) values ('commit', 0), ('compat', 1);

create table organisations (
    id blob primary key,
    name text not null unique,
    country text not null,
    senders text not null,              -- JSON array; empty = every well-formed sender
    webhook_secret text not null,
    created_at integer not null
) strict, without rowid;

create table api_keys (
    id blob primary key,
    org blob not null references organisations (id),
    hash blob not null unique,          -- SHA-256 of the secret part
    prefix text not null,               -- the first 12 characters, for people
    live integer not null,
    name text not null,
    scopes integer not null,            -- bits of src/domain/scope.rs
    senders text not null,              -- JSON array; empty = all of its organisation
    networks text not null,             -- JSON array of CIDR; empty = every address
    expires_at integer,
    rate integer,                       -- requests a minute, where it has a pace of its own
    created_at integer not null,
    revoked_at integer,                 -- later than now: while its successor's grace lasts
    replaced_by blob,
    last_used_at integer                -- to about a minute
) strict, without rowid;
create index api_keys_of on api_keys (org, id);

create table users (
    id blob primary key,
    org blob not null references organisations (id),
    email text not null,                -- in lower case
    name text not null,
    role integer not null,
    created_at integer not null,
    unique (org, email)
) strict, without rowid;

-- What each organisation has for each channel (0 sms, 1 email), in thousandths of a credit.
create table purses (
    org blob not null references organisations (id),
    channel integer not null,
    postpaid integer not null,
    available integer not null,
    reserved integer not null,
    consumed integer not null,
    threshold integer not null,         -- from which balance on down it counts as low
    day integer not null,               -- of the last entry; what has moved on it, as in the ledger:
    purchase_sum integer not null,
    purchase_count integer not null,
    reserve_sum integer not null,
    reserve_count integer not null,
    capture_sum integer not null,
    capture_count integer not null,
    refund_sum integer not null,
    refund_count integer not null,
    primary key (org, channel)
) strict, without rowid;

-- What has moved in a purse on a day that is over (domain::ledger), in thousandths of a credit, and how
-- often. Written once.
create table ledger (
    org blob not null,
    channel integer not null,
    day integer not null,               -- since 1970 UTC
    purchase_sum integer not null,
    purchase_count integer not null,
    reserve_sum integer not null,
    reserve_count integer not null,
    capture_sum integer not null,
    capture_count integer not null,
    refund_sum integer not null,
    refund_count integer not null,
    primary key (org, channel, day)
) strict, without rowid;

-- What was bought or taken back; a reference counts once.
create table purchases (
    org blob not null,
    channel integer not null,
    reference text not null,
    at integer not null,
    amount integer not null,
    note text not null,
    primary key (org, channel, reference)
) strict, without rowid;

-- What a segment costs; zeros, empty texts and -1 are for all.
create table prices (
    org blob not null,
    country text not null,
    network text not null,
    class integer not null,
    amount integer not null,
    primary key (org, country, network, class)
) strict, without rowid;

-- What requests that name themselves (Idempotency-Key) were answered, for a day: key, of whose and
-- what and the name, and fingerprint, of the body, are SHA-256.
create table memos (
    key blob primary key,
    fingerprint blob not null,
    status integer not null,
    body blob not null,
    at integer not null
) strict;
create index memos_by_time on memos (at);

-- seq is the order of acceptance and the row id: appended, never random.
create table messages (
    seq integer primary key,
    id blob not null unique,
    org blob not null,
    class integer not null,
    state integer not null,
    carrier text not null,
    recipient text not null,
    sender text not null,
    body text not null,
    encoding integer not null,
    segments integer not null,
    webhook_url text,
    metadata text,
    tags text,
    client_ref text,
    live integer not null,
    cost integer not null,              -- thousandths of a credit
    accepted_at integer not null,
    due_at integer not null,
    valid_until integer not null,
    sent_at integer,
    final_at integer,
    failure text,
    detail text,
    possible_duplicate integer not null default 0,
    moved integer,                      -- the stamp of its last move
    place integer not null              -- order within its lane: seq, or later when it came to the
                                        -- lane later (scheduled, moved to another account)
) strict;

-- What a lane refills from, organisation by organisation, in order. Small: rows leave it when a
-- carrier has answered.
create index messages_waiting on messages (carrier, class, org, place) where state = 1;
create index messages_scheduled on messages (due_at) where state = 0;
-- What has no end yet, by the time at which we stop waiting for one.
create index messages_unsent on messages (valid_until) where state = 1;
create index messages_open on messages (valid_until) where state in (3, 4);
-- What is in doubt, and what the sandbox has taken and still has to end: one index for both, few rows
-- each, so that live messages pay for no further one.
create index messages_in_doubt on messages (seq) where state = 3 or (state = 4 and live = 0);
-- Lists, by number, which each entry ends with: appended for each organisation, never random.
create index messages_by_org on messages (org);
create index messages_by_ref on messages (org, client_ref) where client_ref is not null;

-- One row for each submit_sm. The final receipt is kept on the row it settles.
create table attempts (
    message integer not null,
    part integer not null,
    attempt integer not null,
    carrier text not null,
    bind text not null,
    sequence integer not null,
    submitted_at integer not null,
    answered_at integer not null,
    state integer not null,
    status integer,
    carrier_message_id text,
    normalised text,
    receipt_key integer,                -- see domain::ids::ReceiptKey
    stat text,
    err text,
    done_date text,
    receipt_at integer,
    done_at integer,                    -- done_date by the carrier's own clock, if it could be read
    recipient text,                     -- the message's, in attempts that were in doubt
    resolved integer,                   -- what ended the doubt: 1 late response, 2 late refusal,
                                        -- 3 an orphan receipt
    primary key (message, part, attempt)
) strict, without rowid;
create index attempts_in_doubt on attempts (carrier, recipient) where state = 7;
-- The day first, as in PostgreSQL: what was sent long ago is looked for on its own.
create index attempts_by_receipt on attempts ((message >> 40), receipt_key)
    where receipt_key is not null;

-- Receipts that changed nothing but are part of the story: intermediate and contradictory ones.
create table receipt_events (
    message integer not null,
    part integer not null,
    attempt integer not null,
    received_at integer not null,
    stat text not null,
    err text not null,
    done_date text not null,
    conflict integer not null,
    primary key (message, part, attempt, received_at, stat)
) strict, without rowid;

-- Receipts whose attempt is not known yet (they outrun responses), bounded and expiring; after a
-- while they are in quarantine, for people to look at and to replay.
create table receipt_inbox (
    carrier text not null,
    normalised text not null,
    stat text not null,
    done_date text not null,
    receipt_key integer not null,
    state integer,
    raw_id text not null,
    err text not null,
    failure text,                       -- what err means, by the carrier's profile
    received_at integer not null,
    done_at integer,
    recipient text,                     -- whom the receipt is about, digits
    sender text not null default '',
    words text not null default '',     -- the first 20 characters of the text, if it brought them
    submitted_at integer,               -- its submit date
    reference integer,                  -- user_message_reference, if it brought ours back
    quarantined_at integer,
    primary key (carrier, normalised, stat, done_date)
) strict, without rowid;
create index receipt_inbox_recipient on receipt_inbox (carrier, recipient);
create index receipt_inbox_key on receipt_inbox (receipt_key);
create index receipt_inbox_age on receipt_inbox (quarantined_at, received_at);

-- A batch as it was handed to a bind, before its first octet left: what was perhaps sent.
create table intents (
    id integer primary key,
    carrier text not null,
    bind text not null,
    at integer not null,
    messages blob not null              -- 8 octets each, big endian: messages.seq
) strict;

-- Where events of organisations go.
create table endpoints (
    id blob primary key,
    org blob not null references organisations (id),
    live integer not null,
    url text not null,
    events integer not null,            -- a bit for each kind (domain::event); -1: all
    format integer not null,            -- 0 mojawave, 1 moaa
    description text not null,
    secret text not null,
    old_secret text,                    -- signs beside the new one until cutover_at
    cutover_at integer,
    disabled_at integer,
    reason text,                        -- asked, gone, failing
    failing_since integer,
    created_at integer not null
) strict, without rowid;

-- Webhook events not yet delivered, a row for each target. due_at is also the lease of the worker that
-- has it. What is about no message has a number of its own and says whose it is and what happened.
create table outbox (
    event blob primary key,
    message integer not null,
    sequence integer not null,
    kind integer not null,
    at integer not null,
    state integer not null,
    failure text,
    due_at integer not null,
    attempts integer not null default 0,
    attempts_before integer not null default 0, -- those before somebody asked for it anew
    asked_at integer,                   -- when somebody asked for it anew, if it is here for that
    target blob,                        -- the endpoint; null: the message's own webhook_url
    org blob,
    live integer,
    data text                           -- JSON object
) strict, without rowid;
create index outbox_due on outbox (due_at);

-- Attempts to deliver, with what it takes to tell the event again.
create table deliveries (
    message integer not null,
    event blob not null,
    attempt integer not null,
    sequence integer not null,
    at integer not null,
    latency_ms integer not null,
    status integer,
    error text,
    response text,                      -- the beginning of the answer's body
    org blob not null,
    live integer not null,
    target blob,
    kind integer not null,
    happened_at integer not null,
    state integer not null,
    failure text,
    data text,
    primary key (message, event, attempt)
) strict, without rowid;
create index deliveries_by_org on deliveries (org, event, attempt);
create index deliveries_of_notices on deliveries (message) where data is not null;

-- What operators changed by `ctl`: who, what, why, and what came of it.
create table audit (
    id integer primary key,
    at integer not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,               -- JSON object
    outcome text not null
) strict;

-- Accounts that an operator has paused or is draining, until a time if one is set.
create table holds (
    carrier text primary key,
    kind text not null,                 -- paused, draining
    reason text not null,
    actor text not null,
    at integer not null,
    until integer
) strict, without rowid;

-- Bulk jobs: what is asked for, and where it stands (domain::job).
create table jobs (
    id blob primary key,
    org blob not null references organisations (id),
    live integer not null,
    state integer not null,
    name text not null,
    sender text not null,
    template text not null,
    class integer not null,
    webhook_url text,
    metadata text,
    tags text,
    fields text not null,               -- JSON array: what the client personalises
    rate_limit integer not null,        -- messages a second; 0 = no limit
    total integer not null,
    cost integer not null,              -- thousandths of a credit, of the whole
    created_at integer not null,
    due_at integer not null,
    started_at integer,
    completed_at integer
) strict, without rowid;
create index jobs_of_org on jobs (org, id);
create index jobs_of_keys on jobs (org, live, id);
create index jobs_open on jobs (due_at) where state in (0, 1, 3);
create index jobs_over on jobs (completed_at) where completed_at is not null;
create index jobs_with_texts on jobs (completed_at) where template <> '';

-- Recipients of a job that become messages together, as domain::job packs them; then the numbers of
-- their messages.
create table job_chunks (
    job blob not null references jobs (id),
    chunk integer not null,
    state integer not null,             -- 0 waiting, 1 messages, 2 dropped
    recipients integer not null,
    refused integer not null,
    cost integer not null,              -- thousandths of a credit, held while they wait
    first_seq integer,
    last_seq integer,
    body blob not null,
    primary key (job, chunk)
) strict;

-- Where there may be numbers that erasure has to find.
create index job_chunks_named on job_chunks (job, chunk) where state <> 1 or refused > 0;

-- Drafts of jobs.
create table campaigns (
    id blob primary key,
    org blob not null references organisations (id),
    live integer not null,
    name text not null,
    sender text not null,
    message text not null,
    class integer not null,
    total integer not null,
    due_at integer,
    created_at integer not null,
    updated_at integer not null,
    job text,                           -- what it was launched as
    body text not null                  -- the request that will make the job, JSON; then empty. Last:
                                        -- megabytes, past which lists need not read
) strict;
create index campaigns_of_org on campaigns (org, live, id);
create index campaigns_drafts on campaigns (org) where job is null;
create index campaigns_stale on campaigns (updated_at) where job is null;
create index campaigns_of_jobs on campaigns (job) where job is not null;
