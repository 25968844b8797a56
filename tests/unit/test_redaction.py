"""What is kept of an error: no secret in any of the forms in which texts quote them."""

import json
from typing import Any

import pytest

from outbox.redaction import GONE, cleaned, error_text, traceback_text

HEADERS = [(b"host", b"noc"), (b"authorization", b"Token hunter22"), (b"cookie", b"a=hunter22")]


class TestCleaned:
    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://noc_app:hunter22@host/noc",
            "redis://:hunter22@host:6379/0 refused",
            "redis://user:p@hunter22@host",
            "redis://user:p:hunter22@host",
            "redis://a@b:hunter22@host",
            "password='hunter22'",
            "password='it\\'s hunter22'",
            "PASSWORD = hunter22",
            "pwd=hunter22",
            "Authorization: Token hunter22",
            "Authorization: Bearer hunter22",
            "sessionid=hunter22; path=/",
            "Cookie: sessionid=abc; csrftoken=hunter22",
            json.dumps({"api_key": "a hunter22", "x": 1}),
            json.dumps(json.dumps({"password": "hunter22"})),
            repr({"secret": "the hunter22"}),
            repr({b"password": b"a hunter22"}),
            repr(HEADERS),
        ],
    )
    def test_has_no_credential(self, text):
        assert "hunter22" not in cleaned(text)
        assert GONE in cleaned(text)

    @pytest.mark.parametrize(
        "text",
        [
            "the token bucket is empty",
            "ConnectionError: https://host:8000/path refused, ask ops@host",
            "cannot take 'c17' of 201 at host:6379",
            '{"x": 1, "status": "NEW"}',
        ],
    )
    def test_leaves_the_rest(self, text):
        assert cleaned(text) == text

    def test_takes_no_setting_about_passwords_for_one(self, settings: Any):
        settings.LOGIN_PASSWORD_FORM_FIELD = "door-word"

        assert cleaned("the door-word is asked for") == "the door-word is asked for"

    def test_has_no_secret_of_the_settings(self, settings: Any):
        settings.SECRET_KEY = "a-key-of-this-site-that-nobody-may-see"
        settings.SECRET_KEY_FALLBACKS = ["the-key-before-it"]
        settings.LAYER_URL = "redis://:p%40ss@word1@host"

        text = f"{settings.SECRET_KEY} {settings.SECRET_KEY_FALLBACKS[0]} p@ss@word1 p%40ss@word1"
        assert cleaned(text) == " ".join([GONE] * 4)

    def test_can_be_stored(self):
        assert cleaned("a\x00b \ud800") == "a?b ?"

    @pytest.mark.parametrize("part", ["-password", "a-", "://a:", "password ", "token='", "b\\"])
    def test_takes_no_longer_than_the_text_is(self, part):
        """Texts quote what users wrote; one that takes hours would stop its lane."""
        assert cleaned(part * 100_000)


class TestErrorText:
    def test_names_the_type_and_is_bounded(self):
        assert error_text(ValueError("password=hunter22")) == f"ValueError: password={GONE}"
        assert len(error_text(ValueError("x" * 5_000))) == 1_000


class TestTracebackText:
    def test_is_without_secrets_and_keeps_both_ends_of_a_long_one(self):
        assert traceback_text(ValueError("password=hunter22")) == f"ValueError: password={GONE}\n"
        text = traceback_text(ValueError("a" * 30_000 + "z"))
        assert len(text) < 16_010
        assert text.startswith("ValueError: aaa")
        assert text.endswith("z\n")
