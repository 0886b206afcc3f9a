"""What a reader found not to be as it was written."""

from __future__ import annotations

from enum import Enum

from anew.runner.dataclass import dataclass


class Severity(str, Enum):
    """How bad a thing is: nothing is lost, something is unfinished or cannot be told, something is lost."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Part(str, Enum):
    """A part of a run's folder."""

    FOLDER = "folder"
    RECORD = "record"
    JOURNAL = "journal"
    OUTCOME = "outcome"
    OUTPUT = "output"
    VIEW = "view"
    CURSOR = "cursor"


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """Something of a run that is not as it was written.

    Attributes:
        part: Which part of the run; programs decide by it, never by the words.
        what: A sentence for people, which says where, too.
        where: The file, relative to the run's folder.
        severity: ERROR when something is lost.
        mend: What to type or do about it.
    """

    part: Part
    what: str
    where: str
    severity: Severity = Severity.ERROR
    mend: str = ""

    @property
    def hides_content(self) -> bool:
        """Whether what is lost may have referred to content, so that nobody knows all that is referred to."""
        return self.severity is Severity.ERROR and self.part in (Part.FOLDER, Part.RECORD, Part.JOURNAL)
