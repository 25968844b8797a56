"""The one reader of the environment; every other module reads ``django.conf.settings``."""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

from project.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
django_stubs_ext.monkeypatch()  # lets ModelAdmin[Ticket] be written at run time too


def required(name: str, meaning: str) -> str:
    """Return the variable ``name``, or refuse to start and say what it is for."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: {meaning}. See .env.example.")
    return value


DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY = required("SECRET_KEY", "50 or more random characters that sign sessions and tokens")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
if "*" in ALLOWED_HOSTS and not DEBUG:
    raise ImproperlyConfigured("ALLOWED_HOSTS=* is refused: name the hosts that serve this site.")
# Full origins (scheme, host, port) whose pages may open the websocket and post forms.
ALLOWED_ORIGINS: list[str] = env.list("ALLOWED_ORIGINS", default=[])
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS
INSTANCE: str = env.str("NOC_INSTANCE", default="noc")

# --- Traces: off unless there is a collector, which gets them as OTLP over HTTP -------------------
OTEL_ENDPOINT: str = env.str("OTEL_ENDPOINT", default="")
if OTEL_ENDPOINT and find_spec("opentelemetry") is None:
    raise ImproperlyConfigured(
        "OTEL_ENDPOINT is set, and opentelemetry is not installed: install requirements-otel.txt,"
        " or build the image with OTEL=1."
    )

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "pgtrigger",
    "channels",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "axes",
    "outbox",
    "apps.tenancy",
    "apps.helpdesk",
    "apps.noc",
]

MIDDLEWARE = [
    "project.request_id.request_id",
    "django.middleware.security.SecurityMiddleware",
    "project.csp.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
if OTEL_ENDPOINT:
    MIDDLEWARE.insert(0, "project.tracing.trace")

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL: the truth -------------------------------------------------------------------
required("DATABASE_URL", "where PostgreSQL is, like postgresql://user:password@host:5432/name")
DATABASES = {"default": env.db("DATABASE_URL")}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 0,  # anything above leaks connections under ASGI
    "DISABLE_SERVER_SIDE_CURSORS": True,  # PgBouncer in transaction mode
    "OPTIONS": {
        "application_name": INSTANCE,
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "prepare_threshold": None,  # PgBouncer in transaction mode
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: hints that make it fast ----------------------------------------------------------
CELERY_BROKER_URL = required("CELERY_BROKER_URL", "the Redis that carries the tasks")
CHANNEL_LAYER_URL = required("CHANNEL_LAYER_URL", "the Redis that carries the live frames")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # A connection that answers nothing is given up; waiting for messages has its own limit.
        "CONFIG": {
            "hosts": [
                {"address": CHANNEL_LAYER_URL, "socket_connect_timeout": 1, "socket_timeout": 2}
            ]
        },
    }
}

REDIS_PREFIX = "noc:"  # of every key that we make beside the libraries' own

CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_TIME_LIMIT = 60
# A queue of its own, so that a long maintenance task never stands before a drain.
CELERY_TASK_ROUTES = {"outbox.drain": "outbox", "outbox.sweep": "outbox"}
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: Redis may be away for as long as it likes
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": REDIS_PREFIX,
    "socket_timeout": 5,
    "socket_connect_timeout": 1,
    "health_check_interval": 5,
    "visibility_timeout": 120,
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 10_000
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_SEND_TASK_EVENTS = True  # for Flower
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

OUTBOX = {
    "lanes": 8,
    "batch": 500,
    "sink": "worker.tracing.deliver" if OTEL_ENDPOINT else "apps.noc.broadcast.deliver",
    "judge": "apps.noc.feed.wire.fault_of",
    "moved_on": "apps.helpdesk.moved_on.moved_on",
    "waker": "worker.wake.nudge",
}

# --- The feed: see apps/noc/feed/conf.py -------------------------------------------------------
_feed = {
    "sockets_per_user": env.int,
    "polls_per_user": env.int,
    "ring_bytes": env.int,
    "connects_per_second": env.float,
    "connect_burst": env.int,
    "slow_seconds": env.float,
    "linger_seconds": env.float,
    "drain_seconds": env.float,
}
FEED = {
    key: read(name) for key, read in _feed.items() if (name := f"FEED_{key.upper()}") in env.ENVIRON
}

# --- The API: requests a minute, 0 is no limit; see apps/tenancy/http/throttles.py ---------------
THROTTLES: dict[str, int] = {
    "read": env.int("THROTTLE_READ", default=30_000),  # per user
    "write": env.int("THROTTLE_WRITE", default=30_000),  # per user
    "anonymous": env.int("THROTTLE_ANONYMOUS", default=6_000),  # per address
    "login": env.int("THROTTLE_LOGIN", default=30),  # per address and user name
}
# Proxies in front that add to X-Forwarded-For: the address is read that far from its end.
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=0)

# Where the canary and the doctor open a websocket, like ws://web:8000/ws/noc/; empty: nowhere.
FEED_URL: str = env.str("NOC_FEED_URL", default="")

# --- Operation -------------------------------------------------------------------------------
# How this installation is started, so that advice is a command that runs as it is written:
# "noc" (with the data folder, if it is not .local), "compose", or empty.
# Where people find Flower, like https://flower.example.com: what superusers are led to.
FLOWER_URL: str = env.str("NOC_FLOWER_URL", default="")
OPERATED_BY: str = env.str("NOC_OPERATED_BY", default="")

# The socket of the supervisor, for the page that breaks a demo on purpose. Empty: no such page.
DEMO_CONTROL: str = env.str("DEMO_CONTROL", default="")

# --- HTTP ------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
# Straight from the sources, for local instances; production collects into STATIC_ROOT.
WHITENOISE_USE_FINDERS: bool = env.bool("STATIC_FROM_SOURCE", default=DEBUG)
STATIC_ROOT = None if WHITENOISE_USE_FINDERS else BASE_DIR / "staticfiles"
# Modules name each other without a version, so a browser asks for each whether it is still the one
# it has (304): otherwise a page could mix those of two versions.
WHITENOISE_MAX_AGE = 0
# What the page's modules import, as it comes from npm; apps/noc/importmap.py tells the browser.
STATICFILES_DIRS = [
    (f"npm/{folder}", BASE_DIR / "node_modules" / folder)
    for folder in ("lit", "lit-html", "lit-element", "@lit/reactive-element", "uplot/dist")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "/login/?signed-out"
AUTHENTICATION_BACKENDS = ["apps.tenancy.lockout.LockoutBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
# Off only where TLS is absent on purpose: the local demo and the tests.
HTTPS: bool = env.bool("HTTPS", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Prometheus asks inside the network, without TLS; who may is told by METRICS_CLIENTS.
SECURE_REDIRECT_EXEMPT = [r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.tenancy.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["apps.tenancy.http.bodies.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.tenancy.http.throttles.PerCaller"],
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "apps.tenancy.http.handler.handle",
    "DEFAULT_SCHEMA_CLASS": "apps.tenancy.http.openapi.Schema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "NOC Broadcaster",
    "DESCRIPTION": "Tickets, findings and anomalies of one tenant, and the log of their changes."
    " docs/api.md is the guide, docs/asyncapi.yaml describes the websocket.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "TAGS": [
        {"name": "auth", "description": "Log in, and what the caller may do."},
        {"name": "tickets", "description": "Read in scope, and written."},
        {"name": "noc", "description": "The board, the log, and what the monitoring finds."},
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.tenancy.http.openapi.components",
    ],
    "ENUM_NAME_OVERRIDES": {
        "TicketStatus": "apps.helpdesk.status.Status",
        "Priority": "apps.helpdesk.status.Priority",
        "FindingStatus": "apps.noc.models.Finding.Status",
    },
}
KNOX_TOKEN_MODEL = "knox.AuthToken"  # noqa: S105 - a model, which our devices refer to
REST_KNOX = {"AUTH_HEADER_PREFIX": "Token", "TOKEN_TTL": None}

# Addresses and networks of proxies whose X-Forwarded-For tells who the client is.
FORWARDED_ALLOW_IPS: str = env.str("FORWARDED_ALLOW_IPS", default="127.0.0.1,::1")

# --- Lockout, see apps/tenancy/lockout.py ------------------------------------------------------
AXES_FAILURE_LIMIT: int = env.int("LOCKOUT_FAILURES", default=5)
_lockout_minutes: float = env.float("LOCKOUT_MINUTES", default=15.0)
if AXES_FAILURE_LIMIT < 1 or _lockout_minutes <= 0:
    raise ImproperlyConfigured("LOCKOUT_FAILURES must be 1 or more, LOCKOUT_MINUTES above 0.")
AXES_COOLOFF_TIME = timedelta(minutes=_lockout_minutes)
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_USERNAME_FORM_FIELD = "username"  # its default is no string, and Celery reads all settings
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "apps.tenancy.lockout.address_of"
AXES_LOCKOUT_CALLABLE = "apps.noc.door.locked"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # it ends by itself, whoever goes on trying
AXES_DISABLE_ACCESS_LOG = True  # who was logged in when is not kept
AXES_ENABLE_ADMIN = False  # ours shows the rows and edits none
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = [
    *("username", "ip_address", "csrfmiddlewaretoken"),
    *("old_password", "new_password1", "new_password2"),  # it keeps the form beside the attempt
]

# --- Logs ------------------------------------------------------------------------------------
LOG_FORMAT: str = env.str("LOG_FORMAT", default="json")
LOG_LEVEL: str = env.str("LOG_LEVEL", default="INFO")
LOGGING = logging_config(format_=LOG_FORMAT, level=LOG_LEVEL, instance=INSTANCE)

# --- Metrics ---------------------------------------------------------------------------------
# Networks that may fetch /metrics without a login: the Prometheus server's, besides this host.
METRICS_CLIENTS: list[str] = env.list("METRICS_CLIENTS", default=["127.0.0.0/8", "::1/128"])
