"""
No protection is there for show: whichever is taken away, a test that is named here turns red.

A few of them are taken away in each test run, all of them by `make torture`, which sets `ANEW_PROTECTIONS=all`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Protection:
    """
    What is taken away, and what notices.

    Attributes:
        name: What it protects from.
        module: Where it is.
        old: What stands there, once.
        new: What stands there without it.
        test: The test that has to fail then.
    """

    name: str
    module: str
    old: str
    new: str
    test: str


STORE = "anew.runner.store."
GUARD = "anew.runner.guard."
ALL = [
    Protection(
        "a flipped bit in a journal's line, a record, a claim",
        "anew.runner.format.serial",
        'if b"%08x" % crc32(head) != tail[:8]:',
        "if False:",
        "tests/store/test_journal.py::test_flipped_bits_cost_only_their_lines",
    ),
    Protection(
        "source that has changed between two runs of a process",
        "anew.runner.capture.held",
        "and keeper.seen.are_same()",
        "and True",
        "tests/capture/test_held.py::test_a_list_serves_until_something_changes",
    ),
    Protection(
        "content that was in a store, and is not any more",
        STORE + "presence",
        "if digests <= here:",
        "if known is not None:",
        "tests/store/test_objects.py::test_content_that_has_gone_is_missed_however_often_it_was_here",
    ),
    Protection(
        "a flipped bit in output.log",
        STORE + "output_sums",
        "if crc == stretch.crc or (crc is None and is_cut):",
        "if True:",
        "tests/store/test_output_sums.py::test_any_byte_counts",
    ),
    Protection(
        "a flipped bit in output.sums",
        "anew.runner.guard.output_log",
        "if not mark or tail != b'%08x\"}' % crc32(head):",
        "if not mark:",
        "tests/store/test_output_sums.py::test_a_line_says_what_it_said",
    ),
    Protection(
        "checksums that were removed",
        STORE + "output_sums",
        "if expected and sums.reach < expected and not sums.damaged:",
        "if False:",
        "tests/store/test_output_sums.py::test_checksums_that_are_gone_cut_short_or_damaged_are_said",
    ),
    Protection(
        "a journal that was cut short after the end",
        STORE + "reading",
        "        elif seen < last:",
        "        elif False:",
        "tests/store/test_damage.py::test_a_journal_that_was_cut_short_or_removed_after_the_end_is_noticed",
    ),
    Protection(
        "journals of two runs exchanged",
        STORE + "reading",
        "        elif _is_another(path, last, seals.get(writer)):",
        "        elif False:",
        "tests/store/test_damage.py::test_files_of_two_runs_that_were_exchanged_are_noticed",
    ),
    Protection(
        "outcomes of two runs exchanged",
        STORE + "reading",
        'if uid and data.get("uid", uid) != uid:',
        "if False:",
        "tests/store/test_damage.py::test_files_of_two_runs_that_were_exchanged_are_noticed",
    ),
    Protection(
        "a tag that was removed",
        STORE + "afterwards",
        "    note_curated(layout)\n",
        "",
        "tests/store/test_damage.py::test_a_tag_or_a_note_that_was_removed_is_noticed",
    ),
    Protection(
        "a row of the index that is not what was written",
        STORE + "index_file",
        " and crc == _crc(values)",
        "",
        "tests/store/test_damage.py::test_an_index_that_is_damaged_is_said_before_it_is_made_anew",
    ),
    Protection(
        "a journal that was changed since its points were read",
        STORE + "summed",
        "if found is not None and found.files.items() <= files.items() else None",
        "",
        "tests/store/test_summed.py::test_a_journal_that_was_changed_is_read_whatever_its_size_and_time_say",
    ),
    Protection(
        "a line that was changed in a run that goes on, behind which one was reading",
        STORE + "following",
        "if left or crc != place.crc:",
        "if left:",
        "tests/store/test_derived.py::test_a_line_that_is_changed_in_a_run_that_goes_on_is_said",
    ),
    Protection(
        "a cursor that names no place",
        STORE + "position",
        "if min(numbers) < 0 or",
        "if False and",
        "tests/store/test_damage.py::test_a_damaged_cursor_is_said_and_delivery_begins_anew",
    ),
    Protection(
        "lines of what was set aside",
        STORE + "position",
        "    if len(lines) < expected:",
        "    if False:",
        "tests/store/test_damage.py::test_what_is_set_aside_is_sealed_and_counted",
    ),
    Protection(
        "a view that was edited",
        STORE + "views",
        "            if found != expected:",
        "            if False:",
        "tests/store/test_damage.py::test_a_view_that_was_edited_is_said_by_a_deep_check_and_read_by_no_re_run",
    ),
    Protection(
        "a view that was edited, of a run that was killed",
        "anew.runner.format.replay",
        "        self._views.update(event.sums)",
        "        pass",
        "tests/store/test_damage.py::test_so_is_one_that_was_made_while_the_run_went_on",
    ),
    Protection(
        "damaged content that is laid out",
        STORE + "objects",
        "                if found != sha256:",
        "                if False:",
        "tests/store/test_objects.py::test_a_flipped_bit_is_noticed_when_content_is_verified_or_laid_out",
    ),
    Protection(
        "damaged content that is compared",
        "anew.runner.query.compare",
        "if sha256(data).hexdigest() != file.sha256:",
        "if False:",
        "tests/query/test_compare.py::test_content_that_is_damaged_is_said_and_not_compared",
    ),
    Protection(
        "damaged content that is sent elsewhere",
        "anew.runner.dispatch.transfer",
        "    if digest.hexdigest() != reference.sha256:",
        "    if False:",
        "tests/dispatch/test_transfer.py::test_what_is_damaged_or_leads_out_is_named_and_not_sent",
    ),
    Protection(
        "a number that two runs take",
        STORE + "folder",
        "                layout.folder.mkdir()\n                layout.events.mkdir()",
        "                for folder in (layout.folder, layout.events):\n"
        "                    folder.mkdir(exist_ok=True)",
        "tests/store/test_folder.py::test_of_two_who_think_a_number_free_one_gets_it",
    ),
    Protection(
        "a second outcome",
        STORE + "files",
        "        except FileExistsError:\n            return False",
        "        except FileExistsError:\n            temporary.replace(path)\n            temporary.touch()",
        "tests/store/test_folder.py::test_of_many_who_end_a_run_one_wins",
    ),
    Protection(
        "two writers of one journal",
        STORE + "journal_file",
        "os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND",
        "os.O_WRONLY | os.O_CREAT | os.O_APPEND",
        "tests/store/test_journal.py::test_two_writers_never_share_a_file",
    ),
    Protection(
        "a claim that is taken twice",
        STORE + "sweep_folder",
        'return create_whole(self.layout.attempt(index, attempt), self._line("claim", taken))',
        'return create_whole(self.layout.attempt(index, attempt), self._line("claim", taken)) or True',
        "tests/sweep/test_damage.py::test_an_attempt_is_taken_once",
    ),
    Protection(
        "a plan that somebody changed",
        STORE + "marks",
        "return bool(expected) and isinstance(found, str) and hmac.compare_digest(expected.encode(), found.encode())",
        "return True",
        "tests/sweep/test_damage.py::test_what_a_worker_with_another_key_took_is_vouched_for_by_who_handed_it_out",
    ),
    Protection(
        "a link out of a run, when it is sent",
        "anew.runner.dispatch.outside",
        "            if not wanted(status.st_mode):",
        "            if False:",
        "tests/dispatch/test_transfer.py::test_what_is_damaged_or_leads_out_is_named_and_not_sent",
    ),
    Protection(
        "a link to another run's folder",
        STORE + "reading",
        "        if layout.folder.is_symlink():\n            return _unread",
        "        if False:\n            return _unread",
        "tests/store/test_damage.py::test_a_link_out_of_the_store_is_not_followed",
    ),
    Protection(
        "a pipe or a device in the place of a file",
        STORE + "files",
        "    if not stat.S_ISREG(status.st_mode):",
        "    if False:",
        "tests/store/test_files.py::test_only_a_regular_file_is_opened_and_nothing_is_waited_for",
    ),
    Protection(
        "half a file that is seen",
        STORE + "files",
        "        os.replace(temporary, path)\n        if sync:",
        "        path.write_bytes(data)\n        if sync:",
        "tests/store/test_files.py::test_readers_never_see_half_a_file",
    ),
    Protection(
        "a newer format that is not understood",
        STORE + "format_file",
        "    if found > newest:",
        "    if False:",
        "tests/store/test_folder.py::test_a_store_of_a_newer_format_is_not_touched",
    ),
    Protection(
        "a flipped bit in a compressed journal",
        GUARD + "gzipped",
        "data[: _HEAD.size] == head and inflating",
        "inflating",
        "tests/guard/test_gzipped.py::test_each_flipped_bit_is_noticed_and_costs_nothing_outside_of_its_block",
    ),
    Protection(
        "a compressed journal that is not what was written",
        GUARD + "shrinking",
        "        if not _are_same(source, file):\n            raise OSError",
        "        if False:\n            raise OSError",
        "tests/store/test_compressed.py::"
        "test_what_is_not_what_was_written_and_what_cannot_be_leaves_the_journal_as_it_is",
    ),
    Protection(
        "a compressed journal that a power cut takes back",
        GUARD + "shrinking",
        "        os.fsync(file.fileno())",
        "        pass",
        "tests/store/test_compressed.py::test_it_is_synced_before_it_has_its_name_and_that_before_the_lines_go",
    ),
    Protection(
        "lines that come to a journal while it is compressed",
        GUARD + "shrinking",
        "        _refuse_changed(source, status)\n",
        "",
        "tests/store/test_compressed.py::test_a_journal_that_is_written_to_meanwhile_stays",
    ),
    Protection(
        "points that are in a journal twice",
        STORE + "lines",
        "                if again:\n                    continue",
        "                if False:\n                    continue",
        "tests/store/test_journal.py::test_lost_doubled_and_swapped_lines_are_noticed_and_no_point_counts_twice",
    ),
    Protection(
        "a write that a power cut takes back",
        STORE + "journal",
        "        if not self._durability_ms:\n            self._sync()",
        "        if False:\n            self._sync()",
        "tests/store/test_journal_faults.py::test_with_no_delay_each_call_syncs_before_it_returns",
    ),
    Protection(
        "half a line that a failed write leaves",
        STORE + "journal_file",
        "            os.ftruncate(self.descriptor, length)",
        "            pass",
        "tests/store/test_journal_faults.py::test_a_short_write_is_taken_back_and_named",
    ),
]
# quick ones, of different kinds
IN_EACH_RUN = {"a flipped bit in output.log", "journals of two runs exchanged", "two writers of one journal"}


TAKEN = [each for each in ALL if each.name in IN_EACH_RUN or os.environ.get("ANEW_PROTECTIONS") == "all"]


@pytest.mark.parametrize("protection", TAKEN, ids=lambda each: each.name)
def test_without_it_a_test_turns_red(protection: Protection) -> None:
    members = asdict(protection)
    mutant = {name: members[name] for name in ("module", "old", "new")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.helpers.mutant", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:xdist", "-p", "no:randomly", protection.test],
        cwd=ROOT,
        env={**os.environ, "ANEW_MUTANT": json.dumps(mutant)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 1, f"{protection.test} is not red: exit code {done.returncode}\n{done.stdout[-2000:]}"
    assert "has 0 times" not in done.stdout


def test_each_is_still_there() -> None:
    """Whoever rewrites one says here what it has become."""
    for each in ALL:
        path = ROOT / (each.module.removeprefix("anew.").replace(".", "/") + ".py")
        assert path.read_text(encoding="utf-8").count(each.old) == 1, f"{each.name}: {path.name} has no {each.old!r}"
        name = each.test.partition("::")[2]
        assert f"def {name}(" in (ROOT / each.test.partition("::")[0]).read_text(encoding="utf-8"), each.test
