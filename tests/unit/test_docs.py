"""The documents name what exists: files, settings, commands."""

import re
from pathlib import Path

import pytest

from apps.noc.feed.conf import FeedSettings
from outbox.conf import OutboxSettings
from tests import compose_file
from tests.compose_file import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if not path.name.startswith(".")
)
# Folders that a checkout has; a path in a document begins with one of them.
TOP = "apps|bench|deploy|docs|outbox|project|tests|worker|\\.ci"
PATHS = re.compile(rf"`((?:{TOP})(?:/[\w.-]+)+|[\w.-]+\.(?:md|txt|py|yml|toml)|Dockerfile)`")
LINKS = re.compile(r"\]\((?!https?:)([^)#]+)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
class TestDocument:
    def test_names_only_files_that_exist(self, document: Path) -> None:
        named = set(PATHS.findall(document.read_text(encoding="utf-8")))
        # A bare name such as `api.py` is a file of some app.
        missing = [
            name
            for name in named
            if not (ROOT / name).exists() and ("/" in name or not list(ROOT.glob(f"apps/*/{name}")))
        ]
        assert not missing

    def test_links_only_to_files_that_exist(self, document: Path) -> None:
        links = LINKS.findall(document.read_text(encoding="utf-8"))
        assert not [link for link in links if not (document.parent / link).exists()]


class TestSettings:
    def test_are_all_in_the_table(self) -> None:
        read = re.findall(
            r'(?:required|env\.\w+)\(\s*"([A-Z_]+)"', text("project/settings.py"), re.S
        )
        assert set(read) == set(table("Environment"))

    def test_of_the_outbox_are_all_in_the_table(self) -> None:
        assert set(OutboxSettings.__dataclass_fields__) == set(table("`settings.OUTBOX`"))

    def test_of_the_outbox_have_the_defaults_of_the_table(self) -> None:
        shown = table("`settings.OUTBOX`")
        for name, field in OutboxSettings.__dataclass_fields__.items():
            if isinstance(field.default, int):
                assert shown[name] == str(field.default)

    def test_of_the_feed_are_in_the_table_with_their_defaults(self) -> None:
        shown = {name: value.replace(",", "") for name, value in table("`settings.FEED`").items()}
        fields = FeedSettings.__dataclass_fields__
        assert shown == {name: str(field.default) for name, field in fields.items()}

    def test_of_the_readme_have_the_same_defaults(self) -> None:
        everywhere = table("Environment") | table("`docker-compose.yml`")
        shown = rows(text("README.md").partition("| variable | default |")[2])
        assert shown
        assert shown.items() <= everywhere.items()

    def test_of_the_compose_file_are_all_in_the_tables(self) -> None:
        used = compose_file.required_variables() | set(compose_file.optional_variables())
        assert used <= {*table("Environment"), *feed_variables(), *table("`docker-compose.yml`")}

    def test_are_all_passed_on_by_the_compose_file_with_their_defaults(self) -> None:
        documented = table("Environment") | feed_variables()
        (told,) = re.findall(r"^Every variable above.*?\n\n", text("docs/settings.md"), re.M | re.S)
        excepted, _, made = told.partition("The file itself sets")
        names = re.compile(r"`([A-Z_]+)`")
        local, fixed = (set(names.findall(part)) for part in (excepted, made.partition(".")[0]))
        passed_on = compose_file.raw()["x-environment"]

        assert set(passed_on) | {"NOC_INSTANCE"} == set(documented) - local
        for name, default in documented.items():
            if name in local | fixed:
                continue
            given = compose_file.VARIABLE.match(passed_on[name])
            assert given is not None, name
            assert given["name"] == name
            if re.fullmatch(r"[\d,]+", default):
                assert given["text"] == default.replace(",", ""), name
            if default == "none":
                assert given["text"] == "" or given["kind"] == "?", name


class TestCommands:
    def test_of_the_launcher_are_all_in_the_readme(self) -> None:
        (commands,) = re.findall(r"^COMMANDS = \((.*)\)$", text("noc"), re.M)
        shown = set(re.findall(r"^\| `\./noc (\w+)", text("README.md"), re.M))
        assert shown == set(re.findall(r'"(\w+)"', commands))

    def test_of_management_are_all_in_the_readme(self) -> None:
        modules = [*ROOT.glob("apps/*/management/commands/*.py")]
        modules += ROOT.glob("outbox/management/commands/*.py")
        written = {path.stem for path in modules if path.stem != "__init__"}
        (part,) = re.findall(r"\| management command .*?\n\n", text("README.md"), re.S)
        assert set(re.findall(r"^\| `(\w+)", part, re.M)) == written


def table(heading: str) -> dict[str, str]:
    """The first two columns of the table below a heading of docs/settings.md."""
    _, _, rest = text("docs/settings.md").partition(f"## {heading}\n")
    return rows(rest)


def feed_variables() -> dict[str, str]:
    """The environment variables of `settings.FEED`, with the defaults of its table."""
    return {f"FEED_{key.upper()}": default for key, default in table("`settings.FEED`").items()}


def rows(part: str) -> dict[str, str]:
    """The first two columns of the table that comes next."""
    return dict(re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|", part.partition("\n## ")[0], re.M))
