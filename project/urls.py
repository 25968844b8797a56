"""Every path of the site: the operators' page, the admin, the API, metrics and health."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from apps.noc import account, api_docs, dashboard, door, metrics, version
from project import health

handler400 = "project.errors.bad_request"
handler403 = "project.errors.permission_denied"
handler404 = "project.errors.not_found"
handler500 = "project.errors.server_error"

urlpatterns = [
    path("", dashboard.board, name="dashboard"),
    path("login/", door.limited(door.SignIn.as_view()), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", account.page, name="account"),
    path("account/password/", account.change_password, name="account-password"),
    path("account/tokens/", account.new_token, name="account-new-token"),
    path("account/tokens/<slug:device_id>/", account.revoke, name="account-revoke"),
    path("account/sign-out/", account.sign_out_everywhere, name="account-sign-out"),
    path("version", version.view, name="version"),
    # The admin's own asks for the present password where nobody counts wrong ones.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/login/", door.limited(admin.site.login)),
    path("admin/", admin.site.urls),
    path("api/docs/", api_docs.page, name="api-docs"),
    path("api/v1/", include("project.api")),
    path("metrics", metrics.view, name="metrics"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("health/pipeline", health.pipeline, name="health-pipeline"),
]
if settings.DEMO_CONTROL:
    urlpatterns.append(path("demo/", include("project.demo.urls")))
