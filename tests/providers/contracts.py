"""Judges our requests by the providers' published OpenAPI documents."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.providers.server import Received

_METHODS = {"get", "post", "put", "patch", "delete"}


class Contract:
    """One OpenAPI document, as a judge of requests.

    Args:
        path: the document.
        strict: also objects to parameters and body fields that the document does not name.
    """

    def __init__(self, path: Path, *, strict: bool = True) -> None:
        self._document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        self._strict = strict
        self._registry: Registry[Any] = Registry().with_resource(
            "urn:contract", DRAFT202012.create_resource(self._document)
        )

    @cached_property
    def _routes(self) -> list[tuple[str, re.Pattern[str], str]]:
        found = []
        for template, operations in self._document["paths"].items():
            pattern = re.compile(re.sub(r"\\\{[^/]+?\\\}", "([^/]+)", re.escape(template)))
            found += [(m, pattern, template) for m in operations if m in _METHODS]
        # A literal path wins over one with parameters.
        return sorted(found, key=lambda route: route[2].count("{"))

    def faults(self, request: Received) -> list[str]:
        """What the contract objects to in a request; empty if nothing."""
        for method, pattern, template in self._routes:
            if method == request.method.lower() and pattern.fullmatch(request.path):
                operation = self._document["paths"][template][method]
                shared = self._document["paths"][template].get("parameters", [])
                parameters = [self._deref(p) for p in [*shared, *operation.get("parameters", [])]]
                return [
                    *self._parameter_faults(request, parameters),
                    *self._body_faults(request, operation),
                ]
        return [f"no operation {request.method} {request.path}"]

    def _parameter_faults(self, request: Received, parameters: list[dict[str, Any]]) -> list[str]:
        faults: list[str] = []
        query = {unquote(name): value for name, value in request.query}
        for parameter in parameters:
            name, place = parameter["name"], parameter["in"]
            given = {"query": query, "header": request.headers}.get(place)
            if given is None:
                continue
            key = name.lower() if place == "header" else name
            if key in given:
                faults += self._value_faults(f"{place} {name}", given[key], parameter["schema"])
            elif parameter.get("required"):
                faults.append(f"{place} {name} is missing")
        if self._strict:
            known = {p["name"] for p in parameters if p["in"] == "query"}
            faults += [f"query {name} is not in the contract" for name in query.keys() - known]
        return faults

    def _value_faults(self, where: str, text: str, schema: dict[str, Any]) -> list[str]:
        schema = self._deref(schema)
        value: Any = text
        if schema.get("type") in ("number", "integer"):
            try:
                value = int(text) if schema["type"] == "integer" else float(text)
            except ValueError:
                return [f"{where}: {text!r} is no {schema['type']}"]
        elif schema.get("type") == "boolean":
            value = {"true": True, "false": False}.get(text, text)
        return [f"{where}: {error.message}" for error in self._validator(schema).iter_errors(value)]

    def _body_faults(self, request: Received, operation: dict[str, Any]) -> list[str]:
        declared = operation.get("requestBody")
        if declared is None:
            return ["a body is not in the contract"] if request.body else []
        declared = self._deref(declared)
        sent = request.headers.get("content-type", "").split(";")[0]
        if not request.body:
            return ["the body is missing"] if declared.get("required") else []
        if sent not in declared["content"]:
            return [f"content type {sent!r} is not in {sorted(declared['content'])}"]
        schema = self._deref(declared["content"][sent].get("schema", {}))
        body: Any = request.form if sent.endswith("form-urlencoded") else request.json
        faults = [
            f"body {'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in self._validator(schema).iter_errors(body)
        ]
        known = schema.get("properties")
        if self._strict and known and isinstance(body, dict):
            faults += [f"body {name} is not in the contract" for name in body.keys() - known.keys()]
        return faults

    def _validator(self, schema: dict[str, Any]) -> Validator:
        return Draft202012Validator(_absolute(schema), registry=self._registry)

    def _deref(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            target: Any = self._document
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            value = target
        return value


def _absolute(schema: Any) -> Any:
    """References of one document, made to be found in the registry."""
    if isinstance(schema, dict):
        return {
            key: f"urn:contract{value}"
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _absolute(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_absolute(item) for item in schema]
    return schema
