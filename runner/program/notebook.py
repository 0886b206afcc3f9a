"""A notebook as a run: a copy of it, executed by a kernel of its own, with parameters after the cell tagged so."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, MissingExtraError
from anew.runner.lazy.modules import later
from anew.runner.program.found import Found, find_parameters
from anew.runner.program.offered import offered
from anew.runner.program.parameters import Assigned
from anew.runner.program.program import Program, as_python_says, fresh_logging
from anew.runner.program.schema import values_of
from anew.runner.run.current import current_run
from anew.runner.run.handle import Run

if TYPE_CHECKING:
    import difflib
else:
    difflib = later("difflib")

# papermill's names
_PARAMETERS, _INJECTED = "parameters", "injected-parameters"
_MAGIC = re.compile(r"^(\s*)([%!]|\?)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PATIENCE_S = 10.0
# seeds what is random in the kernel, as in any process of a run, and leaves no name behind
_PREPARE = """exec('''
try:
    from anew.runner.capture.seeds import Seeder
    Seeder({seed}).apply()
except ImportError:
    pass
''', {{}})"""


@dataclass(frozen=True, slots=True)
class Notebook(Program):
    """
    A notebook that is executed.

    Attributes:
        content: What is in the file, as JSON.
    """

    content: Mapping[str, Any] | None = None

    @property
    def entry(self) -> Literal["program", "notebook"]:
        """Which way its runs come in."""
        return "notebook"

    def run(self, config: Any) -> None:
        """
        Execute a copy of it with a configuration; the copy is kept as an artifact, however far it came.

        Raises:
            Exception: What a cell raised, by its name.
            MissingExtraError: nbclient is not installed.
            KeyboardInterrupt, SystemExit: As a signal that came has it; the kernel was interrupted.
        """
        values = values_of(config, self.found.parameters)
        given = {
            each.way.target: values[each.name]
            for each in self.found.parameters
            if isinstance(each.way, Assigned) and each.name in values and repr(values[each.name]) != repr(each.default)
        }
        run = current_run()
        fresh_logging()
        with offered(run):
            _Execution(self, _injected(self.content or {}, given), run).run()


def read_notebook(target: str) -> Notebook:
    """
    Return a notebook by its file. It is read; nothing of it is run.

    Raises:
        ConfigError: There is none, or it is no notebook.
    """
    file = Path(target).absolute()
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        near = difflib.get_close_matches(file.name, [each.name for each in file.parent.glob("*.ipynb")], n=1)
        hint = f" Did you mean {str(Path(target).with_name(near[0]))!r}?" if near else ""
        raise ConfigError(f"There is no file {target!r}.{hint}") from None
    except OSError as error:
        raise ConfigError(f"{target!r} cannot be read: {error.strerror}") from error
    except ValueError:
        raise ConfigError(f"{target!r} is no notebook: it is no JSON.") from None
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list) or content.get("nbformat") != 4:
        raise ConfigError(f"{target!r} is no notebook of format 4. To convert it: jupyter nbconvert --to notebook")
    for number, cell in enumerate(content["cells"], start=1):
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str) or not _is_text(cell.get("source")):
            raise ConfigError(f"{target!r} is no whole notebook: cell {number} has no type, or no text as its source.")
    return Notebook(file, _found(content, target), content=content)


def _is_text(source: Any) -> bool:
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(each, str) for each in source))


def _found(content: Mapping[str, Any], target: str) -> Found:
    """Return the parameters: what the cell that is tagged `parameters` assigns a literal to."""
    cell = next((each for each in content["cells"] if _PARAMETERS in _tags(each)), None)
    if cell is None:
        return Found(())
    if not _is_python(content):
        return Found(())
    try:
        found = find_parameters(_MAGIC.sub(r"\1#\2", _source(cell)), f"{target}, the cell tagged {_PARAMETERS}")
    except SyntaxError as error:
        raise ConfigError(as_python_says(error, target)) from None
    return Found(
        tuple(each for each in found.parameters if isinstance(each.way, Assigned)),
        unnamed=tuple(each for each in found.unnamed if isinstance(each.way, Assigned)),
    )


def _tags(cell: Mapping[str, Any]) -> Sequence[str]:
    tags = cell.get("metadata", {}).get("tags", ())
    return tags if isinstance(tags, list) and cell.get("cell_type") == "code" else ()


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _is_python(content: Mapping[str, Any]) -> bool:
    about = content.get("metadata", {})
    language = about.get("kernelspec", {}).get("language") or about.get("language_info", {}).get("name") or "python"
    return str(language).lower() in ("python", "ipython")


def _injected(content: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with a cell of values after the one tagged `parameters`, in the place of one from before."""
    copy: dict[str, Any] = json.loads(json.dumps(content))
    cells = [each for each in copy["cells"] if _INJECTED not in _tags(each)]
    if given:
        at = next((index for index, each in enumerate(cells) if _PARAMETERS in _tags(each)), -1) + 1
        lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in given.items())]
        cell: dict[str, Any] = {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": [_INJECTED]},
            "outputs": [],
            "source": "\n".join(lines),
        }
        # of formats before 4.5 cells have no names
        named = {"id": _INJECTED} if copy.get("nbformat_minor", 0) >= 5 else {}
        cells.insert(at, {**cell, **named})
    copy["cells"] = cells
    return copy


class _Execution:
    """One execution, in a thread of its own: nbclient would take the signals of the main one for itself."""

    def __init__(self, notebook: Notebook, content: Mapping[str, Any], run: Run) -> None:
        nbformat, client = _libraries()
        kernel, named = kernel_of(notebook)
        if kernel != named:
            run.warn(f"There is no kernel {named!r} here, which the notebook names; this Python's ran it ({kernel}).")
        self._name = notebook.file.name
        self._run = run
        # read, not made of the values: in files the lines of a cell are a list
        self._content = nbformat.reads(json.dumps(content), as_version=4)
        self._write = nbformat.write
        self._client = client(
            self._content,
            kernel_name=kernel,
            timeout=None,
            record_timing=False,
            resources={"metadata": {"path": str(notebook.file.parent)}},
            prepare=_PREPARE.format(seed=run.seed) if _is_python(content) else "",
            # what it warns of is of servers that others reach, and would stand among what the notebook prints
            extra_arguments=["--log-level=ERROR"] if _is_python(content) else [],
        )
        self._error: BaseException | None = None
        self._is_over = threading.Event()

    def run(self) -> None:
        """Execute it. Raises as `Notebook.run`."""
        thread = threading.Thread(target=self._execute, name="anew-notebook", daemon=True)
        try:
            thread.start()
            self._is_over.wait()
        except BaseException:
            self._interrupt()
            raise
        finally:
            self._keep()
        if self._error is not None:
            raise _told(self._error)

    def _execute(self) -> None:
        try:
            self._client.execute()
        except BaseException as error:  # raised in the main thread
            self._error = error
        finally:
            self._is_over.set()

    def _interrupt(self) -> None:
        """Interrupt the kernel, and end it where that does not help."""
        provisioner = getattr(self._client.km, "provisioner", None)
        process = getattr(provisioner, "process", None)
        if process is None:
            return
        with suppress(OSError):
            process.send_signal(2)
        if not self._is_over.wait(_PATIENCE_S):
            with suppress(OSError):
                process.kill()
            self._is_over.wait(_PATIENCE_S)

    def _keep(self) -> None:
        path = self._run.dir / self._name
        self._write(self._content, str(path))
        self._run.log_artifact(path, self._name)


def _libraries() -> tuple[Any, Any]:
    try:
        import nbformat
        from nbclient import NotebookClient
        from traitlets import Unicode
    except ImportError as error:
        raise MissingExtraError(
            f"Notebooks need nbclient ({error}). To install it: pip install 'anew[notebook]'"
        ) from error

    class Client(NotebookClient):
        """Executes, and prints what cells print as it comes."""

        prepare = Unicode("")

        async def async_start_new_kernel_client(self) -> Any:
            made = await super().async_start_new_kernel_client()
            if self.prepare:
                await self.async_wait_for_reply(made.execute(self.prepare, silent=True, store_history=False))
            return made

        def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
            _print(msg["msg_type"], msg["content"])
            return super().output(outs, msg, display_id, cell_index)

    return nbformat, Client


def _print(kind: str, content: Mapping[str, Any]) -> None:
    """Print what a cell gave, as a script in its place would."""
    if kind == "stream":
        stream = sys.stderr if content.get("name") == "stderr" else sys.stdout
        stream.write(content.get("text", ""))
        stream.flush()
    elif kind in ("execute_result", "display_data") and "text/plain" in content.get("data", {}):
        sys.stdout.write(f"{content['data']['text/plain']}\n")
        sys.stdout.flush()


def kernel_of(notebook: Notebook) -> tuple[str, str]:
    """
    Return the name of the kernel that runs a notebook, and that of the one that it names.

    One of Python that is not here is stood in for by that of this Python.

    Raises:
        ConfigError: It needs one that is not here.
        MissingExtraError: nbclient is not installed.
    """
    _libraries()
    from jupyter_client.kernelspec import KernelSpecManager

    content = notebook.content or {}
    name = str(content.get("metadata", {}).get("kernelspec", {}).get("name") or "python3")
    known = KernelSpecManager().find_kernel_specs()
    if name in known:
        return name, name
    if _is_python(content) and "python3" in known:
        return "python3", name
    has = f"Those that are here: {', '.join(sorted(known))}." if known else "There is none here."
    how = "pip install ipykernel" if _is_python(content) else "install the language's kernel for Jupyter"
    raise ConfigError(f"The notebook needs the kernel {name!r}, which is not here. {has} To have it: {how}")


def _told(error: BaseException) -> BaseException:
    """Return what a cell raised under its own name, with what Jupyter says of it."""
    name, value = getattr(error, "ename", None), getattr(error, "evalue", None)
    if name is None:
        return error
    told: BaseException = type(str(name), (Exception,), {"__module__": "builtins"})(str(value))
    text = _COLOUR.sub("", str(error)).strip()
    if sys.version_info >= (3, 11):
        told.add_note(text)
    else:
        sys.stderr.write(f"{text}\n")
    return told
