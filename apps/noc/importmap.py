"""The import map: which file of an npm package a page gets for ``import … from "lit/html.js"``.

The files are the packages' own, from ``node_modules`` by ``settings.STATICFILES_DIRS``. What lies
at the top of a package of Lit is its production build; the other one is below ``development``.
"""

import json
import secrets
from typing import Any

from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Error, Tags, register
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

# A name that ends in a slash stands for every file below it.
FILES = {
    "lit": "npm/lit/index.js",
    "lit/": "npm/lit/",
    "lit-html": "npm/lit-html/lit-html.js",
    "lit-html/": "npm/lit-html/",
    "lit-element": "npm/lit-element/index.js",
    "lit-element/": "npm/lit-element/",
    "@lit/reactive-element": "npm/@lit/reactive-element/reactive-element.js",
    "@lit/reactive-element/": "npm/@lit/reactive-element/",
    "uplot": "npm/uplot/dist/uPlot.esm.js",
}
NONCE = "noc.csp_nonce"  # in request.META; project/csp.py allows the script that carries it
# In a script element, these would be read as HTML.
ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def script(request: HttpRequest) -> SafeString:
    """Return the element. It stands before the first module, and its nonce is of this response."""
    nonce = request.META.setdefault(NONCE, secrets.token_urlsafe(16))
    text = json.dumps({"imports": {name: static(path) for name, path in FILES.items()}})
    return format_html(
        '<script type="importmap" nonce="{}">{}</script>',
        nonce,
        mark_safe(text.translate(ESCAPES)),  # noqa: S308, escaped for where it stands
    )


@register(Tags.staticfiles)
def check_files(**_: Any) -> list[CheckMessage]:
    """Name each file that the map promises and nothing serves."""
    return [
        Error(
            f"{path} of the import map is in no folder of static files",
            hint="Fetch the page's packages: npm ci --ignore-scripts, or any ./noc command.",
            id="noc.E001",
        )
        for path in FILES.values()
        if finders.find(path) is None
    ]
