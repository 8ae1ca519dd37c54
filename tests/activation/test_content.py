"""What a message says is checked when it is planned and again when it is sent."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from activation.content import ContentCheck
from activation.plan import plan_batch
from activation.rule_model import WordingRule
from activation.rulebook import current_rules
from activation.templating import TEMPLATES_DIR, TemplateLibrary
from activation.types import Channel, Reason
from activation.unsubscribe import unsubscribe
from providers.sendgrid import EmailMessage
from tests.activation.batches import REQUEST, approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows

CHECK = ContentCheck(current_rules(), datetime(2026, 6, 1, tzinfo=UTC))
RULES = [rule for rule in current_rules().rules if isinstance(rule, WordingRule)]


def test_the_wording_rules_examples_hold() -> None:
    seen = 0
    for rule in RULES:
        for example in rule.examples:
            text = str(example.get("refused", example.get("allowed")))
            found = (
                CHECK.planned(
                    "t", (), Channel.SMS, None, text, sender="Bay Realty", postal_address=""
                )
                if example["first"]
                else CHECK.sending(Channel.SMS, None, text, is_first=False)
            )
            assert (found is not None) == ("refused" in example), (text, found)
            seen += 1
    assert seen == 4


ADDRESS = "1 Main St, Tampa, FL 33601"
MAIL = f"Hi.\n--\nUnsubscribe: https://x.example/unsubscribe/abc\nBay Realty, {ADDRESS}"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (MAIL, None),
        (MAIL.replace(ADDRESS, ""), "postal address"),
        (MAIL.replace("/unsubscribe/abc", ""), "no unsubscribe link"),
    ],
)
def test_an_email_holds_address_and_link(body: str, says: str | None) -> None:
    found = CHECK.planned(
        "m", (), Channel.EMAIL, "Hello", body, sender="Bay Realty", postal_address=ADDRESS
    )
    assert (found is None) if says is None else (found is not None and says in found.sentence)


def test_a_word_that_comes_with_the_lead_is_seen_in_a_template_that_is_fair() -> None:
    told = "Hi, Bay Realty. You asked about {}. Reply STOP to opt out."
    for value, reason in (("a home", None), ("a safe neighborhood", Reason.FAIR_HOUSING)):
        text = told.format(value)
        found = CHECK.planned(
            "t@1", [value], Channel.SMS, None, text, sender="Bay Realty", postal_address=""
        )
        assert (found.reason if found else None) == reason
    assert found is not None
    assert "'safe neighborhood' (steering)" in found.sentence


def library_with(folder: Path, name: str, text: str) -> TemplateLibrary:
    for path in TEMPLATES_DIR.rglob("*"):
        if path.is_file():
            copy = folder / path.relative_to(TEMPLATES_DIR)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text("utf-8"), "utf-8")
    (folder / name).write_text(text, "utf-8")
    return TemplateLibrary(folder)


def test_a_batch_with_a_steering_template_plans_nothing_to_send(
    world: World, tmp_path: Path
) -> None:
    add_leads(world.database, [Lead("f", world.locations[0], phone=phone(971), email=None)])
    text = (
        "Hi {{ first_name }}, {{ agent_name }} at {{ brokerage }}: a home that is perfect for a"
        " young family. Reply STOP to opt out."
    )
    library = library_with(tmp_path, "quick_call.sms.j2", text)
    batch = plan_batch(world.database, world.settings, REQUEST, world.clock, library=library)
    assert batch.reasons == {"suppress:fair_housing": 1}
    [item] = batch.items
    assert "'perfect for a young family' (familial_status)" in item.reason
    assert (item.body, item.to_address) == (None, None)


def test_what_was_queued_and_must_not_be_said_is_not_sent(world: World) -> None:
    add_leads(world.database, [Lead("g", world.locations[0], phone=phone(972), email=None)])
    assert plan(world).counts["send"] == 1
    batch = approved(world)
    with world.database.connect() as connection:
        connection.execute(
            "update ops.batch_items set body = replace(body, 'Reply STOP', 'No kids. Reply STOP')"
        )
    dispatch(world, batch)
    assert world.ledger() == []
    assert rows(world.database, "select status, status_reason from ops.sends") == [
        ("cancelled", "fair_housing")
    ]


def test_every_email_offers_one_click(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8058: both headers, with the link that stands in the text; posting to it unsubscribes."""
    given: list[EmailMessage] = []
    send = world.clients.sendgrid.send_email

    def keep(message: EmailMessage, **options: bool) -> str:
        given.append(message)
        return send(message, **options)

    monkeypatch.setattr(world.clients.sendgrid, "send_email", keep)
    leads = [Lead(f"m{n}", world.locations[0], email=f"m{n}@example.com") for n in range(3)]
    add_leads(world.database, leads)
    dispatch(world, approved(world, channels=["email"]))
    assert len(given) == 3
    for message in given:
        link = message.headers["List-Unsubscribe"].strip("<>")
        assert message.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert link in message.text
        assert world.settings.sender_postal_address in message.text
        token = link.rsplit("/", 1)[1]
        assert unsubscribe(world.database, world.settings, token, world.clock).was_new
