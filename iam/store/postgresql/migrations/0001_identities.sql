-- Rows of identities as documents, and the order of their changes (database/shared). Never edited after release: changes are a new file
-- with the next number.

-- The one row that a change locks. `history` is new whenever the whole contents are; `format` is the number of the
-- migration of SQLite's schema whose rows these are, 0 before the first; `change_id` is the last change's.
CREATE TABLE identity_state (
    is_only    BOOLEAN NOT NULL PRIMARY KEY CHECK (is_only),
    history    BYTEA NOT NULL,
    format     INTEGER NOT NULL,
    change_no  BIGINT NOT NULL,
    change_id  BYTEA NOT NULL
);

INSERT INTO identity_state VALUES (TRUE, decode(md5(random()::text || clock_timestamp()::text), 'hex'), 0, 0, '');

-- A row of the table `kind`: its primary key, a JSON list, and its columns, a JSON object; NULL where the row is gone,
-- which copies have to learn. TEXT, not JSONB: JSON may hold a NUL, JSONB may not.
CREATE TABLE identity_row (
    kind       TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    content    TEXT,
    change_no  BIGINT NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX identity_row_by_change ON identity_row (change_no);
CREATE INDEX identity_row_gone ON identity_row (change_no) WHERE content IS NULL;

-- The last changes: a copy that is at one of these learns what came after. The ids are random: a database that was
-- restored from a backup and went on has other ones, and its copies are read anew.
CREATE TABLE identity_change (
    change_no  BIGINT NOT NULL PRIMARY KEY,
    change_id  BYTEA NOT NULL
);

INSERT INTO identity_change VALUES (0, '');
