"""Read-only windows on the outbox; the relay alone writes these tables."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from outbox.models import Message, Mute, Stream


class ReadOnlyAdmin(admin.ModelAdmin[models.Model]):
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ["id", "lane", "stream", "type", "subject", "occurred_at"]
    list_filter = ["lane"]
    ordering = ["lane", "id"]


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    list_display = ["name", "lane", "last_seq", "published_seq", "last_recorded_at", "epoch"]
    search_fields = ["name"]
    ordering = ["name"]


@admin.register(Mute)
class MuteAdmin(ReadOnlyAdmin):
    list_display = ["muted_at", "role", "reason"]
    ordering = ["-id"]
