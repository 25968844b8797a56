-- What failed, who tried, who replayed it, version 1. Released: never edited.

-- Why a lane's publishing rests: after failures (publish_…), or because somebody stopped it (paused_…).
-- takeover_… is the mark of who publishes a slice that another left behind, see Note [Crashes] in
-- outbox/takeover.py; solo_event_id is the event that it hands over alone at present.
ALTER TABLE outbox_lane
  ADD COLUMN publish_error text,
  ADD COLUMN paused_at timestamptz,
  ADD COLUMN paused_by text,
  ADD COLUMN pause_reason text,
  ADD COLUMN takeover_at timestamptz,
  ADD COLUMN takeover_by text,
  ADD COLUMN solo_event_id uuid;

-- One row per use of pause, resume and skip.
CREATE TABLE outbox_lane_action (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane integer NOT NULL,
  action text NOT NULL CHECK (action IN ('pause', 'resume', 'skip')),
  reason text NOT NULL CHECK (btrim(reason) <> ''),
  actor text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  acted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- An event that could not be handed over, with the row as it was logged. One each.
CREATE TABLE outbox_dead_letter (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  stream text NOT NULL,
  seq bigint NOT NULL,
  epoch uuid NOT NULL,
  type text NOT NULL,
  subject text NOT NULL,
  payload jsonb NOT NULL,
  context jsonb NOT NULL,
  schema_version integer NOT NULL,
  replay_of bigint,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  sink text NOT NULL,
  reason text NOT NULL CHECK (reason IN ('poison', 'sink_error', 'crash')),
  error text NOT NULL,
  fingerprint text NOT NULL,
  attempts integer NOT NULL,
  died_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  state text NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'replayed', 'discarded')),
  resolved_at timestamptz,
  replay_id bigint,
  CHECK ((state = 'dead') = (resolved_at IS NULL))
);
-- Lists show the newest first; each filter of the admin leads one of these.
CREATE INDEX outbox_dead_letter_dead ON outbox_dead_letter (id) WHERE state = 'dead';
CREATE INDEX outbox_dead_letter_stream ON outbox_dead_letter (stream, id);
CREATE INDEX outbox_dead_letter_subject ON outbox_dead_letter (subject, id);
CREATE INDEX outbox_dead_letter_type ON outbox_dead_letter (type, id);
CREATE INDEX outbox_dead_letter_reason ON outbox_dead_letter (reason, id);
CREATE INDEX outbox_dead_letter_fingerprint ON outbox_dead_letter (fingerprint, id);
CREATE INDEX outbox_dead_letter_died_at ON outbox_dead_letter (died_at);

-- The story of a dead letter is not edited, and stays as long as it is dead.
CREATE FUNCTION outbox_keep_dead_letter() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  fixed outbox_dead_letter := NEW;
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.state = 'dead' THEN
      RAISE EXCEPTION 'dead letter % is not resolved', OLD.id
        USING HINT = 'Replay or discard it first.';
    END IF;
    RETURN OLD;
  END IF;
  fixed.state := OLD.state; fixed.resolved_at := OLD.resolved_at; fixed.replay_id := OLD.replay_id;
  IF fixed IS DISTINCT FROM OLD OR OLD.state <> 'dead' THEN
    RAISE EXCEPTION 'dead letter % is history and not edited', OLD.id
      USING HINT = 'A dead letter is resolved once, by a replay.';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER outbox_keep_dead_letter BEFORE UPDATE OR DELETE ON outbox_dead_letter
  FOR EACH ROW EXECUTE FUNCTION outbox_keep_dead_letter();

-- One try to hand one event over that failed. duration_ms is unknown when the worker died.
CREATE TABLE outbox_attempt (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL,
  stream text NOT NULL,
  seq bigint NOT NULL,
  number integer NOT NULL,
  reason text NOT NULL CHECK (reason IN ('poison', 'sink_error', 'crash')),
  started_at timestamptz NOT NULL,
  duration_ms double precision,
  worker text NOT NULL,
  error text NOT NULL,
  traceback text NOT NULL DEFAULT '',
  noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_attempt_event ON outbox_attempt (event_id, id);
CREATE INDEX outbox_attempt_noted_at ON outbox_attempt (noted_at);  -- for retention

CREATE FUNCTION outbox_keep_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    RAISE EXCEPTION 'attempt % is history and not edited', OLD.id;
  END IF;
  IF EXISTS (SELECT FROM outbox_dead_letter d WHERE d.event_id = OLD.event_id AND d.state = 'dead') THEN
    RAISE EXCEPTION 'attempt % belongs to a dead letter that is not resolved', OLD.id;
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER outbox_keep_attempt BEFORE UPDATE OR DELETE ON outbox_attempt
  FOR EACH ROW EXECUTE FUNCTION outbox_keep_attempt();

-- How often handing over failed, by kind; never falls.
CREATE TABLE outbox_failure_count (
  kind text PRIMARY KEY,
  total bigint NOT NULL
) WITH (fillfactor = 50);

-- Who replayed or discarded what, and how far it is. Only the progress moves.
CREATE TABLE outbox_replay (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action text NOT NULL CHECK (action IN ('replay', 'discard')),
  source text NOT NULL CHECK (source IN ('dead_letters', 'log')),
  stream text,
  filters jsonb NOT NULL,
  forced boolean NOT NULL,
  reason text NOT NULL CHECK (btrim(reason) <> ''),
  actor text NOT NULL,
  rate integer NOT NULL CHECK (rate BETWEEN 1 AND 1000),
  fingerprint text NOT NULL,
  total integer NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
  next_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  cancelled_by text,
  replayed integer NOT NULL DEFAULT 0,
  discarded integer NOT NULL DEFAULT 0,
  already integer NOT NULL DEFAULT 0,
  superseded integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  first_error text
);
CREATE INDEX outbox_replay_running ON outbox_replay (id) WHERE state = 'running';
CREATE INDEX outbox_replay_stream ON outbox_replay (stream, id);

-- The audit: one row per event that was chosen; its outcome is written once, in the transaction that
-- publishes the event again.
CREATE TABLE outbox_replay_item (
  replay_id bigint NOT NULL REFERENCES outbox_replay (id),
  number integer NOT NULL,
  event_id uuid NOT NULL,
  stream text NOT NULL,
  seq bigint NOT NULL,
  dead_letter_id bigint,
  outcome text CHECK (outcome IN
    ('replayed', 'discarded', 'already', 'superseded', 'failed', 'cancelled')),
  detail text NOT NULL DEFAULT '',
  new_event_id uuid,
  done_at timestamptz,
  PRIMARY KEY (replay_id, number),
  CHECK ((outcome IS NULL) = (done_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX outbox_replay_item_todo ON outbox_replay_item (replay_id, number) WHERE outcome IS NULL;
CREATE INDEX outbox_replay_item_replayed ON outbox_replay_item (event_id) WHERE outcome = 'replayed';

CREATE FUNCTION outbox_keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: it tells who did what', TG_OP, TG_TABLE_NAME;
END $$;
CREATE FUNCTION outbox_keep_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.outcome IS NOT NULL
     OR (NEW.replay_id, NEW.number, NEW.event_id, NEW.stream, NEW.seq, NEW.dead_letter_id)
        IS DISTINCT FROM
        (OLD.replay_id, OLD.number, OLD.event_id, OLD.stream, OLD.seq, OLD.dead_letter_id) THEN
    RAISE EXCEPTION 'item % of replay % is history and not edited', OLD.number, OLD.replay_id;
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION outbox_keep_replay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.action, NEW.source, NEW.stream, NEW.filters, NEW.forced, NEW.reason, NEW.actor,
      NEW.fingerprint, NEW.total, NEW.requested_at)
     IS DISTINCT FROM
     (OLD.action, OLD.source, OLD.stream, OLD.filters, OLD.forced, OLD.reason, OLD.actor,
      OLD.fingerprint, OLD.total, OLD.requested_at) THEN
    RAISE EXCEPTION 'what replay % was asked to do is history and not edited', OLD.id;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER outbox_keep_outcome BEFORE UPDATE ON outbox_replay_item
  FOR EACH ROW EXECUTE FUNCTION outbox_keep_outcome();
CREATE TRIGGER outbox_keep_replay BEFORE UPDATE ON outbox_replay
  FOR EACH ROW EXECUTE FUNCTION outbox_keep_replay();
CREATE TRIGGER outbox_keep_history BEFORE DELETE OR TRUNCATE ON outbox_replay_item
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_history();
CREATE TRIGGER outbox_keep_history BEFORE DELETE OR TRUNCATE ON outbox_replay
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_history();
CREATE TRIGGER outbox_keep_history BEFORE UPDATE OR DELETE OR TRUNCATE ON outbox_lane_action
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_history();
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox_dead_letter
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_history();
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox_attempt
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_history();

-- Signs of life that are not work: who looked for some, and when.
CREATE TABLE outbox_heartbeat (
  name text PRIMARY KEY,
  beaten_at timestamptz NOT NULL,
  beaten_by text NOT NULL
) WITH (fillfactor = 50);

-- The audit trail of what was handed to the sink: which slice went to which groups, when. One row per
-- stream and round, in daily partitions like the log's, and dropped with them.
CREATE TABLE outbox_broadcast (
  stream text NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  targets jsonb NOT NULL,
  worker text NOT NULL,
  published_at timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY RANGE (published_at);
CREATE INDEX outbox_broadcast_slice ON outbox_broadcast (stream, last_seq);
CREATE TRIGGER outbox_append_only BEFORE UPDATE OR DELETE ON outbox_broadcast
  FOR EACH ROW EXECUTE FUNCTION outbox_refuse_change();
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox_broadcast
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change();
CREATE TABLE outbox_broadcast_default PARTITION OF outbox_broadcast DEFAULT;
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox_broadcast_default
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change();

-- Version 2: both tables get the day's partition. True when one was made.
CREATE OR REPLACE FUNCTION outbox_add_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  lower_bound timestamptz := day::timestamp AT TIME ZONE 'UTC';
  upper_bound timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
  parent text;
  column_name text;
  leaf text;
  made boolean := false;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('outbox_partitions', 0));
  FOR parent, column_name IN
    VALUES ('event_log', 'recorded_at'), ('outbox_broadcast', 'published_at')
  LOOP
    leaf := parent || '_p' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(leaf) IS NOT NULL;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES,
                    CHECK (%I >= %L AND %I < %L))',
                   leaf, parent, column_name, lower_bound, column_name, upper_bound);
    EXECUTE format('CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change()', leaf);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, leaf, lower_bound, upper_bound);
    made := true;
  END LOOP;
  RETURN made;
END $$;

-- Version 2: the audit trail of a day leaves with the log of that day. Returns the log's partitions.
CREATE OR REPLACE FUNCTION outbox_drop_partitions(before date) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  leaf text;
  unpublished boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('outbox_partitions', 0));
  FOR leaf IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'event_log'::regclass AND c.relname ~ '^event_log_p[0-9]{8}$'
       AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
     ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM outbox_stream s JOIN %I e ON e.stream = s.name
                     WHERE e.seq > s.published_seq AND s.published_seq < s.last_seq)', leaf)
       INTO unpublished;
    CONTINUE WHEN unpublished;
    EXECUTE format('DROP TABLE %I', leaf);
    EXECUTE format('DROP TABLE IF EXISTS %I', 'outbox_broadcast_p' || right(leaf, 8));
    RETURN NEXT leaf;
  END LOOP;
END $$;

DO $$
BEGIN
  FOR n IN 0..7 LOOP
    BEGIN
      PERFORM outbox_add_partition((clock_timestamp() AT TIME ZONE 'UTC')::date + n);
    EXCEPTION WHEN check_violation THEN
      NULL;  -- the log's default partition has rows of the day, which gets none of its own
    END;
  END LOOP;
END $$;
