"""Message templates: sandboxed Jinja2 files under ``activation/templates``.

A text message is ``<name>.sms.j2``. An email is ``<name>.email.j2``: its first line is
``Subject: ...``, the rest is plain text. The HTML twin is made from the rendered text, so the
two can never say different things, and what an approver reads is all there is.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, select_autoescape
from jinja2 import Template as CompiledTemplate
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from activation.types import Channel
from leadengine.errors import LeadEngineError

TEMPLATES_DIR = Path(__file__).parent / "templates"

# What a template may use, and what it says where the lead's own value is missing.
FALLBACKS: dict[str, str] = {
    "first_name": "there",
    "agent_name": "the team",
    "brokerage": "our office",
    "search": "a home",
    "city": "your area",
}
# Filled in by the engine for every email; never missing.
EMAIL_VARIABLES = ("unsubscribe_url", "sender_name", "postal_address")

_OPT_OUT_WORDS = re.compile(r"\b(STOP|opt out|unsubscribe)\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_NOT_A_NAME = {"n/a", "na", "none", "null", "test", "unknown", "lead", "customer", "client"}


class TemplateProblem(LeadEngineError):  # noqa: N818 - what a person reads is a problem
    """A template is unknown, broken or asks for something that is not there."""


@dataclass(frozen=True, slots=True)
class Template:
    """One template file. ``version`` names exactly this text, its footer and layout included."""

    template_id: str
    channel: Channel
    version: str
    subject: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Message:
    """A rendered message, ready to be approved. ``body`` of an email is its plain text."""

    template_id: str
    template_version: str
    subject: str | None
    body: str


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html", "html.j2"], default_for_string=False),
        trim_blocks=False,
        keep_trailing_newline=False,
    )


class TemplateLibrary:
    """The templates of a folder, checked when first used.

    Args:
        folder: where the template files are.
    """

    def __init__(self, folder: Path = TEMPLATES_DIR) -> None:
        self._folder = folder
        self._environment = _environment()
        self._loaded: dict[str, Template] = {}
        self._compiled: dict[str, CompiledTemplate] = {}
        self._parts: dict[str, str] = {}

    def names(self) -> list[str]:
        """The ids of all templates."""
        files = self._folder.glob("[!_]*.j2")
        return sorted(path.name.removesuffix(".j2") for path in files)

    def get(self, template_id: str) -> Template:
        """One template.

        Raises:
            TemplateProblem: it does not exist, is not valid Jinja, uses an unknown variable, or
                is a first text without opt-out words; names file, line and what to do.
        """
        if template_id not in self._loaded:
            self._loaded[template_id] = self._load(template_id)
        return self._loaded[template_id]

    def render(self, template_id: str, variables: dict[str, str]) -> Message:
        """Fills in a template.

        Args:
            template_id: such as ``dormant_check_in.sms``.
            variables: values of :data:`FALLBACKS` and, for emails, :data:`EMAIL_VARIABLES`.
                Line breaks in them are flattened, and they are never read as template code.

        Raises:
            TemplateProblem: as :meth:`get`, or a variable has no value.
        """
        template = self.get(template_id)
        values = {name: " ".join(str(value).split()) for name, value in variables.items()}
        body = self._fill(template_id, template.body, values)
        subject = None
        if template.channel is Channel.EMAIL:
            subject = self._fill(template_id, template.subject or "", values)
            footer = self._fill("_email_footer", self._footer(), values)
            body = f"{body.strip()}\n\n{footer.strip()}\n"
        return Message(template_id, template.version, subject, body.strip())

    def html(self, subject: str, body: str) -> str:
        """The HTML twin of an email's text: same words, same order, links made clickable."""
        content, _, footer = body.rpartition("\n--\n")
        blocks = [_block(part) for part in re.split(r"\n\s*\n", content.strip()) if part.strip()]
        first = next((part for part in content.strip().split("\n\n")[1:]), "")
        if "layout" not in self._compiled:
            layout = self._environment.from_string(self._read("_email_layout.html.j2"))
            self._compiled["layout"] = layout
        # Autoescape goes by file name, which a string has not; everything is escaped here.
        return self._compiled["layout"].render(
            subject=escape(subject),
            preheader=escape(" ".join(first.split())[:120]),
            blocks=blocks,
            footer=[_linked(line) for line in footer.strip().splitlines()],
        )

    def _fill(self, name: str, source: str, values: dict[str, str]) -> str:
        try:
            if source not in self._compiled:
                self._compiled[source] = self._environment.from_string(source)
            return self._compiled[source].render(values).strip("\n")
        except TemplateError as error:
            raise TemplateProblem(
                f"Template {name}.j2 cannot be filled in: {error.message}.",
                remedy=f"Use only these variables: {_known(self._channel(name))}.",
            ) from error

    def _footer(self) -> str:
        if "_email_footer" not in self._parts:
            self._parts["_email_footer"] = self._read("_email_footer.j2")
        return self._parts["_email_footer"]

    def _read(self, file_name: str) -> str:
        return (self._folder / file_name).read_text("utf-8")

    def _channel(self, template_id: str) -> Channel:
        return Channel.SMS if template_id.endswith(".sms") else Channel.EMAIL

    def _load(self, template_id: str) -> Template:
        if template_id not in self.names():
            raise TemplateProblem(
                f"There is no template {template_id!r}.",
                remedy=f"Choose one of: {', '.join(self.names())}.",
            )
        channel = self._channel(template_id)
        source = self._read(f"{template_id}.j2").strip()
        parts = [source]
        if channel is Channel.EMAIL:
            parts += [self._read("_email_footer.j2"), self._read("_email_layout.html.j2")]
        for part in parts[:2]:
            self._check(template_id, part, channel)
        subject = None
        body = source
        if channel is Channel.EMAIL:
            head, _, body = source.partition("\n")
            if not head.startswith("Subject: "):
                raise TemplateProblem(
                    f"Template {template_id}.j2, line 1: an email starts with 'Subject: ...'.",
                    remedy="Write the subject on the first line.",
                )
            subject = head.removeprefix("Subject: ").strip()
        elif not _OPT_OUT_WORDS.search(source):
            raise TemplateProblem(
                f"Template {template_id}.j2 does not say how to opt out.",
                remedy="Add 'Reply STOP to opt out.'",
            )
        version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return Template(template_id, channel, version, subject, body)

    def _check(self, name: str, source: str, channel: Channel) -> None:
        try:
            tree = self._environment.parse(source)
        except TemplateSyntaxError as error:
            raise TemplateProblem(
                f"Template {name}.j2, line {error.lineno}: {error.message}.",
                remedy="Correct the Jinja syntax.",
            ) from error
        allowed = set(FALLBACKS) | (set(EMAIL_VARIABLES) if channel is Channel.EMAIL else set())
        for unknown in sorted(meta.find_undeclared_variables(tree) - allowed):
            at = next((n for n, line in enumerate(source.splitlines(), 1) if unknown in line), 1)
            raise TemplateProblem(
                f"Template {name}.j2, line {at}: unknown variable {unknown!r}.",
                remedy=f"Use only these: {_known(channel)}.",
            )


def _known(channel: Channel) -> str:
    names = list(FALLBACKS)
    return ", ".join([*names, *EMAIL_VARIABLES] if channel is Channel.EMAIL else names)


def _linked(line: str) -> Markup:
    parts: list[Markup] = []
    end = 0
    for match in _URL.finditer(line):
        url = escape(match.group())
        parts.append(escape(line[end : match.start()]))
        parts.append(Markup('<a href="{0}" style="color:#1a5fb4;">{0}</a>').format(url))
        end = match.end()
    parts.append(escape(line[end:]))
    return Markup("").join(parts)


def _block(part: str) -> dict[str, Any]:
    lines = part.strip().splitlines()
    if all(line.startswith("- ") for line in lines):
        return {"kind": "list", "lines": [_linked(line[2:]) for line in lines]}
    return {"kind": "paragraph", "lines": [_linked(line) for line in lines]}


def friendly_name(value: str | None) -> str | None:
    """A first name fit to greet with, or None where what the CRM holds is no name.

    ``MARY`` and ``mary`` become ``Mary``; ``Mary Ann`` and ``McKay`` stay.
    """
    name = " ".join((value or "").split())
    letters = sum(character.isalpha() for character in name)
    if letters < 2 or len(name) > 40 or name.lower() in _NOT_A_NAME:
        return None
    if any(character.isdigit() or character in "@{}<>|\\/_" for character in name):
        return None
    return name.title() if name.isupper() or name.islower() else name


def search_phrase(facts: dict[str, Any]) -> str | None:
    """What the person looks for, in words: ``a 3-bedroom condo in Tampa``; None if unknown."""
    if facts.get("lead_intent") == "sell":
        return f"selling your home in {facts['city']}" if facts.get("city") else "selling your home"
    kind = str(facts.get("property_type") or "").strip().lower().replace("_", " ")
    beds, city = facts.get("beds"), facts.get("city")
    if not kind and not beds and not city:
        return None
    kind = kind if kind and kind not in {"any", "other"} else "home"
    phrase = f"{int(beds)}-bedroom {kind}" if beds and "land" not in kind else kind
    article = "an" if phrase[0] in "aeiou8" else "a"
    return f"{article} {phrase} in {city}" if city else f"{article} {phrase}"


def lead_variables(facts: dict[str, Any], brokerage: str) -> dict[str, str]:
    """A lead's template values, each with its fallback where the CRM holds nothing usable."""
    own = {
        "first_name": friendly_name(facts.get("first_name")),
        "agent_name": friendly_name(facts.get("assigned_agent_name")),
        "brokerage": brokerage or None,
        "search": search_phrase(facts),
        "city": facts.get("city"),
    }
    return {name: str(value) if value else FALLBACKS[name] for name, value in own.items()}
