"""The exporter: one process that tells Prometheus the state that PostgreSQL holds.

Counters that live in processes (the web process's ``/metrics``) end with them, and Celery's forked
children have one each. State has one place, so it is read there.
"""
