"""Message templates: sandboxed Jinja2 files under ``activation/templates``.

A text message is ``<name>.sms.j2``. An email is two files that say the same: the plain text
``<name>.email.txt.j2``, whose first line is ``Subject: ...``, and the MJML ``<name>.email.mjml.j2``
from which its HTML is made. What an approver reads is the plain text, and the HTML is filled with
the words of that text (:mod:`activation.emails`); the linter holds the two files to each other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2 import Template as CompiledTemplate
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from activation import emails
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
# Empty where the settings do not give them: a template asks first, with {% if booking_url %}.
OPTIONAL_VARIABLES = ("booking_url",)

OPT_OUT_WORDS = re.compile(r"\b(STOP|opt out|unsubscribe)\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_NOT_A_NAME = {"n/a", "na", "none", "null", "test", "unknown", "lead", "customer", "client"}


class TemplateProblem(LeadEngineError):  # noqa: N818 - what a person reads is a problem
    """A template is unknown, broken or asks for something that is not there."""

    def __init__(self, message: str, *, remedy: str, line: int = 1) -> None:
        super().__init__(message, remedy=remedy)
        self.line = line


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


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=autoescape, keep_trailing_newline=False
    )


class TemplateLibrary:
    """The templates of a folder, checked when first used.

    Args:
        folder: where the template files are.
    """

    def __init__(self, folder: Path = TEMPLATES_DIR) -> None:
        self.folder = folder
        self._environment = _environment(autoescape=False)
        self._html_environment = _environment(autoescape=True)
        self._loaded: dict[str, Template] = {}
        self._compiled: dict[str, CompiledTemplate] = {}
        self._pages: dict[str, CompiledTemplate] = {}
        self._patterns: dict[str, list[re.Pattern[str]]] = {}
        self._parts: dict[str, str] = {}

    def names(self) -> list[str]:
        """The ids of all templates."""
        found = {path.name.removesuffix(".j2") for path in self.folder.glob("[!_]*.j2")}
        return sorted({name.removesuffix(".txt").removesuffix(".mjml") for name in found})

    def files(self, template_id: str) -> list[Path]:
        """The files of a template, the one with its words first."""
        if self._channel(template_id) is Channel.SMS:
            return [self.folder / f"{template_id}.j2"]
        return [self.folder / f"{template_id}.{kind}.j2" for kind in ("txt", "mjml")]

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
        given = dict.fromkeys(OPTIONAL_VARIABLES, "") | variables
        values = {name: " ".join(str(value).split()) for name, value in given.items()}
        body = self._fill(template_id, template.body, values)
        subject = None
        if template.channel is Channel.EMAIL:
            subject = self._fill(template_id, template.subject or "", values)
            footer = self._fill(template_id, self._read("_email_footer.txt.j2"), values)
            body = f"{body.strip()}\n\n{footer.strip()}\n"
        return Message(template_id, template.version, subject, body.strip())

    def html(self, subject: str, body: str, template_id: str | None = None) -> str:
        """The HTML twin of an email's text: the same words in the same order.

        Args:
            subject: as it was approved.
            body: the plain text as it was approved, footer included.
            template_id: whose text it is; its own MJML is filled with the values found in the
                text. Without one, or where the text is not of the template as it is now, the
                text goes into the plain layout.
        """
        values = self._values_in(template_id, body) if template_id is not None else None
        if template_id is None or values is None:
            blocks, footer = emails.link_lines(body, _linked)
            return self._page("_email_plain").render(
                subject=subject, paragraphs=blocks, footer=footer
            )
        return self._page(template_id).render(values, subject=subject)

    def _values_in(self, template_id: str, body: str) -> dict[str, str] | None:
        if template_id not in self._patterns:
            try:
                self._patterns[template_id] = self._patterns_of(template_id)
            except TemplateProblem:
                return None
        for pattern in self._patterns[template_id]:
            match = pattern.fullmatch(body.strip())
            if match is not None:
                return dict.fromkeys(OPTIONAL_VARIABLES, "") | match.groupdict()
        return None

    def _patterns_of(self, template_id: str) -> list[re.Pattern[str]]:
        """What the template's texts look like, with and without the optional values."""
        needed = emails.marked([*FALLBACKS, *EMAIL_VARIABLES])
        full = needed | emails.marked(OPTIONAL_VARIABLES)
        return [
            emails.pattern_of(self.render(template_id, values).body) for values in (needed, full)
        ]

    def _page(self, template_id: str) -> CompiledTemplate:
        """The template's HTML, made from MJML once."""
        if template_id not in self._pages:
            name = f"{template_id}.mjml.j2"
            source = emails.expand(self._read(name), self._read)
            try:
                html = emails.to_html(source)
            except ValueError as error:
                raise TemplateProblem(
                    f"Template {name} is not MJML: {error}.",
                    remedy="`leadengine templates lint` names the line.",
                ) from error
            self._pages[template_id] = self._html_environment.from_string(html)
        return self._pages[template_id]

    def _fill(self, name: str, source: str, values: dict[str, str]) -> str:
        try:
            if source not in self._compiled:
                template = self._environment.from_string(source)
                # Jinja's own is a chain of dicts, which every rendering walks in Python.
                template.globals = dict(template.globals)
                self._compiled[source] = template
            return self._compiled[source].render(values).strip("\n")
        except TemplateError as error:
            raise TemplateProblem(
                f"Template {name}.j2 cannot be filled in: {error.message}.",
                remedy=f"Use only these variables: {_known(self._channel(name))}.",
            ) from error

    def _read(self, file_name: str) -> str:
        if file_name not in self._parts:
            try:
                self._parts[file_name] = (self.folder / file_name).read_text("utf-8")
            except FileNotFoundError as error:
                raise TemplateProblem(
                    f"The file {file_name} is missing.",
                    remedy=f"Write {file_name}: an email is a plain text and its MJML twin.",
                ) from error
        return self._parts[file_name]

    def _channel(self, template_id: str) -> Channel:
        return Channel.SMS if template_id.endswith(".sms") else Channel.EMAIL

    def _load(self, template_id: str) -> Template:
        if template_id not in self.names():
            raise TemplateProblem(
                f"There is no template {template_id!r}.",
                remedy=f"Choose one of: {', '.join(self.names())}.",
            )
        channel = self._channel(template_id)
        words, *twins = self.files(template_id)
        source = self._read(words.name).strip()
        checked = {words.name: source}
        parts = [source]
        if channel is Channel.EMAIL:
            mjml = self._read(twins[0].name)
            shared = ["_email_footer.txt.j2", *emails.parts_of(mjml)]
            checked[twins[0].name] = mjml
            checked |= {name: self._read(name) for name in shared}
            parts += [mjml, *(self._read(name) for name in shared)]
        for name, text in checked.items():
            for problem in self.problems(name, text, channel):
                raise problem
        subject = None
        body = source
        if channel is Channel.EMAIL:
            head, _, body = source.partition("\n")
            if not head.startswith("Subject: "):
                raise TemplateProblem(
                    f"Template {words.name}, line 1: an email starts with 'Subject: ...'.",
                    remedy="Write the subject on the first line.",
                )
            subject = head.removeprefix("Subject: ").strip()
        elif not OPT_OUT_WORDS.search(source):
            raise TemplateProblem(
                f"Template {words.name}, line 1: it does not say how to opt out.",
                remedy="Add 'Reply STOP to opt out.'",
            )
        version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return Template(template_id, channel, version, subject, body)

    def problems(self, name: str, source: str, channel: Channel) -> list[TemplateProblem]:
        """What keeps a file from being filled in: broken Jinja, or variables that do not exist."""
        try:
            tree = self._environment.parse(source)
        except TemplateSyntaxError as error:
            return [
                TemplateProblem(
                    f"Template {name}, line {error.lineno}: {error.message}.",
                    remedy="Correct the Jinja syntax.",
                    line=error.lineno,
                )
            ]
        # The subject is known to the HTML, whose title it is.
        allowed = {*FALLBACKS, *OPTIONAL_VARIABLES}
        if channel is Channel.EMAIL:
            allowed |= {*EMAIL_VARIABLES, "subject"}
        found = []
        for unknown in sorted(meta.find_undeclared_variables(tree) - allowed):
            line = min(n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown)
            found.append(
                TemplateProblem(
                    f"Template {name}, line {line}: unknown variable {unknown!r}.",
                    remedy=f"Use only these: {_known(channel)}.",
                    line=line,
                )
            )
        return found


def _known(channel: Channel) -> str:
    names = [*FALLBACKS, *OPTIONAL_VARIABLES]
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


@lru_cache(maxsize=8192)
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
