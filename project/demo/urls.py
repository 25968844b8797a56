"""The paths of the page that breaks a demo on purpose."""

from django.urls import path

from project.demo import page

urlpatterns = [
    path("", page.show, name="demo"),
    path("state", page.state, name="demo-state"),
    path("faults/<str:fault>", page.change, name="demo-fault"),
]
