from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "outbox"
    verbose_name = "Outbox"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from outbox import checks  # noqa: F401  (registers the system checks)
        from outbox.context import install

        connection_created.connect(install, dispatch_uid="outbox.context")
