"""Runs as tables of an SQL database, for analysts."""

from anew.observers.sql.database import SQLError as SQLError
from anew.observers.sql.observer import SQLObserver as SQLObserver
