"""Turns what the database answered into metrics; answers, with fewer of them, when it does not."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter

from django.db import DatabaseError, InterfaceError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.noc.exporter.questions import QUESTIONS, Question
from apps.noc.exporter.reader import Reader, Reading

logger = logging.getLogger("noc.exporter")

SESSION = "session"  # the label of noc_exporter_errors_total when there was no answer at all


class Rising:
    """
    Keeps counters from falling when a backup is restored.

    Prometheus takes a counter that falls for one that began at zero, and would count everything
    from then on as new. This goes on from the last value instead, as long as the process lives.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[float, float]] = {}

    def __call__(self, key: tuple[str, ...], value: float) -> float:
        last, lost = self._known.get(key, (value, 0.0))
        lost += max(0.0, last - value)
        self._known[key] = (value, lost)
        return value + lost


class DatabaseCollector(Collector):
    """Reads the database once per scrape."""

    def __init__(self, questions: Sequence[Question] = QUESTIONS, **bounds: float) -> None:
        self._questions = questions
        self._reader = Reader(questions, **bounds)
        self._rising = Rising()
        self._errors = Counter(dict.fromkeys([SESSION, *(q.name for q in questions)], 0))
        self._failing = False

    def close(self) -> None:
        self._reader.close()

    def describe(self) -> Iterable[Metric]:
        """Tell nothing: otherwise registering the collector would ask the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        began = perf_counter()
        reading = self._read()
        seconds = perf_counter() - began
        self._errors.update(reading.failed)
        yield GaugeMetricFamily(
            "noc_exporter_up",
            "1 when the database answered everything; 0 when something below is missing.",
            value=float(not reading.failed),
        )
        yield GaugeMetricFamily(
            "noc_exporter_scrape_seconds", "How long the database took.", value=seconds
        )
        errors = CounterMetricFamily(
            "noc_exporter_errors",
            "Questions that were not answered. session: none was.",
            labels=["question"],
        )
        for name, count in self._errors.items():
            errors.add_metric([name], count)
        yield errors
        for question in self._questions:
            if question.name in reading.rows:
                yield from self._families(question, reading)

    def _read(self) -> Reading:
        try:
            reading = self._reader.read()
        except (DatabaseError, InterfaceError, OSError) as error:  # a TimeoutError is an OSError
            if not self._failing:
                logger.warning("The database does not answer: %r", error)
            self._failing = True
            return Reading(failed=[SESSION])
        if self._failing:
            logger.warning("The database answers again")
        self._failing = False
        return reading

    def _families(self, question: Question, reading: Reading) -> Iterator[Metric]:
        rows = reading.rows[question.name]
        labels = [name for name in rows[0] if name not in question.metrics] if rows else []
        for name, meaning in question.metrics.items():
            family: CounterMetricFamily | GaugeMetricFamily
            rises = name.endswith("_total")
            family = (CounterMetricFamily if rises else GaugeMetricFamily)(
                name, meaning, labels=labels
            )
            for row in rows:
                if row[name] is None:
                    continue
                values = [str(row[label]) for label in labels]
                value = float(row[name])
                family.add_metric(values, self._rising((name, *values), value) if rises else value)
            yield family
