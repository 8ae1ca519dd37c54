"""Shows a template as a lead would get it: text, HTML and, where Chromium is found, pictures."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from jinja2.sandbox import ImmutableSandboxedEnvironment

from activation.audience import Audience, WrittenFor
from activation.candidates import read_candidates
from activation.linter import SAMPLE, SAMPLE_EMAIL
from activation.rulebook import current_rules
from activation.senders import location_names
from activation.sms_text import sms_size
from activation.templating import TEMPLATES_DIR, Message, TemplateLibrary, lead_variables
from activation.types import Candidate
from leadengine.clock import Clock
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings
from warehouse.database import Database

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# A desk and a phone; tall enough for any email here.
_SIZES = {"desktop": (760, 900), "phone": (390, 844)}
_SECONDS = 60


class PreviewError(LeadEngineError):
    """A preview could not be made."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What was written, and why there are no pictures where there are none."""

    message: Message
    files: tuple[Path, ...]
    without_pictures: str | None = None


def sample_variables(settings: Settings) -> dict[str, str]:
    """The values of a made-up lead."""
    booking = settings.booking_url or SAMPLE_EMAIL["booking_url"]
    return {**SAMPLE, **SAMPLE_EMAIL, "booking_url": booking}


def variables_of(
    database: Database, settings: Settings, lead_id: str, clock: Clock
) -> dict[str, str]:
    """The values of a lead as the CRM has it; the unsubscribe link is a made-up one.

    Raises:
        PreviewError: there is no such open lead or past client.
        MartsMissingError: the warehouse has not been built.
    """
    candidate = _candidate(database, lead_id, clock)
    brokerage = location_names(database).get(candidate.location_id) or settings.sender_name
    return {
        **SAMPLE_EMAIL,
        "booking_url": settings.booking_url or "",
        "sender_name": settings.sender_name,
        "postal_address": settings.sender_postal_address,
        **lead_variables(candidate.facts, brokerage),
    }


def _candidate(database: Database, lead_id: str, clock: Clock) -> Candidate:
    with database.connect() as connection:
        for of in get_args(WrittenFor):
            for candidate, _ in read_candidates(
                connection,
                Audience(name="preview", description="one lead", of=of),
                sequence="preview",
                step=1,
                as_of=clock.now(),
                rules=current_rules(),
                lead_ids=[lead_id],
            ):
                return candidate
    raise PreviewError(
        f"There is no open, scored lead and no past client {lead_id!r}.",
        remedy="Take a lead_id from marts.lead_priorities, or use --sample.",
    )


def preview(
    name: str,
    variables: Mapping[str, str],
    out: Path,
    *,
    library: TemplateLibrary | None = None,
    browser: str | None = None,
) -> Preview:
    """Writes ``<name>.txt``, ``<name>.html`` and a picture for desk and phone each.

    Args:
        name: of the template.
        variables: values to fill in.
        out: folder; made if it does not exist.
        library: where the template is.
        browser: Chromium's path; looked for on PATH if not given.

    Raises:
        TemplateProblem: the template is unknown or cannot be filled in.
        PreviewError: the folder cannot be written.
    """
    library = library or TemplateLibrary()
    message = library.render(name, dict(variables))
    if name.endswith(".email"):
        text = f"Subject: {message.subject}\n\n{message.body}\n"
        html = library.html(message.subject or "", message.body, name)
    else:
        text, html = f"{message.body}\n", _sms_html(message, variables["brokerage"])
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = [out / f"{name}.txt", out / f"{name}.html"]
        files[0].write_text(text, "utf-8")
        files[1].write_text(html, "utf-8")
    except OSError as error:
        raise PreviewError(
            f"The preview cannot be written to {out}: {error.strerror}.",
            remedy="Name a folder that you may write to with --out.",
        ) from error
    found = browser or find_browser()
    if found is None:
        return Preview(
            message,
            tuple(files),
            "No pictures: Chromium was not found on PATH. Install it (apt-get install chromium),"
            " or open the HTML in a browser.",
        )
    for device, (width, height) in _SIZES.items():
        picture = out / f"{name}.{device}.png"
        _screenshot(found, files[1], picture, width, height)
        files.append(picture)
    return Preview(message, tuple(files))


def find_browser() -> str | None:
    """The path of Chromium or Chrome on this machine."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def sms_facts(message: Message) -> str:
    """A text's size and price in words."""
    size = sms_size(message.body)
    segments = f"{size.segments} segment{'s' if size.segments != 1 else ''}"
    return f"{size.alphabet}, {size.units} characters, {segments}, about {size.cents:.1f} cents"


def _sms_html(message: Message, sender: str) -> str:
    source = (TEMPLATES_DIR / "_sms_preview.html.j2").read_text("utf-8")
    page = ImmutableSandboxedEnvironment(autoescape=True).from_string(source)
    return page.render(
        name=message.template_id, sender=sender, body=message.body, facts=sms_facts(message)
    )


def _screenshot(browser: str, page: Path, picture: Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory(prefix="leadengine-chromium-") as profile:
        try:
            done = subprocess.run(
                [
                    browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    "--disable-dev-shm-usage", f"--user-data-dir={profile}",
                    f"--window-size={width},{height}", f"--screenshot={picture.resolve()}",
                    page.resolve().as_uri(),
                ],
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PreviewError(
                f"{browser} did not make a picture of {page.name}: {error}.",
                remedy="Open the HTML in a browser instead; it was written.",
            ) from error
    if done.returncode or not picture.exists():
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise PreviewError(
            f"{browser} made no picture of {page.name}: {' '.join(last) or done.returncode}",
            remedy="Open the HTML in a browser instead; it was written.",
        )
