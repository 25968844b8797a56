"""The Celery application; its settings are the ``CELERY_…`` names of ``project.settings``."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("noc")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ["worker.logs", "worker.tasks", "worker.timer", "worker.schedule"]
if settings.OTEL_ENDPOINT:
    app.conf.imports.append("worker.tracing")
