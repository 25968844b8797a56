"""
The operators' page in Chromium: 10,000 open tickets of one tenant, 200 changes of them a second.

First the page loads. Then the list stands for ``--minutes`` while its memory is looked at, and
after that come a pointer on the list, the side panel, the charts, and the list grouped by floods.
One trace of each tells what the main thread did. Its bounds are on processor time of that thread,
which other programs on the machine do not lengthen; the wall time of the same is among the figures.
The whole soak is judged by what the browser tells of long frames, in wall time.
"""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Any

from bench import harness
from bench.harness import Target

TICKETS, PER_SECOND = 10_000, 200
PASSWORD = "bench-page"  # noqa: S105, of a throw-away instance
TRACED_SECONDS = 20
LOOK_SECONDS = 30  # between two looks at the memory
WARM_SECONDS = 20  # before the first: caches fill
FRAME_MS, ROWS = 100, 300
PATCH_MS = 1_000  # from a write to its patched row
HEAP_MB = 5  # "flat": more growth than this within the soak is seen in a day
NODES = 5_000  # the same: a quarter of what the page has
COUNTS = 50  # requests for the counters
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
NO_FLOODS = """localStorage.getItem("noc.prefs") ??
  localStorage.setItem("noc.prefs", JSON.stringify({ floods: { on: false } }))"""
FLOODS = "localStorage.setItem('noc.prefs', JSON.stringify({ floods: { on: true } }))"


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--minutes", type=float, default=10, help="how long the list stands")
    parser.add_argument("--profile", action="store_true", help="tell which functions take longest")
    options = parser.parse_args()
    harness.prepare()
    from apps.tenancy.models import Membership
    from bench import page_traffic, seed_path
    from bench.web_process import web

    tenant, _, user = seed_path.make_site()
    user.set_password(PASSWORD)
    user.save()
    Membership.objects.create(
        user=user, tenant=tenant, capabilities=["noc:view", "ticket:write"], all_sites=True
    )
    page_traffic.make_tickets(tenant.pk, TICKETS)
    figures: dict[str, float] = {}
    longest: dict[str, float] = {}
    traffic = ["-c", "from bench import page_traffic; page_traffic.run()"]
    with web("ours") as server, _child("worker", *_WORKER), _board(server.port) as measured:
        _load(measured, server.port, figures, longest)
        if options.profile:
            _profile(measured, "load", measured.page.reload)
            _live(measured.page)
        with _child("traffic", *traffic, str(tenant.pk), str(user.pk), str(PER_SECOND)):
            for name, act in STATES.items():
                act(measured.page)
                if options.profile:
                    _profile(measured, name)
                seconds = options.minutes * 60 if name == "list" else 0
                _watch(measured, name, seconds, figures, longest)
                if name == "list":
                    _soak(measured, server, seconds, figures)
            figures["rows in the page, most"] = measured.page.evaluate("bench.most")
        _count(server, measured.page, figures)
    targets = [
        Target(f"{name}, longest scripting, CPU ms", value, FRAME_MS, at_most=True)
        for name, value in longest.items()
    ]
    soak = figures["soak, longest scripting of a frame, ms"]
    targets.append(Target("soak, longest scripting of a frame, ms", soak, FRAME_MS, at_most=True))
    patched = figures.get("write to patch p95, ms", float("inf"))  # none: nothing was patched
    targets.append(Target("write to patch p95, ms", patched, PATCH_MS, at_most=True))
    most = figures["rows in the page, most"]
    targets.append(Target("rows in the page, most", most, ROWS, at_most=True))
    grown = figures["heap, MB/h"] * options.minutes / 60
    targets.append(
        Target(f"heap grown in {options.minutes:g} min, MB", grown, HEAP_MB, at_most=True)
    )
    nodes = figures["nodes/h"] * options.minutes / 60
    targets.append(Target(f"nodes grown in {options.minutes:g} min", nodes, NODES, at_most=True))
    return harness.report("page", "as named", figures, targets, as_json=options.json)


_WORKER = (
    *("-m", "celery", "-A", "worker.app", "worker", "--concurrency", "2", "-Q", "celery,outbox"),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
)


@contextmanager
def _child(name: str, *arguments: str) -> Iterator[None]:
    """Run Python beside the block; what it prints at its end is shown."""
    child = subprocess.Popen(
        [sys.executable, *arguments], env=os.environ, stdout=sys.stderr, start_new_session=True
    )
    try:
        yield
        if child.poll() is not None:
            raise RuntimeError(f"the {name} ended before its time: see its output above")
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
        child.wait()


@contextmanager
def _board(port: int) -> Iterator[Any]:
    """A Chromium in which somebody signed in, at an empty page of the site."""
    from playwright.sync_api import sync_playwright

    from bench.chromium import WATCH, Measured
    from project import browser

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.ensure(), args=CHROMIUM)
        context = chromium.new_context(viewport={"width": 1280, "height": 760})
        context.add_init_script(NO_FLOODS)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/account/")
        page.get_by_label("User name").fill("bench")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector(".bar, main")
        yield Measured(chromium, page)
        chromium.close()


def _load(measured: Any, port: int, figures: dict[str, float], longest: dict[str, float]) -> None:
    """Open the board: the snapshot of all tickets, their first order, the first rows."""
    measured.start_tracing()
    measured.page.goto(f"http://127.0.0.1:{port}/")
    _live(measured.page)
    sleep(3)
    seen = measured.stop_tracing()
    figures["load, ms to the first rows"] = measured.page.evaluate("bench.first")
    _note("load", seen, figures, longest)


def _live(page: Any) -> None:
    page.wait_for_selector("#state[data-state=live]", timeout=120_000)
    page.wait_for_selector("tr[data-ticket], .chart", state="attached", timeout=120_000)


def _list(page: Any) -> None:
    page.mouse.move(5, 5)


def _pointer(page: Any) -> None:
    page.mouse.move(500, 500)


def _panel(page: Any) -> None:
    page.mouse.move(5, 5)
    page.evaluate("document.querySelector('tr[data-ticket] [data-open]').click()")
    page.wait_for_selector("#panel:not([hidden])")


def _charts(page: Any) -> None:
    page.goto(f"{page.url.partition('?')[0]}?view=charts")
    _live(page)


def _floods(page: Any) -> None:
    page.evaluate(FLOODS)
    page.goto(page.url.partition("?")[0])
    page.wait_for_selector("tr[data-group]", timeout=120_000)


STATES: dict[str, Callable[[Any], None]] = {
    "list": _list,
    "pointer on the list": _pointer,
    "side panel": _panel,
    "charts": _charts,
    "list, floods grouped": _floods,
}


def _watch(
    measured: Any, name: str, seconds: float, figures: dict[str, float], longest: dict[str, float]
) -> None:
    """Trace what the page does under the traffic, once it has become used to it."""
    sleep(WARM_SECONDS if seconds else 3)
    measured.page.evaluate("bench.patched.length = 0; bench.frames.length = 0")
    used, began = measured.cpu_seconds(), perf_counter()
    measured.start_tracing()
    sleep(TRACED_SECONDS)
    seen = measured.stop_tracing()
    figures[f"{name}, CPU of the renderer"] = (measured.cpu_seconds() - used) / (
        perf_counter() - began
    )
    _note(name, seen, figures, longest)


def _note(name: str, seen: Any, figures: dict[str, float], longest: dict[str, float]) -> None:
    figures[f"{name}, longest task, ms"] = seen.longest
    figures[f"{name}, longest task, CPU ms"] = seen.longest_cpu
    figures[f"{name}, p99 task, CPU ms"] = seen.p99_cpu
    figures[f"{name}, longest scripting, ms"] = seen.scripting
    longest[name] = figures[f"{name}, longest scripting, CPU ms"] = seen.scripting_cpu
    print(f"{name}: {seen.worst}", file=sys.stderr, flush=True)


def _soak(measured: Any, server: Any, seconds: float, figures: dict[str, float]) -> None:
    """Look at the memory again and again, and at all that the page counted by itself meanwhile."""
    page = measured.page
    page.evaluate("bench.patched.length = 0; bench.frames.length = 0")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    looks: list[tuple[float, float, float, float]] = []
    paused: list[tuple[float, float]] = []  # in the page's time: a full collection takes long
    began, used, served = perf_counter(), measured.cpu_seconds(), server.cpu_seconds()
    each = min(LOOK_SECONDS, seconds / 6)
    while True:
        start = page.evaluate("performance.now()")
        heap = measured.heap_bytes()
        counters = measured.counters()
        paused.append((start, page.evaluate("performance.now()")))
        elapsed = perf_counter() - began
        looks.append((elapsed, heap / 1e6, counters["nodes"], counters["jsEventListeners"]))
        print(f"{elapsed:.0f} s: {looks[-1][1:]}", file=sys.stderr, flush=True)
        if elapsed >= seconds:
            break
        page.wait_for_timeout(each * 1e3)  # and lets its events come
    passed = perf_counter() - began
    times, heaps, nodes, listeners = (list(column) for column in zip(*looks, strict=True))
    for name, values in (("heap, MB", heaps), ("nodes", nodes), ("listeners", listeners)):
        figures[f"{name}, first"], figures[f"{name}, last"] = values[0], values[-1]
        figures[f"{name}/h"] = statistics.linear_regression(times, values).slope * 3600
    figures["soak, CPU of the renderer"] = (measured.cpu_seconds() - used) / passed
    figures["soak, CPU of the web process"] = (server.cpu_seconds() - served) / passed
    figures["requests for counters, 1/min"] = (
        sum("tickets/counts" in url for url in asked) / passed * 60
    )
    patched = page.evaluate("bench.patched")
    figures["rows patched in place"] = len(patched)
    if len(patched) > 1:
        figures["write to patch p50, ms"] = statistics.median(patched)
        figures["write to patch p95, ms"] = statistics.quantiles(patched, n=20)[18]
    frames = [
        frame
        for frame in page.evaluate("bench.frames")
        if not any(s <= frame["at"] + frame["duration"] and frame["at"] <= e for s, e in paused)
    ]
    figures["soak, frames of 50 ms and more"] = len(frames)
    worst = max(frames, key=lambda frame: frame["scripting"], default=None)
    figures["soak, longest scripting of a frame, ms"] = worst["scripting"] if worst else 0
    print(f"soak: {worst}", file=sys.stderr, flush=True)


def _profile(measured: Any, name: str, act: Callable[[], object] = lambda: None) -> None:
    """Tell the functions that take longest while ``act`` and what follows it go on for 10 s."""
    sleep(5)
    measured.start_profile()
    act()
    sleep(10)
    print(f"--- {name}: ms of 10,000", file=sys.stderr)
    for function, spent in list(measured.stop_profile().items())[:25]:
        print(f"{spent:8.0f} {function}", file=sys.stderr, flush=True)


def _count(server: Any, page: Any, figures: dict[str, float]) -> None:
    """What one answer for the counters takes of the web process and of PostgreSQL."""
    url = f"http://127.0.0.1:{server.port}/api/v1/tickets/counts/"
    page.goto(f"http://127.0.0.1:{server.port}/account/")  # nothing else is asked for
    page.request.get(url)
    served, stored = server.cpu_seconds(), _postgres_seconds()
    for _ in range(COUNTS):
        answer = page.request.get(url)
        if not answer.ok:
            raise RuntimeError(f"the counters answer {answer.status}: {answer.text()}")
    figures["counters, CPU ms of the web process"] = (server.cpu_seconds() - served) / COUNTS * 1e3
    figures["counters, CPU ms of PostgreSQL"] = (_postgres_seconds() - stored) / COUNTS * 1e3


def _postgres_seconds() -> float:
    """Return the processor time of the servers' PostgreSQL, with that of what has ended."""
    import psutil

    parent = psutil.Process().parent()
    total = 0.0
    for process in parent.children(recursive=True) if parent else []:
        try:
            if process.name() == "postgres":
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return total


if __name__ == "__main__":
    sys.exit(main())
