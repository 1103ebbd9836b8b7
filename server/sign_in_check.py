"""Checks whether people can sign in with the Twitch application that is set."""

import asyncio
from typing import Final

from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from fingerprint.configured_database import open_configured_database
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.step_report import Outcome, Verdict
from server.access.identity.oauth import ApplicationRefusedError, TwitchOAuth
from server.access.identity.session_keys import FILE, SessionKeys, kept_keys
from server.access.identity.session_store import SessionStore
from server.proxy_check import check_redirect
from server.settings import ServerSettings
from server.store_checks import is_unmade

_ANSWER_SECONDS: Final = 10.0


async def check_sign_in(settings: ServerSettings) -> Verdict:
    """What has to be written in the operator's Twitch application."""
    if settings.twitch_client_id is None:
        return Outcome.SKIPPED, ("no Twitch application is set, so no one can sign in (TWITCH_CLIENT_ID)",)
    base = settings.base_url or "http://localhost:8080"
    redirect = URL(f"{str(base).rstrip('/')}/login/callback")
    note = f"the Twitch application needs this redirect address: {redirect}"
    refused = await check_application(settings) or await check_redirect(settings, redirect)
    if refused is not None:
        return refused[0], (note, *refused[1])
    others = await _sessions_of_other_keys(settings)
    if not others:
        return Outcome.OK, (note,)
    advice = (
        f"{others} of the newest sign-ins in the database were made with another session key, so those people are "
        "not signed in here: set the same TWITCHAUDIO_SESSION_KEY on all servers, the old ones after a comma."
    )
    return Outcome.DIFFERS, (note, advice)


async def check_application(settings: ServerSettings) -> Verdict | None:
    """What is wrong with the Twitch application, as Twitch says; None when nothing is, or there is no secret."""
    if settings.twitch_client_id is None or settings.twitch_client_secret is None:
        return None
    async with ClientSession(timeout=ClientTimeout(total=_ANSWER_SECONDS)) as session:
        oauth = TwitchOAuth(
            session,
            id_url=settings.twitch_id_url,
            client_id=settings.twitch_client_id,
            client_secret=settings.twitch_client_secret,
        )
        try:
            await oauth.application_token()
        except ApplicationRefusedError:
            advice = "in Twitch's developer console, take the id again and make a new secret"
            return Outcome.FAILED, (
                f"Twitch does not accept TWITCH_CLIENT_ID with TWITCH_CLIENT_SECRET: {advice}.",
            )
        except TwitchAudioError as error:
            return Outcome.DIFFERS, (f"Twitch could not be asked about the application: {error.detail}",)
    return None


async def _sessions_of_other_keys(settings: ServerSettings) -> int:
    keyless = not settings.session_keys and not (settings.pipeline.data_dir / FILE).exists()
    if settings.twitch_client_secret is None or keyless or await asyncio.to_thread(is_unmade, settings):
        return 0
    session_keys = SessionKeys(kept_keys(settings.session_keys, settings.pipeline.data_dir))
    async with open_configured_database(settings.pipeline) as database:
        return await SessionStore(database, session_keys).count_of_other_keys()
