from django.apps import AppConfig


class NocConfig(AppConfig):
    name = "apps.noc"
    verbose_name = "Network operations"

    def ready(self) -> None:
        from apps.noc import importmap  # noqa: F401  (registers its system check)
