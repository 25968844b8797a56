from django.apps import AppConfig


class NocConfig(AppConfig):
    name = "apps.noc"
    verbose_name = "Network operations"
