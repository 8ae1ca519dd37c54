"""Looks over every template, sequence and audience; each fault with file, line and remedy."""

from __future__ import annotations

import re
from pathlib import Path

from activation.audience import AUDIENCES_DIR, Audience, AudienceFilter
from activation.declared import Marks, read_declared
from activation.findings import Finding
from activation.lint_email import check_email
from activation.lint_text import check_text
from activation.sequence import REMEDY, SEQUENCES_DIR, Sequence
from activation.sequence_checks import check_graph
from activation.sms_text import sms_size
from activation.templating import (
    FALLBACKS,
    OPT_OUT_WORDS,
    TEMPLATES_DIR,
    TemplateLibrary,
    TemplateProblem,
)
from activation.types import Channel

# One that reads like an ordinary lead, neither short nor long.
SAMPLE = {
    "first_name": "Jennifer",
    "agent_name": "Kim Alvarez",
    "brokerage": "Harbor & Main Realty",
    "search": "a 3-bedroom house in Tampa",
    "city": "Tampa",
}
SAMPLE_EMAIL = {
    "booking_url": "https://example.com/book",
    "unsubscribe_url": "https://example.com/unsubscribe/sample",
    "sender_name": "Harbor & Main Realty",
    "postal_address": "100 Example Street, Springfield, IL 62701",
}
_MOST_SEGMENTS = 2
_SENDER = re.compile(r"\{\{-?\s*brokerage\b")


def lint(
    templates: Path = TEMPLATES_DIR,
    sequences: Path = SEQUENCES_DIR,
    audiences: Path = AUDIENCES_DIR,
) -> list[Finding]:
    """All findings in three folders, in order of file and line. No network is used."""
    library = TemplateLibrary(templates)
    findings: list[Finding] = []
    for name in library.names():
        findings.extend(lint_template(library, name))
    used: set[str] = set()
    for path in sorted(sequences.glob("*.yaml")):
        sequence, found = lint_sequence(path, library)
        findings.extend(found)
        used.update(sequence.template_ids if sequence else ())
    for path in sorted(audiences.glob("*.yaml")):
        findings.extend(
            read_declared(
                Audience,
                "name",
                path,
                remedy=f"Fields that can be used: {', '.join(AudienceFilter.model_fields)}.",
            )[1]
        )
    findings.extend(
        Finding(
            library.files(name)[0].name, 1, 1, "unused-template",
            "no sequence uses this template.",
            "Name it in a sequence, or remove it.", "warning",
        )
        for name in library.names()
        if name not in used
    )  # fmt: skip
    return sorted(findings)


def lint_template(library: TemplateLibrary, name: str) -> list[Finding]:
    """The findings in one template's files."""
    channel = Channel.SMS if name.endswith(".sms") else Channel.EMAIL
    findings: list[Finding] = []
    sources: dict[str, str] = {}
    for path in library.files(name):
        if not path.exists():
            twin = "plain-text twin" if ".txt." in path.name else "MJML twin"
            findings.append(
                Finding(
                    library.files(name)[0].name, 1, 1, "missing-twin",
                    f"{name} has no {twin}.", f"Write {path.name}.",
                )
            )  # fmt: skip
            continue
        sources[path.name] = path.read_text("utf-8")
    for file, source in sources.items():
        problems = library.problems(file, source, channel)
        findings.extend(_problem(file, problem) for problem in problems)
        if not problems:
            findings.extend(check_text(file, source, channel))
    if any(finding.severity == "error" for finding in findings):
        return findings
    if channel is Channel.EMAIL:
        findings.extend(check_email(library, name))
    else:
        findings.extend(_check_sms(library, name, next(iter(sources.items()))))
    return findings


def lint_sequence(path: Path, library: TemplateLibrary) -> tuple[Sequence | None, list[Finding]]:
    """One sequence, None if it cannot be used, and its findings."""

    def check(sequence: Sequence, marks: Marks, file: str) -> list[Finding]:
        return check_graph(sequence, marks, file) + _check_templates(sequence, marks, file, library)

    return read_declared(Sequence, "id", path, remedy=REMEDY, check=check)


def _problem(file: str, problem: TemplateProblem) -> Finding:
    message = problem.message.split(": ", 1)[1]
    code = "unknown-variable" if "unknown variable" in message else "jinja"
    return Finding(file, problem.line, 1, code, message, problem.remedy)


def _check_sms(library: TemplateLibrary, name: str, file: tuple[str, str]) -> list[Finding]:
    file_name, source = file
    findings = []
    if not OPT_OUT_WORDS.search(source):
        findings.append(
            Finding(
                file_name, 1, 1, "no-opt-out", "the text does not say how to opt out.",
                "Add 'Reply STOP to opt out.': any text may be the first that a person gets.",
            )
        )  # fmt: skip
        return findings
    if not _SENDER.search(source):
        findings.append(
            Finding(
                file_name, 1, 1, "no-sender", "the text does not say who writes.",
                "Add {{ brokerage }}: any text may be the first that a person gets.",
            )
        )  # fmt: skip
    foreign = sms_size(source).forced_by
    if foreign:
        line = next(n for n, text in enumerate(source.splitlines(), 1) if foreign[0] in text)
        findings.append(
            Finding(
                file_name, line, 1, "ucs-2",
                f"{foreign!r} forces UCS-2, which holds 70 characters a segment, not 160.",
                "Use plain quotes, hyphens and letters.",
            )
        )  # fmt: skip
    for values, whose in ((SAMPLE, "an ordinary lead"), (FALLBACKS, "a lead without data")):
        size = sms_size(library.render(name, values).body)
        if size.segments > _MOST_SEGMENTS:
            findings.append(
                Finding(
                    file_name, 1, 1, "segments",
                    f"for {whose} the text is {size.units} characters, {size.segments} segments,"
                    f" {size.cents:.1f} cents.",
                    "Shorten it to 306 characters.",
                )
            )  # fmt: skip
    return findings


def _check_templates(
    sequence: Sequence, marks: Marks, file: str, library: TemplateLibrary
) -> list[Finding]:
    findings = []
    names = library.names()
    for number, step in enumerate(sequence.steps):
        for channel, template in step.templates.items():
            path = ("steps", number, "templates", channel.value)
            line, column = marks.at(path)
            where = ".".join(str(part) for part in path)
            if template not in names:
                like = [name for name in names if name.endswith(f".{channel.value}")]
                findings.append(
                    Finding(
                        file, line, column, "unknown-template",
                        f"{where}: there is no template {template!r}.",
                        f"Choose one of: {', '.join(like)}.",
                    )
                )  # fmt: skip
            elif not template.endswith(f".{channel.value}"):
                findings.append(
                    Finding(
                        file, line, column, "wrong-channel",
                        f"{where}: {template!r} is no template for {channel.value}.",
                        f"Name one that ends with .{channel.value}.",
                    )
                )  # fmt: skip
    return findings
