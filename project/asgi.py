"""The ASGI application: Django for HTTP, the feed for websockets."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)  # loads the apps; the imports below need them

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from apps.noc.feed.polls import long_polls  # noqa: E402
from apps.noc.feed.routing import websocket_urlpatterns  # noqa: E402
from outbox.conf import outbox_settings  # noqa: E402
from project.handler import Handler  # noqa: E402

# Now and not at the first commit: what the waker counts is on /metrics from the start.
outbox_settings().nudge  # noqa: B018

# No AuthMiddlewareStack: it reads session and user in the one thread that all sockets of the
# process share, so one slow query would hold every connect. apps.noc.feed.admission has its own.
application = ProtocolTypeRouter(
    {"http": long_polls(Handler()), "websocket": URLRouter(websocket_urlpatterns)}
)
