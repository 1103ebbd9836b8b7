"""The website's session cookie, who is signed in with it, and CSRF tokens.

For pages and templates: `account(request)` says who is signed in and gives the token that their forms need.

The cookie holds a session's id, and sign-ins that were begun; everything else is in the database. It is `__Host-`
and Secure behind https. Whoever brings a bearer token or an API key is not known by their cookie, so that only
requests that a browser could be made to send need a CSRF token.
"""

import contextlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp_session import AbstractStorage, Session, get_session
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.identity.addresses import Networks, parse_address
from server.access.identity.session_keys import SessionKeys
from server.access.identity.sessions import LIFETIME
from server.access.request_context import RequestContext
from server.middleware.forms import read_form

COOKIE: Final = "twitchaudio"
SECURE_COOKIE: Final = "__Host-twitchaudio"
CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "X-CSRF-Token"
SESSION_ID: Final = "id"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_COOKIE_LIMIT: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a page tells of who looks at it."""

    can_sign_in: bool = False
    login: str | None = None
    user_id: str | None = None
    csrf_token: str = ""
    """For the field `csrf_token` of forms and the header `X-CSRF-Token`; empty for somebody not signed in."""
    admin: bool = False


NOBODY: Final = Account()
ACCOUNT: Final = web.RequestKey("account", Account)


def public_scheme(request: web.Request, configured: URL | None, trusted: Networks) -> str:
    """`https` or `http`, as the website's visitors see it. Proxies that are not trusted are not believed."""
    if configured is not None:
        return configured.scheme
    said = _said_by_proxy(request, "X-Forwarded-Proto", trusted)
    scheme = None if said is None else said.lower()
    return scheme if scheme in ("http", "https") else request.scheme


def public_origin(request: web.Request, configured: URL | None, trusted: Networks) -> URL:
    """The website's address as its visitors see it. Raises TwitchAudioError `invalid-input` without a host."""
    if configured is not None:
        return configured
    # Not `request.host`: without the header it would look this machine's name up.
    host = _said_by_proxy(request, "X-Forwarded-Host", trusted) or request.headers.get("Host", "")
    try:
        return URL(f"{public_scheme(request, configured, trusted)}://{host}").origin()
    except ValueError as error:
        raise TwitchAudioError(
            ProblemCode.INVALID_INPUT, "The request does not say which host it is for."
        ) from error


def _said_by_proxy(request: web.Request, header: str, trusted: Networks) -> str | None:
    """What a trusted proxy next to us says; it appends, so that stands last."""
    peer = None if request.remote is None else parse_address(request.remote)
    if peer is None or not trusted.contain(peer):
        return None
    values = request.headers.getall(header, [])
    return values[-1].rpartition(",")[2].strip() if values else None


class SealedCookieStorage(AbstractStorage):
    """Sessions in a cookie that is encrypted with the first of our keys, and read with any of them."""

    def __init__(self, session_keys: SessionKeys, is_secure: Callable[[web.Request], bool]) -> None:
        super().__init__(
            cookie_name=COOKIE, max_age=int(LIFETIME.total_seconds()), httponly=True, samesite="Lax", path="/"
        )
        self._keys = session_keys
        self._is_secure = is_secure

    async def load_session(self, request: web.Request) -> Session:
        """The session; a new one for a cookie that is not ours, or that is too old."""
        cookie = request.cookies.get(self._name(request), "")
        opened = self._keys.open_cookie(cookie, self.max_age or 0) if len(cookie) <= _COOKIE_LIMIT else None
        if opened is None:
            return Session(None, data=None, new=True, max_age=self.max_age)
        return Session(None, data=json.loads(opened), new=False, max_age=self.max_age)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Set the cookie, or take it away when the session is empty."""
        secure = self._is_secure(request)
        name = self._name(request)
        if session.empty:
            response.del_cookie(name, path="/", secure=secure, httponly=True, samesite="Lax")
            return
        content = json.dumps({"created": session.created, "session": dict(session)}).encode()
        sealed = self._keys.seal_cookie(content)
        response.set_cookie(
            name, sealed, max_age=self.max_age, path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def _name(self, request: web.Request) -> str:
        return SECURE_COOKIE if self._is_secure(request) else COOKIE


def keep_quiet_about_string_keys() -> None:
    """aiohttp-session keeps its session under a text, which aiohttp advises against each time."""
    message = "It is recommended to use web.RequestKey"
    warnings.filterwarnings("ignore", message, web.NotAppKeyWarning, module="aiohttp_session")


async def session_id(request: web.Request) -> str | None:
    """The id in the request's cookie, if it is one of ours; the session may be over."""
    found: object = (await get_session(request)).get(SESSION_ID)
    return found if isinstance(found, str) else None


def check_sessions(session_keys: SessionKeys, *, body_seconds: float) -> Middleware:
    """The middleware that notes the session of a request, and refuses what another website made a browser send."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        context = request[keys.CONTEXT]
        credentials = context.credentials
        if credentials.key is not None or credentials.token is not None:
            return await handler(request)
        found = await session_id(request)
        if found is not None:
            if request.method not in _SAFE:
                await _check_csrf(request, session_keys, found, body_seconds)
            context.credentials = credentials.with_session(found)
        if wants_page(request):
            request[ACCOUNT] = await _account(request, session_keys, context)
        return await handler(request)

    return check


async def _check_csrf(request: web.Request, session_keys: SessionKeys, session: str, body_seconds: float) -> None:
    """Raise TwitchAudioError `csrf` unless one of our own pages sent the request."""
    token = request.headers.get(CSRF_HEADER)
    if token is None and request.content_type in _FORMS:
        token = (await read_form(request, body_seconds)).get(CSRF_FIELD)
    # Browsers say where a request comes from, whatever token it has.
    foreign = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if foreign or token is None or not session_keys.is_csrf_token(token, session):
        detail = (
            "This was not sent by our own page, or by one from before you signed in. Load the page again. "
            f"Programs that use the session's cookie send its CSRF token as {CSRF_HEADER}."
        )
        raise TwitchAudioError(ProblemCode.CSRF, detail)


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks for a page: not for the API, and with HTML among what it accepts."""
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


async def _account(request: web.Request, session_keys: SessionKeys, context: RequestContext) -> Account:
    access = request.app[keys.ACCESS]
    known = Account(can_sign_in=access.sessions is not None)
    session = context.credentials.session
    if session is None or access.sessions is None:
        return known
    # A page that cannot learn who looks at it is shown as to somebody unknown.
    with contextlib.suppress(TwitchAudioError):
        signed_in = await access.sessions.find(session)
        # Now, since signing out forgets it.
        context.known_subject = access.audit_subject(context)
        if signed_in is None:
            del (await get_session(request))[SESSION_ID]
            context.credentials = context.credentials.with_session(None)
            return known
        return Account(
            can_sign_in=True,
            login=signed_in.user.login,
            user_id=signed_in.user.id,
            csrf_token=session_keys.csrf_token(session),
            admin=access.admins.contain(signed_in.user),
        )
    return known


def account(request: web.Request) -> Account:
    """Who looks at a page."""
    return request.get(ACCOUNT, NOBODY)
