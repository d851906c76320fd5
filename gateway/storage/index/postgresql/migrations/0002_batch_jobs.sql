-- Work on many objects that somebody asked for: what it is and how far it has come stands in the sealed column. Its
-- lease is a row of `job`.
CREATE TABLE batch_job (
    job_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_us  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    sealed      BYTEA NOT NULL
);
