"""The commands that mend: written for how this installation is operated, to be run as they are."""

import shlex

from django.conf import settings

PROGRAMS = {
    "web": "python -m project.web --host 0.0.0.0 --port 8000",
    "worker": "python -m celery -A worker.app worker -Q celery,outbox",
    "beat": "python -m celery -A worker.app beat"
    " --scheduler django_celery_beat.schedulers:DatabaseScheduler",
}


def manage(command: str, *, as_owner: bool = False) -> str:
    """Return how to run a management command; ``as_owner``: it changes tables, not only rows."""
    by, folder = _operated_by()
    if by == "noc":
        return f"./noc manage {f'--data {folder} ' if folder else ''}{command}"
    if by == "compose":
        how = "run --rm migrate" if as_owner else "exec worker"
        return f"docker compose {how} python manage.py {command}"
    return f"python manage.py {command}"


def shell(code: str, *, as_owner: bool = False) -> str:
    """Return how to run Python with Django set up."""
    return manage(f"shell --no-imports -c {shlex.quote(code)}", as_owner=as_owner)


def start(program: str) -> str:
    """Return how to start web, worker or beat again."""
    by, folder = _operated_by()
    if by == "noc":
        return _supervised(program, folder)
    if by == "compose":
        return f"docker compose restart {program}"
    return f"start it: {PROGRAMS[program]}"


def server(name: str, container: str) -> str:
    """Return how to start a server again, PostgreSQL or a Redis."""
    by, folder = _operated_by()
    if by == "noc":
        return _supervised(name, folder)
    return f"docker compose restart {container}" if by == "compose" else f"start {container}"


def _supervised(program: str, folder: str) -> str:
    """``./noc up`` starts again what ends; what hangs has to be ended."""
    where, data = folder or ".local", f" --data {folder}" if folder else ""
    log = f"its log is {where}/logs/{program}.log"
    if program == "postgres":  # killing it would leave its children
        return f"end ./noc by Ctrl-C, then ./noc up{data}; {log}"
    pid = f"grep -oP '\"{program}\": \\K[0-9]+' {where}/state.json"
    return f"kill -KILL $({pid})  # ./noc starts it again; {log}"


def _operated_by() -> tuple[str, str]:
    by, _, folder = settings.OPERATED_BY.partition(" ")
    return by, folder
