"""Every path under /api/v1/; all of them end with a slash."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from apps.helpdesk import api as helpdesk
from apps.helpdesk import attention_api as attention
from apps.helpdesk import bulk_api as bulk
from apps.helpdesk import counts_api as counts
from apps.noc import api as noc
from apps.noc import sightings_api as sightings
from apps.noc import timeline_api as timeline
from apps.noc.failures import dead_letters_api, replays_api
from apps.noc.figures import api as figures
from apps.noc.receipts import api as receipts
from apps.noc.saved_views import api as saved_views
from apps.tenancy import api as tenancy
from apps.tenancy import devices_api as devices
from apps.tenancy import directory_api as directory
from apps.tenancy.http.document import DocumentView
from apps.tenancy.http.problems import answer


@csrf_exempt  # whatever was tried, the answer is that nothing is there
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Answer unknown paths like every other error, instead of with a page."""
    detail = f"There is nothing at {request.path}: every path ends with a slash."
    return answer(404, detail)


urlpatterns: list[URLPattern] = [
    path("auth/token/", tenancy.TokenView.as_view()),
    path("auth/ws-ticket/", tenancy.WsTicketView.as_view()),
    path("auth/me/", tenancy.MeView.as_view()),
    path("members/", directory.MembersView.as_view()),
    path("sites/", directory.SitesView.as_view()),
    path("auth/devices/", devices.DevicesView.as_view()),
    path("auth/devices/<slug:device_id>/", devices.DeviceView.as_view()),
    path("tickets/", helpdesk.TicketsView.as_view()),
    path("tickets/bulk/", bulk.BulkView.as_view()),
    path("tickets/counts/", counts.CountsView.as_view()),
    path("tickets/<int:ticket_id>/", helpdesk.TicketView.as_view()),
    path("tickets/<int:ticket_id>/status/", helpdesk.TicketStatusView.as_view()),
    path("tickets/<int:ticket_id>/acknowledge/", attention.AcknowledgeView.as_view()),
    path("tickets/<int:ticket_id>/comments/", attention.CommentsView.as_view()),
    path("tickets/<int:ticket_id>/timeline/", timeline.TimelineView.as_view()),
    path("noc/snapshot/", noc.SnapshotView.as_view()),
    path("noc/events/", noc.EventsView.as_view()),
    path("noc/events/<int:seq>/", receipts.EventView.as_view()),
    path("noc/events/<int:seq>/receipts/", receipts.ReceiptsView.as_view()),
    path("noc/findings/", sightings.FindingsView.as_view()),
    path("noc/anomalies/", sightings.AnomaliesView.as_view()),
    path("noc/stats/", figures.FiguresView.as_view()),
    path("noc/views/", saved_views.SavedViewsView.as_view()),
    path("noc/views/<int:view_id>/", saved_views.SavedViewView.as_view()),
    path("noc/dead-letters/", dead_letters_api.DeadLettersView.as_view()),
    path("noc/dead-letters/<int:letter_id>/", dead_letters_api.DeadLetterView.as_view()),
    path("noc/replays/", replays_api.ReplaysView.as_view()),
    path("noc/replays/<int:replay_id>/", replays_api.ReplayView.as_view()),
    path("noc/replays/<int:replay_id>/cancel/", replays_api.CancelView.as_view()),
    path("schema/", DocumentView.as_view(), name="schema"),
    re_path("", nothing_here),
]
