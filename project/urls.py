"""Every path of the site: the operators' page, the admin, the API, metrics and health."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from apps.noc import api_docs, dashboard, metrics
from project import health

urlpatterns = [
    path("", dashboard.board, name="dashboard"),
    path(
        "login/",
        auth_views.LoginView.as_view(
            template_name="noc/login.html", redirect_authenticated_user=True
        ),
        name="login",
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/docs/", api_docs.page, name="api-docs"),
    path("api/v1/", include("project.api")),
    path("metrics", metrics.view, name="metrics"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("health/pipeline", health.pipeline, name="health-pipeline"),
]
