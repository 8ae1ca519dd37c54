"""The address in every email: a page for people, and RFC 8058's one click for mail programs."""

from html import escape

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from activation.unsubscribe import TokenError, read_token, secret_key, unsubscribe
from leadengine.clock import SystemClock
from service.dependencies import DatabaseDependency, SettingsDependency

router = APIRouter(tags=["unsubscribe"])

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 4rem auto;
  padding: 0 1rem; color: #1b1b1b; background: #fff }}
button {{ font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: .4rem;
  background: #0b57d0; color: #fff; cursor: pointer }}
button:focus-visible {{ outline: 3px solid #f9ab00; outline-offset: 2px }}
</style>
</head>
<body><main><h1>{title}</h1>{body}</main></body>
</html>
"""


@router.get("/unsubscribe/{token}", response_class=HTMLResponse)
def ask(token: str, settings: SettingsDependency) -> str:
    """A page with a button. A GET changes nothing: mail scanners follow every link."""
    try:
        read_token(secret_key(settings), token)
    except TokenError as error:
        raise HTTPException(404, error.message) from error
    return _PAGE.format(
        title="Stop these emails?",
        body=f"<p>{escape(settings.sender_name)} will send you no more marketing email.</p>"
        '<form method="post"><button type="submit">Unsubscribe</button></form>',
    )


@router.post("/unsubscribe/{token}", response_class=HTMLResponse)
def confirm(token: str, database: DatabaseDependency, settings: SettingsDependency) -> str:
    """Revokes consent to email at once; the same answer however often it is pressed."""
    try:
        unsubscribe(database, settings, token, SystemClock())
    except TokenError as error:
        raise HTTPException(404, error.message) from error
    return _PAGE.format(
        title="You are unsubscribed",
        body=f"<p>{escape(settings.sender_name)} will send you no more marketing email.</p>",
    )
