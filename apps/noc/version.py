"""
What is deployed: a digest of the page's scripts, styles and templates, and of the npm lock file.

All processes of a release say the same, so a page that hears another version has an old script and
loads itself again.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from django.http import HttpRequest, JsonResponse

HERE = Path(__file__).parent
FOLDERS = ("static", "templates")
LOCK = HERE.parents[1] / "package-lock.json"  # stands for what the page imports from npm


@cache
def version() -> str:
    """Return 16 hexadecimal digits; the files are read once per process."""
    digest = sha256(LOCK.read_bytes())
    for folder in FOLDERS:
        for file in sorted(path for path in (HERE / folder).rglob("*") if path.is_file()):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(HERE).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def view(request: HttpRequest) -> JsonResponse:
    """Tell anybody: it says nothing that the static files do not."""
    return JsonResponse({"version": version()}, headers={"Cache-Control": "no-store"})
