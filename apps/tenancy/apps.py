from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "apps.tenancy"
    verbose_name = "Tenancy"

    def ready(self) -> None:
        from apps.tenancy import nudges  # noqa: F401 - connects its receivers
