"""YAML text, as `OmegaConf.to_yaml` writes it, by libyaml where PyYAML was built with it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml
from omegaconf import OmegaConf

from anew.runner.config.private.nodes import yaml_dumper


@lru_cache(maxsize=1)
def _dumper() -> Any:
    theirs = yaml_dumper()
    if not hasattr(yaml, "CDumper") or issubclass(theirs, yaml.CDumper):
        return theirs

    class FastDumper(yaml.CDumper):
        """The same texts in quotes as OmegaConf's own dumper."""

    FastDumper.add_representer(str, theirs.str_representer)
    return FastDumper


def to_yaml(node: Any) -> str:
    """Return a configuration as YAML, unresolved."""
    return dump(OmegaConf.to_container(node, enum_to_str=True))


def dump(values: Any) -> str:
    """Return plain values as YAML, in their order."""
    options: dict[str, Any] = {"default_flow_style": False, "allow_unicode": True, "sort_keys": False}
    try:
        text = yaml.dump(values, Dumper=_dumper(), **options)
    except UnicodeEncodeError:  # a word that was no text, of a command line or a file's name: libyaml has none such
        text = yaml.dump(values, Dumper=yaml_dumper(), **options)
    assert isinstance(text, str)
    return text
