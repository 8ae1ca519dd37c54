"""What must hold of an email: sound MJML that can be read by all, and a twin that says the same."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from activation import emails
from activation.findings import Finding
from activation.templating import TemplateLibrary, TemplateProblem

_FOOTER = "_email_footer.mjml.j2"
_LONGEST_SUBJECT = 70
_WORD = re.compile(r"\{\{.*?\}\}|[^\W_]+(?:['\u2019][^\W_]+)*")
_CONTROL = re.compile(r"\{%.*?%\}", re.DOTALL)
_LINK_VARIABLE = re.compile(r"\{\{\s*\w+_url\s*\}\}")
_COLOURS = re.compile(r"<(mj-text|mj-button)\b[^>]*?>", re.IGNORECASE | re.DOTALL)
_LEAST_CONTRAST = 4.5


def check_email(library: TemplateLibrary, name: str) -> list[Finding]:
    """The findings in an email whose two files are there and fill in."""
    text_path, mjml_path = library.files(name)
    text, mjml = text_path.read_text("utf-8"), mjml_path.read_text("utf-8")
    findings = [
        Finding(mjml_path.name, fault.line, fault.column, "mjml", f"{fault.message}.", fault.remedy)
        for fault in emails.faults(mjml)
    ]
    if _FOOTER not in emails.parts_of(mjml):
        findings.append(
            Finding(
                mjml_path.name, 1, 1, "no-footer",
                "the email has no footer with address and unsubscribe link (15 U.S.C. 7704(a)(5)).",
                f'Add <mj-include path="{_FOOTER}" /> before </mj-body>.',
            )
        )  # fmt: skip
    if findings:
        return findings
    findings.extend(_subject(text_path.name, text))
    findings.extend(_twins(text_path.name, text, mjml_path.name, mjml))
    findings.extend(_contrast(library, mjml_path.name, mjml))
    if not findings:
        try:
            library.get(name)
            library.html("subject", "text", name)
        except TemplateProblem as problem:
            findings.append(Finding(mjml_path.name, 1, 1, "mjml", problem.message, problem.remedy))
    return findings


def _subject(file: str, text: str) -> Iterator[Finding]:
    first = text.partition("\n")[0]
    subject = first.removeprefix("Subject: ").strip()
    if not first.startswith("Subject: ") or not subject:
        yield Finding(
            file, 1, 1, "subject", "an email starts with 'Subject: ...'.",
            "Write the subject on the first line.",
        )  # fmt: skip
    elif len(subject) > _LONGEST_SUBJECT:
        yield Finding(
            file, 1, 10, "subject",
            f"the subject has {len(subject)} characters, and phones cut it off.",
            f"Shorten it to {_LONGEST_SUBJECT}.", "warning",
        )  # fmt: skip


def _twins(text_file: str, text: str, mjml_file: str, mjml: str) -> Iterator[Finding]:
    """The words of both, in order, must be the same, and so must the links."""
    lines = text.splitlines()
    said = [
        (word, number) for number, line in enumerate(lines[1:], start=2) for word in _words(line)
    ]
    seen, links = emails.words_and_links(mjml)
    shown = _words(html.unescape(seen))
    for place, (word, number) in enumerate(said):
        other = shown[place] if place < len(shown) else "the end"
        if word != other:
            yield Finding(
                text_file, number, 1, "twin-differs",
                f"the plain text says {word!r} where {mjml_file} has {other!r}.",
                "Let both say the same, word by word.",
            )  # fmt: skip
            break
    else:
        if len(shown) > len(said):
            yield Finding(
                text_file, len(lines), 1, "twin-differs",
                f"the plain text ends where {mjml_file} goes on with {shown[len(said)]!r}.",
                "Let both say the same, word by word.",
            )  # fmt: skip
    flat = re.sub(r"\s", "", text)
    for link, line, column in links:
        if re.sub(r"\s", "", link) not in flat:
            yield Finding(
                mjml_file, line, column, "twin-differs",
                f"the link {link!r} is not in the plain text.",
                f"Write it in {text_file} as well.",
            )  # fmt: skip


def _words(text: str) -> list[str]:
    without = _LINK_VARIABLE.sub(" ", _CONTROL.sub(" ", text))
    without = re.sub(r"https?://\S+", " ", without)
    return [re.sub(r"\s", "", word) for word in _WORD.findall(without)]


def _contrast(library: TemplateLibrary, file: str, mjml: str) -> Iterator[Finding]:
    sources = [(file, mjml)] + [
        (part, (library.folder / part).read_text("utf-8")) for part in emails.parts_of(mjml)
    ]
    for name, source in sources:
        for match in _COLOURS.finditer(source):
            tag = match.group()
            front = _colour(tag, "color")
            if front is None:
                continue
            is_button = match[1].lower() == "mj-button"
            back = (_colour(tag, "background-color") if is_button else None) or "#ffffff"
            ratio = contrast(front, back)
            if ratio < _LEAST_CONTRAST:
                line = source.count("\n", 0, match.start()) + 1
                yield Finding(
                    name, line, 1, "contrast",
                    f"{front} on {back} has a contrast of {ratio:.1f} to 1 (WCAG 2.2, 1.4.3).",
                    f"Choose colours with at least {_LEAST_CONTRAST} to 1.",
                )  # fmt: skip


def _colour(tag: str, attribute: str) -> str | None:
    match = re.search(rf'\s{attribute}="(#[0-9a-fA-F]{{6}})"', tag)
    return match[1] if match else None


def contrast(front: str, back: str) -> float:
    """The contrast ratio of two colours, ``#rrggbb``, from 1 to 21 (WCAG 2.2)."""
    bright, dark = sorted((_luminance(front), _luminance(back)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
