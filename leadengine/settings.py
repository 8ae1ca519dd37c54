"""Settings from the environment or ``.env``; the names are the contract in ``.env.example``."""

import os
import tempfile
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from leadengine.errors import SettingsError
from leadengine.rates import Rate, RateSetting

# Set before any of these libraries is imported, so that none reports home.
_TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


class LocationConfig(BaseModel):
    """One GoHighLevel location (sub-account) and what is needed to act for it."""

    model_config = ConfigDict(frozen=True)

    location_id: str
    name: str = ""
    timezone: str = "America/New_York"
    token: SecretStr
    from_number: str | None = None
    from_email: str | None = None
    rate_limit: RateSetting | None = None
    daily_limit: Annotated[int, Field(ge=100, le=10_000_000)] | None = None


class Settings(BaseSettings):
    """Everything that can be set. An empty string counts as not set."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    leadengine_home: Path = Path(".leadengine")
    database_url: SecretStr | None = None

    ghl_base_url: str = "https://services.leadconnectorhq.com"
    ghl_token: SecretStr | None = None
    ghl_location_id: str | None = None
    ghl_locations: Path | None = None
    ghl_rate_limit: Annotated[RateSetting, NoDecode] = Rate(100, 10)
    ghl_daily_limit: Annotated[int, Field(ge=100, le=10_000_000)] = 200_000
    ghl_webhook_public_key: str | None = None
    ghl_webhook_ed25519_public_key: str | None = None

    twilio_base_url: str = "https://api.twilio.com"
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from_number: str | None = None
    twilio_rate_limit: Annotated[RateSetting, NoDecode] = Rate(250, 10)
    twilio_answers_stop: bool = True
    twilio_lookups_base_url: str = "https://lookups.twilio.com"
    line_type_lookups: bool = False
    twilio_10dlc_class: Literal[
        "sole_proprietor", "low_volume", "standard_low", "standard_mid", "standard_high", "none"
    ] = "standard_low"
    sms_segment_cents: Annotated[Decimal, Field(ge=0)] = Decimal("1.15")
    email_cents: Annotated[Decimal, Field(ge=0)] = Decimal("0.1")

    sendgrid_base_url: str = "https://api.sendgrid.com"
    sendgrid_api_key: SecretStr | None = None
    sendgrid_from_email: str | None = None
    sendgrid_send_rate_limit: Annotated[RateSetting, NoDecode] = Rate(1_000, 10)
    sendgrid_read_rate_limit: Annotated[RateSetting, NoDecode] = Rate(600, 60)
    sendgrid_activity_rate_limit: Annotated[RateSetting, NoDecode] = Rate(6, 60)
    sendgrid_webhook_public_key: str | None = None

    apollo_base_url: str = "https://api.apollo.io/api/v1"
    apollo_api_key: SecretStr | None = None
    apollo_rate_limit: Annotated[RateSetting, NoDecode] = Rate(50, 60)

    anthropic_base_url: str = "https://api.anthropic.com"
    anthropic_api_key: SecretStr | None = None
    anthropic_rate_limit: Annotated[RateSetting, NoDecode] = Rate(50, 60)

    mlflow_tracking_uri: str | None = None
    sandbox_url: str | None = None
    sandbox_contacts: Annotated[int, Field(ge=20, le=100_000)] = 5_000
    sandbox_seed: int = 7

    service_port: Annotated[int, Field(ge=1, le=65_535)] = 8000
    dagster_port: Annotated[int, Field(ge=1, le=65_535)] = 3000
    mlflow_port: Annotated[int, Field(ge=1, le=65_535)] = 5000
    docs_port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    public_url: str = Field(
        default_factory=lambda data: f"http://localhost:{data.get('service_port', 8000)}"
    )

    sender_name: str = "Harbor & Main Realty"
    booking_url: str | None = None
    sender_postal_address: str = "100 Example Street, Suite 1, Springfield, IL 62701"
    secret_key: SecretStr | None = Field(default=None, alias="LEADENGINE_SECRET_KEY")

    label_days: Annotated[int, Field(ge=1, le=365)] = 60
    score_vector_days: Annotated[int, Field(ge=1)] = 180
    transcription_budget: Annotated[int, Field(ge=0)] = 150
    apollo_budget: Annotated[int, Field(ge=0)] = 20
    model_allow: Annotated[tuple[str, ...], NoDecode] = ()
    writeback_tiers: Annotated[tuple[str, ...], NoDecode] = ("hot", "warm")
    writeback_tasks_a_day: Annotated[int, Field(ge=0)] = 20
    writeback_notes: bool = True
    writeback_workflows: Annotated[tuple[tuple[str, str, str], ...], NoDecode] = ()
    api_token: SecretStr | None = Field(default=None, alias="LEADENGINE_API_TOKEN")

    log_level: str = Field(default="INFO", alias="LEADENGINE_LOG_LEVEL")
    log_format: str = Field(default="text", alias="LEADENGINE_LOG_FORMAT")

    # Filled in by use_sandbox(), never from the environment.
    sandbox_locations: Annotated[tuple[LocationConfig, ...], NoDecode] = ()

    @field_validator("writeback_tiers", "model_allow", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("writeback_workflows", mode="before")
    @classmethod
    def _split_workflows(cls, value: Any) -> Any:
        """``tier=workflow`` or ``location/tier=workflow``, by comma."""
        if not isinstance(value, str):
            return value
        entries = []
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, _, workflow = part.partition("=")
            location, _, tier = name.rpartition("/")
            if tier not in {"hot", "warm", "cool", "cold"} or not workflow:
                raise ValueError(
                    f"{part!r} is not tier=workflow_id or location_id/tier=workflow_id"
                )
            entries.append((location, tier, workflow))
        return tuple(entries)

    def workflows_of(self, location_id: str) -> dict[str, str]:
        """The workflow that leads of a tier enter in a location; its own entries win."""
        general = {tier: flow for where, tier, flow in self.writeback_workflows if not where}
        own = {tier: flow for where, tier, flow in self.writeback_workflows if where == location_id}
        return general | own

    @field_validator("writeback_tiers")
    @classmethod
    def _known_tiers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - {"hot", "warm", "cool", "cold"}
        if unknown:
            raise ValueError(f"unknown tier {sorted(unknown)}; use hot, warm, cool, cold")
        return value

    @field_validator(
        "ghl_base_url", "twilio_base_url", "sendgrid_base_url", "apollo_base_url",
        "anthropic_base_url", "sandbox_url", "public_url", "booking_url",
        "twilio_lookups_base_url",
    )  # fmt: skip
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError(f"{value!r} is not a URL; it must start with http:// or https://")
        return value.rstrip("/")

    @property
    def home(self) -> Path:
        """The absolute state folder."""
        return self.leadengine_home.expanduser().resolve()

    @property
    def dbt_target(self) -> Path:
        """Where dbt puts its manifest, compiled SQL and logs."""
        return self.home / "dbt"

    @property
    def docs(self) -> Path:
        """Where the pages are that `leadengine docs` and `leadengine up` serve."""
        return self.home / "docs"

    @property
    def data_docs(self) -> Path:
        """Where Great Expectations puts its pages: among those that are served."""
        return self.docs / "expectations"

    @property
    def has_live_credentials(self) -> bool:
        """Whether a GoHighLevel account is configured; without one the sandbox stands in."""
        return bool(self.ghl_token or self.ghl_locations) and not self.sandbox_locations

    @property
    def uses_sandbox(self) -> bool:
        """Whether the providers' addresses point to a sandbox."""
        return bool(self.sandbox_locations)

    def locations(self) -> list[LocationConfig]:
        """The GoHighLevel locations to work on.

        Raises:
            SettingsError: none is configured, or the locations file cannot be used.
        """
        if self.sandbox_locations:
            return list(self.sandbox_locations)
        if self.ghl_locations:
            return _read_locations_file(self.ghl_locations)
        if self.ghl_token and self.ghl_location_id:
            return [
                LocationConfig(
                    location_id=self.ghl_location_id,
                    token=self.ghl_token,
                    from_number=self.twilio_from_number,
                    from_email=self.sendgrid_from_email,
                )
            ]
        missing = "GHL_LOCATION_ID" if self.ghl_token else "GHL_TOKEN"
        raise SettingsError(
            f"No GoHighLevel location is configured: {missing} is not set.",
            remedy="Set GHL_TOKEN and GHL_LOCATION_ID, or GHL_LOCATIONS, in .env.",
        )

    def use_sandbox(self, url: str, credentials: dict[str, Any]) -> "Settings":
        """A copy in which every provider is the sandbox at ``url``.

        Args:
            url: the sandbox's root, without a trailing slash.
            credentials: the answer of its ``GET /_credentials``.
        """
        ghl, twilio, sendgrid = credentials["ghl"], credentials["twilio"], credentials["sendgrid"]
        locations = tuple(
            LocationConfig(
                location_id=entry["id"],
                name=entry["name"],
                timezone=entry["timezone"],
                token=SecretStr(entry["token"]),
                from_number=entry["from_number"],
                from_email=entry["from_email"],
            )
            for entry in ghl["locations"]
        )
        return self.model_copy(
            update={
                "sandbox_url": url,
                "sandbox_locations": locations,
                "ghl_base_url": f"{url}/ghl",
                "ghl_webhook_public_key": ghl["webhook_rsa_public_key"],
                "ghl_webhook_ed25519_public_key": ghl["webhook_ed25519_public_key"],
                "twilio_base_url": f"{url}/twilio",
                "twilio_lookups_base_url": f"{url}/twilio",
                "twilio_account_sid": twilio["account_sid"],
                "twilio_auth_token": SecretStr(twilio["auth_token"]),
                "twilio_from_number": locations[0].from_number,
                "sendgrid_base_url": f"{url}/sendgrid",
                "sendgrid_api_key": SecretStr(sendgrid["api_key"]),
                "sendgrid_from_email": sendgrid["from_email"],
                "sendgrid_webhook_public_key": sendgrid["webhook_public_key"],
                "apollo_base_url": f"{url}/apollo",
                "apollo_api_key": SecretStr(credentials["apollo"]["api_key"]),
                "anthropic_base_url": f"{url}/anthropic",
                "anthropic_api_key": SecretStr(credentials["anthropic"]["api_key"]),
            }
        )

    def prepare_home(self) -> Path:
        """Makes the state folder and proves that it can be written.

        Raises:
            SettingsError: it cannot be created or written.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            # A name of its own each time: threads and processes may ask at once.
            with tempfile.NamedTemporaryFile(dir=self.home, prefix=".probe-"):
                pass
        except OSError as error:
            raise SettingsError(
                f"The state folder LEADENGINE_HOME={self.home} cannot be written: "
                f"{error.strerror}.",
                remedy="Give your user the right to write there, or set LEADENGINE_HOME elsewhere.",
            ) from error
        return self.home


def _read_locations_file(path: Path) -> list[LocationConfig]:
    """Reads GHL_LOCATIONS: a YAML list of id, timezone, from_number, from_email, token_variable."""
    remedy = "See docs/data-engineers.md for the format of the locations file."
    try:
        entries = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"GHL_LOCATIONS={path} cannot be read: {error.strerror}.", remedy=remedy
        ) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"GHL_LOCATIONS={path} is not YAML: {error}.", remedy=remedy) from error
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"GHL_LOCATIONS={path} is not a list of locations.", remedy=remedy)
    locations = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"id", "token_variable"} <= entry.keys():
            raise SettingsError(
                f"GHL_LOCATIONS={path}: entry {number} lacks id or token_variable.", remedy=remedy
            )
        token = os.environ.get(str(entry["token_variable"]))
        if not token:
            raise SettingsError(
                f"GHL_LOCATIONS={path}: entry {number} names the variable "
                f"{entry['token_variable']}, which is not set.",
                remedy=f"Set {entry['token_variable']} to the location's access token.",
            )
        fields = {k: v for k, v in entry.items() if k not in {"id", "token_variable"}}
        try:
            locations.append(
                LocationConfig(location_id=str(entry["id"]), token=SecretStr(token), **fields)
            )
        except (TypeError, ValidationError) as error:
            raise SettingsError(
                f"GHL_LOCATIONS={path}: entry {number} is not right: {error}.", remedy=remedy
            ) from error
    return locations


def load_settings(**overrides: Any) -> Settings:
    """Reads the settings anew.

    Raises:
        SettingsError: a value does not fit; names the variable.
    """
    for name, value in _TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        # The value is left out: the variable may hold a secret.
        raise SettingsError(
            f"The setting {name} does not fit: {first['msg']}.",
            remedy=f"Correct {name} in the environment or .env; .env.example explains each.",
        ) from error


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
