"""Which providers the engine talks to: the configured ones, or a sandbox in their place."""

from leadengine.errors import SettingsError
from leadengine.settings import Settings


def resolve_settings(settings: Settings) -> Settings:
    """Settings whose every provider address is final.

    With GoHighLevel credentials these are the settings as they are. Without, they point to the
    sandbox that SANDBOX_URL names.

    Raises:
        SettingsError: there are neither credentials nor a sandbox, or the locations are not usable.
        LeadEngineError: the sandbox does not answer.
    """
    if settings.has_live_credentials or settings.uses_sandbox:
        settings.locations()  # what is wrong with them is better told now than by every call
        return settings
    if settings.sandbox_url is None:
        raise SettingsError(
            "There are no GoHighLevel credentials and SANDBOX_URL is not set.",
            remedy="Set GHL_TOKEN and GHL_LOCATION_ID, or start `leadengine sandbox` and set "
            "SANDBOX_URL to its address.",
        )
    from providers.sandbox.launcher import connect

    return settings.use_sandbox(settings.sandbox_url, connect(settings.sandbox_url))
