"""Lifetimes, intervals and bounds of sign-ins: the website's sessions, and Twitch's tokens."""

from datetime import timedelta
from typing import Final

# --- Sessions -----------------------------------------------------------------------------------------

SESSION_LIFETIME: Final = timedelta(days=30)
SESSION_IDLE: Final = timedelta(days=14)
"""A session that is not used for this time ends."""

SESSIONS_PER_USER: Final = 20
"""Sessions of one user, for several browsers; beyond it, the oldest ones end."""

SESSION_CACHE_SECONDS: Final = 2.0
"""How long a session is cached: one that another server ends is refused here within this time."""

SESSION_SEEN_STEP: Final = timedelta(hours=1)
"""How often the use of a session is recorded."""

SESSION_VALIDATED: Final = timedelta(minutes=10)
"""How long a session counts without another validation of its token, while it is used."""

SESSION_GRACE: Final = timedelta(hours=1)
"""How long a session stays valid while Twitch does not answer; Twitch requires hourly validation."""

SESSION_RECHECK: Final = timedelta(minutes=50)
"""When the token of a session that is not used is validated again."""

# --- Refreshing a session's tokens --------------------------------------------------------------------

REFRESH_MARGIN: Final = timedelta(minutes=2)
"""How long before its expiry an access token is refreshed."""

REFRESH_CLAIM: Final = timedelta(seconds=10)
"""How long a server has the exclusive right to refresh a session's tokens."""

REFRESH_POLL_SECONDS: Final = 0.2
"""How often a server looks whether another one has refreshed them."""

# --- Maintenance of sessions that are not used --------------------------------------------------------

MAINTENANCE_SECONDS: Final = 30.0
MAINTENANCE_BATCH: Final = 50
MAINTENANCE_CLAIM: Final = timedelta(minutes=5)
"""How long other servers leave a session alone that one has taken for maintenance."""

MAINTENANCE_RETRY: Final = timedelta(minutes=1)
"""When a session is looked at again after Twitch did not answer."""

# --- Tokens -------------------------------------------------------------------------------------------

TOKEN_LENGTH: Final = 200
"""The longest access or refresh token that is accepted, in characters; and the longest authorization code."""

TOKEN_LIFETIME_SECONDS: Final = 10 * 365 * 86_400
"""A longer lifetime that Twitch gives counts as this one."""

VALID_SECONDS: Final = 600.0
"""How long a valid bearer token is cached; Twitch requires validation at least once an hour."""

INVALID_SECONDS: Final = 60.0
"""How long it is cached that a bearer token is not valid."""

VALIDATION_FAILED_SECONDS: Final = 2.0
"""How long Twitch is not asked about a bearer token again after it did not answer."""

MAX_CACHED_TOKENS: Final = 10_000
