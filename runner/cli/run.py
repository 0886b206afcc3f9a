"""`anew run`: a program that knows nothing of Anew, or a command, as a run."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import click

from anew.runner.capture.seeds import draw_seed
from anew.runner.cli.context import Workbench, command, print_json
from anew.runner.cli.render import remark, say, table
from anew.runner.lazy.modules import later
from anew.runner.program.onward import PROGRAMS, become, become_main, words_of
from anew.runner.program.parameters import MISSING, Assigned, InFile, Parameter
from anew.runner.program.program import Program
from anew.runner.program.reading import read_target
from anew.runner.program.template import template_of
from anew.runner.program.words import Asked, asked

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from anew.runner.cli import run_offers
    from anew.runner.program.configured import file as configured
else:
    run_offers = later("anew.runner.cli.run_offers")
    configured = later("anew.runner.program.configured.file")

_OWN = ("-h", "--help", "--params", "--json", "--store")


class _AsTyped(click.Command):
    """A command whose words are the program's, but for `--help`, `--params`, `--json` and `--store` before it."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Say what follows the options, which are words of no parameter of click's."""
        pieces = super().collect_usage_pieces(ctx)
        return [*pieces, "(PROGRAM.py | -m MODULE) [NAME=VALUE]... [-- WORD]... | [NAME=VALUE]... -- COMMAND [WORD]..."]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer what may follow."""
        words = ctx.params.get("words") or ()
        own = super().shell_complete(ctx, incomplete) if not words and incomplete.startswith("-") else []
        return [*own, *run_offers.offered(words, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what stands before the program; the rest stays as it is."""
        own: list[str] = []
        rest = list(args)
        while rest and (rest[0] in _OWN or rest[0].startswith("--store=")):
            own.append(rest.pop(0))
            if own[-1] == "--store" and rest:
                own.append(rest.pop(0))
        # what is asked about a program may be typed after it too
        end = rest.index("--") if "--" in rest else len(rest)
        asks = [word for word in rest[:end] if word in ("--params", "--json")]
        rest = [word for index, word in enumerate(rest) if index >= end or word not in asks]
        super().parse_args(ctx, [*own, *asks])
        ctx.params["words"] = tuple(rest)
        return []


@command("run", _AsTyped)
@click.option("--params", "only_params", is_flag=True, help="List the program's parameters, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --params: one JSON value on stdout.")
def run_command(workbench: Workbench, only_params: bool, as_json: bool, words: tuple[str, ...] = ()) -> int:
    r"""
    Run a program that knows nothing of Anew, or any command, and record it as a run.

    \b
    anew run train.py lr=0.1          its parameters, by name
    anew run -m pkg.train lr=0.1      a module
    anew run train.py -m lr=0.1,0.2   a sweep
    anew run train.py --help          its parameters, and what it says of them
    anew run train.py -- --lr 0.1     words as they are
    anew run -- ./fit.sh {lr} lr=0.1  any command; -m before the -- for a sweep
    anew run analysis.ipynb lr=0.1    a notebook: the executed copy is an artifact

    A program with a main of Anew's is run as `python train.py lr=0.1` runs it; one with a main of Hydra's is given the
    words as Hydra's.

    Parameters are found by reading the program: options of argparse, click, typer, absl, of dataclass parsers and fire,
    and names that it assigns a value to at its top level. Nothing of it runs before the run is on record.

    Of a command {lr} is a parameter, which it is given in its words and as ANEW_PARAM_LR. Its exit status is the run's.
    Whatever runs may write metrics into $ANEW_METRICS, as lines loss=0.2 step=3; files that it leaves in $ANEW_RUN_DIR
    become artifacts.

    Before either, --config params.yaml (YAML, JSON, TOML, INI) has the keys of a file be parameters: the program finds
    a copy with a run's values at that path. --artifacts 'out/*.png' has what it writes there become artifacts, too, and
    --metric 'acc=accuracy: (\S+)' has what is printed become a metric, both any number of times; --metrics auto takes
    lines such as "step: 3 loss: 0.2", objects of JSON with numbers alone, and bars of Keras and Lightning. --autolog
    has fits and trainings of scikit-learn, XGBoost, LightGBM, Keras and torch be noticed; --autolog=sklearn,models
    names some. Scalars that it writes for TensorBoard become metrics, unless anew.tensorboard=false. --trace has
    strace tell of the files that all processes of the run open, at a cost.

    Before the program: --name NAME files its runs under another name than the program's. After it: -q, --store URL,
    --unrecorded and settings of anew, as with any main.
    """
    os.getcwd()  # where it is gone, that is said here, and not by the program that would run there
    wanted = asked(words)
    if wanted.command is not None and (only_params or as_json or _asks_for_help(wanted)):
        _print_names(wanted, as_json)
        return 0
    if only_params or as_json:
        _print(read_target(wanted.target, is_module=wanted.is_module, config=wanted.config), as_json)
        return 0
    store = [f"--store={workbench.url}"] if workbench.url else []
    if wanted.command is None:
        program = read_target(wanted.target, is_module=wanted.is_module, config=wanted.config)
        if program.found.main == "anew":
            become_main(wanted, store)
        if program.found.main is None and _asks_for_help(wanted):
            _print_help(program, wanted)
            return 0
        if program.entry == "notebook":
            # the kernel has it from here, and so has a re-run's
            os.environ.setdefault("PYTHONHASHSEED", str(draw_seed()))
    return become(["-m", PROGRAMS, *words_of(wanted, store)])


def _asks_for_help(wanted: Asked) -> bool:
    return any(word in ("-h", "--help") for word in wanted.overrides)


def _print_help(program: Program, wanted: Asked) -> None:
    """List a program's parameters as `--help` of a main does, with what the program says of them."""
    target = f"-m {wanted.target}" if wanted.is_module else shlex.quote(wanted.target)
    say(f"Usage: anew run {target} [NAME=VALUE]... [-- WORD]...")
    say("")
    found = program.found
    if found.parameters:
        rows = [[each.name, each.type, _default(each), _choices(each), each.help or ""] for each in found.parameters]
        table(["name", "type", "default", "choices", "help"], rows)
    else:
        say("No parameters were found by reading it.")
    say("")
    say(f"A sweep: anew run {target} -m NAME=1,2")
    say(f"The program's own help: anew run {target} -- --help")
    say("What else a run takes: anew run --help")


def _print_names(wanted: Asked, as_json: bool) -> None:
    """List the parameters of a command."""
    file = None if wanted.config is None else configured.read_config_file(wanted.config)
    in_file = None if file is None else file.parameters
    template = template_of(wanted.overrides, wanted.command or (), in_file, is_partial=True)
    parameters = template.parameters
    if as_json:
        print_json([{**each.as_json(""), "where": _where(each)} for each in parameters])
    elif file is not None:
        table(
            ["name", "type", "default", "where"],
            [[each.name, each.type, _default(each), _where(each) or ""] for each in parameters],
        )
        _remark_left(file)
    elif parameters:
        table(["name"], [[each.name] for each in parameters])
    else:
        say("The command has no parameters; one is written {name}.")


def _where(parameter: Parameter) -> str | None:
    return parameter.where("") if isinstance(parameter.way, InFile) else None


def _remark_left(file: configured.ConfigFile) -> None:
    for name, why in file.left:
        remark(f"{name} stays as it is in {os.path.relpath(file.path)}: {why}.")


def _print(program: Program, as_json: bool) -> None:
    found = program.found
    file = os.path.relpath(program.file)
    if as_json:
        print_json([each.as_json(file) for each in found.parameters])
        return
    if not found.parameters:
        say(f"No parameters were found in {file}.")
    else:
        rows = [[each.name, each.type, _default(each), _choices(each), each.where(file)] for each in found.parameters]
        table(["name", "type", "default", "choices", "where"], rows)
    if found.is_partial:
        remark(
            f"Some options have names that only the program can tell. To give them: anew run {file} -- --option value"
        )
    if program.config_file is not None:
        _remark_left(program.config_file)
    for each in found.unnamed:
        how = "stands in the file alone" if isinstance(each.way, Assigned) else "is given as a word after --"
        remark(f"{each.name} {how}: the name is one that Python, Hydra or anew keeps for itself.")
    for name in found.shadowed:
        remark(f"{name} is a name of the module too; {name}=... sets the option.")


def _default(parameter: Parameter) -> str:
    if parameter.is_computed:
        return "(computed)"
    return "(required)" if parameter.default is MISSING else str(parameter.default)


def _choices(parameter: Parameter) -> str:
    own = f" (of {', '.join(parameter.only)})" if parameter.only else ""
    return f"{', '.join(map(str, parameter.choices))}{own}".strip()
