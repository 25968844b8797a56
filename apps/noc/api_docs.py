"""The page at ``/api/docs/``: the API's document, to read and to try out as who is signed in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe


@require_safe
@ensure_csrf_cookie  # what is tried out with the session's cookie may write
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "noc/api_docs.html")
