-- The outbox and the event log, version 1. Released: never edited.

-- One row: which log this is.
CREATE TABLE outbox_log (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  epoch uuid NOT NULL DEFAULT gen_random_uuid(),
  system_identifier bigint NOT NULL,
  timeline integer NOT NULL,
  renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO outbox_log (system_identifier, timeline)
SELECT system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
  FROM pg_control_system();

-- The lane count is a function, not a row: a changed catalog entry reaches every writer, also one
-- in a REPEATABLE READ transaction, and costs nothing to read.
CREATE FUNCTION outbox_lanes() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 8';
CREATE FUNCTION outbox_lane_of(stream text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('x' || encode(substring(sha256(replace(stream, '\', '\\')::bytea) FROM 1 FOR 3), 'hex'))::bit(24)::int
         % outbox_lanes()
$$;

-- Lives between a commit and the next drain, so it stays small. The only index is the key, in the
-- order in which a lane is read. CACHE 1: ids of one subject must rise in commit order.
CREATE TABLE outbox_message (
  id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
  lane integer NOT NULL,
  stream text NOT NULL,
  event_id uuid NOT NULL DEFAULT gen_random_uuid(),
  type text NOT NULL,
  subject text NOT NULL,
  payload jsonb NOT NULL,
  context jsonb NOT NULL DEFAULT '{}',
  schema_version integer NOT NULL DEFAULT 1,
  replay_of bigint,
  occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (lane, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);

-- A writer must have its xid before it draws an id: the low-water rule relies on it. Row triggers
-- have one already; this is for an INSERT that is the first statement of its transaction.
CREATE FUNCTION outbox_take_xid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_current_xact_id();
  RETURN NULL;
END $$;
CREATE TRIGGER outbox_take_xid BEFORE INSERT ON outbox_message FOR EACH STATEMENT
  WHEN (pg_current_xact_id_if_assigned() IS NULL) EXECUTE FUNCTION outbox_take_xid();

CREATE TABLE outbox_lane (
  lane integer PRIMARY KEY,
  round bigint NOT NULL DEFAULT 0,
  low_id bigint NOT NULL DEFAULT 0,
  mark_id bigint NOT NULL DEFAULT 0,
  mark_xid xid8,
  publish_failures integer NOT NULL DEFAULT 0,
  publish_after timestamptz
) WITH (fillfactor = 20);
INSERT INTO outbox_lane (lane) SELECT generate_series(0, outbox_lanes() - 1);

-- Heads. Updated in every round: room for HOT updates, and no index on a column that moves.
CREATE TABLE outbox_stream (
  name text PRIMARY KEY,
  lane integer NOT NULL,
  epoch uuid NOT NULL,
  last_seq bigint NOT NULL DEFAULT 0,
  published_seq bigint NOT NULL DEFAULT 0,
  last_recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (published_seq <= last_seq)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_stream_lane ON outbox_stream (lane);  -- a taken-over lane looks for its marks

-- Append-only, partitioned by day of recording, dropped by partition.
CREATE TABLE event_log (
  stream text NOT NULL,
  seq bigint NOT NULL,
  event_id uuid NOT NULL,
  type text NOT NULL,
  subject text NOT NULL,
  payload jsonb NOT NULL,
  context jsonb NOT NULL,
  schema_version integer NOT NULL,
  replay_of bigint,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (stream, seq, recorded_at)  -- slices of a stream; recorded_at because of the partitions
) PARTITION BY RANGE (recorded_at);

CREATE FUNCTION outbox_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the event log is append-only', TG_OP, TG_TABLE_NAME
    USING HINT = 'Publish a new event instead; old events leave with their partition.';
END $$;
CREATE TRIGGER outbox_append_only BEFORE UPDATE OR DELETE ON event_log
  FOR EACH ROW EXECUTE FUNCTION outbox_refuse_change();
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON event_log
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change();

-- A row never fails for want of a partition.
CREATE TABLE event_log_default PARTITION OF event_log DEFAULT;
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON event_log_default
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change();

-- Built beside the log and attached, so that readers and the relay wait only for the attachment.
-- Returns false when the day has its partition already.
CREATE FUNCTION outbox_add_partition(day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  leaf text := 'event_log_p' || to_char(day, 'YYYYMMDD');
  lower_bound timestamptz := day::timestamp AT TIME ZONE 'UTC';
  upper_bound timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('outbox_partitions', 0));
  IF to_regclass(leaf) IS NOT NULL THEN RETURN false; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING DEFAULTS INCLUDING INDEXES,
                  CHECK (recorded_at >= %L AND recorded_at < %L))', leaf, lower_bound, upper_bound);
  EXECUTE format('CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON %I
                  FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_change()', leaf);
  EXECUTE format('ALTER TABLE event_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                 leaf, lower_bound, upper_bound);
  RETURN true;
END $$;

-- Drops the daily partitions that end at or before the day, never one with an event that is not
-- published yet. Returns their names.
CREATE FUNCTION outbox_drop_partitions(before date) RETURNS SETOF text
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
    RETURN NEXT leaf;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION outbox_drop_partitions(date) FROM PUBLIC;

CREATE TABLE outbox_mute (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reason text NOT NULL CHECK (btrim(reason) <> ''),
  role text NOT NULL DEFAULT session_user,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  muted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION outbox_mute(reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  entry bigint;
BEGIN
  INSERT INTO outbox_mute (reason) VALUES (outbox_mute.reason) RETURNING id INTO entry;
  PERFORM set_config('outbox.mute', entry::text, true);
  RETURN entry;
END $$;
-- Asked by the captures where the setting is not empty.
CREATE FUNCTION outbox_is_muted() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM outbox_mute m
                  WHERE m.id::text = current_setting('outbox.mute', true)
                    AND m.xid = pg_current_xact_id_if_assigned());
END $$;

SELECT outbox_add_partition((clock_timestamp() AT TIME ZONE 'UTC')::date + n)
  FROM generate_series(0, 7) n;
