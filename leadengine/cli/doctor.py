"""``leadengine doctor``: what is set up, what is not, and how to mend it."""

from collections.abc import Callable
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table

from leadengine.cli.context import provider_settings
from leadengine.errors import LeadEngineError
from leadengine.settings import Settings, get_settings
from warehouse.database import Database, open_database
from warehouse.migrate import current, head

_VERSION_DIVISOR = 10_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    fine: bool
    text: str
    remedy: str = ""


def doctor() -> None:
    """Checks configuration, database, migrations, roles, providers and model."""
    findings = list(_examine())
    table = Table("", "what", "finding", "remedy")
    for finding in findings:
        mark = "[green]ok[/]" if finding.fine else "[red]no[/]"
        table.add_row(mark, finding.name, finding.text, finding.remedy)
    Console(highlight=False).print(table)
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def _attempt(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, fine=True, text=check())
    except LeadEngineError as error:
        return Finding(name, fine=False, text=error.message, remedy=error.remedy)


def _examine() -> list[Finding]:
    settings = get_settings()
    findings = [
        _attempt("configuration", lambda: "every setting has a value that fits"),
        _attempt("state folder", lambda: str(settings.prepare_home())),
    ]
    opened: list[Database] = []

    def open_it() -> str:
        database = open_database(settings)
        opened.append(database)
        kind = "external" if settings.database_url else "embedded"
        return f"{kind} PostgreSQL {database.check() // _VERSION_DIVISOR}"

    findings.append(_attempt("database", open_it))
    if opened:
        findings += [
            _attempt("migrations", lambda: _migrations(opened[0])),
            _attempt("roles", lambda: _roles(opened[0])),
            _attempt("model", lambda: _model(settings, opened[0])),
        ]
        findings += _providers(settings, opened[0])
    return findings


def _migrations(database: Database) -> str:
    found, wanted = current(database), head()
    if found != wanted:
        raise LeadEngineError(
            f"The database is at revision {found or 'none'}, the code at {wanted}.",
            remedy="`leadengine run` migrates it.",
        )
    return f"revision {found}"


def _roles(database: Database) -> str:
    with database.connect() as connection:
        rows = connection.execute(
            "select rolname from pg_roles where rolname = any(%s)",
            [["leadengine_analyst", "leadengine_location"]],
        ).fetchall()
    missing = {"leadengine_analyst", "leadengine_location"} - {row[0] for row in rows}
    if missing:
        raise LeadEngineError(
            f"Missing: {', '.join(sorted(missing))}.",
            remedy="Let a user with CREATEROLE create them, then migrate a new database.",
        )
    return "leadengine_analyst, leadengine_location"


def _model(settings: Settings, database: Database) -> str:
    from ml.champion import has_champion
    from ml.rules_score import newest_rules_score

    if current(database) != head():
        raise LeadEngineError(
            "Cannot be looked for in a database that is not migrated.",
            remedy="`leadengine run` migrates it.",
        )
    if has_champion(settings, database):
        return "lead_conversion has a champion"
    rules = newest_rules_score(database)
    if rules is None:
        raise LeadEngineError(
            "There is no champion of lead_conversion.", remedy="`leadengine run` trains one."
        )
    return f"no champion yet, leads are scored by the rules ({rules.version}): {rules.reason}"


def _providers(settings: Settings, database: Database) -> list[Finding]:
    from providers.factory import build_clients
    from warehouse.rate_limits import PostgresRateLimiter

    findings: list[Finding] = []
    limiter = PostgresRateLimiter(database)
    try:
        with provider_settings(settings) as resolved:
            kind = "sandbox" if resolved.uses_sandbox else "live"
            clients = build_clients(resolved, limiter)
            for location, ghl in clients.ghl.items():
                findings.append(_attempt(f"GoHighLevel {location}", _ping(ghl.ping, kind)))
            findings.append(_attempt("Twilio", _ping(lambda: clients.twilio.ping(), kind)))
            findings.append(_attempt("SendGrid", _ping(lambda: clients.sendgrid.ping(), kind)))
            for name, optional in (("Apollo", clients.apollo), ("Claude", clients.claude)):
                if optional is None:
                    findings.append(Finding(name, fine=True, text="not configured (optional)"))
                else:
                    findings.append(_attempt(name, _ping(optional.ping, kind)))
    except LeadEngineError as error:
        findings.append(Finding("providers", fine=False, text=error.message, remedy=error.remedy))
    finally:
        limiter.close()
    return findings


def _ping(ping: Callable[[], None], kind: str) -> Callable[[], str]:
    def check() -> str:
        ping()
        return f"answers ({kind})"

    return check
