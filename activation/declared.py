"""Reading what is declared in files: one YAML per audience or sequence."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from leadengine.errors import LeadEngineError

M = TypeVar("M", bound=BaseModel)


def names_in(folder: Path) -> list[str]:
    """The names that can be asked for: those of the files, in order."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_declared(
    model: type[M],
    key: str,
    name: str,
    folder: Path,
    *,
    problem: type[LeadEngineError],
    remedy: str,
) -> M:
    """Reads the file of that name as a ``model``, whose field ``key`` is the name.

    Raises:
        problem: there is none of that name, or its file does not fit; names the field.
    """
    names = names_in(folder)
    if name not in names:
        raise problem(
            f"There is no {model.__name__.lower()} {name!r}.",
            remedy=f"Choose one of: {', '.join(names)}.",
        )
    path = folder / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        return model.model_validate({key: name, **(content or {})})
    except yaml.YAMLError as error:
        raise problem(f"{path.name} is not YAML: {error}.", remedy="Correct the file.") from error
    except (TypeError, ValidationError) as error:
        detail = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(str(part) for part in detail["loc"]) if detail else "the whole file"
        message = detail["msg"] if detail else str(error)
        raise problem(f"{path.name}: {where}: {message}.", remedy=remedy) from error
