"""Do-not-call lists and types of lines: heeded when a batch is planned, and again at sending."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from activation.do_not_call import ListError, import_list, normalised_address
from activation.line_types import look_up_lines
from activation.suppression import SuppressionError, lift
from tests.activation.batches import approved, dispatch, plan
from tests.activation.conftest import World
from tests.activation.marts import Lead, add_leads, phone, rows

LINES = "2125550971\n212,5550972\n(212) 555-0973\n+1 212 555 0974\nphone me\n"


def listing(world: World, path: Path, text: str, **options: object) -> dict[str, object]:
    path.write_text(text, "utf-8")
    asked: dict[str, object] = {
        "list_name": "registry", "kind": "national", "channel": "sms",
        "now": world.clock.now(), "imported_by": "Bo", **options,
    }  # fmt: skip
    return import_list(world.database, path, **asked).as_dict()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "channel", "address"),
    [
        ("813,5550123", "sms", "+18135550123"),
        ("813,555-0123", "sms", "+18135550123"),
        ('"Ann","(813) 555-0123",x', "sms", "+18135550123"),
        ("+44 20 7946 0123", "sms", "+442079460123"),
        ("5550123", "sms", None),
        ("", "sms", None),
        ("Ann <Ann@Example.com>", "email", "ann@example.com"),
        ("no email", "email", None),
    ],
)
def test_what_a_line_holds(line: str, channel: str, address: str | None) -> None:
    assert normalised_address(line, channel) == address


def test_a_list_is_read_once_and_keeps_its_source(world: World, tmp_path: Path) -> None:
    path = tmp_path / "ftc.txt"
    first = listing(world, path, "phone\n" + LINES, listed_on=date(2026, 11, 1))
    counts = {name: first[name] for name in ("read", "added", "already", "rejected", "removed")}
    assert counts == {"read": 4, "added": 4, "already": 0, "rejected": 1, "removed": 0}
    again = listing(world, path, "phone\n" + LINES)
    assert (again["added"], again["already"]) == (0, 4)
    assert rows(world.database, "select row_key is not null, reason from ops.quarantine") == [
        (True, "no_address")
    ]
    fewer = listing(world, path, "2125550971\n", replace=True)
    assert (fewer["removed"], fewer["already"]) == (3, 1)
    kept = "select list_name, kind, source, addresses, imported_by from ops.do_not_call_lists"
    assert rows(world.database, kept) == [("registry", "national", "ftc.txt", 1, "Bo")]


def test_a_list_that_cannot_be_used_says_why(world: World, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with pytest.raises(ListError, match="no number"):
        listing(world, path, "hello\n")
    with pytest.raises(ListError, match="holds no addresses"):
        listing(world, path, "")
    with pytest.raises(ListError, match="kind 'other'"):
        listing(world, path, LINES, kind="other")
    with pytest.raises(ListError, match="cannot be read"):
        import_list(
            world.database, tmp_path / "none", list_name="x", kind="state", channel="sms",
            now=world.clock.now(), imported_by="Bo",
        )  # fmt: skip
    listing(world, path, LINES)
    with pytest.raises(ListError, match="there already, as national"):
        listing(world, path, LINES, kind="internal")


def test_who_is_on_a_list_gets_no_text_at_plan_or_at_send(world: World, tmp_path: Path) -> None:
    loc, other = world.locations[0], world.locations[1]
    numbers = [phone(number) for number in (971, 972, 973)]
    add_leads(
        world.database,
        [Lead(f"d{n}", loc, phone=number, email=None) for n, number in enumerate(numbers)],
    )
    listing(world, tmp_path / "a.txt", f"{numbers[0]}\n")
    # Another location's own list says nothing to this one.
    listing(
        world, tmp_path / "b.txt", f"{numbers[1]}\n", list_name="own", kind="internal",
        location_id=other,
    )  # fmt: skip
    batch = plan(world)
    assert batch.reasons == {"suppress:do_not_call": 1, "send:send_now": 2}
    [refused] = [item for item in batch.items if item.decision == "suppress"]
    assert "do-not-call list (national)" in refused.reason
    going = approved(world)
    listing(
        world, tmp_path / "c.txt", f"{numbers[2]}\n", list_name="late", kind="internal",
        location_id=loc,
    )  # fmt: skip
    dispatch(world, going)
    assert [entry["to"] for entry in world.ledger()] == [numbers[1]]


def test_what_is_queued_for_somebody_on_a_new_list_is_cancelled(
    world: World, tmp_path: Path
) -> None:
    add_leads(world.database, [Lead("q", world.locations[0], phone=phone(975), email=None)])
    batch = approved(world)
    world.clock.advance(timedelta(hours=-10))  # in the night: it waits
    dispatch(world, batch)
    report = listing(world, tmp_path / "a.txt", f"{phone(975)}\n")
    assert report["cancelled"] == 1
    assert rows(world.database, "select status, status_reason from ops.sends") == [
        ("cancelled", "do_not_call")
    ]


def test_lines_are_asked_about_once_and_only_where_it_is_wanted(world: World) -> None:
    loc = world.locations[0]
    numbers = [f"+1212555{number:04d}" for number in range(100, 200)]
    add_leads(
        world.database,
        [Lead(f"l{n}", loc, phone=number, email=None) for n, number in enumerate(numbers)],
    )
    nothing = look_up_lines(world.database, world.clients, world.settings, world.clock)
    assert (nothing.asked, nothing.left) == (0, 0)
    wanted = world.settings.model_copy(update={"line_type_lookups": True})
    first = look_up_lines(world.database, world.clients, wanted, world.clock, most=60)
    second = look_up_lines(world.database, world.clients, wanted, world.clock)
    third = look_up_lines(world.database, world.clients, wanted, world.clock)
    assert [(report.asked, report.left) for report in (first, second, third)] == [
        (60, 40), (40, 0), (0, 0),
    ]  # fmt: skip
    landlines = {
        row[0]
        for row in rows(
            world.database, "select address from ops.phone_lines where line_type = 'landline'"
        )
    }
    assert 0 < len(landlines) == first.barred + second.barred < 10
    batch = plan(world)
    told = {item.lead_id: item.reason_code for item in batch.items}
    refused = {f"{loc}:l{n}" for n, number in enumerate(numbers) if number in landlines}
    assert {lead for lead, reason in told.items() if reason == "landline"} == refused
    world.clock.advance(timedelta(days=181))
    assert look_up_lines(world.database, world.clients, wanted, world.clock).asked == 100


def test_an_address_comes_off_the_list_by_name_and_reason(world: World) -> None:
    with world.database.connect() as connection:
        connection.execute(
            "insert into ops.suppressions values ('L', 'email', 'a@example.com', 'opted_out',"
            " 'unsubscribe_link', now())"
        )
    now = world.clock.now()
    told = {"channel": "email", "now": now}
    with pytest.raises(SuppressionError, match="name and a reason"):
        lift(world.database, address="a@example.com", by=" ", reason="new form", **told)  # type: ignore[arg-type]
    assert lift(world.database, address="A@example.com", by="Bo", reason="form 7", **told) == 1  # type: ignore[arg-type]
    with pytest.raises(SuppressionError, match="on no suppression list"):
        lift(world.database, address="a@example.com", by="Bo", reason="form 7", **told)  # type: ignore[arg-type]
    assert rows(world.database, "select actor, detail ->> 'reason' from ops.audit_trail") == [
        ("Bo", "form 7")
    ]
