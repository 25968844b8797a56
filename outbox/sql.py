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
SELECT round, low_id, paused_at IS NOT NULL OR coalesce(publish_after > clock_timestamp(), false)
  FROM outbox_lane WHERE lane = %(lane)s FOR UPDATE SKIP LOCKED
"""

# At most one waiter per lane: who gets the gate waits for the lane, everybody else goes home.
TAKE_GATE = "SELECT pg_try_advisory_xact_lock(%(gate)s, %(lane)s)"
WAIT_FOR_LANE = """
SELECT round, low_id, paused_at IS NOT NULL OR coalesce(publish_after > clock_timestamp(), false)
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
# was cut short is told by the rows asked for: somebody may delete one of them meanwhile. The heads
# are locked in the order of their names, as by all who lock several: no two wait for each other.
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
   ORDER BY c.stream
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

# The mark moves from where the published slice begins, never downwards: a slower drainer must not
# move it past events that only it has not seen fail. What went where is written down with it.
MARK_PUBLISHED = """
SELECT set_config('synchronous_commit', 'off', true);
WITH due AS (
  SELECT s.name, v.last FROM outbox_stream s
    JOIN unnest(%(names)s::text[], %(firsts)s::bigint[], %(lasts)s::bigint[])
      AS v(name, first, last) ON s.name = v.name
   WHERE s.published_seq >= v.first - 1 AND s.published_seq < v.last
   ORDER BY s.name FOR NO KEY UPDATE OF s)
UPDATE outbox_stream s SET published_seq = due.last FROM due WHERE s.name = due.name;
INSERT INTO outbox_broadcast (stream, first_seq, last_seq, targets, worker)
SELECT v.stream, v.first_seq, v.last_seq, v.targets, %(worker)s
  FROM jsonb_to_recordset(%(sent)s::jsonb)
    AS v(stream text, first_seq bigint, last_seq bigint, targets jsonb)
"""

# Backoff by the database's clock, so that every drainer on every machine honours it. Who pauses
# takes away the own mark, if there is one: somebody else may be at it with another.
PAUSE_PUBLISHING = """
UPDATE outbox_lane
   SET publish_failures = publish_failures + 1, publish_error = %(error)s,
       solo_event_id = CASE WHEN takeover_at = %(token)s THEN NULL ELSE solo_event_id END,
       takeover_by = CASE WHEN takeover_at = %(token)s THEN NULL ELSE takeover_by END,
       takeover_at = nullif(takeover_at, %(token)s),
       publish_after = clock_timestamp()
         + make_interval(secs => least(%(cap)s, 0.25 * 2 ^ least(publish_failures, 20))
                                 * (0.5 + random() / 2))
 WHERE lane = %(lane)s
RETURNING publish_failures
"""
RESUME_PUBLISHING = """
UPDATE outbox_lane
   SET publish_failures = 0, publish_after = NULL, publish_error = NULL,
       takeover_at = NULL, takeover_by = NULL, solo_event_id = NULL
 WHERE lane = %(lane)s AND takeover_at = %(token)s
"""
COUNT_FAILURES = """
INSERT INTO outbox_failure_count AS c (kind, total)
SELECT kind, n FROM unnest(%(kinds)s::text[], %(counts)s::bigint[]) AS v(kind, n) ORDER BY kind
    ON CONFLICT (kind) DO UPDATE SET total = c.total + EXCLUDED.total
"""

# One at a time takes over what another left: a younger mark is that of somebody alive. Without
# RETURNING OLD, which PostgreSQL has from 18 on, the row is read before.
TAKE_OVER = """
WITH before AS (
  SELECT lane, takeover_at, takeover_by, solo_event_id FROM outbox_lane
   WHERE lane = %(lane)s
     AND (takeover_at IS NULL
          OR takeover_at < clock_timestamp() - make_interval(secs => %(lease)s))
     FOR UPDATE)
UPDATE outbox_lane l
   SET takeover_at = clock_timestamp(), takeover_by = %(by)s, solo_event_id = NULL
  FROM before b WHERE l.lane = b.lane
RETURNING l.takeover_at, b.takeover_at, b.takeover_by, b.solo_event_id
"""
# Committed before the event is handed over, or its crash could not be told. The token says that
# nobody took over meanwhile.
GO_SOLO = """
UPDATE outbox_lane SET takeover_at = clock_timestamp(), solo_event_id = %(event_id)s
 WHERE lane = %(lane)s AND takeover_at = %(token)s
RETURNING takeover_at
"""
# The time was over: whoever is next goes on at once, one by one as well. No date that ever is.
HAND_BACK = """
UPDATE outbox_lane SET takeover_at = 'epoch', takeover_by = %(by)s, solo_event_id = NULL
 WHERE lane = %(lane)s AND (takeover_at = %(token)s OR %(token)s IS NULL AND takeover_at IS NULL)
"""
TAKE_MARK_AWAY = """
UPDATE outbox_lane SET takeover_at = NULL, takeover_by = NULL, solo_event_id = NULL
 WHERE lane = %(lane)s AND takeover_at = %(token)s
"""
# Who was slow and lives tells that the event has killed nobody, whoever is at it by now.
SURVIVED = """
UPDATE outbox_lane SET solo_event_id = NULL
 WHERE lane = %(lane)s AND solo_event_id = %(event_id)s
"""
CRASHES = """
SELECT event_id, count(*) FROM outbox_attempt
 WHERE event_id = ANY(%(event_ids)s::uuid[]) AND reason = 'crash' GROUP BY event_id
"""
DEAD_AMONG = """
SELECT event_id FROM outbox_dead_letter
 WHERE event_id = ANY(%(event_ids)s::uuid[]) AND reason <> 'poison'
"""
# What was handed over last, of whatever lane: it passes while the sink works at all. Several, since
# of some nothing is sent, which tells nothing. Few streams first: the log is large, and joined as a
# whole it would be read as a whole. What has failed before is nothing to judge a sink by.
WITNESSES = """
SELECT e.stream, e.seq, s.epoch, e.event_id, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at
  FROM (SELECT name, epoch, published_seq, last_recorded_at FROM outbox_stream
         WHERE published_seq > 0 ORDER BY last_recorded_at DESC LIMIT 20) s
 CROSS JOIN LATERAL (SELECT * FROM event_log e
                      WHERE e.stream = s.name AND e.seq = s.published_seq LIMIT 1) e
 WHERE e.event_id <> ALL (%(suspects)s::uuid[])
   AND NOT EXISTS (SELECT FROM outbox_dead_letter d WHERE d.event_id = e.event_id)
   AND NOT EXISTS (SELECT FROM outbox_attempt a WHERE a.event_id = e.event_id)
 ORDER BY s.last_recorded_at DESC LIMIT 3
"""

# --- Dead letters ----------------------------------------------------------------------------

# The row is copied from the log. Filing twice (a holder that died is followed by another) is
# harmless, and an event has one dead letter.
FILE_DEAD = """
INSERT INTO outbox_dead_letter
  (event_id, stream, seq, epoch, type, subject, payload, context, schema_version, replay_of,
   occurred_at, recorded_at, sink, reason, error, fingerprint, attempts)
SELECT e.event_id, e.stream, e.seq, s.epoch, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at,
       %(sink)s, g.reason, g.error, g.fingerprint, g.attempts
  FROM jsonb_to_recordset(%(dead)s::jsonb)
    AS g(stream text, seq bigint, recorded_at timestamptz, reason text, error text,
         fingerprint text, attempts integer)
  JOIN event_log e ON e.stream = g.stream AND e.seq = g.seq AND e.recorded_at = g.recorded_at
  JOIN outbox_stream s ON s.name = g.stream
    ON CONFLICT (event_id) DO NOTHING
RETURNING event_id
"""
ADD_ATTEMPTS = """
INSERT INTO outbox_attempt
  (event_id, stream, seq, number, reason, started_at, duration_ms, worker, error, traceback)
SELECT a.event_id, a.stream, a.seq, a.number, a.reason, a.started_at, a.duration_ms, a.worker,
       a.error, a.traceback
  FROM jsonb_to_recordset(%(attempts)s::jsonb)
    AS a(event_id uuid, stream text, seq bigint, number integer, reason text,
         started_at timestamptz, duration_ms double precision, worker text, error text,
         traceback text)
"""

# --- Looking for work ------------------------------------------------------------------------

# One index probe per lane from its low-water id, and the streams whose mark stayed behind.
PENDING_LANES = """
SELECT l.lane FROM outbox_lane l
 WHERE (SELECT m.occurred_at FROM outbox_message m WHERE m.lane = l.lane AND m.id > l.low_id
         ORDER BY m.id LIMIT 1) <= clock_timestamp() - make_interval(secs => %(age)s)
    OR (l.paused_at IS NULL
        AND coalesce(l.publish_after <= clock_timestamp(), true)
        AND coalesce(l.takeover_at < clock_timestamp() - make_interval(secs => %(lease)s), true)
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
# The story of one subject, newest first, by the index (left(subject, 200), seq) of each partition.
# What was recorded before %(since)s is in partitions that are not looked at.
READ_SUBJECT = """
SELECT e.stream, e.seq, s.epoch, e.event_id, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at
  FROM event_log e JOIN outbox_stream s ON s.name = e.stream
 WHERE left(e.subject, 200) = left(%(subject)s, 200) AND e.subject = %(subject)s
   AND e.stream = %(stream)s AND e.recorded_at >= %(since)s AND e.seq < %(before)s
   AND e.type <> ALL (%(without)s)
 ORDER BY e.seq DESC LIMIT %(limit)s
"""
# Who wrote of a subject last: first what is not recorded yet. A lane may have a long backlog, so
# only the newest messages of it are looked at.
LAST_OF_SUBJECT = """
SELECT context->>'actor', occurred_at FROM (
  (SELECT 0 AS rank, m.id AS place, m.context, m.occurred_at
     FROM (SELECT * FROM outbox_message WHERE lane = outbox_lane_of(%(stream)s)
            ORDER BY id DESC LIMIT 1000) m
    WHERE m.stream = %(stream)s AND m.subject = %(subject)s AND m.replay_of IS NULL
      AND m.type <> ALL (%(without)s)
    ORDER BY m.id DESC LIMIT 1)
  UNION ALL
  (SELECT 1, e.seq, e.context, e.occurred_at FROM event_log e
    WHERE left(e.subject, 200) = left(%(subject)s, 200) AND e.subject = %(subject)s
      AND e.stream = %(stream)s AND e.recorded_at >= %(since)s AND e.replay_of IS NULL
      AND e.type <> ALL (%(without)s)
    ORDER BY e.seq DESC LIMIT 1)
) found ORDER BY rank LIMIT 1
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

# --- Lanes, by hand --------------------------------------------------------------------------

PAUSE_LANE = """
UPDATE outbox_lane
   SET paused_at = clock_timestamp(), paused_by = %(actor)s, pause_reason = %(reason)s
 WHERE lane = %(lane)s AND paused_at IS NULL
"""
# Also what failures have paused is tried again at once.
RESUME_LANE = """
UPDATE outbox_lane
   SET paused_at = NULL, paused_by = NULL, pause_reason = NULL,
       publish_failures = 0, publish_after = NULL, publish_error = NULL
 WHERE lane = %(lane)s AND (paused_at IS NOT NULL OR publish_failures > 0)
"""
# The lane row first, as every recorder does; then no head of it moves.
LOCK_LANE = "SELECT lane FROM outbox_lane WHERE lane = %(lane)s FOR UPDATE"
SKIP_LANE = """
WITH skipped AS (
  UPDATE outbox_stream s SET published_seq = b.last_seq
    FROM (SELECT name, published_seq, last_seq FROM outbox_stream
           WHERE lane = %(lane)s AND published_seq < last_seq
           ORDER BY name FOR NO KEY UPDATE) b
   WHERE s.name = b.name
  RETURNING s.name, b.published_seq AS after, s.last_seq AS last),
cleared AS (
  UPDATE outbox_lane
     SET publish_failures = 0, publish_after = NULL, publish_error = NULL,
         takeover_at = NULL, takeover_by = NULL, solo_event_id = NULL
   WHERE lane = %(lane)s)
SELECT coalesce(sum(last - after), 0)::bigint,
       coalesce(jsonb_object_agg(name, jsonb_build_array(after, last)), '{}') FROM skipped
"""
NOTE_LANE_ACTION = """
INSERT INTO outbox_lane_action (lane, action, reason, actor, detail)
VALUES (%(lane)s, %(action)s, %(reason)s, %(actor)s, %(detail)s::jsonb)
"""

# --- Replay ----------------------------------------------------------------------------------

# Filters that are NULL do not narrow. Only ids are chosen here; rows are read some at a time,
# since a payload may be large. One above the limit tells that there are more.
CHOOSE_DEAD = """
SELECT d.id FROM outbox_dead_letter d
 WHERE d.state = 'dead'
   AND (%(stream)s::text IS NULL OR d.stream = %(stream)s)
   AND (%(types)s::text[] IS NULL OR d.type = ANY(%(types)s))
   AND (%(subject)s::text IS NULL OR d.subject = %(subject)s)
   AND (%(reasons)s::text[] IS NULL OR d.reason = ANY(%(reasons)s))
   AND (%(fingerprint)s::text IS NULL OR d.fingerprint = %(fingerprint)s)
   AND (%(text)s::text IS NULL OR position(lower(%(text)s) IN lower(d.error)) > 0)
   AND (%(since)s::timestamptz IS NULL OR d.died_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR d.died_at < %(until)s)
   AND (%(first_seq)s::bigint IS NULL OR d.seq >= %(first_seq)s)
   AND (%(last_seq)s::bigint IS NULL OR d.seq <= %(last_seq)s)
   AND (%(event_ids)s::uuid[] IS NULL OR d.event_id = ANY(%(event_ids)s))
   AND (%(site_ids)s::bigint[] IS NULL OR d.payload -> 'site_id' = ANY(
          ARRAY(SELECT to_jsonb(unnest(%(site_ids)s::bigint[])))))
 ORDER BY d.stream, d.seq, d.id LIMIT %(limit)s
"""
CHOOSE_LOGGED = """
SELECT e.seq FROM event_log e
 WHERE e.stream = %(stream)s
   AND (%(types)s::text[] IS NULL OR e.type = ANY(%(types)s))
   AND (%(subject)s::text IS NULL OR e.subject = %(subject)s)
   AND (%(since)s::timestamptz IS NULL OR e.recorded_at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR e.recorded_at < %(until)s)
   AND (%(first_seq)s::bigint IS NULL OR e.seq >= %(first_seq)s)
   AND (%(last_seq)s::bigint IS NULL OR e.seq <= %(last_seq)s)
   AND (%(event_ids)s::uuid[] IS NULL OR e.event_id = ANY(%(event_ids)s))
   AND (%(site_ids)s::bigint[] IS NULL OR e.payload -> 'site_id' = ANY(
          ARRAY(SELECT to_jsonb(unnest(%(site_ids)s::bigint[])))))
 ORDER BY e.seq LIMIT %(limit)s
"""
READ_DEAD = """
SELECT id, state, stream, seq, epoch, event_id, type, subject, payload, context, schema_version,
       replay_of, occurred_at, recorded_at
  FROM outbox_dead_letter WHERE id = ANY(%(keys)s) ORDER BY stream, seq, id
"""
# The last replay of each, so that two who choose the same events at once do not replay them twice.
READ_LOGGED = """
SELECT e.seq,
       (SELECT max(i.done_at) FROM outbox_replay_item i
         WHERE i.event_id = e.event_id AND i.outcome = 'replayed'),
       e.stream, e.seq, s.epoch, e.event_id, e.type, e.subject, e.payload, e.context,
       e.schema_version, e.replay_of, e.occurred_at, e.recorded_at
  FROM event_log e JOIN outbox_stream s ON s.name = e.stream
 WHERE e.stream = %(stream)s AND e.seq = ANY(%(keys)s) ORDER BY e.seq
"""
LOCK_REPLAYS = "SELECT pg_advisory_xact_lock(hashtextextended('outbox_replay', 0))"
TRY_LOCK_REPLAYS = "SELECT pg_try_advisory_xact_lock(hashtextextended('outbox_replay', 0))"
RUNNING_REPLAYS = """
SELECT count(*) FROM outbox_replay
 WHERE state = 'running' AND (%(stream)s::text IS NULL OR stream = %(stream)s)
"""
ADD_REPLAY = """
INSERT INTO outbox_replay (action, source, stream, filters, forced, reason, actor, rate,
                           fingerprint, total)
VALUES (%(action)s, %(source)s, %(stream)s, %(filters)s::jsonb, %(forced)s, %(reason)s, %(actor)s,
        %(rate)s, %(fingerprint)s, %(total)s)
RETURNING id
"""
ADD_ITEMS = """
INSERT INTO outbox_replay_item (replay_id, number, event_id, stream, seq, dead_letter_id)
SELECT %(replay_id)s, v.number, v.event_id, v.stream, v.seq, v.dead_letter_id
  FROM jsonb_to_recordset(%(items)s::jsonb)
    AS v(number integer, event_id uuid, stream text, seq bigint, dead_letter_id bigint)
"""
REPLAY_IS_DUE = """
SELECT EXISTS (SELECT FROM outbox_replay WHERE state = 'running' AND next_at <= clock_timestamp())
"""
DUE_REPLAY = """
SELECT id, action, source, forced, actor, rate, requested_at FROM outbox_replay
 WHERE state = 'running' AND next_at <= clock_timestamp() ORDER BY next_at LIMIT 1 FOR UPDATE
"""
TODO = """
SELECT number, event_id, stream, seq, dead_letter_id FROM outbox_replay_item
 WHERE replay_id = %(replay_id)s AND outcome IS NULL ORDER BY number LIMIT %(limit)s
"""
CLAIM_DEAD = """
UPDATE outbox_dead_letter
   SET state = %(state)s, resolved_at = clock_timestamp(), replay_id = %(replay_id)s
 WHERE id = %(id)s AND state = 'dead'
"""
# A copy in SQL, so that no number of the payload passes through a float. The lock is publish()'s.
_AGAIN = """
SELECT pg_advisory_xact_lock(hashtextextended(%%(stream)s || chr(10) || %%(subject)s, 0));
INSERT INTO outbox_message
  (lane, stream, type, subject, payload, context, schema_version, replay_of)
SELECT outbox_lane_of(stream), stream, type, subject, payload,
       context || jsonb_build_object('replay', %%(replay_id)s::text), schema_version, seq
  FROM %s
RETURNING event_id
"""
DEAD_AGAIN = _AGAIN % "outbox_dead_letter WHERE id = %(id)s"
LOGGED_AGAIN = _AGAIN % "event_log WHERE stream = %(stream)s AND seq = %(seq)s"
FINISH_ITEM = """
UPDATE outbox_replay_item
   SET outcome = %(outcome)s, detail = %(detail)s, new_event_id = %(new_event_id)s,
       done_at = clock_timestamp()
 WHERE replay_id = %(replay_id)s AND number = %(number)s
"""
# What a late step missed may be caught up for two seconds, no longer: the rate is a promise.
ADVANCE_REPLAY = """
UPDATE outbox_replay r
   SET replayed = r.replayed + %(replayed)s, discarded = r.discarded + %(discarded)s,
       already = r.already + %(already)s, superseded = r.superseded + %(superseded)s,
       failed = r.failed + %(failed)s, first_error = coalesce(r.first_error, %(first_error)s),
       next_at = greatest(r.next_at, clock_timestamp() - interval '2 seconds')
                 + make_interval(secs => %(done)s / r.rate::float8),
       state = CASE WHEN t.left_over THEN r.state ELSE 'done' END,
       finished_at = CASE WHEN t.left_over THEN NULL ELSE clock_timestamp() END
  FROM (SELECT EXISTS (SELECT FROM outbox_replay_item
                        WHERE replay_id = %(replay_id)s AND outcome IS NULL) AS left_over) t
 WHERE r.id = %(replay_id)s
"""
CANCEL_REPLAY = """
UPDATE outbox_replay
   SET state = 'cancelled', finished_at = clock_timestamp(), cancelled_by = %(actor)s
 WHERE id = %(replay_id)s AND state = 'running'
"""
CANCEL_ITEMS = """
UPDATE outbox_replay_item SET outcome = 'cancelled', done_at = clock_timestamp()
 WHERE replay_id = %(replay_id)s AND outcome IS NULL
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

# --- Retention -------------------------------------------------------------------------------

# By what became of them, never by age alone: what is dead stays, and its attempts with it.
FORGET_DEAD = """
DELETE FROM outbox_dead_letter
 WHERE id IN (SELECT id FROM outbox_dead_letter
               WHERE state <> 'dead' AND resolved_at < %(before)s ORDER BY id LIMIT %(limit)s)
"""
FORGET_ATTEMPTS = """
DELETE FROM outbox_attempt
 WHERE id IN (SELECT a.id FROM outbox_attempt a
               WHERE a.noted_at < %(before)s
                 AND NOT EXISTS (SELECT FROM outbox_dead_letter d WHERE d.event_id = a.event_id)
               ORDER BY a.noted_at LIMIT %(limit)s)
"""

# --- Status ----------------------------------------------------------------------------------

STATUS = """
SELECT l.lane, l.low_id, l.publish_failures,
       l.paused_at IS NOT NULL OR coalesce(l.publish_after > clock_timestamp(), false) AS paused,
       coalesce('stopped by ' || l.paused_by || ': ' || l.pause_reason, l.publish_error) AS why,
       (SELECT count(*) FROM (SELECT FROM outbox_message m
                               WHERE m.lane = l.lane AND m.id > l.low_id LIMIT 10001) c) AS pending,
       (SELECT extract(epoch FROM clock_timestamp() - m.occurred_at) FROM outbox_message m
         WHERE m.lane = l.lane AND m.id > l.low_id ORDER BY m.id LIMIT 1)::float8 AS oldest_seconds,
       (SELECT count(*) FROM outbox_stream s WHERE s.lane = l.lane) AS streams,
       (SELECT coalesce(sum(s.last_seq - s.published_seq), 0) FROM outbox_stream s
         WHERE s.lane = l.lane)::bigint AS unpublished
  FROM outbox_lane l ORDER BY l.lane
"""
