"""
Every statement of the outbox that runs while it works, each with the reason for its shape.

Tables, functions and triggers are made by the migrations. Note [Order of ids]: a message is
inserted while the row lock of its subject is held and the id sequence has CACHE 1, so per subject
id order is commit order. Across subjects ids become visible out of order, therefore nothing here
ever reads ``id > last``; see Note [Low water] in :mod:`outbox.relay`.
"""

COLUMNS = (
    "stream, seq, epoch, event_id, type, subject, payload, context, schema_version, "
    "replay_of, occurred_at, recorded_at"
)

# --- Writing ---------------------------------------------------------------------------------

# The lock comes in a statement of its own, so the id is drawn after it is held: order per subject.
PUBLISH = """
SELECT pg_advisory_xact_lock(hashtextextended(%(stream)s || chr(10) || %(subject)s, 0));
INSERT INTO outbox_message
  (lane, stream, type, subject, payload, context, schema_version, replay_of)
VALUES (outbox_lane_of(%(stream)s), %(stream)s, %(type)s, %(subject)s, %(payload)s::jsonb,
        coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}'),
        %(schema_version)s, %(replay_of)s)
RETURNING event_id
"""

# --- Relay: record ---------------------------------------------------------------------------

# One round trip opens the transaction, pins what the promises need (a pooler may hand us any
# server connection, so nothing is left to session state) and takes the lane.
OPEN_ROUND = """
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT set_config('synchronous_commit', 'on', true),
       set_config('idle_in_transaction_session_timeout', '5s', true);
SELECT round, low_id, coalesce(publish_after > clock_timestamp(), false) AS paused
  FROM outbox_lane WHERE lane = %(lane)s FOR UPDATE SKIP LOCKED
"""

# At most one waiter per lane: who gets the gate waits for the lane, everybody else goes home.
TAKE_GATE = "SELECT pg_try_advisory_xact_lock(%(gate)s, %(lane)s)"
WAIT_FOR_LANE = """
SELECT round, low_id, coalesce(publish_after > clock_timestamp(), false) AS paused
  FROM outbox_lane WHERE lane = %(lane)s FOR UPDATE
"""

# Streams of the lane with recorded but unpublished events: a holder died, or publishing failed.
BEHIND = """
SELECT name, published_seq, last_seq FROM outbox_stream
 WHERE lane = %(lane)s AND published_seq < last_seq
"""

# The oldest messages leave the outbox and enter the log together, or neither happens. The
# statement runs after the lane is locked, so its snapshot holds all that earlier holders left.
# recorded_at is the clock of this statement, not of the transaction (which began before a wait).
# `fact` and `moved` keep the low-water id, see Note [Low water] in outbox.relay; `seen` is
# the greatest id that this session recorded in transactions that have committed. Whether the look
# was cut short is told by the rows asked for: somebody may delete one of them meanwhile.
RECORD = """
WITH asked_for AS MATERIALIZED (
  SELECT id FROM outbox_message WHERE lane = %(lane)s AND id > %(low)s ORDER BY id LIMIT %(n)s),
picked AS (
  DELETE FROM outbox_message
   WHERE lane = %(lane)s AND id = ANY (ARRAY(SELECT id FROM asked_for))
  RETURNING *),
counted AS (SELECT stream, count(*) AS n FROM picked GROUP BY stream),
heads AS (
  INSERT INTO outbox_stream AS s (name, lane, epoch, last_seq, published_seq, last_recorded_at)
  SELECT c.stream, %(lane)s, l.epoch, c.n, 0, statement_timestamp()
    FROM counted c CROSS JOIN outbox_log l
  ON CONFLICT (name) DO UPDATE
    SET last_seq = s.last_seq + EXCLUDED.last_seq,
        last_recorded_at = GREATEST(s.last_recorded_at, EXCLUDED.last_recorded_at)
  RETURNING name, epoch, last_seq, last_recorded_at),
logged AS (
  INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                         replay_of, occurred_at, recorded_at)
  SELECT p.stream, h.last_seq - c.n + row_number() OVER (PARTITION BY p.stream ORDER BY p.id),
         p.event_id, p.type, p.subject, p.payload, p.context, p.schema_version,
         p.replay_of, p.occurred_at, h.last_recorded_at
    FROM picked p JOIN counted c USING (stream) JOIN heads h ON h.name = p.stream
  RETURNING *),
look AS (SELECT count(*) AS n, coalesce(max(id), 0) AS top FROM picked),
asked AS (SELECT count(*) AS n, max(id) AS top FROM asked_for),
fact AS (
  SELECT k.lane, look.n, k.mark_id <= k.low_id AS unmarked,
         coalesce(k.mark_xid <= pg_snapshot_xmin(pg_current_snapshot()), false)
           AND (asked.n < %(n)s OR asked.top >= k.mark_id) AS settled
    FROM outbox_lane k CROSS JOIN look CROSS JOIN asked WHERE k.lane = %(lane)s),
moved AS (
  UPDATE outbox_lane l SET
      round = l.round + (f.n > 0)::int,
      low_id = CASE WHEN f.settled THEN GREATEST(l.low_id, l.mark_id) ELSE l.low_id END,
      mark_id = CASE WHEN f.settled OR f.unmarked THEN %(seen)s ELSE l.mark_id END,
      mark_xid = CASE WHEN f.settled OR f.unmarked THEN pg_current_xact_id() ELSE l.mark_xid END
    FROM fact f
   WHERE l.lane = f.lane
     AND (f.n > 0 OR f.unmarked AND %(seen)s > l.low_id + %(slack)s OR f.settled AND NOT f.unmarked)
  RETURNING l.round)
SELECT look.n, look.top, (SELECT round FROM moved), g.stream, g.seq, h.epoch, g.event_id, g.type,
       g.subject, g.payload, g.context, g.schema_version, g.replay_of, g.occurred_at, g.recorded_at
  FROM look LEFT JOIN logged g ON true LEFT JOIN heads h ON h.name = g.stream
 ORDER BY g.stream, g.seq
"""

# Only a transaction that recorded nothing may be lost in a crash: otherwise its numbers, which
# others have seen by then, would be given to other events.
RELAX_COMMIT = "SELECT set_config('synchronous_commit', 'off', true)"

# --- Relay: publish --------------------------------------------------------------------------

# From where the published slice begins, never downwards: a slower drainer must not move the mark
# past events that only it has not seen fail.
MARK_PUBLISHED = """
SELECT set_config('synchronous_commit', 'off', true);
UPDATE outbox_stream s SET published_seq = v.last
  FROM unnest(%(names)s::text[], %(firsts)s::bigint[], %(lasts)s::bigint[]) AS v(name, first, last)
 WHERE s.name = v.name AND s.published_seq >= v.first - 1 AND s.published_seq < v.last
"""

# Backoff by the database's clock, so that every drainer on every machine honours it.
PAUSE_PUBLISHING = """
UPDATE outbox_lane
   SET publish_failures = publish_failures + 1,
       publish_after = clock_timestamp()
         + make_interval(secs => least(%(cap)s, 0.25 * 2 ^ least(publish_failures, 20))
                                 * (0.5 + random() / 2))
 WHERE lane = %(lane)s
RETURNING publish_failures
"""
RESUME_PUBLISHING = """
UPDATE outbox_lane SET publish_failures = 0, publish_after = NULL
 WHERE lane = %(lane)s AND publish_failures > 0
"""

# --- Looking for work ------------------------------------------------------------------------

# One index probe per lane from its low-water id, and the streams whose mark stayed behind.
PENDING_LANES = """
SELECT l.lane FROM outbox_lane l
 WHERE (SELECT m.occurred_at FROM outbox_message m WHERE m.lane = l.lane AND m.id > l.low_id
         ORDER BY m.id LIMIT 1) <= clock_timestamp() - make_interval(secs => %(age)s)
    OR (coalesce(l.publish_after <= clock_timestamp(), true)
        AND EXISTS (SELECT FROM outbox_stream s
                     WHERE s.lane = l.lane AND s.published_seq < s.last_seq
                       AND s.last_recorded_at <= clock_timestamp()
                                                 - make_interval(secs => %(age)s + 1)))
 ORDER BY l.lane
"""

# An id at or below the low water can only come from an explicit id or a bug. It is an alarm, and
# the reset lets the next drain record the message all the same.
BELOW_LOW_WATER = """
UPDATE outbox_lane l SET low_id = 0, mark_id = 0, mark_xid = NULL
 WHERE l.low_id > 0
   AND EXISTS (SELECT FROM outbox_message m WHERE m.lane = l.lane AND m.id <= l.low_id)
RETURNING l.lane
"""

# --- Reading ---------------------------------------------------------------------------------

READ_LOG = """
SELECT e.stream, e.seq, s.epoch, e.event_id, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at
  FROM event_log e JOIN outbox_stream s ON s.name = e.stream
 WHERE e.stream = %(stream)s AND e.seq > %(after)s
 ORDER BY e.seq LIMIT %(limit)s
"""
# The same over several streams at once, each with its own bounds; of one moment.
READ_SLICES = """
SELECT e.stream, e.seq, s.epoch, e.event_id, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at
  FROM unnest(%(names)s::text[], %(afters)s::bigint[], %(lasts)s::bigint[]) AS v(name, after, last)
  JOIN outbox_stream s ON s.name = v.name
 CROSS JOIN LATERAL (SELECT * FROM event_log e
                      WHERE e.stream = v.name AND e.seq > v.after AND e.seq <= v.last) e
 ORDER BY e.stream, e.seq
"""
HEAD = """
SELECT coalesce(s.epoch, l.epoch), coalesce(s.last_seq, 0), coalesce(s.published_seq, 0),
       coalesce((SELECT e.seq FROM event_log e WHERE e.stream = %(stream)s ORDER BY e.seq LIMIT 1),
                coalesce(s.last_seq, 0) + 1)
  FROM outbox_log l LEFT JOIN outbox_stream s ON s.name = %(stream)s
"""
HEADS = "SELECT name, epoch, last_seq FROM outbox_stream WHERE name = ANY(%(streams)s)"

# --- Identity and safety of the log ----------------------------------------------------------

# A restore keeps the system identifier and starts a new timeline; another cluster has another one.
IDENTITY = """
SELECT l.system_identifier, l.timeline,
       (SELECT system_identifier FROM pg_control_system()),
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
  FROM outbox_log l
"""
LOCK_LANES = "SELECT lane FROM outbox_lane ORDER BY lane FOR UPDATE"
NEW_EPOCH = """
WITH renewed AS (
  UPDATE outbox_log SET epoch = gen_random_uuid(), renewed_at = clock_timestamp(),
         system_identifier = (SELECT system_identifier FROM pg_control_system()),
         timeline = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
  RETURNING epoch),
lanes AS (UPDATE outbox_lane SET low_id = 0, mark_id = 0, mark_xid = NULL),
streams AS (UPDATE outbox_stream SET epoch = (SELECT epoch FROM renewed))
SELECT epoch FROM renewed
"""
SAFETY = """
SELECT current_setting('fsync'), current_setting('full_page_writes'),
       (SELECT seqcache FROM pg_sequence
         WHERE seqrelid = pg_get_serial_sequence('outbox_message', 'id')::regclass),
       outbox_lanes(), (SELECT count(*) FROM outbox_lane),
       (SELECT count(*) FROM pg_partitioned_table
         WHERE partrelid = 'event_log'::regclass AND partdefid <> 0),
       (SELECT count(*) FROM pg_trigger
         WHERE tgrelid = 'outbox_message'::regclass AND tgname = 'outbox_take_xid'
           AND tgenabled IN ('O', 'A')),
       pg_is_in_recovery()
"""

# --- Heartbeats ------------------------------------------------------------------------------

BEAT = """
SELECT set_config('synchronous_commit', 'off', true);
INSERT INTO outbox_heartbeat (name, beaten_at, beaten_by)
VALUES (%(name)s, clock_timestamp(), %(by)s)
    ON CONFLICT (name) DO UPDATE SET beaten_at = EXCLUDED.beaten_at, beaten_by = EXCLUDED.beaten_by
"""
BEATS = """
SELECT name, extract(epoch FROM clock_timestamp() - beaten_at)::float8 FROM outbox_heartbeat
"""

# --- Partitions ------------------------------------------------------------------------------

ADD_PARTITION = "SELECT outbox_add_partition(%(day)s)"
DROP_PARTITIONS = "SELECT outbox_drop_partitions(%(before)s)"
PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'event_log'::regclass ORDER BY c.relname
"""

# --- Status ----------------------------------------------------------------------------------

STATUS = """
SELECT l.lane, l.low_id, l.publish_failures,
       coalesce(l.publish_after > clock_timestamp(), false) AS paused,
       (SELECT count(*) FROM (SELECT FROM outbox_message m
                               WHERE m.lane = l.lane AND m.id > l.low_id LIMIT 10001) c) AS pending,
       (SELECT extract(epoch FROM clock_timestamp() - m.occurred_at) FROM outbox_message m
         WHERE m.lane = l.lane AND m.id > l.low_id ORDER BY m.id LIMIT 1)::float8 AS oldest_seconds,
       (SELECT count(*) FROM outbox_stream s WHERE s.lane = l.lane) AS streams,
       (SELECT coalesce(sum(s.last_seq - s.published_seq), 0) FROM outbox_stream s
         WHERE s.lane = l.lane)::bigint AS unpublished
  FROM outbox_lane l ORDER BY l.lane
"""
