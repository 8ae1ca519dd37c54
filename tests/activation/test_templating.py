"""Templates: every one that ships can be sent, and mistakes name file, line and remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation.sequence import load_sequence, sequence_names
from activation.templating import (
    FALLBACKS,
    TEMPLATES_DIR,
    TemplateLibrary,
    TemplateProblem,
    friendly_name,
    lead_variables,
    search_phrase,
)
from activation.types import Channel

EMAIL = {
    "unsubscribe_url": "https://example.com/unsubscribe/abc",
    "sender_name": "Harbor & Main",
    "postal_address": "1 Example Street",
}
LIBRARY = TemplateLibrary()


@pytest.mark.parametrize("name", LIBRARY.names())
def test_every_template_reads_well_with_nothing_known_about_the_lead(name: str) -> None:
    message = LIBRARY.render(name, FALLBACKS | EMAIL)
    assert "{{" not in message.body
    assert "None" not in message.body
    if name.endswith(".sms"):
        assert "STOP" in message.body
        assert len(message.body) <= 320
        assert message.body.isascii()
    else:
        assert message.subject
        assert EMAIL["unsubscribe_url"] in message.body
        assert EMAIL["postal_address"] in message.body


@pytest.mark.parametrize("name", sequence_names())
def test_every_sequence_names_templates_that_exist(name: str) -> None:
    for step in load_sequence(name).steps:
        for channel, template in step.templates.items():
            assert LIBRARY.get(template).channel is Channel(channel)


def test_the_html_says_the_words_that_were_approved_and_escapes_them() -> None:
    message = LIBRARY.render(
        "quick_call.email",
        {
            **FALLBACKS,
            **EMAIL,
            "first_name": "<b>Ann</b> & Co",
            "booking_url": "https://e.com/a?b&c",
        },
    )
    html = LIBRARY.html(message.subject or "", message.body, message.template_id)
    assert "&lt;b&gt;Ann&lt;/b&gt; &amp; Co" in html
    assert "<b>Ann" not in html
    assert f'<a href="{EMAIL["unsubscribe_url"]}"' in html
    assert 'href="https://e.com/a?b&amp;c"' in html
    assert html.count("<li") == 3
    assert EMAIL["postal_address"] in html
    assert '<html lang="en"' in html


@pytest.mark.parametrize("name", [name for name in LIBRARY.names() if name.endswith(".email")])
def test_every_email_finds_its_values_in_its_own_text(name: str) -> None:
    values = {
        **FALLBACKS,
        **EMAIL,
        "first_name": "Zoë",
        "search": "a condo in Tampa",
        "city": "Tampa",
    }
    message = LIBRARY.render(name, values)
    html = LIBRARY.html(message.subject or "", message.body, name)
    assert "Hi Zoë," in html
    # The letterhead is of the template's own layout, not of the plain one.
    assert "font-weight:600" in html
    assert "{{" not in html
    assert "{%" not in html


def test_a_text_that_is_no_longer_the_templates_goes_out_as_approved() -> None:
    message = LIBRARY.render("quick_call.email", {**FALLBACKS, **EMAIL})
    body = message.body.replace("ten emails", "<ten> letters")
    html = LIBRARY.html(message.subject or "", body, message.template_id)
    assert "ten minutes than in &lt;ten&gt; letters" in html
    assert f'<a href="{EMAIL["unsubscribe_url"]}"' in html
    assert EMAIL["postal_address"] in html


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in TEMPLATES_DIR.glob("_*.j2"):
        (tmp_path / part.name).write_text(part.read_text())
    return tmp_path


MJML = """<mjml lang="en"><mj-body>
<mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section>
<mj-include path="_email_footer.mjml.j2" />
</mj-body></mjml>
"""


def write(folder: Path, name: str, text: str) -> None:
    if name.endswith(".email"):
        (folder / f"{name}.mjml.j2").write_text(MJML)
        name += ".txt"
    (folder / f"{name}.j2").write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.sms", "Hi {{ first_nam }}, reply STOP", r"a\.sms\.j2, line 1: unknown.*'first_nam'"),
        ("a.sms", "Hi,\n{{ price }} STOP", r"line 2: unknown variable 'price'"),
        ("a.sms", "Hi {{ first_name", r"a\.sms\.j2, line 1"),
        ("a.sms", "Hi {{ first_name }}", "opt out"),
        ("a.email", "Hello\n\nHi", "line 1.*Subject"),
        ("a.sms", "{{ unsubscribe_url }} STOP", "unknown variable 'unsubscribe_url'"),
    ],
)
def test_a_mistake_names_file_line_and_remedy(
    folder: Path, name: str, text: str, says: str
) -> None:
    write(folder, name, text)
    with pytest.raises(TemplateProblem, match=says) as caught:
        TemplateLibrary(folder).get(name)
    assert caught.value.remedy


def test_a_template_cannot_reach_into_the_program(folder: Path) -> None:
    (folder / "a.sms.j2").write_text("{{ first_name.__class__.__mro__ }} STOP")
    with pytest.raises(TemplateProblem):
        TemplateLibrary(folder).render("a.sms", FALLBACKS)


def test_what_a_lead_typed_is_never_template_code(folder: Path) -> None:
    (folder / "a.sms.j2").write_text("Hi {{ first_name }} STOP")
    message = TemplateLibrary(folder).render("a.sms", FALLBACKS | {"first_name": "{{ 7 * 7 }}\nX"})
    assert message.body == "Hi {{ 7 * 7 }} X STOP"


def test_a_missing_variable_is_an_error_not_a_gap() -> None:
    with pytest.raises(TemplateProblem, match="quick_call"):
        LIBRARY.render("quick_call.sms", {"first_name": "Ann"})


def test_another_text_is_another_version(folder: Path) -> None:
    write(folder, "a.email", "Subject: x\n\nHi")
    versions = {TemplateLibrary(folder).get("a.email").version}
    for part in ("_email_footer.txt.j2", "_email_footer.mjml.j2", "a.email.mjml.j2"):
        (folder / part).write_text((folder / part).read_text() + "\n<!-- more -->")
        versions.add(TemplateLibrary(folder).get("a.email").version)
    assert len(versions) == 4


def test_an_email_without_its_twin_is_no_template(folder: Path) -> None:
    write(folder, "a.email", "Subject: x\n\nHi")
    (folder / "a.email.mjml.j2").unlink()
    with pytest.raises(TemplateProblem, match=r"a\.email\.mjml\.j2 is missing"):
        TemplateLibrary(folder).get("a.email")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("MARY", "Mary"), ("mary ann", "Mary Ann"), ("McKay", "McKay"), (" Zoë ", "Zoë"),
        ("test", None), ("N/A", None), ("a@b.c", None), ("J", None), ("R2D2", None),
        ("", None), (None, None), ("{{x}}", None),
    ],
)  # fmt: skip
def test_names_fit_to_greet_with(raw: str | None, shown: str | None) -> None:
    assert friendly_name(raw) == shown


@pytest.mark.parametrize(
    ("facts", "phrase"),
    [
        ({"beds": 3, "property_type": "condo", "city": "Tampa"}, "a 3-bedroom condo in Tampa"),
        ({"beds": 8, "property_type": None, "city": None}, "an 8-bedroom home"),
        ({"property_type": "apartment"}, "an apartment"),
        ({"city": "Austin"}, "a home in Austin"),
        ({"lead_intent": "sell", "city": "Austin"}, "selling your home in Austin"),
        ({}, None),
    ],
)
def test_what_the_lead_looks_for(facts: dict[str, object], phrase: str | None) -> None:
    assert search_phrase(facts) == phrase


@given(
    st.fixed_dictionaries(
        {
            "first_name": st.none() | st.text(),
            "assigned_agent_name": st.none() | st.text(),
            "city": st.none() | st.text(),
            "lead_intent": st.sampled_from([None, "buy", "sell", "both"]),
            "beds": st.none() | st.integers(0, 20),
            "property_type": st.none() | st.text(),
        }
    )
)
def test_whatever_the_crm_holds_a_message_can_be_written(facts: dict[str, object]) -> None:
    message = LIBRARY.render("quick_call.sms", lead_variables(facts, "Harbor"))
    assert "\n" not in message.body
    assert message.body.startswith("Hi ")
