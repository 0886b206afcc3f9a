"""Secrets are known by name, by form and by value."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from anew.runner.format.redact import REDACTED, Redactor, is_secret_name, redact_name_value, redact_text, secrets_in


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
    text = f"db:\n{secrets}  port: 1\nx: hunter22\nwords:\n- api.token=abc\n- lr=1  # öäü\n"
    redactor = Redactor(["hunter22"])
    assert redactor.yaml(text).split("\n") == [
        "db:",
        f"  password: '{REDACTED}'",
        "  api_key: ${oc.env:KEY}",
        f"  private_key: '{REDACTED}'",
        "  port: 1",
        f"x: '{REDACTED}'",
        "words:",
        f"- 'api.token={REDACTED}'",
        "- lr=1  # öäü",
        "",
    ]


@pytest.mark.parametrize("width", [20, 80, 1000])
@pytest.mark.parametrize(
    "values",
    [
        {"ö": "é ✓", "headers": {"Authorization": "Bearer abc 123 CANARY with spaces " + "and more " * 9}},
        {"users": [{"name": "a", "password": "CANARY'\"\n quoted"}, {"name": "b", "password": "#CANARY"}]},
        {"credentials": {"value": "CANARY", "more": ["CANARY2"]}, "again": "- CANARY: x"},
        {"password": "CANARY: {x}", "in text": "it is CANARY: {x}."},
        {"CANARY key": 1, "db": {"password": "CANARY key"}},
    ],
)
def test_yaml_is_redacted_by_its_values_however_it_is_written(values: dict[str, Any], width: int) -> None:
    redactor = Redactor()
    redactor.learn(secrets_in(values))
    for style in (False, True, None):
        for quotes in (None, "'", '"', "|", ">"):
            text = yaml.safe_dump(
                values, default_flow_style=style, default_style=quotes, width=width, allow_unicode=quotes is None
            )
            hidden = redactor.yaml(text)
            assert "CANARY" not in hidden
            assert yaml.safe_load(hidden) == redactor.value(yaml.safe_load(text))


def test_of_what_is_no_yaml_nothing_is_kept() -> None:
    assert "hunter22" not in Redactor().yaml("a: [hunter22\nb: {")


@pytest.mark.parametrize(
    ("override", "kept"),
    [
        (
            "users=[{name:a,password:CANARY},{name:b,password:'CANARY,1'}]",
            "users=[{name:a,password:X},{name:b,password:'X'}]",
        ),
        ("users=[{password:CANARY}],[{password:CANARY2}]", "users=[{password:X}],[{password:X}]"),
        ("headers={Authorization:'Bearer CANARY',a:b}", "headers={Authorization:'X',a:b}"),
        ("credentials={value:CANARY}", "credentials=X"),
        (
            "+db.x={credentials: {value: CANARY, b: [CANARY]}, port: 1}",
            "+db.x={credentials: {value: X, b: [X]}, port: 1}",
        ),
        ("x=choice({password:CANARY},{password:b})", "x=choice({password:X},{password:X})"),
        ("password=CANARY,CANARY2", "password=X"),
        ("++db.pass='CANARY'", "++db.pass=X"),
        ("anew.observers.webhook.url=https://h.org/CANARY", "anew.observers.webhook.url=X"),
        ("db.password=${oc.env:SECRET}", "db.password=${oc.env:SECRET}"),
        ("db.password='${oc.env:SECRET}'", "db.password='${oc.env:SECRET}'"),
        ("db.password=${oc.env:SECRET,CANARY}", "db.password=X"),
        ("db.password=null", "db.password=null"),
        ("weights={token:0.3,n_pass:2}", "weights={token:0.3,n_pass:2}"),
        ("x=]{", "x=]{"),
        ("x={a:", "x={a:"),
        ("text='a: b, password: c'", "text='a: b, password: c'"),
        ("url=mongodb://me:CANARY@h/db", "url=mongodb://me:X@h/db"),
    ],
)
def test_the_values_in_an_override(override: str, kept: str) -> None:
    assert Redactor().argument(override) == kept.replace("X", REDACTED)


def test_a_secret_is_hidden_in_words_that_came_before_it_and_a_short_one_with_its_key() -> None:
    redactor = Redactor()
    assert redactor.arguments(["out=CANARY1", "+db.password=CANARY1", "pass=1234"])[0] == f"out={REDACTED}"
    assert redactor.text("lr=1,pass=1234,x=1234") == f"lr=1,pass={REDACTED},x=1234"


def test_results_are_told_apart_by_a_keyed_digest() -> None:
    def told(value: object, key: str = "k") -> Any:
        return Redactor(["hunter22", "hunter23"], digest=lambda text: f"{key}{len(text)}{text[-1]}").told_apart(value)

    assert told({"a": ["hunter22", 1.5], "password": "x"}) == {
        "a": ["<redacted k82>", 1.5],
        "password": "<redacted k1x>",
    }
    assert told("in hunter22") == told("in hunter22")
    assert told("hunter22") != told("hunter23")
    assert told("hunter22") != told("hunter22", "other")
    bare = Redactor(["hunter22"])
    assert bare.told_apart("hunter22") != bare.told_apart("hunter22")


SURE = """
password passwords passwd passphrase pwd db.password DB_PASSWORD dbpassword userpassword PGPASSWORD
LDAPPASSWORD SSHPASS MYSQL_PWD db.pass mail.pass pass dbpass smtp_pass user-password smtpPassword rootPassword
password2 password_1 secret secrets client_secret clientSecret app_secret AWS_SECRET_ACCESS_KEY
aws_access_key_id secret_key SECRET_KEY_BASE64 api_key apikey apiKey api-key x-api-key OPENAI_API_KEY
private_key ssh_private_key signing_key encryption_key account_key storage_account_key subscription_key
credentials credential creds gcp_credentials token auth_token access_token accessToken refresh_token
bearer_token session_token bot_token id.token HF_TOKEN hf_token npm_token pypi-token slack_token gitlabToken
oauth_token authorization Authorization Proxy-Authorization webhook webhook_url slack_webhook_url
connection_string connectionString conn_str
rootpw bindpw pwds pass_word pass-word PassWord storepass keystorepass otp totp_seed mfa_code recovery_code
recovery_codes seed_phrase private_pem sshkey appkey sharedkey secret_value secretValue mysecret secret_id token_value
mytoken usertoken github_pat git_pat jsessionid slack_hook kennwort passwort contrasena senha heslo ssh_key
"""
LIKELY = """
http_auth basic_auth proxy_auth auth redis.auth session_cookie auth_cookie cookie cookies Cookie Set-Cookie
sessionCookie error_dsn dsn sentry_dsn auth.bearer bearer jwt db_app_pass
pw db_pw userPw admin_pw imap_pw psk wpa_psk mnemonic csrf xsrf password_hash
"""
NONE = """
tokenizer max_tokens tokens n_tokens num_tokens token_dim token_ids token_type pad_token eos_token bos_token
mask_token image_token special_tokens tokenizer.name passes n_pass num_pass n_passes pass_rate first_pass
forward_pass backward_pass low_pass bypass compass encompass lowpass highpass bandpass allpass trespass
passing passenger passage author authors authority co_author author_name bypass_auth_check cookiecutter
cookie_jar_size key keys sort_key primary_key cache_key monkey turkey keyboard keyframe key_dim num_keys
secretary secretariat accredited credit credits dsn_pool pwd_length password_length min_password_length
reset_password_url hidden_secret_size webhook_timeout use_token tokenise
pwm pw_conv pat pats patience dispatch seed seeds random_seed optimizer loss_otp_rate hook forward_hook hooks
value name session_id recovery code error_code mfa_enabled hash git_hash ssh_keyscan shared_keypoints
"""


@pytest.mark.parametrize("name", [*SURE.split(), *LIKELY.split()])
def test_a_text_under_such_a_name_is_a_secret(name: str) -> None:
    assert Redactor().value({name: "Tr0ub4dor"}) == {name: REDACTED}
    assert Redactor().argument(f"+{name}=Tr0ub4dor") == f"+{name}={REDACTED}"
    assert is_secret_name(name) == (name in SURE.split())


@pytest.mark.parametrize("name", NONE.split())
@pytest.mark.parametrize("value", ["Tr0ub4dor", "<|endoftext|>", "3", "basic", "val/accuracy_top5", 7, True, None, 0.5])
def test_ordinary_names_are_no_secrets(name: str, value: object) -> None:
    assert Redactor().value({name: value}) == {name: value}
    assert Redactor().argument(f"{name}={value}") == f"{name}={value}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_auth", "basic"),
        ("auth", "kerberos"),
        ("use_auth", True),
        ("dsn", "sqlite:///runs.db"),
        ("epoch_pass", "3"),
        ("token", 0.3),
        ("PWD", "/home/me/project"),
        ("password", None),
        ("webhook", {"timeout": 10, "when": "end"}),
    ],
)
def test_a_value_that_says_how_and_not_what_with_is_none(name: str, value: object) -> None:
    assert Redactor().value({name: value}) == {name: value}


LETTERS = "Ab3dEf6hIj9kLmNoPqRsTuVwXyZ012345678abCd"
HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "token",
    [
        "AIza" + LETTERS[:35],
        "ya29." + LETTERS,
        "GOCSPX-" + LETTERS[:28],
        "npm_" + LETTERS[:36],
        "pypi-AgE" + "IcHlwaS5vcmc" + LETTERS * 3,
        "SG." + LETTERS[:22] + "." + LETTERS + "xyz",
        "sk_" + "live_" + LETTERS[:24],
        "rk_" + "test_" + LETTERS[:24],
        "whsec_" + LETTERS[:32],
        "ghp_" + LETTERS[:36],
        "glpat-" + LETTERS[:20],
        "xox" + "b-1234567890-" + LETTERS[:24],
        "hf_" + LETTERS[:34],
        "sk-" + "proj-" + LETTERS,
        "sk-" + "ant-api03-" + LETTERS,
        "dapi" + HEX[:32],
        "dop_v1_" + HEX,
        "SK" + HEX[:32],
        "123456789:AA" + LETTERS[:33],
        "MTA" + LETTERS[:21] + ".GaBcDe." + LETTERS[:38],
        "HRKU-" + LETTERS[:36],
        "shp" + "at_" + HEX[:32],
        "ASIA" + "IOSFODNN7EXAMPLE",
        "dckr_pat_" + LETTERS[:27],
        "hvs." + LETTERS,
        "NRAK-" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ1",
        "gsk_" + LETTERS + LETTERS[:12],
        "r8_" + LETTERS[:37],
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + LETTERS[:30],
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n",
    ],
)
def test_tokens_of_well_known_form(token: str) -> None:
    assert redact_text(f"it is '{token}' here").startswith(f"it is '{REDACTED}")
    assert LETTERS[:10] not in redact_text(token)
    assert "MIIE" not in redact_text(token)
    assert redact_text(f"a={token}") == f"a={REDACTED}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://hooks.slack.com/services/T0/B0/abc", f"https://hooks.slack.com/services/{REDACTED}"),
        ("https://discord.com/api/webhooks/1/abc", f"https://discord.com/api/webhooks/{REDACTED}"),
        ("https://api.telegram.org/bot1:abc/sendMessage", f"https://api.telegram.org/bot{REDACTED}"),
        ("Authorization: Bearer abc123", f"Authorization: Bearer {REDACTED}"),
        ("authorization: Basic dXNlcjpwYXNz=", f"authorization: Basic {REDACTED}"),
        ("with Bearer abcdefgh12345678", f"with Bearer {REDACTED}"),
        ("https://s3/x?X-Amz-Date=1&X-Amz-Signature=abc", f"https://s3/x?X-Amz-Date=1&X-Amz-Signature={REDACTED}"),
        ("https://x.blob/y?sv=1&sig=a%2Fb", f"https://x.blob/y?sv=1&sig={REDACTED}"),
        ("AccountName=me;AccountKey=abc==;X=1", f"AccountName=me;AccountKey={REDACTED};X=1"),
        ("Server=h;User=me;Password=abc;", f"Server=h;User=me;Password={REDACTED};"),
        ("https://" + LETTERS[:30] + "@github.com/x", f"https://{REDACTED}@github.com/x"),
    ],
)
def test_secrets_within_a_text(text: str, kept: str) -> None:
    assert redact_text(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication failed for the user",
        "Authorization: failed with code 3",
        "a Bearer of bad news",
        "PWD=/home/me/project",
        "0123456789abcdef0123456789abcdef",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sk-learn-contrib",
        "npm_config_cache",
        "task-2024-01-01-experiment",
        "https://example.org/a?page=2&sort=key",
        "2026-11-29T12:00:00.000Z",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert redact_text(text) == text


WORDS = """
access_key=row master_key=C_major consumer_key=customer_id account_key=acct license_key=MIT token=word
session_token=[CLS] bot_token=[BOT] login_token=cls service_token=mask security_token=usd hub_token=none creds=none
secrets=none webhook=off sas=stats dsn=audio private_key=path/to/key.pem connection_string=sqlite:///x.db
ssh_key=~/.ssh/id_ed25519 api_key=secrets/key.json psk=qam password_hash=bcrypt
"""


@pytest.mark.parametrize("word", WORDS.split())
def test_a_word_or_a_place_under_a_doubtful_name_is_no_secret(word: str) -> None:
    name, _, value = word.partition("=")
    assert Redactor().value({name: value}) == {name: value}
    assert Redactor().argument(f"+{word}") == f"+{word}"
    assert Redactor().yaml(f"{name}: '{value}'\n") == f"{name}: '{value}'\n"
    assert Redactor().argument(f"tokenizer.{word}") == f"tokenizer.{word}"


@pytest.mark.parametrize(
    "word", ["password=word", "api_key=word", "api.token=abc", "access_key=xkqzvbnm", "private_key=a/B7+x", "pass=none"]
)
def test_under_a_sure_name_a_word_is_a_secret_too(word: str) -> None:
    assert Redactor().argument(word) == f"{word.partition('=')[0]}={REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "start --password CANARY7 now",
        "mysql -h db -pCANARY7 x",
        "curl -s -u bob:CANARY7 https://h",
        '{"password": "CANARY7"}',
        "password: CANARY7",
        "host=h password=CANARY7 user=u",
        "Pwd=CANARY7;Server=h",
        "https://h/?passphrase=CANARY7",
        "https://h/#access_token=CANARY7",
        "postgresql://u:CANARY7/abc@h",
        "X-Api-Key: CANARY7",
    ],
)
def test_secrets_that_a_text_names(text: str) -> None:
    redactor = Redactor()
    assert "CANARY7" not in redact_text(text)
    secret = "CANARY7/abc" if "CANARY7/abc" in text else "CANARY7"
    assert "CANARY7" not in redactor.value({"cfg": text, "later": f"it is {secret}"})["later"]


@pytest.mark.parametrize(
    "text",
    [
        "password: required",
        "connect(password=cfg.db.password)",
        "def f(password: str = 'none', api_key: Optional[str] = None) -> int:",
        "usage: --password PASSWORD --token is needed",
        "no password=0.25 here",
        "http://localhost:8080/a@b",
        "mongodb://a:1,b:2/x",
        "mysql and curl -s https://h",
    ],
)
def test_texts_that_only_speak_of_secrets(text: str) -> None:
    assert redact_text(text) == text


def test_a_secret_that_is_a_word_of_its_own_name_leaves_the_rest_alone() -> None:
    redactor = Redactor()
    assert redactor.arguments(["+password=password", "x=1"]) == (f"+password={REDACTED}", "x=1")
    assert redactor.value({"password": "password", "database": {"password": "database"}}) == {
        "password": REDACTED,
        "database": {"password": REDACTED},
    }


def test_ordinary_words_in_the_environment_are_hunted_for_nowhere() -> None:
    redactor = Redactor.of_environment(
        {"POSTGRES_PASSWORD": "postgres", "DB_PASSWORD": "models", "A_TOKEN": "Hunter22"}
    )
    assert redactor.text("postgres models/resnet Hunter22") == f"postgres models/resnet {REDACTED}"


def test_a_number_is_a_secret_wherever_it_turns_up() -> None:
    redactor = Redactor()
    assert redactor.value({"password": 73519426})["password"] == REDACTED
    assert redactor.value({"p": 73519426, "q": 735194261, "r": "is 73519426, 0.73519426"}) == {
        "p": REDACTED,
        "q": 735194261,
        "r": f"is {REDACTED}, 0.73519426",
    }


def test_a_word_that_was_looked_at_before_hides_what_was_learnt_since() -> None:
    redactor = Redactor()
    assert redactor.arguments(["name=hunter22x"]) == ("name=hunter22x",)
    redactor.learn(["hunter22x"])
    assert redactor.arguments(["name=hunter22x"]) == ("name=<redacted>",)
    assert redactor.argument("name=hunter22x") == "name=<redacted>"
    assert Redactor().argument("name=hunter22x") == "name=hunter22x"
