"""Stub."""


def parse_filter(text):
    raise NotImplementedError


def sort_records(records, key):
    raise NotImplementedError


def nearest(name, names):
    import difflib

    return (difflib.get_close_matches(name, names, 1) or [None])[0]
