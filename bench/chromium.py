"""A Chromium that is measured: its main thread by a trace, its memory and processor by CDP."""

import json
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "v8.execute", "v8"]
SCRIPTS = {
    "EvaluateScript",
    "EventDispatch",
    "FireAnimationFrame",
    "FunctionCall",
    "RunMicrotasks",
    "TimerFire",
    "v8.callFunction",
    "v8.evaluateModule",
}
# Counts in the page what no trace tells. Frames are those of 50 ms and more, with their scripts.
WATCH = r"""
window.bench = { frames: [], patched: [], most: 0, first: 0 };
new PerformanceObserver((list) => {
  for (const { startTime, duration, scripts } of list.getEntries()) {
    const scripting = scripts.reduce((sum, script) => sum + script.duration, 0);
    const by = scripts.map((script) => `${script.invoker} ${Math.round(script.duration)}`);
    bench.frames.push({ at: startTime, duration, scripting, by });
  }
}).observe({ type: "long-animation-frame", buffered: true });
addEventListener("DOMContentLoaded", () => {
  const list = document.getElementById("list-view");
  if (!list) return;
  new MutationObserver((records) => {
    for (const { type, target } of records) {
      if (type !== "characterData" || target.parentElement?.className !== "description") continue;
      const written = /seen at (\d+)$/.exec(target.data);
      if (written) bench.patched.push(Date.now() - Number(written[1]));
    }
    bench.most = Math.max(bench.most, document.getElementById("rows")?.childElementCount ?? 0);
    if (bench.most) bench.first ||= performance.now();
  }).observe(list, { childList: true, characterData: true, subtree: true });
});
"""


@dataclass(frozen=True)
class Tasks:
    """What the main thread did, in ms: wall time, and processor time of its thread."""

    longest: float
    longest_cpu: float
    p99_cpu: float
    scripting: float  # the longest script of one task, wall
    scripting_cpu: float
    worst: str  # what ran in the task of the longest script


class Measured:
    """One page of a browser."""

    def __init__(self, browser: Browser, page: Page) -> None:
        self._browser, self.page = browser, page
        self._cdp = page.context.new_cdp_session(page)
        self._all = browser.new_browser_cdp_session()
        self._cdp.send("Performance.enable")

    def heap_bytes(self) -> float:
        """Return the JavaScript heap that lives: after a full collection."""
        self._cdp.send("HeapProfiler.collectGarbage")
        return float(self._cdp.send("Runtime.getHeapUsage")["usedSize"])

    def counters(self) -> dict[str, float]:
        """Return the DOM nodes and listeners that exist."""
        return dict(self._cdp.send("Memory.getDOMCounters"))

    def cpu_seconds(self) -> float:
        """Return the processor time of the renderers so far."""
        processes = self._all.send("SystemInfo.getProcessInfo")["processInfo"]
        return float(sum(p["cpuTime"] for p in processes if p["type"] == "renderer"))

    def metrics(self) -> dict[str, float]:
        found = self._cdp.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}

    def block(self, *urls: str) -> None:
        self._cdp.send("Network.enable")
        self._cdp.send("Network.setBlockedURLs", {"urls": list(urls)})

    def start_tracing(self) -> None:
        self._browser.start_tracing(page=self.page, screenshots=False, categories=CATEGORIES)

    def stop_tracing(self) -> Tasks:
        return tasks(json.loads(self._browser.stop_tracing())["traceEvents"])

    def start_profile(self) -> None:
        self._cdp.send("Profiler.enable")
        self._cdp.send("Profiler.start")

    def stop_profile(self) -> dict[str, float]:
        """Return ms by function, those with the most first: of itself, without what it called."""
        profile = self._cdp.send("Profiler.stop")["profile"]
        names = {
            node["id"]: "{functionName} {url}:{lineNumber}".format(**node["callFrame"])
            for node in profile["nodes"]
        }
        spent: dict[str, float] = defaultdict(float)
        for sample, delta in zip(profile["samples"], profile["timeDeltas"], strict=True):
            spent[names[sample]] += delta / 1e3
        return dict(sorted(spent.items(), key=lambda item: -item[1]))


def tasks(events: list[dict[str, Any]]) -> Tasks:
    """Judge a trace. A script is the outermost one: what it calls is within it."""
    complete = [e for e in events if e.get("ph") == "X"]
    calls: dict[tuple[int, int], int] = defaultdict(int)
    for event in complete:
        if event["name"] == "FunctionCall":
            calls[event["pid"], event["tid"]] += 1
    main = max(calls, key=lambda thread: calls[thread])
    mine = sorted(
        (e for e in complete if (e["pid"], e["tid"]) == main), key=lambda e: (e["ts"], -e["dur"])
    )
    runs = [e for e in mine if e["name"].endswith("RunTask")]
    scripts = []
    until = -1.0
    for event in mine:
        if event["name"] in SCRIPTS and event["ts"] >= until:
            scripts.append(event)
            until = event["ts"] + event["dur"]
    worst = max(scripts, key=_cpu)
    inside = [e for e in mine if worst["ts"] <= e["ts"] < worst["ts"] + worst["dur"]]
    parts = sorted(inside, key=lambda e: -e["dur"])[:12]
    return Tasks(
        longest=max(e["dur"] for e in runs) / 1e3,
        longest_cpu=max(_cpu(e) for e in runs) / 1e3,
        p99_cpu=statistics.quantiles([_cpu(e) for e in runs], n=100)[98] / 1e3,
        scripting=max(e["dur"] for e in scripts) / 1e3,
        scripting_cpu=_cpu(worst) / 1e3,
        worst="; ".join(
            f"{e['name']} {e.get('args', {}).get('data', {}).get('functionName', '')}"
            f" {e['dur'] / 1e3:.0f}"
            for e in parts
        ),
    )


def _cpu(event: dict[str, Any]) -> float:
    return float(event.get("tdur", event["dur"]))
