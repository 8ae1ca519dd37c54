"""Where in a YAML file a value stands, so that an error can name its line."""

from __future__ import annotations

from typing import Any

import yaml

Path = tuple[str | int, ...]
# libyaml's, ten times as fast, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """A YAML text as data.

    Raises:
        yaml.YAMLError: it is not YAML; PyYAML's own, which places mistakes better.
    """
    try:
        return yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return yaml.safe_load(text)


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of every value of a YAML text by its path, such as ``("rules", 0, "id")``.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    root = yaml.compose(text, Loader=LOADER)
    lines: dict[Path, int] = {}
    if root is not None:
        _walk(root, (), lines)
    return lines


def line_at(lines: dict[Path, int], path: tuple[Any, ...]) -> int:
    """The line of a value, or of the nearest one around it where the value itself is missing."""
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _walk(value, (*path, str(key.value)), lines)
            # A value that begins on the next line is looked for where its key stands.
            lines[(*path, str(key.value))] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _walk(item, (*path, number), lines)
