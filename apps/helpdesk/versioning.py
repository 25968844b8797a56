"""
Optimistic locking: a row counts its own writes, and a write based on an older row is refused.

Python sends the version that it loaded with every save. A trigger compares it with the row's, and
sets it one higher; ``update()`` and raw SQL do not touch the column, so for them the comparison
holds and the write is counted too.
"""

from typing import Any
from weakref import ReferenceType, ref

import pgtrigger
from django.db import DatabaseError, connections, models, transaction
from django.db.models.functions import Now
from django.db.models.query_utils import DeferredAttribute

from apps.helpdesk.errors import StaleVersion
from outbox.capture import PlainTrigger

CONFLICT = "NV409"  # SQLSTATE of a refused write
_COLUMNS = ("version", "updated_at")
_BUMPS = "_bumps"


def version_trigger() -> PlainTrigger:
    """Refuse a stale write, else count it, and move ``updated_at`` unless the write did."""
    return PlainTrigger(
        name="version",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        func=f"""
            IF NEW.version IS DISTINCT FROM OLD.version THEN
                RAISE EXCEPTION '% % is at version %, not %: load it again',
                    TG_TABLE_NAME, OLD.id, OLD.version, NEW.version USING ERRCODE = '{CONFLICT}';
            END IF;
            NEW.version := OLD.version + 1;
            IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
                NEW.updated_at := clock_timestamp();
            END IF;
            RETURN NEW;
        """,
    )


# Note [How a rollback takes the version back]
# A saved instance carries the new version at once: the next save in the same transaction needs it.
# Should the transaction or its savepoint roll back, the row has the old version again. Django tells
# nobody about a rollback, but it drops the hooks that wait for the commit. So each save leaves such
# a hook and keeps only a weak reference to it: a hook that is gone and never ran was rolled back.
# The hook goes to the front of the queue, because one that raises keeps later ones from running.
class _Bump:
    """What one save replaced on the instance, until its transaction ends."""

    __slots__ = ("before", "committed", "hook", "inserted")

    def __init__(self, instance: models.Model, using: str, *, inserted: bool) -> None:
        values = instance.__dict__
        self.before = {name: values[name] for name in _COLUMNS if name in values}
        self.inserted = inserted
        self.committed = False

        def commit() -> None:
            self.committed = True

        self.hook: ReferenceType[Any] = ref(commit)
        connection = connections[using]
        transaction.on_commit(commit, using=using)
        if connection.in_atomic_block:
            connection.run_on_commit.insert(0, connection.run_on_commit.pop())

    @property
    def open(self) -> bool:
        return not self.committed and self.hook() is not None

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Bump":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle may outlive the transaction, so it keeps the version as it is now."""
        return _kept, ()


def _kept() -> _Bump:
    bump = object.__new__(_Bump)
    bump.before, bump.committed, bump.inserted = {}, True, False
    return bump


def _settle(instance: models.Model) -> None:
    """Forget the bumps that were committed; undo those that were rolled back."""
    bumps: tuple[_Bump, ...] = instance.__dict__.get(_BUMPS, ())
    if not bumps:
        return
    left = []
    for bump in bumps:
        if bump.open:
            left.append(bump)
        elif not bump.committed:  # what came after it was rolled back with it
            for name in _COLUMNS:
                instance.__dict__.pop(name, None)
            instance.__dict__.update(bump.before)
            instance._state.adding |= bump.inserted
            break
    instance.__dict__[_BUMPS] = tuple(left)


class _Settling(DeferredAttribute):
    """Reads a column that a rollback may have taken back."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        _settle(instance)
        name = self.field.attname
        return instance.__dict__[name] if name in instance.__dict__ else super().__get__(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        _settle(instance)
        instance.__dict__[self.field.attname] = value


class VersionField(models.PositiveIntegerField):  # type: ignore[type-arg]
    descriptor_class = _Settling


class UpdatedAtField(models.DateTimeField):  # type: ignore[type-arg]
    descriptor_class = _Settling


class Versioned(models.Model):
    """Add ``version_trigger()`` to the triggers of the model that inherits this."""

    version = VersionField(
        db_default=1, editable=False, help_text="Counts the writes; sent as ETag."
    )
    updated_at = UpdatedAtField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

    def __getstate__(self) -> dict[str, Any]:
        _settle(self)
        return super().__getstate__()

    def save(self, *args: Any, **kwargs: Any) -> None:
        _settle(self)  # first: Django sends the columns that the instance holds
        super().save(*args, **kwargs)

    def _do_update(  # type: ignore[override]
        self,
        base_qs: "models.QuerySet[Any]",
        using: str,
        pk_val: Any,
        values: Any,
        update_fields: Any,
        forced_update: bool,
    ) -> bool:
        """
        Update the row with the version that was loaded; the trigger has set it one higher.

        Raises:
            StaleVersion: the row was changed or deleted since it was loaded; nothing was written.
        """
        if "version" not in self.__dict__:  # deferred: this save is not based on any version
            return super()._do_update(base_qs, using, pk_val, values, update_fields, forced_update)
        loaded = self.__dict__["version"]
        if not any(field.name == "version" for field, _, _ in values):
            values = [*values, (self._meta.get_field("version"), None, loaded)]
        try:
            updated = super()._do_update(
                base_qs, using, pk_val, values, update_fields, forced_update
            )
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) == CONFLICT:
                raise StaleVersion(expected=loaded) from error
            raise
        if updated:
            self._bump(using, inserted=False)
            self.__dict__["version"] = loaded + 1
            self.__dict__.pop("updated_at", None)  # the trigger's; read when somebody asks
        elif not self._state.adding:
            raise StaleVersion(expected=loaded)
        return updated

    def _do_insert(
        self, manager: Any, using: str, fields: Any, returning_fields: Any, raw: bool
    ) -> Any:
        _settle(self)
        returned = super()._do_insert(manager, using, fields, returning_fields, raw)  # type: ignore[misc]
        self._bump(using, inserted=True)
        return returned

    def _bump(self, using: str, *, inserted: bool) -> None:
        bump = _Bump(self, using, inserted=inserted)
        self.__dict__[_BUMPS] = (*self.__dict__.get(_BUMPS, ()), bump)
