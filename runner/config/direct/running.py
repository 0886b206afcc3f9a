"""Run a job whose configuration was understood without Hydra; Hydra is there as soon as somebody imports it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anew.runner.config.direct.called import Called, HookFailedError
from anew.runner.config.direct.command import Plain
from anew.runner.config.direct.logs import flush, logging_kept, set_logging
from anew.runner.config.hooks import ComposedJob, JobHooks
from anew.runner.config.output import Output
from anew.runner.config.private.versions import supported
from anew.runner.config.signature.spec import TaskSpec
from anew.runner.kernel.importing import ImportWatch
from anew.runner.lazy.modules import later
from anew.runner.records import Provenance

if TYPE_CHECKING:
    from anew.runner.config.compose import messages
else:
    messages = later("anew.runner.config.compose.messages")


def run(spec: TaskSpec, plain: Plain, hooks: JobHooks, *, interactive: bool) -> Any:
    """Run the job. Returns and raises as `config.main.run_app`."""
    called = Called(spec, hooks, lambda: plain.settings)
    stopped: Exception
    try:
        with ExitStack() as stack:
            if interactive:
                stack.enter_context(logging_kept())
            return _run(called, plain, hooks, interactive)
    except HookFailedError as error:
        stopped = error.error
    except Exception as error:
        stopped = error
    finally:
        called.abandon()
    if not interactive and any(stopped is each for each in called.raised):
        sys.stderr.write(f"Error executing job with overrides: {list(plain.overrides)}\n")
        with supported():
            messages.report_failure(stopped)
    raise stopped


def _run(called: Called, plain: Plain, hooks: JobHooks, interactive: bool) -> Any:
    folder = called.claim()
    output = Output(folder, partial(plain.texts, folder, os.getcwd()))
    if not interactive:
        output.make()
    set_logging(folder / f"{plain.name}.log", output.make if interactive else None)
    job = ComposedJob(
        call=called.call_with(plain.arguments),
        arguments=plain.arguments,
        config=plain.config,
        unresolved=plain.unresolved,
        overrides=plain.overrides,
        choices={},
        settings=plain.settings,
        provenance=Provenance(
            config_name=plain.config_name,
            sources=plain.sources,
            unresolved=plain.unresolved,
            hydra_dir=str(folder),
            flags=(),
            settings=plain.ours,
        ),
        views={} if interactive else {**output.texts(), "config.yaml": plain.view},
        hydra_files=() if interactive else output.files,
        output=output if interactive else None,
        is_plain=True,
    )
    with _hydra_when_asked(called.spec, plain.overrides, hooks, output):
        try:
            return called.hand_over(job)
        finally:
            flush()


@contextmanager
def _hydra_when_asked(spec: TaskSpec, overrides: Sequence[str], hooks: JobHooks, output: Output) -> Iterator[None]:
    """Have Hydra show the job's configuration, from when it is imported to the job's end; to a program, nothing."""
    if getattr(spec.function, "runs_apart", False):
        yield
        return
    with ExitStack() as stack:

        def show(name: str, module: ModuleType) -> None:
            with supported():
                from anew.runner.config.app import shown
            output.make()
            stack.enter_context(shown(spec, overrides, hooks, output.path))

        watch = ImportWatch(("hydra",), show)
        watch.start()
        stack.callback(watch.close)
        yield
