"""What another program, which recorded a run, has to say of it."""

from __future__ import annotations

from anew.runner.dataclass import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignFacts:
    """
    What the program that recorded a run calls it, and what only that program has a word for.

    Attributes:
        program: Which one: "sacred".
        id: What it calls the run, as text: a number, a name, an ObjectId in hexadecimal digits.
        status: Its own word for how the run stands, where we have none for it, such as "TIMEOUT"; else empty.
        command: What it was told to run, in its own terms.
    """

    program: str
    id: str
    status: str = ""
    command: str = ""
