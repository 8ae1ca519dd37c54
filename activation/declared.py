"""Reading what is declared in files: one YAML per audience or sequence, faults with place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from activation.findings import Finding, errors_in
from leadengine.errors import LeadEngineError

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]
_TOP: Path_ = ()


class Marks:
    """Where each key and value of a YAML file stands, by its path, such as ``("steps", 0)``."""

    def __init__(self, node: yaml.Node | None) -> None:
        self._places: dict[Path_, tuple[int, int]] = {_TOP: (1, 1)}
        self.repeated: list[tuple[str, int, int]] = []
        if node is not None:
            self._walk(node, _TOP)

    def known(self, path: Path_) -> Path_:
        """The part of the path that the file has."""
        while path not in self._places:
            path = path[:-1]
        return path

    def at(self, path: Path_) -> tuple[int, int]:
        """Line and column of the innermost part of the path that the file has, from 1."""
        return self._places[self.known(path)]

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self._places.setdefault(path, _position(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value)
                child = (*path, name)
                if child in self._places:
                    self.repeated.append((name, *_position(key)))
                self._places[child] = _position(key)
                self._walk(value, child)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self._walk(value, (*path, number))


def _position(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def names_in(folder: Path) -> list[str]:
    """The names that can be asked for: those of the files, in order."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_declared(
    model: type[M],
    key: str,
    path: Path,
    *,
    remedy: str,
    check: Callable[[M, Marks, str], list[Finding]] | None = None,
) -> tuple[M | None, list[Finding]]:
    """Reads a file as a ``model``, whose field ``key`` is the file's name, with all its faults.

    Args:
        model: what the file should be.
        key: the field that takes the file's name.
        path: of the file.
        remedy: what to do about a field that does not fit.
        check: what else must hold of a file whose fields fit; given model, marks and file name.

    Returns:
        The model, or None where an error keeps it from being used, and the findings.
    """
    text = path.read_text("utf-8")
    try:
        marks = Marks(yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return None, [_not_yaml(path.name, error)]
    findings = [
        Finding(
            path.name, line, column, "repeated-key",
            f"{name!r} is given twice, and only the last would count.",
            "Keep one of them.",
        )
        for name, line, column in marks.repeated
    ]  # fmt: skip
    if not isinstance(content, dict):
        findings.append(
            Finding(
                path.name, 1, 1, "not-a-mapping",
                "the whole file is not a list of 'key: value' lines.", remedy,
            )
        )  # fmt: skip
        return None, findings
    try:
        made = model.model_validate({key: path.stem, **content})
    except ValidationError as error:
        findings.extend(_misfits(path.name, marks, error, remedy))
        return None, sorted(findings)
    if check is not None:
        findings.extend(check(made, marks, path.name))
    return (None if errors_in(findings) else made), sorted(findings)


def load_declared(
    model: type[M],
    key: str,
    name: str,
    folder: Path,
    *,
    problem: type[LeadEngineError],
    remedy: str,
    check: Callable[[M, Marks, str], list[Finding]] | None = None,
) -> M:
    """Reads the file of that name as a ``model``, whose field ``key`` is the name.

    Raises:
        problem: there is none of that name, or its file does not fit; names file, line, column,
            field and value, and says what to do.
    """
    names = names_in(folder)
    if name not in names:
        raise problem(
            f"There is no {model.__name__.lower()} {name!r}.",
            remedy=f"Choose one of: {', '.join(names)}.",
        )
    made, findings = read_declared(model, key, folder / f"{name}.yaml", remedy=remedy, check=check)
    if made is None:
        first, *others = errors_in(findings)
        more = f" {len(others)} more in this file." if others else ""
        raise problem(f"{first}{more}", remedy=first.remedy)
    return made


def _not_yaml(name: str, error: yaml.YAMLError) -> Finding:
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = getattr(error, "problem", None) or str(error)
    return Finding(
        name, line, column, "not-yaml",
        f"{name} is not YAML: {what}.",
        "Correct the indentation, brackets or quotes at that place.",
    )  # fmt: skip


def _misfits(name: str, marks: Marks, error: ValidationError, remedy: str) -> list[Finding]:
    found: dict[Path_, Finding] = {}
    for detail in error.errors(include_url=False):
        # What follows in a path is the validator's: the branch of a union, the key of a mapping.
        path = marks.known(detail["loc"])
        line, column = marks.at(path)
        if detail["type"] == "missing":
            path = detail["loc"]
        where = ".".join(str(part) for part in path) or "the whole file"
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = f"there is no field {detail['loc'][-1]!r}"
        given = "" if detail["type"] == "missing" else _shown(detail["input"])
        earlier = found.get(path)
        if earlier is not None:
            message = f"{earlier.message.removesuffix('.')}, or: {message}{given}."
        else:
            message = f"{where}: {message}{given}."
        found[path] = Finding(name, line, column, detail["type"], message, remedy)
    # A list whose entries do not fit is told to be too short as well.
    return [
        finding
        for path, finding in found.items()
        if finding.code != "too_short"
        or not any(other[: len(path)] == path and other != path for other in found)
    ]


def _shown(value: Any) -> str:
    text = repr(value)
    return f" (it is {text})" if len(text) <= 60 and not isinstance(value, dict) else ""
