"""The linter: nothing to find in what ships, and each fault with file, line and remedy."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from activation.audience import AUDIENCES_DIR, AudienceError, load_audience
from activation.findings import Finding
from activation.lint_email import contrast
from activation.linter import lint, lint_sequence
from activation.preview import find_browser, preview, sample_variables
from activation.sequence import SEQUENCES_DIR
from activation.sms_text import sms_size
from activation.templating import TEMPLATES_DIR, TemplateLibrary
from leadengine.cli import sequences, templates
from leadengine.settings import Settings

GOOD_SMS = "Hi {{ first_name }}, Kim at {{ brokerage }}. Still looking? Reply STOP to opt out.\n"
GOOD_TEXT = "Subject: Hello\n\nHi {{ first_name }},\n\nStill looking?\n"
GOOD_MJML = """<mjml lang="en">
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Hi {{ first_name }},</mj-text>
        <mj-text>Still looking?</mj-text>
      </mj-column>
    </mj-section>
    <mj-include path="_email_footer.mjml.j2" />
  </mj-body>
</mjml>
"""


def test_nothing_is_wrong_with_what_ships() -> None:
    assert lint() == []


def test_the_library_is_as_large_as_promised() -> None:
    names = TemplateLibrary().names()
    assert len(names) >= 24
    assert all(f"{name.split('.')[0]}.email" in names for name in names)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    made = (tmp_path / "templates", tmp_path / "sequences", tmp_path / "audiences")
    for folder in made:
        folder.mkdir()
    for part in TEMPLATES_DIR.glob("_*.j2"):
        shutil.copy(part, made[0])
    return made


def found(folders: tuple[Path, Path, Path]) -> list[Finding]:
    findings = [f for f in lint(*folders) if f.code != "unused-template"]
    assert all(finding.remedy for finding in findings)
    return findings


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (GOOD_SMS, None, 0),
        (GOOD_SMS.replace("first_name", "fist_name"), "unknown-variable", 1),
        (GOOD_SMS.replace("{{ first_name }}", "{{ first_name"), "jinja", 1),
        (GOOD_SMS.replace("Still", "\n{{ booking_url }} Still"), "missing-fallback", 2),
        (GOOD_SMS.replace("Still", "{% if booking_url %}{{ booking_url }}{% endif %}"), None, 0),
        (GOOD_SMS.replace("Reply STOP to opt out.", ""), "no-opt-out", 1),
        (GOOD_SMS.replace("{{ brokerage }}", "the office"), "no-sender", 1),
        (GOOD_SMS.replace("Still", "\n\u201cStill\u201d"), "ucs-2", 2),
        (GOOD_SMS + "word " * 60, "segments", 1),
        (GOOD_SMS.replace("Still", "\nAct now"), "spam-word", 2),
        (GOOD_SMS.replace("looking?", "looking??"), "spam-word", 1),
        (GOOD_SMS.replace("Still looking", "STILL looking"), "shouting", 1),
        (GOOD_SMS.replace("Kim", "[agent name]"), "placeholder", 1),
        (GOOD_SMS.replace("Still", "https://bit.ly/3x Still"), "link", 1),
        (GOOD_SMS.replace("Still", "ftp://example.com/x Still"), "link", 1),
        (GOOD_SMS.replace("Still", "www.example.com Still"), "link", 1),
        (GOOD_SMS.replace("Still", "https://nowhere Still"), "link", 1),
        (GOOD_SMS.replace("Still", "https://example.com/x?y=1 Still"), None, 0),
        (GOOD_SMS.replace("Still", "\nPerfect for families. Still"), "fair-housing", 2),
    ],
)
def test_texts(folders: tuple[Path, Path, Path], text: str, code: str | None, line: int) -> None:
    (folders[0] / "a.sms.j2").write_text(text)
    findings = found(folders)
    assert [(f.code, f.line) for f in findings[:1]] == ([(code, line)] if code else [])
    assert all(finding.file == "a.sms.j2" for finding in findings)


@pytest.mark.parametrize(
    ("text", "mjml", "code", "line"),
    [
        (GOOD_TEXT, GOOD_MJML, None, 0),
        (None, GOOD_MJML, "missing-twin", 1),
        (GOOD_TEXT, None, "missing-twin", 1),
        (GOOD_TEXT.replace("Subject: ", ""), GOOD_MJML, "subject", 1),
        (GOOD_TEXT.replace("Hello", "Re: Hello"), GOOD_MJML, "deceptive-subject", 1),
        (GOOD_TEXT.replace("Still", "Are you"), GOOD_MJML, "twin-differs", 5),
        (GOOD_TEXT + "More\n", GOOD_MJML, "twin-differs", 6),
        (GOOD_TEXT, GOOD_MJML.replace("looking?", "looking? Yes"), "twin-differs", 5),
        (
            GOOD_TEXT, GOOD_MJML.replace("Still", '<a href="https://example.com">Still</a>'),
            "twin-differs", 6,
        ),
        (GOOD_TEXT, GOOD_MJML.replace("</mj-column>", ""), "mjml", 8),
        (GOOD_TEXT, GOOD_MJML.replace("mj-text>Hi", "mj-txt>Hi").replace(
            ",</mj-text", ",</mj-txt"), "mjml", 5),
        (GOOD_TEXT, GOOD_MJML.replace(' lang="en"', ""), "mjml", 1),
        (
            GOOD_TEXT, GOOD_MJML.replace("    </mj-section>", '<mj-image src="x" /></mj-section>'),
            "mjml", 8,
        ),
        (
            GOOD_TEXT,
            GOOD_MJML.replace('    <mj-include path="_email_footer.mjml.j2" />\n', ""),
            "no-footer", 1,
        ),
        (
            GOOD_TEXT, GOOD_MJML.replace("<mj-text>Still", '<mj-text color="#aaaaaa">Still'),
            "contrast", 6,
        ),
    ],
)  # fmt: skip
def test_emails(
    folders: tuple[Path, Path, Path],
    text: str | None,
    mjml: str | None,
    code: str | None,
    line: int,
) -> None:
    if text is not None:
        (folders[0] / "a.email.txt.j2").write_text(text)
    if mjml is not None:
        (folders[0] / "a.email.mjml.j2").write_text(mjml)
    assert [(f.code, f.line) for f in found(folders)[:1]] == ([(code, line)] if code else [])


def test_a_sequence_that_names_what_is_not_there(folders: tuple[Path, Path, Path]) -> None:
    (folders[0] / "a.sms.j2").write_text(GOOD_SMS)
    path = folders[1] / "s.yaml"
    path.write_text(
        "name: x\ndescription: y\nstop_on: [reply, opt_out]\nsteps:\n"
        "  - step: 1\n    templates:\n      sms: b.sms\n      email: a.sms\n"
    )
    sequence, findings = lint_sequence(path, TemplateLibrary(folders[0]))
    assert sequence is None
    assert [(f.code, f.line, f.column) for f in findings] == [
        ("unknown-template", 7, 7), ("wrong-channel", 8, 7),
    ]  # fmt: skip
    assert "a.sms" in findings[0].remedy


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("description: x\nwhere:\n  tiers: [hott]\n", "line 3, column 11", "hott"),
        ("description: x\nwhere:\n  teirs: [hot]\n", "line 3, column 3", "no field 'teirs'"),
        (
            "description: x\nwhere:\n  silent_days_min: 9\n  silent_days_max: 3\n",
            "line 2", "nobody belongs",
        ),
        ("description: x\nwhere: {}\nwhere: {}\n", "line 3, column 1", "given twice"),
    ],
)  # fmt: skip
def test_an_audience_names_its_mistake(tmp_path: Path, text: str, place: str, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(AudienceError, match=says) as caught:
        load_audience("bad", tmp_path)
    assert f"bad.yaml, {place}" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "alphabet", "units", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # 76 pairs fill a segment but for one unit, in which half a pair cannot stand.
        ("€" * 152, "GSM-7", 304, 2),
        ("€" * 153, "GSM-7", 306, 3),
        ("ñà@_", "GSM-7", 4, 1),
        ("ç" * 70, "UCS-2", 70, 1),
        ("ç" * 71, "UCS-2", 71, 2),
        ("\U0001f3e0" * 35, "UCS-2", 70, 1),
        ("\U0001f3e0" * 36, "UCS-2", 72, 2),
    ],
)
def test_the_size_of_a_text(text: str, alphabet: str, units: int, segments: int) -> None:
    size = sms_size(text)
    assert (size.alphabet, size.units, size.segments) == (alphabet, units, segments)


def test_contrast_as_the_standard_computes_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_a_preview_is_written_with_and_without_a_browser(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser() is None
    made = preview("quick_call.email", sample_variables(settings), tmp_path / "out")
    assert [path.suffix for path in made.files] == [".txt", ".html"]
    assert "apt-get install chromium" in (made.without_pictures or "")
    assert "Hi Jennifer," in made.files[1].read_text()
    # Stands for Chromium, which the machine may not have: it writes where it is told to.
    stand_in = tmp_path / "chromium"
    stand_in.write_text(
        '#!/bin/sh\nfor a in "$@"; do case "$a" in --screenshot=*) : > "${a#*=}";; esac; done\n'
    )
    stand_in.chmod(0o755)
    made = preview("quick_call.sms", sample_variables(settings), tmp_path / "out")
    assert [path.name for path in made.files[2:]] == [
        "quick_call.sms.desktop.png", "quick_call.sms.phone.png",
    ]  # fmt: skip
    assert "1 segment" in made.files[1].read_text() or "2 segments" in made.files[1].read_text()


def test_the_folders_that_ship_are_where_they_should_be() -> None:
    assert all(folder.is_dir() for folder in (SEQUENCES_DIR, AUDIENCES_DIR, TEMPLATES_DIR))


def test_the_command_ends_with_1_where_a_file_cannot_be_used(
    folders: tuple[Path, Path, Path],
) -> None:
    assert CliRunner().invoke(templates.app, ["lint"]).exit_code == 0
    (folders[0] / "a.sms.j2").write_text(GOOD_SMS.replace("first_name", "fist_name"))
    bad = CliRunner().invoke(templates.app, ["lint", "--templates", str(folders[0])])
    assert bad.exit_code == 1
    assert "a.sms.j2, line 1, column 1: unknown variable 'fist_name'" in bad.output
    assert "Use only these" in bad.output


def test_templates_and_sequences_can_be_listed_and_shown() -> None:
    run = CliRunner().invoke
    assert "quick_call.sms" in run(templates.app, ["list"]).output
    assert "Hi Jennifer," in run(templates.app, ["show", "quick_call.email"]).output
    assert "dormant_90" in run(sequences.app, ["list"]).output
    assert "tier hot or warm" in run(sequences.app, ["show", "dormant_90"]).output
