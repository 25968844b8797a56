"""Model base for captured tables: its writes nudge the worker after commit."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models

from outbox.wake import wake

_M = TypeVar("_M", bound=models.Model)


class CapturedQuerySet(models.QuerySet[_M]):
    """Bulk writes pass by ``save()``; the triggers capture them, this only nudges."""

    def update(self, **kwargs: Any) -> int:
        count = super().update(**kwargs)
        if count:
            wake(None, using=self.db)
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        result = super().delete()
        wake(None, using=self.db)
        return result

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[_M], *args: Any, **kwargs: Any) -> list[_M]:
        created = super().bulk_create(objs, *args, **kwargs)
        wake(None, using=self.db)
        return created


CapturedManager = models.Manager.from_queryset(CapturedQuerySet)


class Captured(models.Model):
    """Override ``outbox_stream`` with the stream that the capture triggers write to."""

    objects = CapturedManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        wake(self.outbox_stream(), using=self._state.db or "default")

    def delete(
        self, using: str | None = None, keep_parents: bool = False
    ) -> tuple[int, dict[str, int]]:
        stream = self.outbox_stream()
        result = super().delete(using=using, keep_parents=keep_parents)
        wake(stream, using=using or self._state.db or "default")
        return result

    def outbox_stream(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} must name its stream")
