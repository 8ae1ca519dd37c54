"""Anthropic's Messages API, answered by rules: the same question gets the same, fitting answer."""

from __future__ import annotations

import re
from typing import Any

import orjson

from providers.sandbox.chance import letters_id, pick
from providers.sandbox.state import Sandbox
from providers.sandbox.wire import Json, Refusal, Reply, Request, Route, Router, reply

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_DRAFTS = [
    "Hi, just checking in: are you still thinking about a move? Happy to help whenever it suits.",
    "Hello! A few homes that fit what you were looking for came up. Shall I send them over?",
    "Hi there, would a quick call this week be useful to talk through your plans?",
]


def refuse(status: int, message: str) -> Refusal:
    """An answer in the shape of Anthropic's errors."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": message}}
    return Refusal(reply({**error, "request_id": f"req_{letters_id(24, message)}"}, status))


class AnthropicApi:
    """Handler of ``/v1/messages`` and of counting tokens."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._seed = sandbox.seed
        self._key: str = sandbox.credentials["anthropic"]["api_key"]

    def routes(self, router: Router) -> None:
        """Registers the handlers."""
        router.add("POST", "/v1/messages", self.create)
        router.add("POST", "/v1/messages/count_tokens", self.count)

    def authenticate(self, request: Request, _route: Route) -> None:
        """Checks the key, in either of the two headers, and the version."""
        given = request.headers.get("x-api-key") or request.headers.get(
            "authorization", ""
        ).removeprefix("Bearer ")
        if given != self._key:
            raise refuse(401, "invalid x-api-key")
        if not request.headers.get("anthropic-version"):
            raise refuse(400, "anthropic-version: header is required")

    def create(self, request: Request) -> Reply:
        """One answer; streamed as events when ``stream`` is true."""
        body = self._checked(request)
        if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
            raise refuse(400, "max_tokens: Field required, an integer from 1 up")
        content, stop_reason = self._answer(body)
        message: Json = {
            "id": f"msg_{letters_id(24, self._seed, request.body)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [content],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {
                "input_tokens": _tokens(request.body.decode("utf-8", "replace")),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": _tokens(
                    content.get("text") or orjson.dumps(content.get("input")).decode()
                ),
            },
        }
        return _streamed(message) if body.get("stream") else reply(message)

    def count(self, request: Request) -> Reply:
        """Tokens of a request, about four characters each."""
        self._checked(request)
        return reply({"input_tokens": _tokens(request.body.decode("utf-8", "replace"))})

    @staticmethod
    def _checked(request: Request) -> Json:
        try:
            body: Any = request.json()
        except orjson.JSONDecodeError:
            raise refuse(400, "The request body is not valid JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise refuse(400, "model: Field required")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise refuse(400, "messages: at least one message is required")
        for number, message in enumerate(messages):
            role = message.get("role") if isinstance(message, dict) else None
            if role not in ("user", "assistant") or "content" not in message:
                raise refuse(400, f"messages.{number}.role: Input should be 'user' or 'assistant'")
        return body

    def _answer(self, body: Json) -> tuple[Json, str]:
        question = _last_text(body)
        tool = _forced_tool(body)
        if tool is not None:
            made = self._fill(tool.get("input_schema") or {}, question, tool["name"])
            name = f"toolu_{letters_id(24, self._seed, question)}"
            return {"type": "tool_use", "id": name, "name": tool["name"], "input": made}, "tool_use"
        wanted = (body.get("output_config") or {}).get("format") or {}
        if wanted.get("type") == "json_schema":
            made = self._fill(wanted.get("schema") or {}, question, "")
            return {"type": "text", "text": orjson.dumps(made).decode()}, "end_turn"
        text = self._text(question)
        limit = body["max_tokens"] * 4
        if len(text) > limit:
            return {"type": "text", "text": text[:limit]}, "max_tokens"
        return {"type": "text", "text": text}, "end_turn"

    def _text(self, question: str) -> str:
        lowered = question.lower()
        if re.search(r"\bsummar(y|ise|ize)", lowered):
            sentences = re.split(r"(?<=[.!?])\s+", question.strip())
            return "Summary: " + " ".join(sentences[-3:])[:400]
        if re.search(r"\b(classif|intent|sentiment)", lowered):
            stop = re.search(r"\b(stop|unsubscribe|remove me|do not contact)\b", lowered)
            keen = re.search(r"\b(yes|interested|tour|showing|appointment|call me)\b", lowered)
            return "opt_out" if stop else "interested" if keen else "neutral"
        return pick(_DRAFTS, self._seed, question)

    def _fill(self, schema: Json, question: str, name: str) -> Any:
        """A value that fits a JSON schema."""
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return pick(schema["enum"], self._seed, question, name)
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                return self._fill(schema[word][0], question, name)
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties") or {}
            return {k: self._fill(v, question, k) for k, v in properties.items()}
        if kind == "array":
            count = int(schema.get("minItems", 1))
            return [self._fill(schema.get("items") or {}, question, name) for _ in range(count)]
        if kind == "boolean":
            return False
        if kind in ("integer", "number"):
            return schema.get("minimum", 0)
        return None if kind == "null" else self._text(question)[: schema.get("maxLength", 400)]


def _last_text(body: Json) -> str:
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(p.get("text", "")) for p in parts if isinstance(p, dict))


def _forced_tool(body: Json) -> Json | None:
    tools = body.get("tools") or []
    choice = body.get("tool_choice") or {}
    if not tools or choice.get("type") not in ("tool", "any"):
        return None
    for tool in tools:
        if choice["type"] == "any" or tool.get("name") == choice.get("name"):
            return dict(tool)
    raise refuse(400, "tool_choice: names a tool that is not in tools")


def _tokens(text: str) -> int:
    return max(1, len(text) // 4)


def _streamed(message: Json) -> Reply:
    content = message["content"][0]
    usage = message["usage"]
    if content["type"] == "text":
        start: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": content["text"]}
    else:
        start = {**content, "input": {}}
        part = orjson.dumps(content["input"]).decode()
        delta = {"type": "input_json_delta", "partial_json": part}
    opening: Json = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 1},
    }
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events: list[Json] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": end,
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    lines = [f"event: {e['type']}\ndata: {orjson.dumps(e).decode()}\n\n" for e in events]
    return Reply(200, "".join(lines).encode(), [], "text/event-stream")
