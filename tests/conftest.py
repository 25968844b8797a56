"""Fixtures of all tests: the real database and Redis that ``./noc test`` started."""

from collections.abc import Iterator

import pytest
import redis

# Made by the migrations and needed by every test.
KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission")

# Sessions in a transaction hold locks that TRUNCATE would wait for; idle ones harm nobody.
END_TRANSACTIONS = """
SELECT pg_terminate_backend(pid, 5000)
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   AND backend_type = 'client backend' AND state <> 'idle'
"""
END_SESSIONS = """
SELECT pg_terminate_backend(pid, 5000)
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
# Row by row while a table is small, which costs a tenth of TRUNCATE. Partitions are tables of their
# own here. As a replica, no trigger refuses and no foreign key is looked up.
EMPTY_ALL = """
DO $$
DECLARE
  place regclass;
  counter record;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR place IN
    SELECT c.oid FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL (KEPT)
  LOOP
    IF pg_relation_size(place) > 1000000 THEN
      EXECUTE format('TRUNCATE %s CASCADE', place);
    ELSIF pg_relation_size(place) > 0 THEN
      EXECUTE format('DELETE FROM %s', place);
    END IF;
  END LOOP;
  FOR counter IN
    SELECT sequencename AS name, start_value AS first FROM pg_sequences
     WHERE schemaname = 'public' AND last_value IS NOT NULL
       AND sequencename NOT IN (SELECT unnest(KEPT) || '_id_seq')
  LOOP
    PERFORM setval(quote_ident(counter.name)::regclass, counter.first, false);
  END LOOP;
END $$
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    stress = parser.getgroup("stress", "the relay under load and kills")
    stress.addoption("--stress-seconds", default="12", help="how long its load lasts (default 12)")
    stress.addoption("--stress-seed", default="1", help="of its random choices (default 1)")


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: object
) -> Iterator[None]:
    """The migrated test database. The plug-in's own makes one only for tests with its mark."""
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    verbosity = request.config.option.verbose
    with django_db_blocker.unblock():
        made = setup_databases(
            verbosity, interactive=False, aliases={"default"}, serialized_aliases=set()
        )
    yield
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:  # a session that is left would hold off the removal
            cursor.execute(END_SESSIONS)
        teardown_databases(made, verbosity)


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: object) -> Iterator[None]:
    """The test database with real commits; emptied afterwards."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_database()


def empty_database() -> None:
    """Delete every row but those that the migrations made."""
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection, connections

    from outbox import testing

    connections.close_all()
    with connection.cursor() as cursor:
        cursor.execute(END_TRANSACTIONS)
        kept = ", ".join(f"'{name}'" for name in KEPT_TABLES)
        cursor.execute(EMPTY_ALL.replace("KEPT", f"ARRAY[{kept}]"))
    testing.reset(connection)
    ContentType.objects.clear_cache()
    connections.close_all()


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The address of an empty Redis."""
    from django.conf import settings

    url: str = settings.CELERY_BROKER_URL
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()
