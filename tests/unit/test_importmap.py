"""The import map: every name that the packages' files and our modules import has a file."""

import json
import re
from pathlib import Path

from django.contrib.staticfiles import finders
from django.test import RequestFactory, override_settings

from apps.noc import importmap
from tests.compose_file import ROOT

BARE = re.compile(r"""(?:\bfrom|\bimport)\s*\(?["']([^"'./\s][^"'\s]*)["']""")


def static_path(name: str) -> str | None:
    """Where a browser would look for ``name`` below ``/static/``: the longest entry decides."""
    fitting = [
        entry
        for entry in importmap.FILES
        if name == entry or (entry.endswith("/") and name.startswith(entry))
    ]
    longest = max(fitting, key=len, default=None)
    return None if longest is None else importmap.FILES[longest] + name[len(longest) :]


class TestMap:
    def test_leads_each_import_of_the_packages_and_of_our_modules_to_a_file(self) -> None:
        packages = [
            finders.find(path) for name, path in importmap.FILES.items() if name.endswith("/")
        ]
        folders = [ROOT / "apps/noc/static/noc", *map(Path, packages)]
        sources = [path for folder in folders for path in folder.glob("*.js")]
        sources += [path for folder in folders for path in folder.glob("d*s/*.js")]  # directives
        imported = {name for path in sources for name in BARE.findall(path.read_text("utf-8"))}

        found = {name: finders.find(static_path(name) or "nowhere") for name in imported}

        assert "lit-html/directives/repeat.js" in found
        assert {name for name, path in found.items() if path is None} == set()

    def test_leads_nothing_to_a_development_build(self) -> None:
        assert not [path for path in importmap.FILES.values() if "development" in path]
        main = finders.find(importmap.FILES["lit-html"])
        assert isinstance(main, str)
        assert "litIssuedWarnings" not in Path(main).read_text("utf-8")


class TestScript:
    def test_has_a_nonce_of_its_own_in_each_response_and_one_in_the_same(self) -> None:
        first, second = RequestFactory().get("/"), RequestFactory().get("/")

        texts = [importmap.script(first), importmap.script(first), importmap.script(second)]

        nonces = [re.findall(r'nonce="([\w-]{20,})"', text) for text in texts]
        assert nonces[0] == nonces[1] == [first.META[importmap.NONCE]]
        assert nonces[2] == [second.META[importmap.NONCE]] != nonces[0]

    def test_is_read_as_json_and_cannot_end_its_element(self) -> None:
        with override_settings(STATIC_URL="/a&b</script>/"):
            text = importmap.script(RequestFactory().get("/"))

        content = text[text.index(">") + 1 : text.rindex("</script>")]
        assert "<" not in content
        assert set(json.loads(content)["imports"]) == set(importmap.FILES)


class TestCheck:
    def test_is_silent_when_the_packages_are_there(self) -> None:
        assert importmap.check_files() == []

    def test_names_what_is_missing_and_what_fetches_it(self, tmp_path: Path) -> None:
        finders.get_finder.cache_clear()
        try:
            with override_settings(STATICFILES_DIRS=[]):
                found = importmap.check_files()
        finally:
            finders.get_finder.cache_clear()

        assert len(found) == len(importmap.FILES)
        assert found[0].is_serious()
        assert "npm ci" in (found[0].hint or "")


class TestLockFile:
    def test_names_no_registry(self) -> None:
        lock = (ROOT / "package-lock.json").read_text("utf-8")
        assert not re.search(r"https?://", lock)
        assert '"resolved"' not in lock

    def test_has_the_pins_of_the_package_file(self) -> None:
        package = json.loads((ROOT / "package.json").read_text("utf-8"))
        lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
        pins = package["dependencies"] | package["devDependencies"]
        assert {name: lock[f"node_modules/{name}"]["version"] for name in pins} == pins
