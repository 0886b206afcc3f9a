"""What the page's views work out before they draw: given values, what comes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.page.driving import Served

Called = Callable[..., Any]


@pytest.fixture(scope="module")
def call(served: Served) -> Iterator[Called]:
    """Call a function of a module of the page with values that JSON has."""
    view = served.open("sweeps")

    def call(module: str, expression: str, *values: Any) -> Any:
        given = ", ".join(json.dumps(value) for value in values)
        return view.run(f"views/{module}.js", f"m => ({expression})({given})")

    yield call
    view.close()


def printed(call: Called, *pieces: str) -> list[list[tuple[str, dict[str, Any]]]]:
    """What the page makes of printed text that comes in pieces: of each line its texts with their styles."""
    lines = call(
        "ansi", "(...pieces) => { const l = new m.Lines(); pieces.forEach(p => l.feed(p)); return l.lines; }", *pieces
    )
    return [[(piece["text"], piece["style"]) for piece in line["pieces"]] for line in lines]


def texts(call: Called, *pieces: str) -> list[str]:
    return ["".join(text for text, _ in line) for line in printed(call, *pieces)]


def test_colours_are_kept_and_end_where_they_are_ended(call: Called) -> None:
    text = "a \x1b[1;31mbold red\x1b[0m \x1b[48;5;25mblue\x1b[49m \x1b[38;2;200;120;0mtrue\x1b[m end\n"
    assert printed(call, text) == [
        [
            ("a ", {}),
            ("bold red", {"bold": True, "fg": "1"}),
            (" ", {}),
            ("blue", {"bg": "#005faf"}),
            (" ", {}),
            ("true", {"fg": "#c87800"}),
            (" end", {}),
        ]
    ]


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]0;title\x07",
        "\x1b]8;;javascript:alert(1)\x1b\\",
        "\x1b[2J\x1b[H",
        "\x1b[?1049h",
        "\x1bP1;2|data\x1b\\",
        "\x1bc",
        "\x1b(B",
        "\x9b5A",
        "\x1b[999;1H",
    ],
)
def test_no_other_sequence_acts_or_is_shown(call: Called, sequence: str) -> None:
    assert texts(call, f"before{sequence}after\n") == ["beforeafter"]


def test_a_sequence_that_comes_in_pieces_is_one(call: Called) -> None:
    """Output is read in pieces, and where one ends is chance."""
    text = "x \x1b[1;32mgreen\x1b[0m \x1b]8;;http://e.invalid\x07link\x1b]8;;\x07 end\r\nnext"
    whole = printed(call, text)
    assert printed(call, *text) == whole
    assert texts(call, *text) == ["x green link end", "next"]


def test_a_sequence_without_end_does_not_swallow_the_rest(call: Called) -> None:
    shown = texts(call, "a\x1b]0;" + "x" * 5000 + "\n", "b\n")
    assert shown[-1] == "b"


def test_a_progress_bar_is_one_line(call: Called) -> None:
    assert texts(call, "10%\r50%\r100%\ndone\n") == ["100%", "done"]
    assert texts(call, "a longer line\r\x1b[Kshort\n") == ["short"]
    assert texts(call, "abcdef\rXY\n") == ["XYcdef"]
    assert texts(call, *"one\r\ntwo\r\n") == ["one", "two"]


def test_what_is_sought_is_marked_across_colours(call: Called) -> None:
    pieces = [{"text": "one t", "style": {"bold": True}}, {"text": "wo three TWO", "style": {}}]
    found = call("text-lines", "(p, s) => m.marked(p, s)", pieces, "two")
    assert [each["text"] for each in found if each.get("hit")] == ["t", "wo", "TWO"]
    assert "".join(each["text"] for each in found) == "one two three TWO"


def test_a_repository_without_a_commit_is_told_so(call: Called) -> None:
    told = "git => m.committed(git)"
    assert call("run-summary", told, {"commit": None, "branch": "main", "dirty": True}) == "none yet on main"
    assert call("run-summary", told, {"branch": "main"}) == "none yet on main"
    commit = {"commit": "0123456789abcdef", "branch": None, "dirty": True}
    assert call("run-summary", told, commit) == "0123456789ab on no branch, with changes"


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("loss < 0.1", False),
        ('note ~ "a b" and lr == 0.1', False),
        ("tag in [a, b]", False),
        ("has(tag)", False),
        ("@mine", False),
        ("", False),
        ("config.l", True),
        ("loss <", True),
        ("loss < 0.1 and", True),
        ("loss < 0.1 and wid", True),
        ('note ~ "a b', True),
        ("tag in [a, ", True),
        ("(loss < 0.1", True),
    ],
)
def test_a_filter_that_is_being_written_is_told_from_a_whole_one(call: Called, text: str, unfinished: bool) -> None:
    assert call("../src/filter", "t => m.isUnfinished(t)", text) is unfinished


def test_ticks_of_logarithms_are_short(call: Called) -> None:
    ticks = "(...values) => m.axisOf(values, 'number', true).ticks.map(t => t.text)"
    assert call("../src/axes", ticks, 0.295765, 0.8123456) == ["0.296", "0.812"]
    assert call("../src/axes", ticks, 16384, 65536) == ["16384", "65536"]


def test_letters_that_turn_a_line_around_are_seen(call: Called) -> None:
    assert call("source", "t => m.visible(t)", "if x:\u202e } \u2066# no") == "if x:⟨U+202E⟩ } ⟨U+2066⟩# no"


def test_csv_is_read_as_it_is_written(call: Called) -> None:
    text = '\ufeffa,"b, c","d ""e"""\r\n1,"two\nlines",\n,,3\n"open'
    assert call("csv", "t => m.parse(t)", text) == [
        ["a", "b, c", 'd "e"'],
        ["1", "two\nlines", ""],
        ["", "", "3"],
        ["open"],
    ]
    assert call("csv", "(t, c) => m.parse(t, c)", "a\tb\n1\t2", "\t") == [["a", "b"], ["1", "2"]]
    assert call("csv", "(t) => m.parse(t, ',', 2).length", "a\nb\nc\nd\n") == 2


TREE = {
    "lr": 0.1,
    "opt": {"name": "adam", "betas": [0.9, 0.99], "deep": {"x": 1}},
    "data": [{"path": "a"}],
    "empty": {},
}


def rows(call: Called, how: dict[str, Any]) -> list[str]:
    made = call("tree", "(t, h) => m.rows(t, {...h, closed: new Set(h.closed ?? [])})", TREE, how)
    return [f"{'  ' * row['depth']}{row['name']}" + (f" {row['change']}" if row["change"] else "") for row in made]


def test_a_tree_opens_and_closes_and_finds_by_key_and_value(call: Called) -> None:
    assert rows(call, {"closed": ["opt", "data"]}) == ["lr", "opt", "data", "empty"]
    assert rows(call, {"closed": ["opt"], "sought": "adam"}) == ["opt", "  name"]
    assert rows(call, {"sought": "DEEP.X"}) == ["opt", "  deep", "    x"]
    assert rows(call, {"sought": "nowhere"}) == []


def test_a_tree_marks_what_differs(call: Called) -> None:
    differences = [
        {"key": "opt.name", "was": "sgd", "now": "adam"},
        {"key": "lr", "now": 0.1},
        {"key": "opt.gone", "was": 3},
    ]
    assert rows(call, {"differences": differences, "only": True}) == [
        "lr added",
        "opt within",
        "  name changed",
        "opt.gone removed",
    ]


PARAMETERS = [
    {"name": "lr", "type": "float", "value": 0.1},
    {"name": "name", "type": "str", "value": "plain"},
    {"name": "layers", "type": "list[int]", "value": [64, 32]},
    {"name": "clip", "type": "float | None", "value": None},
    {"name": "kind", "type": "Kind", "choices": ["SGD", "ADAM"], "value": "SGD"},
    {"name": "note", "type": "str | None", "value": None},
]


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({}, []),
        ({"lr": "0.1"}, []),
        ({"lr": "0.2", "layers": "[128]"}, ["lr=0.2", "layers=[128]"]),
        ({"name": "other"}, ["name=other"]),
        ({"name": "true"}, ["name='true'"]),
        ({"name": "1e3"}, ["name='1e3'"]),
        ({"name": "it's, a=b"}, ["name='it\\'s, a=b'"]),
        ({"name": ""}, ["name=''"]),
        ({"clip": "0.5", "kind": "ADAM"}, ["clip=0.5", "kind=ADAM"]),
        ({"note": "text"}, ["note=text"]),
    ],
)
def test_a_form_types_what_was_changed(call: Called, given: dict[str, str], typed: list[str]) -> None:
    assert call("form", "(p, g) => m.overridesOf(p, g, false)", PARAMETERS, given) == typed


def test_a_form_of_a_sweep_types_several_values(call: Called) -> None:
    given = {"lr": "0.1,0.2", "name": "one, it's two", "kind": "SGD,ADAM"}
    assert call("form", "(p, g) => m.overridesOf(p, g, true)", PARAMETERS, given) == [
        "lr=0.1,0.2",
        "name=one,'it\\'s two'",
        "kind=SGD,ADAM",
    ]


def test_overrides_are_taken_apart_outside_of_quotes_and_brackets(call: Called) -> None:
    text = "lr=0.2 layers=[1, 2]\nname='a b' model=mlp"
    assert call("rerun", "t => m.overridesIn(t)", text) == ["lr=0.2", "layers=[1, 2]", "name='a b'", "model=mlp"]
    assert call("rerun", "t => m.overridesIn(t)", "  \n ") == []


def test_a_search_learns_in_the_direction_that_it_has(call: Called) -> None:
    jobs = [
        {"index": n, "status": status, "overrides": [], "result": {"acc": value}}
        for n, (status, value) in enumerate(
            [("COMPLETED", 0.5), ("FAILED", 0.99), ("COMPLETED", 0.4), ("COMPLETED", "NaN"), ("COMPLETED", 0.7)]
        )
    ]
    sweep = {"overrides": ["hydra.sweeper.value=acc"], "search": {"directions": ["maximize"]}}
    code = "(s, j) => m.learning(j, m.aims(s)[0]).map(p => [p.job.index, p.value, p.best])"
    assert call("sweep-facts", code, sweep, jobs) == [[0, 0.5, 0.5], [2, 0.4, 0.5], [4, 0.7, 0.7]]
