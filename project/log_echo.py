"""Shows on the console what the children of an instance write into their logs."""

import re
from collections.abc import Callable

from project.data_folder import DataFolder

# Not the name of a logger, like uvicorn.error.
_TROUBLE = re.compile(r"(?<!\.)\b(WARNING|ERROR|CRITICAL|FATAL|warning|error|critical|Traceback)\b")
_CHUNK_BYTES = 64 * 1024


class LogEcho:
    """Prints new log lines with the child's name before them; by default only trouble."""

    def __init__(
        self, data: DataFolder, *, whole: set[str], say: Callable[[str], None], verbose: bool
    ) -> None:
        self._data = data
        self._whole = whole
        self._say = say
        self._verbose = verbose
        self._positions = {log: log.stat().st_size for log in data.logs.glob("*.log")}

    def look(self) -> None:
        """Print what was written since the last look, complete lines only."""
        for log in sorted(self._data.logs.glob("*.log")):
            position = self._positions.get(log, 0)
            if log.stat().st_size <= position:
                continue
            with log.open("rb") as file:
                file.seek(position)
                chunk = file.read(_CHUNK_BYTES)
            complete = chunk.rpartition(b"\n")[0]
            if not complete and len(chunk) < _CHUNK_BYTES:
                continue  # the line is still being written
            complete = complete or chunk
            self._positions[log] = position + len(complete) + 1
            for line in complete.decode(errors="replace").splitlines():
                if self._verbose or log.stem in self._whole or _TROUBLE.search(line):
                    self._say(f"{log.stem:>8} | {line}")
