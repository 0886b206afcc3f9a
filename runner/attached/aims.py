"""Which result is best: what is asked of it, and what its name says. Plain values alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from anew.runner.dataclass import dataclass
from anew.runner.lazy.patterns import regexp


@dataclass(frozen=True, slots=True)
class Constraint:
    """
    What a result has to meet.

    Attributes:
        text: As it was typed.
        name: A key of what main returns, or a metric.
        sign: 1 where the number is to be small, -1 where it is to be large.
        bound: How small, or how large.
        is_strict: Whether the bound itself is too much.
    """

    text: str
    name: str
    sign: int
    bound: float
    is_strict: bool = False

    def missed_by(self, value: Any) -> float:
        """Return by how much a number misses it: above 0 it does, from 0 down it does not."""
        missed = self.sign * (float(value) - self.bound)
        if missed != missed:
            return sys.float_info.max
        return sys.float_info.min if missed == 0 and self.is_strict else missed


def read_constraint(text: str) -> Constraint | None:
    """Return what `size <= 100` asks; None where it is no such comparison."""
    found = _COMPARISON.fullmatch(text.strip())
    try:
        bound = float(found["bound"]) if found else float("nan")
    except ValueError:
        return None
    if found is None or bound != bound:
        return None
    sign = 1 if found["how"].startswith("<") else -1
    return Constraint(text, found["name"].strip(), sign, bound, "=" not in found["how"])


def picked(name: str, result: Any, metrics: Mapping[str, Any]) -> tuple[bool, Any]:
    """Return whether there is a key of a result, or else a metric, of that name, and what it is."""
    for values in (result if isinstance(result, Mapping) else {}, metrics):
        if name in values:
            return True, values[name]
    return False, None


def beats(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether costs are nowhere larger than others, and not the same."""
    return one != other and all(left <= right for left, right in zip(one, other, strict=True))


def is_number(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether a value is a number, of any size, and neither NaN nor infinite."""
    return is_number(value) and bool(value - value == 0)


def direction_of(name: str) -> str | None:
    """Return what the name of a result says of it: "minimize" of "val/loss", "maximize" of "test_acc"; else None."""
    words = {word.lower() for word in _WORD.findall(name)}
    words |= {word.rstrip("0123456789") for word in words}
    if words & _TURNED:
        return None
    least, most = bool(words & _LESS), bool(words & _MORE)
    return None if least is most else "minimize" if least else "maximize"


_COMPARISON = regexp(r"(?P<name>[^<>=!]+?)\s*(?P<how><=|>=|<|>)\s*(?P<bound>[^<>=]+)")
_WORD = regexp(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")
# fmt: off
_LESS = frozenset((
    "loss", "losses", "cost", "error", "errors", "err", "mse", "rmse", "rmsle", "mae", "mape", "nll", "perplexity",
    "ppl", "regret", "wer", "cer", "fid", "bpc", "bpb",
))
_MORE = frozenset((
    "acc", "accuracy", "auc", "auroc", "auprc", "f1", "precision", "recall", "score", "reward", "iou", "miou", "dice",
    "bleu", "rouge", "psnr", "ssim", "r2", "elbo",
))
# fmt: on
# such as "neg_mean_squared_error"
_TURNED = frozenset(("neg", "negative", "inverse", "minus"))
