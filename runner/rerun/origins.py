"""What comes out otherwise each time, known by its name in source: clocks, generators without a seed, and the like."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from anew.runner.dataclass import dataclass

# likeliest first: the order in which causes are named
KINDS = ("unseeded", "time", "temporary", "place", "order", "hash", "variable")


@dataclass(frozen=True, slots=True)
class Origin:
    """
    A place in source whose value is another each time, or may be.

    Attributes:
        kind: One of KINDS.
        where: "train.py:12".
        code: What stands there.
        variable: Which environment variable it reads, of that kind.
    """

    kind: str
    where: str
    code: str
    variable: str = ""


_WITHOUT_SEED = frozenset(
    f"numpy.random.{name}"
    for name in ("default_rng", "RandomState", "SeedSequence", "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
) | {"random.Random", "random.seed", "numpy.random.seed"}
# given an argument these take their state from it
_SEEDED_BY = _WITHOUT_SEED | {"torch.manual_seed", "jax.random.PRNGKey", "jax.random.key", "tensorflow.random.set_seed"}
_ALWAYS_RANDOM = {
    "random.SystemRandom",
    "os.urandom",
    "os.getrandom",
    "uuid.uuid1",
    "uuid.uuid4",
    "torch.seed",
    "torch.random.seed",
    "tensorflow.random.Generator.from_non_deterministic_state",
}
_CLOCKS = {
    *(
        f"time.{name}{end}"
        for name in ("time", "perf_counter", "monotonic", "process_time", "thread_time")
        for end in ("", "_ns")
    ),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
    "timeit.default_timer",
    "timeit.timeit",
    "timeit.repeat",
    "os.times",
    "resource.getrusage",
    "pandas.Timestamp.now",
    "pandas.Timestamp.today",
}
# without a time they take the present one
_OF_NOW = {"time.ctime", "time.asctime", "time.localtime", "time.gmtime"}
_TEMPORARY = {
    f"tempfile.{name}"
    for name in (
        "mkdtemp",
        "mkstemp",
        "mktemp",
        "TemporaryDirectory",
        "NamedTemporaryFile",
        "TemporaryFile",
        "SpooledTemporaryFile",
    )
}
_PLACES = {
    "os.getcwd",
    "pathlib.Path.cwd",
    "os.path.abspath",
    "os.path.realpath",
    "os.getpid",
    "os.getppid",
    "socket.gethostname",
    "platform.node",
    "threading.get_ident",
    "threading.get_native_id",
}
_FOLDER_LISTS = {"os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob"}
_FOLDER_METHODS = {"iterdir", "glob", "rglob"}
_THREADS = {
    "threading.Thread",
    "multiprocessing.Process",
    "concurrent.futures.ThreadPoolExecutor",
    "concurrent.futures.as_completed",
    "asyncio.as_completed",
}
_UNORDERED_METHODS = {"imap_unordered", "as_completed"}
_IN_PROCESSES = {
    "multiprocessing.Process",
    "multiprocessing.Pool",
    "concurrent.futures.ProcessPoolExecutor",
    "joblib.Parallel",
}
_READS_VARIABLE = {"os.getenv", *(f"os.environ.{name}" for name in ("get", "pop", "setdefault", "__getitem__"))}
_SAME_IN_ANY_ORDER = {"sorted", "min", "max", "len", "set", "frozenset", "any", "all", "Counter"}
_ITERATES = {"list", "tuple", "enumerate", "iter", "dict", "zip", "map", "join", "next", "array"}


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """Return the full name of what a name or attribute stands for, as far as imports tell; "" when it is neither."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(aliases.get(node.id, node.id))
    return ".".join(reversed(parts))


def variable_read(node: ast.AST, aliases: Mapping[str, str]) -> str:
    """Return the environment variable that an expression reads, or asks whether it is there; "" for any other."""
    name: ast.expr | None = None
    if isinstance(node, ast.Subscript) and dotted(node.value, aliases) == "os.environ":
        name = node.slice
    elif isinstance(node, ast.Call) and node.args and dotted(node.func, aliases) in _READS_VARIABLE:
        name = node.args[0]
    elif isinstance(node, ast.Compare) and dotted(node.comparators[0], aliases) == "os.environ":
        name = node.left
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""


def origin_kind(call: ast.Call, name: str, is_unordered: bool) -> str | None:
    """
    Return which kind of origin a call is, None for none.

    Args:
        call: In source.
        name: The full name of what is called.
        is_unordered: Whether it is given a set of texts, or a listing of a folder.
    """
    bare = not [each for each in call.args if not _is_none(each)] and not [
        k for k in call.keywords if not _is_none(k.value)
    ]
    if name in _ALWAYS_RANDOM or name.startswith("secrets.") or (name in _WITHOUT_SEED and bare):
        return "unseeded"
    if name in _CLOCKS or (name in _OF_NOW and bare) or (name == "time.strftime" and len(call.args) < 2):
        return "time"
    if name in _TEMPORARY:
        return "temporary"
    if name in _PLACES:
        return "place"
    if name in _THREADS or name.rpartition(".")[2] in _UNORDERED_METHODS:
        return "order"
    if name == "hash" or name == "id" or (is_unordered and name.rpartition(".")[2] in _ITERATES):
        return "hash"
    return None


def lists_folder(call: ast.Call, name: str) -> bool:
    """Whether a call lists a folder, in the order of the file system."""
    is_method = (
        isinstance(call.func, ast.Attribute) and call.func.attr in _FOLDER_METHODS and not name.startswith("glob.")
    )
    return name in _FOLDER_LISTS or is_method


def seeds(name: str) -> bool:
    """Whether a call takes a seed, so that one that is another each time makes it random."""
    return name in _SEEDED_BY


def starts_processes(name: str) -> bool:
    """Whether a call begins processes whose generators nobody seeds."""
    return name in _IN_PROCESSES


def draws(name: str) -> bool:
    """Whether a call draws from the generators that every process has."""
    module, _, last = name.rpartition(".")
    return module in ("random", "numpy.random") and last[:1].islower() and last not in ("seed", "default_rng")


def orders(name: str) -> bool:
    """Whether what comes out does not depend on the order of what goes in."""
    return name.rpartition(".")[2] in _SAME_IN_ANY_ORDER


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
