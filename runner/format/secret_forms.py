"""By what a secret is known before anybody has said that it is one: the name that it stands under, or its form.

Names are taken apart at `_`, `-`, `.` and where a capital begins, and judged by what they end with. Some say all
(`password`); with others the value has a say (`proxy_auth` may be "basic", `pad_token` a mark in a text).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from urllib.parse import unquote

from anew.runner.lazy.patterns import regexp

REDACTED = "<redacted>"

# --- names ----------------------------------------------------------------------------------------------------------

_NO_SECRET_NAMES = ("PWD", "OLDPWD")
_CAPITAL = regexp(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATOR = regexp(r"[\s.\-/@]+")
_COUNTED = regexp(r"(?<=[a-z])(?<!base)_?[0-9]{1,2}$")

_KEYS = (
    "access|account|api|app|app_secret|client_secret|consumer|decryption|encryption|fernet|hmac|license|master|private|"
    "secret|shared|shared_access|signing|ssh|ssh_private|storage_account|subscription"
)
_TOKENS = (
    "access|api|auth|azure|bearer|bot|cloudflare|codecov|csrf|databricks|deploy|digitalocean|discord|figma|gh|github|"
    "gitlab|heroku|hf|hub|huggingface|jwt|login|my|notion|npm|oauth|oauth2|openai|personal|pypi|refresh|sas|secret|"
    "security|sentry|service|session|slack|telegram|user|vault|wandb|xsrf"
)
# of words that end in "pass" there are many, of services that take one few
_PASSES = (
    "admin|auth|bind|cert|db|ftp|git|http|imap|key|ldap|login|mail|mongo|my|mysql|pg|pop|pop3|proxy|redis|root|smtp|sql|"
    "ssh|ssl|sudo|svn|user|vpn|wifi"
)
_SURE_NAME = regexp(
    r"(?:"
    r".*(?:passwor[dt]|passwd|passphrase|passcode)s?|(?:.*_)?pwds?|(?:.*_)?(?:db|user|login)pwd|"
    r"(?:.*_)?pass_(?:word|phrase|code)s?|.*store_?pass|(?:.*_)?(?:kennwort|contrase[nñ]a|senha|heslo|wachtwoord)|"
    r"(?:.*_)?t?otps?|(?:.*_)?(?:t?otp|mfa|2fa)_(?:seed|code|secret|key)s?|(?:.*_)?recovery_codes?|(?:.*_)?seed_phrase|"
    r"(?:.*_)?private_?pem|(?:.*_)?secret_(?:id|value|text)|(?:.*_)?(?:my|user)secret|(?:.*_)?token_value|"
    r"(?:.*_)?(?:ado|azure|git|github|gitlab)_?pat|(?:j|php_?)session_?id|(?:j|php_?)?sessid|"
    r"(?:.*_)?(?:chat|discord|slack|teams)_?hook(?:_?url)?|"
    rf"pass|(?:.*_)?(?:{_PASSES})_?pass|"
    rf"(?:.*_)?(?:{_PASSES})pw|"
    r"(?:.*_)?(?:secrets?|creds?)|.*credentials?|.*(?:client|app)secret|"
    rf"(?:.*_)?(?:{_KEYS})_?keys?(?:_id|_pem|_data|_base64|_b64)?|.*(?:api|secret|private)_?keys?|"
    rf"token|(?:.*_)?(?:{_TOKENS})_?tokens?|"
    r"(?:.*_)?webhook(?:_?url)?|(?:.*_)?authorization|(?:.*_)?conn(?:ection)?_?str(?:ing)?s?|(?:.*_)?sas_url"
    r")"
)
_LIKELY_NAME = regexp(
    r"(?:.*_)?(?:auth|cookies?|dsn|bearer|jwt|pass|sas|pw|psk|mnemonic|[cx]srf)|.*(?:session|auth)cookie|"
    r".*(?:password|passwd|pwd)_hash(?:es)?"
)
# of these a word or a mark says how, or what of: `access_key=row`, `bot_token=[BOT]`
_WORDY_NAME = regexp(
    r"(?:.*_)?(?:access|account|app|consumer|license|master|private|shared|ssh|subscription)_?keys?|token(?:_value)?|"
    r"(?:.*_)?(?:bot|csrf|hub|login|my|secret|security|service|session|user|xsrf)_?tokens?|(?:.*_)?creds?|"
    r"(?:.*_)?secrets|.*credentials|(?:.*_)?webhook|(?:.*_)?(?:auth|cookies?|dsn|bearer|jwt|sas|psk|[cx]srf)|.*_hash"
)
_TOKEN_NAME = regexp(rf"(?:.*_)?(?:{_TOKENS})_tokens?")
_PASSWORD_NAME = regexp(r".*(?:pass|passwor[dt]|passwd|passphrase|passcode|pwd|pw)s?")
_WORD = regexp(r"(?:[a-z]{1,10}|[A-Z][a-z]{0,9}|[A-Z]{2,5})(?:[_\-. ](?:[a-z]{1,10}|[A-Z][a-z]{0,9}|[A-Z]{2,5})){0,2}")
_MARK = regexp(r"\[\w+\]|<\|?\w+\|?>")
_UNSPEAKABLE = regexp(r"(?i)[bcdfghjklmnpqrstvwxz]{5}")
_PATH = regexp(
    r"(?:~?/|\.{1,2}/)?(?:[\w.\- ]+/)*[\w.\- ]+"
    r"\.(?:pem|key|crt|cer|der|pub|ppk|p12|pfx|jks|json|ya?ml|txt|env|ini|toml|cfg)|"
    r"(?:~|\.{1,2}|/(?:etc|home|mnt|opt|root|run|srv|tmp|usr|var|Users))(?:/[\w.\- ]+)+"
)
_MAYBE_NAME = regexp(r"(?:.*_)?(?:token|key)s?")
# each word of a name before "pass" that makes it a count, a stage or a filter
_NO_PASS = regexp(
    r"(?:.*_)?(?:n|num|nr|no|number|count|max|min|all|any|per|this|first|second|third|last|next|prev|final|one|two|"
    r"single|double|multi|fwd|bwd|forward|backward|by|low|high|band|all|test|tests|check|did|must|can|will)_pass"
)
# what stands under `auth` and says how, not what with
_WAYS = regexp(
    r"(?i)(?:anonymous|auto|basic|bearer|default|digest|iam|jwt|kerberos|ldap|netrc|none|ntlm|oauth2?|off|on|password|"
    r"plain|public|required|ssh|sso|token|tls|mtls|yes|no|true|false|null|optional|api_?key|"
    r"argon2(?:id?|d)?|bcrypt|scrypt|pbkdf2|md5|sha(?:1|256|512))"
)
_NUMBER = regexp(r"[+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_BARE_URL = regexp(r"[a-zA-Z][a-zA-Z0-9+.\-]*://[^@]*")
_RUN = regexp(r"[A-Za-z0-9]{16,}")
_SECRET_VARIABLE = regexp(r"(?:^|_)(?:KEY|TOKEN|PASS|PASSWORD|PASSWD|SECRET|CREDENTIALS?|DSN)$", re.IGNORECASE)
# says where a secret is, not what it is
REFERENCE = regexp(r"""['"]?\$\{[\w.:]+(?:,\s*(?:null|''|""))?\}['"]?""")


def _words(name: str) -> str:
    return _COUNTED.sub("", _SEPARATOR.sub("_", _CAPITAL.sub("_", name)).lower().strip("_"))


@lru_cache(maxsize=1024)
def name_parts(names: tuple[str, ...]) -> frozenset[str]:
    """Return names, and the words that they are made of, in small letters."""
    return frozenset(part for name in names for part in (name.lower(), *_words(name).split("_")))


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether values of this name are secrets: `db.password`, `OPENAI_API_KEY`; but not `pad_token` or `sort_key`."""
    last = name.rpartition(".")[2]
    return name not in _NO_SECRET_NAMES and any(_SURE_NAME.fullmatch(_words(part)) for part in {name, last})


def is_secret(name: str, value: object) -> bool:
    """Whether what stands under a name is a secret, where the name alone does not say: texts and whole numbers only."""
    if not isinstance(value, (str, int, bytes)) or isinstance(value, bool) or not name:
        return False
    if is_secret_name(name):
        return not (isinstance(value, str) and _is_ordinary(_words(name), value))
    if not isinstance(value, str):
        return False
    words = _asking(name)
    if not words:
        return False
    if _LIKELY_NAME.fullmatch(words):
        is_way = _NUMBER.fullmatch(value) or _WAYS.fullmatch(value) or _is_ordinary(words, value)
        return not (is_way or _NO_PASS.fullmatch(words))
    return _MAYBE_NAME.fullmatch(words) is not None and looks_random(value)


@lru_cache(maxsize=8192)
def _asking(name: str) -> str:
    """Return the words of a name of which the value has a say; "" for another."""
    words = _words(name)
    return words if _LIKELY_NAME.fullmatch(words) or _MAYBE_NAME.fullmatch(words) else ""


def is_token_of(parent: str, name: str) -> bool:
    """Whether `parent.name` is a token whatever it says: `api.token`, but not `tokenizer.token`."""
    words = _words(f"{parent}.{name}")
    return _TOKEN_NAME.fullmatch(words) is not None and not _WORDY_NAME.fullmatch(words)


def _is_ordinary(words: str, value: str) -> bool:
    """Whether a value is a word or a place such as nobody has for a secret, under a name of which that can be."""
    if _BARE_URL.fullmatch(value):
        return words.endswith("dsn") or "conn" in words
    if _PATH.fullmatch(value) and not looks_random(value):
        return not _PASSWORD_NAME.fullmatch(words)
    return (is_word(value) or _MARK.fullmatch(value) is not None) and _WORDY_NAME.fullmatch(words) is not None


def is_word(value: str) -> bool:
    """Whether a text reads like a word or two, as in a dictionary."""
    return _WORD.fullmatch(value) is not None and _UNSPEAKABLE.search(value) is None


def looks_random(value: str) -> bool:
    """Whether a text has a long stretch of letters and digits, as made by a generator and not by a person."""
    runs = (match[0] for match in _RUN.finditer(value))
    return any(sum(map(str.isdigit, run)) >= 2 and not run.isdigit() for run in runs)


def is_secret_variable(name: str) -> bool:
    """Whether the value of an environment variable of this name is a secret."""
    return is_secret_name(name) or (name not in _NO_SECRET_NAMES and _SECRET_VARIABLE.search(name) is not None)


# --- forms ----------------------------------------------------------------------------------------------------------

# with a slash in it, unless what comes before that is a port
_URL_PASSWORD = regexp(
    r"(?P<head>\b[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s/:@'\"]*:)"
    r"(?P<secret>[^\s@/'\"]+|(?![0-9]+/)[^\s@/,'\"${]+/[^\s@'\",]+)(?=@)"
)
_URL_USER = regexp(r"(?P<head>\bhttps?://)(?P<secret>[A-Za-z0-9_\-]{20,})(?=(?::x-oauth-basic)?@)")
_URL_QUERY = regexp(
    r"(?P<head>[?&#](?:access_?token|auth_?token|token|api_?key|app_?key|key|password|passwd|passphrase|pwd|secret|"
    r"client_secret|sig|signature|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|"
    r"awsaccesskeyid|googleaccessid)=)(?P<secret>[^&\s'\"#]+)",
    re.IGNORECASE,
)
_CONNECTION = regexp(
    r"(?P<head>(?:;\s*(?:Password|Pwd)|\b(?:AccountKey|SharedAccessKey|SharedAccessSignature|SharedSecret))\s*=\s*)"
    r"(?P<secret>[^;\s'\"]+)",
    re.IGNORECASE,
)
_HEADER = regexp(
    r"(?P<head>\bAuthorization['\"]?\s*[:=]\s*['\"]?(?:Basic|Bearer|Token|Digest|ApiKey|Negotiate)\s+)"
    r"(?P<secret>(?=[^\s'\",;]*[0-9+/=_])[^\s'\",;]{6,})",
    re.IGNORECASE,
)
_SCHEME = regexp(r"(?P<head>\b(?:Basic|Bearer)\s+)(?P<secret>(?=[^\s'\"]*[0-9+/=_])[A-Za-z0-9+/=._~\-]{16,})")
_HOOK = regexp(
    r"(?P<head>\bhttps://(?:hooks\.slack\.com/(?:services|workflows|triggers)/|(?:\w+\.)?discord(?:app)?\.com/api/webhooks/|"
    r"[\w\-]+\.webhook\.office\.com/webhookb2/|outlook\.office\.com/webhook/|chat\.googleapis\.com/v1/spaces/|"
    r"hooks\.zapier\.com/hooks/|maker\.ifttt\.com/trigger/|open\.(?:feishu|larksuite)\.\w+/open-apis/bot/v2/hook/|"
    r"api\.telegram\.org/(?:file/)?bot))(?P<secret>[^\s'\"<>]+)"
)
_TOKENS_OF = (
    r"A(?:KIA|SIA|BIA|CCA)[0-9A-Z]{16}\b",
    r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}",
    r"gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt|soat)-[A-Za-z0-9_\-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9\-]{10,}|xapp-[0-9]-[A-Za-z0-9\-]{10,}",
    r"AIza[0-9A-Za-z_\-]{35}|ya29\.[0-9A-Za-z_\-.]{20,}|GOCSPX-[0-9A-Za-z_\-]{20,}|1//0[0-9A-Za-z_\-]{20,}",
    r"npm_[A-Za-z0-9]{30,}|pypi-AgE[A-Za-z0-9_\-]{16,}|rubygems_[0-9a-f]{40,}|dckr_pat_[A-Za-z0-9_\-]{20,}",
    r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|key-[0-9a-f]{32}\b|[0-9a-f]{32}-us[0-9]{1,2}\b",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,}|sq0[a-z]{3}-[A-Za-z0-9_\-]{20,}",
    r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}",
    r"xai-[A-Za-z0-9]{40,}|sk-[A-Za-z0-9_\-]{32,}",
    r"dapi[0-9a-f]{32}(?:-[0-9])?\b|do[opr]_v1_[0-9a-f]{40,}|SK[0-9a-f]{32}\b|[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,}",
    r"[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,}|HRKU-[0-9A-Za-z_\-]{30,}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|lin_api_[A-Za-z0-9]{30,}|ntn_[A-Za-z0-9]{40,}|figd_[A-Za-z0-9_\-]{30,}",
    r"gl(?:sa|c)_[A-Za-z0-9_+/=\-]{30,}|hv[sb]\.[A-Za-z0-9_\-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-=]{40,}",
    r"NRAK-[A-Z0-9]{27}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.\-]{30,}|dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9]{40,}",
    r"sntr(?:ys|yu)_[A-Za-z0-9_+/=]{30,}|tskey-[a-z]+-[A-Za-z0-9\-]{20,}|sbp_[0-9a-f]{40}|PMAK-[A-Za-z0-9\-]{40,}",
    r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.\-]{31,34}|AGE-SECRET-KEY-1[0-9A-Z]{58}",
    r"eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}",
)
# what is in each of them; to make the pattern takes milliseconds, which a run without any need not wait for
_SIGNS = (
    *("AKIA", "ASIA", "ABIA", "ACCA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-"),
    *("glrt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glcbt-", "glsoat-", "glsa_", "glc_", "xox"),
    *("xapp-", "AIza", "ya29.", "GOCSPX-", "1//0", "npm_", "pypi-AgE", "rubygems_", "dckr_pat_", "SG.", "key-"),
    *("-us", "k_live_", "k_test_", "whsec_", "sq0", "hf_", "api_org_", "r8_", "gsk_", "pplx-", "xai-", "sk-"),
    *("dapi", "dop_v1_", "doo_v1_", "dor_v1_", "SK", ":AA", "HRKU-", "shpat_", "shpca_", "shppa_", "shpss_"),
    *("lin_api_", "ntn_", "figd_", "hvs.", "hvb.", ".atlasv1.", "NRAK-", "pscale_", "dp.", "sntr", "tskey-", "sbp_"),
    *("PMAK-", "Q~", "AGE-SECRET-KEY-1", "eyJ"),
)
_LONG_PART = 27


@cache
def _token() -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?P<secret>{'|'.join(_TOKENS_OF)})")


def _tokens_in(word: str) -> Iterator[re.Match[str]]:
    is_dotted = word.count(".") >= 2 and any(len(part) >= _LONG_PART for part in word.split("."))
    if is_dotted or any(sign in word for sign in _SIGNS):
        yield from _token().finditer(word)


# a token is within such a word, and of these there are few: the alternatives above cost a microsecond a character
_LONG_WORD = regexp(r"[A-Za-z0-9_\-.~:+/=]{15,}")
_PRIVATE_KEY = regexp(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----(?P<secret>.*?)(?:-----END (?P=kind)-----|\Z)",
    re.DOTALL,
)
# what is written under a name in a text: code, which a traceback shows, has names there, and prose has words
_NAMED = regexp(
    r"(?P<head>(?<![\w\-.$])(?!(?-i:OLDPWD|PWD)\b)[\w\-.]*?(?:passwor[dt]|passwd|passphrase|pwd|api[_\-]?key|"
    r"client[_\-]?secret|secret[_\-]?key|(?:access|auth|refresh)[_\-]?token)\\?['\"]?\s*[:=]\s*\\?['\"]?)"
    r"(?P<secret>[^\s'\",;&{}()\[\]<>\\]{4,})(?=[\s'\",;&})\]\\]|\Z)",
    re.IGNORECASE,
)
_FLAG = regexp(
    r"(?P<head>(?<![\w\-])--(?:[\w\-]*-)?(?:password|passwd|passphrase|pwd|pass|token|api-key|secret)[ =]['\"]?)"
    r"(?P<secret>(?![\-$<\[])[^\s'\"]{4,})"
)
_PROGRAM = regexp(
    r"(?P<head>\bcurl\b[^\n|;]{0,300}?\s(?:-u|--user)[ =]?['\"]?[^\s:'\"]+:|"
    r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,300}?\s-p)(?P<secret>[^\s'\"]{4,})"
)
_NO_TEXT_SECRET = regexp(r"[A-Z_]+|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|[0-9]*\.[0-9]+|\$.*|\*+|https?://.*")
_IN_PROSE = (_NAMED, _FLAG)
_WITH_URL = (_URL_PASSWORD, _URL_USER, _URL_QUERY, _HOOK)
_BY_NAME = (_HEADER, _CONNECTION)


def redact_text(text: str, show: Callable[[str], str] = lambda secret: REDACTED) -> str:
    """
    Return *text* without what is a secret by its form: passwords in URLs, private keys, tokens of well-known form.

    Args:
        text: Any text.
        show: Returns what is to stand in the place of a secret.
    """

    def shown(match: re.Match[str]) -> str:
        if _is_prose(match):
            return match[0]
        return f"{match['head'] if 'head' in match.re.groupindex else ''}{show(match['secret'])}"

    for pattern in _patterns(text):
        text = pattern.sub(shown, text)
    return _LONG_WORD.sub(lambda word: _token().sub(shown, word[0]) if any(_tokens_in(word[0])) else word[0], text)


def secret_forms(text: str) -> Iterator[str]:
    """Yield the secrets that `redact_text` takes out."""
    for pattern in _patterns(text):
        for match in pattern.finditer(text):
            if _is_prose(match):
                continue
            yield match["secret"]
            if pattern in _WITH_URL:
                yield unquote(match["secret"])
    for word in _LONG_WORD.finditer(text):
        yield from (match["secret"] for match in _tokens_in(word[0]))


def _is_prose(match: re.Match[str]) -> bool:
    secret = match["secret"]
    if match.re not in _IN_PROSE:
        return False
    is_place = _PATH.fullmatch(secret) is not None and not looks_random(secret)
    return is_place or is_word(secret) or _NO_TEXT_SECRET.fullmatch(secret) is not None


def _patterns(text: str) -> Iterator[re.Pattern[str]]:
    """Yield the patterns that can be found in a text: most of them begin with something that few texts have."""
    if "PRIVATE KEY" in text:
        yield _PRIVATE_KEY
    if "://" in text:
        yield from _WITH_URL
    if "=" in text or ":" in text:
        yield from _BY_NAME
        yield _NAMED
    if " -" in text or text.startswith("--"):
        yield _FLAG
        yield _PROGRAM
    if "earer " in text or "asic " in text:
        yield _SCHEME


def has_known_form(text: str) -> bool:
    """Whether there is a token of well-known form in *text*."""
    return any(any(_tokens_in(word[0])) for word in _LONG_WORD.finditer(text))


# --- in files -------------------------------------------------------------------------------------------------------

_LARGEST_TEXT = 2**20
_WRITTEN_OUT = regexp(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|"
    rb"(?i:\b[\w.]*(?:password|passwd|secret|api_?key|auth_?token|access_?token)[\"']?\s*[:=]\s*)"
    rb"[\"'](?![\"'<${]|(?i:your|change|example|dummy|test|xxx|none|null))[^\"'\s]{8,}[\"']"
)


def seems_secret(data: bytes) -> bool:
    """Whether a file's content seems to hold a private key, a well-known token, or a password written out."""
    if b"\0" in data[:1024] or len(data) > _LARGEST_TEXT:
        return False
    return bool(_WRITTEN_OUT.search(data)) or has_known_form(data.decode("utf-8", "replace"))
