"""The running API against its own document: what is generated from it never ends in a 5xx."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.running import Running

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 10  # of each operation

schema = schemathesis.openapi.from_path(
    DOCUMENT,
    config=schemathesis.Config.from_dict(
        {
            "generation": {"deterministic": True},
            # Hundreds of requests per operation, and the rest of the suite looks at most of them.
            "phases": {"coverage": {"enabled": False}},
        }
    ),
).exclude(path_regex="/auth/devices/", method="DELETE")  # which may take the token that it goes by


@pytest.fixture(scope="session")
def admin(seed: dict[str, Any]) -> dict[str, Any]:
    """Who may do most, of a tenant that no other test looks at."""
    users = seed["tenants"][2]["users"]
    found: dict[str, Any] = next(u for u in users if "tenant:admin" in u["capabilities"])
    return found


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a failure is told as it came
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_as_the_document_says(
    case: schemathesis.Case, stack: Running, admin: dict[str, Any]
) -> None:
    case.query.pop("wait", None)  # that would be waited for
    headers = {"Authorization": f"Token {admin['token']}"}
    answer = case.call(base_url=stack["http"], headers=headers, timeout=20)
    case.validate_response(answer, checks=CHECKS, headers=headers)
