"""The unsubscribe link: a GET changes nothing, a POST does it, a forged one does nothing."""

from fastapi.testclient import TestClient

from activation.unsubscribe import make_token, secret_key
from leadengine.settings import Settings
from warehouse.database import Database


def revocations(db: Database) -> int:
    with db.connect() as connection:
        row = connection.execute(
            "select count(*) from ops.consent_logs where action = 'revoked' and channel = 'email'"
        ).fetchone()
    return int(row[0]) if row else 0


def link(settings: Settings) -> str:
    return f"/unsubscribe/{make_token(secret_key(settings), 'loc', 'loc:lead')}"


def test_looking_changes_nothing_and_pressing_does(
    client: TestClient, settings: Settings, db: Database
) -> None:
    page = client.get(link(settings))
    assert page.status_code == 200
    assert '<form method="post">' in page.text
    assert revocations(db) == 0
    # RFC 8058: a mail program posts this body, without having shown the page.
    done = client.post(link(settings), data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert revocations(db) == 1
    assert client.post(link(settings)).status_code == 200
    assert revocations(db) == 1


def test_forged_link_does_nothing(client: TestClient, settings: Settings, db: Database) -> None:
    forged = link(settings)[:-3] + "AAA"
    assert client.get(forged).status_code == 404
    assert client.post(forged).status_code == 404
    assert revocations(db) == 0
