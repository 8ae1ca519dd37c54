"""Judges the sandbox's answers by the providers' published OpenAPI documents."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.shared_folder import shared

Json = dict[str, Any]


@cache
def _document(path: Path) -> Json:
    loaded: Json = _as_json_schema(json.loads(path.read_text("utf-8")))
    return loaded


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` in the words of JSON Schema."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: _as_json_schema(value) for key, value in node.items()}
    if out.pop("nullable", False) is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if "enum" in out:
            out["enum"] = [*out["enum"], None]
    return out


def _retrieve(uri: str) -> Resource[Any]:
    return DRAFT202012.create_resource(_document(Path(uri.removeprefix("file://"))))


_REGISTRY: Registry[Any] = Registry(retrieve=_retrieve)  # type: ignore[call-arg]


def response_schema(file: str, method: str, path: str, status: int) -> Json | None:
    """The schema of an answer's JSON body; None where the contract gives none for the status.

    Raises:
        KeyError: the contract has no such operation or no such status.
    """
    document = _document(shared(f"contracts/{file}"))
    responses = document["paths"][path][method.lower()]["responses"]
    answer = responses[str(status)]
    while "$ref" in answer:
        for part in answer["$ref"].removeprefix("#/").split("/"):
            document = document[part]
        answer = document
    content = answer.get("content", {}).get("application/json")
    return None if content is None else content.get("schema")


def faults(
    file: str, method: str, path: str, status: int, body: Any, *, slips: tuple[str, ...] = ()
) -> list[str]:
    """What the contract objects to in an answer.

    Args:
        file: below ``contracts/``.
        method: of the request.
        path: as the contract writes it, with ``{parameters}``.
        status: of the answer.
        body: the parsed JSON.
        slips: names of properties where the contract itself is known to be wrong.
    """
    schema = response_schema(file, method, path, status)
    if schema is None:
        return []
    base = f"file://{shared(f'contracts/{file}')}"
    validator = Draft202012Validator(_absolute(schema, base), registry=_REGISTRY)
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
        for error in validator.iter_errors(body)
        if not set(map(str, error.absolute_path)) & set(slips)
    ]


def _absolute(node: Any, base: str) -> Any:
    """References made independent of where the schema was cut out."""
    if isinstance(node, list):
        return [_absolute(item, base) for item in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            file, _, pointer = value.partition("#")
            home = base
            if file:
                home = f"file://{(Path(base.removeprefix('file://')).parent / file).resolve()}"
            out[key] = f"{home}#{pointer}"
        else:
            out[key] = _absolute(value, base)
    return out
