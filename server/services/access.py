"""Opens access control."""

from contextlib import AsyncExitStack

from aiohttp import ClientSession, DummyCookieJar, web

from fingerprint.database import Database
from fingerprint.wiring import open_clip_owners
from server import keys
from server.access.identity.admins import pinned
from server.access.identity.helix import HelixClient
from server.access.identity.oauth import TwitchOAuth
from server.access.identity.session_keys import SessionKeys
from server.access.identity.session_store import SessionStore
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.quotas.admission import Running
from server.access.quotas.requests import StartLimits
from server.access.quotas.store import QuotaStore
from server.access.rules.subscriptions import Subscriptions
from server.access.service import Access
from server.audit.writer import AuditWriter


async def open_access(
    app: web.Application,
    stack: AsyncExitStack,
    database: Database,
    audit: AuditWriter,
    session_keys: SessionKeys | None,
    *,
    running: Running,
    quotas: QuotaStore,
) -> Access:
    """Open access control, with Twitch sign-in if the operator has configured a Twitch application."""
    settings, clock, background = app[keys.SETTINGS], app[keys.CLOCK], app[keys.BACKGROUND]
    tokens = sessions = subscriptions = None
    if settings.twitch_client_id is not None:
        session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
        tokens = await stack.enter_async_context(
            TokenValidator(
                session, id_url=settings.twitch_id_url, client_id=settings.twitch_client_id, clock=clock
            )
        )
        helix = HelixClient(
            session, helix_url=settings.twitch_helix_url, client_id=settings.twitch_client_id, clock=clock
        )
        subscriptions = await stack.enter_async_context(Subscriptions(helix, clock=clock))
        if session_keys is not None and settings.twitch_client_secret is not None:
            oauth = TwitchOAuth(
                session,
                id_url=settings.twitch_id_url,
                client_id=settings.twitch_client_id,
                client_secret=settings.twitch_client_secret,
            )
            store = SessionStore(database, session_keys)
            sessions = await stack.enter_async_context(
                Sessions(store, oauth=oauth, tokens=tokens, clock=clock, background=background)
            )
    access = Access(
        database,
        quotas=quotas,
        clock=clock,
        tokens=tokens,
        audit=audit,
        limits=StartLimits(
            jobs_per_address=settings.jobs_per_address,
            per_address=settings.starts_per_address,
            per_person=settings.starts_per_person,
        ),
        running=running,
        find_channel=app[keys.NAMES].find,
        known_channel=app[keys.NAMES].current,
        clip_owners=await stack.enter_async_context(open_clip_owners(settings.pipeline)),
        subscriptions=subscriptions,
        sessions=sessions,
        admins=settings.admins,
        background=background,
    )
    names = app[keys.NAMES]
    await stack.enter_async_context(
        pinned(access.admins, settings.pipeline.data_dir, names.find, clock=clock, background=background)
    )
    return await stack.enter_async_context(access)
