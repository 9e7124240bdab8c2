-- Organisations, keys, messages, attempts, receipts, outbox: the first schema, for PostgreSQL 15.
-- Times are milliseconds since 1970 UTC; ids are UUIDv7; states and classes are the numbers of
-- src/domain; flags are 0 or 1. Expand/contract only: a released column never changes meaning.
--
-- Words that are looked up or put in order are of collation "C": their order is the same on every
-- server, and no new release of a C library can put an index out of order.
--
-- messages, attempts, receipt_events and deliveries are partitioned by the message's number, a day
-- each (number >> 40 is the day). The daemon makes the partitions ahead (store/sql/days.rs, with
-- their storage parameters, which a partitioned table cannot have itself) and drops them for
-- retention.
--
-- Storage parameters:
--   fillfactor    room on the page for the versions that updates write. Where no indexed column
--                 changes such a version costs no index entry at all.
--   autovacuum_*  outbox, intents and receipt_inbox are queues: small, and every row leaves. Their
--                 indexes are read from the end at which the dead lie, so they are cleaned after
--                 every thousand dead rows, at full speed; a share of the table means nothing there.

create table house (
    key text collate "C" primary key,
    value bigint not null
-- One row is updated by every commit: room for a chain of versions that ends on its own page.
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 1000000);
-- commit: the number of the last commit. compat: the oldest level of the schema whose programs may
-- run on this one; a migration that takes something away raises it. given: no message number or
-- place above it has been given; there once one has been.
insert into house (key, value) values ('commit', 0), ('compat', 1);

create table organisations (
    id uuid primary key,
    created_at bigint not null,
    name text collate "C" not null unique,
    country text not null,
    senders text not null,              -- JSON array; empty = every well-formed sender
    webhook_secret text not null
);

create table api_keys (
    id uuid primary key,
    org uuid not null references organisations (id),
    created_at bigint not null,
    revoked_at bigint,                  -- later than now: while its successor's grace lasts
    live smallint not null,
    scopes integer not null,            -- bits of src/domain/scope.rs
    expires_at bigint,
    last_used_at bigint,                -- to about a minute
    rate bigint,                        -- requests a minute, where it has a pace of its own
    replaced_by uuid,
    hash bytea not null unique,         -- SHA-256 of the secret part
    prefix text not null,               -- the first 12 characters, for people
    name text not null,
    senders text not null,              -- JSON array; empty = all of its organisation
    networks text not null              -- JSON array of CIDR; empty = every address
) with (fillfactor = 80);
create index api_keys_of on api_keys (org, id);

create table users (
    id uuid primary key,
    org uuid not null references organisations (id),
    created_at bigint not null,
    role smallint not null,
    email text collate "C" not null,    -- in lower case
    name text not null,
    unique (org, email)
);

-- What each organisation has for each channel (0 sms, 1 email), in thousandths of a credit. Every
-- commit that accepts rewrites a row: room on the page spares the index.
create table purses (
    org uuid not null references organisations (id),
    channel smallint not null,
    postpaid smallint not null,
    available bigint not null,
    reserved bigint not null,
    consumed bigint not null,
    threshold bigint not null,          -- from which balance on down it counts as low
    day integer not null,               -- of the last entry; what has moved on it, as in the ledger:
    purchase_sum bigint not null,
    purchase_count bigint not null,
    reserve_sum bigint not null,
    reserve_count bigint not null,
    capture_sum bigint not null,
    capture_count bigint not null,
    refund_sum bigint not null,
    refund_count bigint not null,
    primary key (org, channel)
) with (fillfactor = 50);

-- What has moved in a purse on a day that is over (domain::ledger), in thousandths of a credit, and how
-- often. Written once.
create table ledger (
    org uuid not null,
    channel smallint not null,
    day integer not null,               -- since 1970 UTC
    purchase_sum bigint not null,
    purchase_count bigint not null,
    reserve_sum bigint not null,
    reserve_count bigint not null,
    capture_sum bigint not null,
    capture_count bigint not null,
    refund_sum bigint not null,
    refund_count bigint not null,
    primary key (org, channel, day)
);

-- What was bought or taken back; a reference counts once.
create table purchases (
    org uuid not null,
    channel smallint not null,
    reference text collate "C" not null,
    at bigint not null,
    amount bigint not null,
    note text not null,
    primary key (org, channel, reference)
);

-- What a segment costs; zeros, empty texts and -1 are for all.
create table prices (
    org uuid not null,
    country text collate "C" not null,
    network text collate "C" not null,
    class smallint not null,
    amount bigint not null,
    primary key (org, country, network, class)
);

-- What requests that name themselves (Idempotency-Key) were answered, for a day: key, of whose and
-- what and the name, and fingerprint, of the body, are SHA-256.
create table memos (
    key bytea not null primary key,
    fingerprint bytea not null,
    status smallint not null,
    body bytea not null,
    at bigint not null
);
create index memos_by_time on memos (at);

-- seq is the order of acceptance: appended, never random. Fixed widths first: no padding.
create table messages (
    seq bigint not null,
    place bigint not null,              -- order within its lane: seq, or later when it came to the
                                        -- lane later (scheduled, moved to another account)
    accepted_at bigint not null,
    due_at bigint not null,
    valid_until bigint not null,
    sent_at bigint,
    final_at bigint,
    moved bigint,                       -- the stamp of its last move
    cost bigint not null,               -- thousandths of a credit
    id uuid not null,
    org uuid not null,
    class smallint not null,
    state smallint not null,
    encoding smallint not null,
    segments smallint not null,
    live smallint not null,
    possible_duplicate smallint not null default 0,
    carrier text collate "C" not null,
    recipient text collate "C" not null,
    sender text not null,
    body text not null,
    webhook_url text,
    metadata text,
    tags text,
    client_ref text,
    failure text,
    detail text,
    primary key (seq)
) partition by range (seq);

-- A partition could only know itself: that an id is there once is the id's own doing (UUIDv7, made
-- here). Without seq, or a look-up by seq might take this index while it is empty, for ever.
create index messages_by_id on messages (id);
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
-- Lists.
create index messages_by_org on messages (org, seq);
create index messages_by_ref on messages (org, client_ref, seq) where client_ref is not null;

-- One row for each submit_sm. The final receipt is kept on the row it settles.
create table attempts (
    message bigint not null,
    submitted_at bigint not null,
    answered_at bigint not null,
    receipt_key bigint,                 -- see domain::ids::ReceiptKey
    receipt_at bigint,
    done_at bigint,                     -- done_date by the carrier's own clock, if it could be read
    sequence bigint not null,
    status bigint,
    attempt integer not null,
    part smallint not null,
    state smallint not null,
    resolved smallint,                  -- what ended the doubt: 1 late response, 2 late refusal,
                                        -- 3 an orphan receipt
    carrier text collate "C" not null,
    bind text not null,
    carrier_message_id text,
    normalised text collate "C",
    stat text,
    err text,
    done_date text,
    recipient text collate "C",         -- the message's, in attempts that were in doubt
    primary key (message, part, attempt)
) partition by range (message);
-- Only attempts that were in doubt have a recipient. To say `state = 7` here would make the state an
-- indexed column, and every receipt would write into all indexes.
create index attempts_in_doubt on attempts (carrier, recipient) where recipient is not null;
create index attempts_by_receipt on attempts (receipt_key) where receipt_key is not null;

-- Receipts that changed nothing but are part of the story: intermediate and contradictory ones.
create table receipt_events (
    message bigint not null,
    received_at bigint not null,
    attempt integer not null,
    part smallint not null,
    conflict smallint not null,
    stat text collate "C" not null,
    err text not null,
    done_date text not null,
    primary key (message, part, attempt, received_at, stat)
) partition by range (message);

-- Receipts whose attempt is not known yet (they outrun responses), bounded and expiring; after a
-- while they are in quarantine, for people to look at and to replay.
create table receipt_inbox (
    receipt_key bigint not null,
    received_at bigint not null,
    done_at bigint,
    submitted_at bigint,                -- its submit date
    reference bigint,                   -- user_message_reference, if it brought ours back
    quarantined_at bigint,
    state smallint,
    carrier text collate "C" not null,
    normalised text collate "C" not null,
    stat text collate "C" not null,
    done_date text collate "C" not null,
    raw_id text not null,
    err text not null,
    failure text,                       -- what err means, by the carrier's profile
    recipient text collate "C",         -- whom the receipt is about, digits
    sender text not null default '',
    words text not null default '',     -- the first 20 characters of the text, if it brought them
    primary key (carrier, normalised, stat, done_date)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);
create index receipt_inbox_recipient on receipt_inbox (carrier, recipient);
create index receipt_inbox_key on receipt_inbox (receipt_key);
create index receipt_inbox_age on receipt_inbox (quarantined_at, received_at);

-- A batch as it was handed to a bind, before its first octet left: what was perhaps sent.
create table intents (
    id bigint primary key,
    at bigint not null,
    carrier text not null,
    bind text not null,
    messages bytea not null             -- 8 octets each, big endian: messages.seq
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);

-- Where events of organisations go.
create table endpoints (
    id uuid primary key,
    org uuid not null references organisations (id),
    events bigint not null,             -- a bit for each kind (domain::event); -1: all
    cutover_at bigint,
    disabled_at bigint,
    failing_since bigint,
    created_at bigint not null,
    live smallint not null,
    format smallint not null,           -- 0 mojawave, 1 moaa
    url text not null,
    description text not null,
    secret text not null,
    old_secret text,                    -- signs beside the new one until cutover_at
    reason text                         -- asked, gone, failing
);

-- Webhook events not yet delivered. due_at is also the lease of the worker that has it.
create table outbox (
    event uuid primary key,
    message bigint not null,
    sequence bigint not null,
    at bigint not null,
    due_at bigint not null,
    attempts bigint not null default 0,
    attempts_before bigint not null default 0, -- those before somebody asked for it anew
    asked_at bigint,                    -- when somebody asked for it anew, if it is here for that
    kind smallint not null,
    state smallint not null,
    live smallint,
    target uuid,                        -- the endpoint; null: the message's own webhook_url
    org uuid,
    failure text,
    data text                           -- JSON object
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0);
create index outbox_due on outbox (due_at);

-- Attempts to deliver, with what it takes to tell the event again.
create table deliveries (
    message bigint not null,
    at bigint not null,
    happened_at bigint not null,
    latency_ms bigint not null,
    sequence bigint not null,
    attempt bigint not null,
    event uuid not null,
    org uuid not null,
    target uuid,
    status integer,
    live smallint not null,
    kind smallint not null,
    state smallint not null,
    error text,
    response text,                      -- the beginning of the answer's body
    failure text,
    data text,
    primary key (message, event, attempt)
) partition by range (message);
create index deliveries_by_org on deliveries (org, event, attempt);

-- What operators changed by `ctl`: who, what, why, and what came of it.
create table audit (
    id bigint generated by default as identity primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null,               -- JSON object
    outcome text not null
);

-- Accounts that an operator has paused or is draining, until a time if one is set.
create table holds (
    carrier text collate "C" primary key,
    at bigint not null,
    until bigint,
    kind text not null,                 -- paused, draining
    reason text not null,
    actor text not null
);

-- Bulk jobs: what is asked for, and where it stands (domain::job).
create table jobs (
    id uuid primary key,
    org uuid not null references organisations (id),
    live smallint not null,
    state smallint not null,
    name text not null,
    sender text not null,
    template text not null,
    class smallint not null,
    webhook_url text,
    metadata text,
    tags text,
    fields text not null,               -- JSON array: what the client personalises
    rate_limit integer not null,        -- messages a second; 0 = no limit
    total integer not null,
    cost bigint not null,              -- thousandths of a credit, of the whole
    created_at bigint not null,
    due_at bigint not null,
    started_at bigint,
    completed_at bigint
);
create index jobs_of_org on jobs (org, id);
create index jobs_of_keys on jobs (org, live, id);
create index jobs_open on jobs (due_at) where state in (0, 1, 3);
create index jobs_over on jobs (completed_at) where completed_at is not null;
create index jobs_with_texts on jobs (completed_at) where template <> '';

-- Recipients of a job that become messages together, as domain::job packs them; then the numbers of
-- their messages.
create table job_chunks (
    job uuid not null references jobs (id),
    chunk integer not null,
    state smallint not null,             -- 0 waiting, 1 messages, 2 dropped
    recipients integer not null,
    refused integer not null,
    cost bigint not null,              -- thousandths of a credit, held while they wait
    first_seq bigint,
    last_seq bigint,
    body bytea not null,
    primary key (job, chunk)
);

-- Where there may be numbers that erasure has to find.
create index job_chunks_named on job_chunks (job, chunk) where state <> 1 or refused > 0;

-- Drafts of jobs.
create table campaigns (
    id uuid primary key,
    org uuid not null references organisations (id),
    live smallint not null,
    name text not null,
    sender text not null,
    message text not null,
    class smallint not null,
    total integer not null,
    due_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    job text,                           -- what it was launched as
    body text not null                  -- the request that will make the job, JSON; then empty. Last:
                                        -- megabytes, past which lists need not read
);
create index campaigns_of_org on campaigns (org, live, id);
create index campaigns_drafts on campaigns (org) where job is null;
create index campaigns_stale on campaigns (updated_at) where job is null;
create index campaigns_of_jobs on campaigns (job) where job is not null;
