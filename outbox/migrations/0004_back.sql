-- Back to before 0004: its tables go, and the functions of the partitions are those of 0001 again.
CREATE OR REPLACE FUNCTION outbox_add_partition(day date) RETURNS boolean
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
    RETURN NEXT leaf;
  END LOOP;
END $$;

DROP TABLE outbox_broadcast, outbox_heartbeat, outbox_replay_item, outbox_replay, outbox_attempt,
  outbox_dead_letter, outbox_lane_action, outbox_failure_count CASCADE;
DROP FUNCTION outbox_keep_dead_letter, outbox_keep_attempt, outbox_keep_history,
  outbox_keep_outcome, outbox_keep_replay;
ALTER TABLE outbox_lane DROP COLUMN publish_error, DROP COLUMN paused_at, DROP COLUMN paused_by,
  DROP COLUMN pause_reason, DROP COLUMN takeover_at, DROP COLUMN takeover_by,
  DROP COLUMN solo_event_id;
