"""Secrets are known by name, by form and by value."""

from __future__ import annotations

import pytest

from anew.runner.format.redact import REDACTED, Redactor, is_secret_name, redact_name_value, redact_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db.password",
        "OPENAI_API_KEY",
        "api-key",
        "aws_secret_access_key",
        "HF_TOKEN",
        "token",
        "auth_token",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["pad_token", "max_tokens", "tokenizer", "key", "sort_key", "secretary", "passes"])
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mongodb://me:hunter2@host/db", f"mongodb://me:{REDACTED}@host/db"),
        ("https://x.org/hook?token=abc&x=1", f"https://x.org/hook?token={REDACTED}&x=1"),
        ("redis://:hunter2@host", f"redis://:{REDACTED}@host"),
        ("see http://host:8080/a@b", "see http://host:8080/a@b"),
        ("AKIAIOSF" + "ODNN7EXAMPLE", REDACTED),
    ],
)
def test_secrets_known_by_their_form(text: str, kept: str) -> None:
    assert redact_text(text) == kept


def test_a_variable_with_a_secret_name_is_not_kept() -> None:
    assert redact_name_value("WANDB_API_KEY", "abc") == REDACTED
    assert redact_name_value("STRIPE_KEY", "abc") == REDACTED
    assert redact_name_value("OMP_NUM_THREADS", "4") == "4"


def test_a_secret_once_seen_is_replaced_everywhere() -> None:
    redactor, secret = Redactor(), "hunter22"
    config = redactor.value({"db": {"password": secret, "url": "mongodb://me:swordfish@h"}, "note": "hunter22!"})
    assert config == {
        "db": {"password": REDACTED, "url": f"mongodb://me:{REDACTED}@h"},
        "note": f"{REDACTED}!",
    }
    assert redactor.text("it is hunter22 or swordfish") == f"it is {REDACTED} or {REDACTED}"


def test_values_of_secret_variables_are_known() -> None:
    redactor = Redactor.of_environment({"MY_TOKEN": "abcdefgh", "DB": "x://u:longsecret@h", "N": "plain-value"})
    assert redactor.text("abcdefgh longsecret plain-value") == f"{REDACTED} {REDACTED} plain-value"


def test_short_secrets_are_replaced_under_their_name_only() -> None:
    redactor = Redactor()
    assert redactor.value({"password": "1234"}) == {"password": REDACTED}
    assert redactor.text("1234") == "1234"


def test_command_lines() -> None:
    redactor = Redactor()
    words = ["train.py", "db.password=hunter22", "--token", "abc", "--api-key=x", "lr=0.1", "+url=a://u:pass99@h"]
    assert redactor.arguments(words) == (
        "train.py",
        f"db.password={REDACTED}",
        "--token",
        REDACTED,
        f"--api-key={REDACTED}",
        "lr=0.1",
        f"+url=a://u:{REDACTED}@h",
    )


def test_yaml_keeps_interpolations_and_hides_the_rest() -> None:
    secrets = "  password: hunter22\n  api_key: ${oc.env:KEY}\n  private_key: |\n    abc\n    def\n"
    text = f"db:\n{secrets}  port: 1\nx: hunter22\n- api.token=abc\n- lr=1"
    redactor = Redactor(["hunter22"])
    assert redactor.yaml(text).split("\n") == [
        "db:",
        f"  password: '{REDACTED}'",
        "  api_key: ${oc.env:KEY}",
        f"  private_key: '{REDACTED}'",
        "  port: 1",
        f"x: {REDACTED}",
        f"- api.token={REDACTED}",
        "- lr=1",
    ]
