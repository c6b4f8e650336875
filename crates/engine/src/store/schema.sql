-- Version 5. Times are nanoseconds since 1970 UTC; JSON is what the crates' types serialise to.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    short TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    desired TEXT NOT NULL,
    before TEXT NOT NULL,
    harmful INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    evidence_from INTEGER,
    share_since INTEGER,
    closed_at INTEGER,
    restore_proof TEXT
) STRICT;
CREATE UNIQUE INDEX a_live_name_is_unique ON deployments (name) WHERE closed_at IS NULL;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    sentence TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_a_deployment ON events (deployment, seq);

CREATE TABLE series (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    metric TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    source TEXT NOT NULL,
    query TEXT NOT NULL,
    block_s REAL NOT NULL,
    PRIMARY KEY (deployment, metric, epoch)
) STRICT;

-- The key makes reading the same span twice count once. Counts have their columns; a block of another kind is JSON in `wide`.
CREATE TABLE blocks (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    metric TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    baseline_events REAL NOT NULL,
    canary_events REAL NOT NULL,
    baseline_exposure REAL NOT NULL,
    canary_exposure REAL NOT NULL,
    wide TEXT,
    PRIMARY KEY (deployment, metric, epoch, ends_at)
) STRICT, WITHOUT ROWID;

-- What production showed in the span of a block, as JSON.
CREATE TABLE beside (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    metric TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    production TEXT NOT NULL,
    PRIMARY KEY (deployment, metric, epoch, ends_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    verdict TEXT NOT NULL,
    evidence_digest TEXT NOT NULL
) STRICT;
CREATE INDEX verdicts_of_a_deployment ON verdicts (deployment, id);

-- The metrics that were chosen for a filling of a deployment's arms.
CREATE TABLE judged_by (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    epoch INTEGER NOT NULL,
    metrics TEXT NOT NULL,
    PRIMARY KEY (deployment, epoch)
) STRICT;

-- When nothing was judged, and why: blocks of that time are kept and not judged.
CREATE TABLE pauses (
    deployment TEXT PRIMARY KEY REFERENCES deployments (id),
    pauses TEXT NOT NULL
) STRICT;

-- The steps that are being carried out, in words, so that a start after a crash can say what was left half-way.
CREATE TABLE in_flight (
    deployment TEXT PRIMARY KEY REFERENCES deployments (id),
    steps TEXT NOT NULL
) STRICT;
