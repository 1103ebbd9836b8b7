"""`/login`, `/login/callback` and `/logout`: signing in with Twitch, by the authorization-code flow.

The `state` binds the callback to the browser that began the sign-in. It is kept in the encrypted cookie, with the
exact address that Twitch sends the browser back to.
"""

import logging
import re
import secrets
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp_session import Session, get_session
from yarl import URL

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server import keys
from server.access.identity.sessions import Sessions
from server.middleware.forms import read_form
from server.middleware.session import SESSION_ID, session_id
from server.web.render import render

LOGIN: Final = "/login"
CALLBACK: Final = "/login/callback"
ATTEMPT_SECONDS: Final = 600
MAX_ATTEMPTS: Final = 3
"""Unfinished sign-ins of one browser, such as in several tabs."""

_ATTEMPTS: Final = "logins"
_WRONG_REQUESTS: Final = frozenset(
    {
        *("invalid_client", "invalid_request", "invalid_scope", "unauthorized_client"),
        "unsupported_response_type",
    }
)
"""Refusals that no visitor can cause: what this server asks for is wrong."""
_log = logging.getLogger(__name__)
# A path of ours: what a browser takes for another host begins with two slashes, or a slash and a backslash.
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,199}")

_NOT_BEGUN: Final = "This sign-in was started in another browser, or too long ago. Sign in again from the start."
_SAID_NO: Final = "Twitch says that you did not agree. Nothing was changed; sign in again if you want to."
_NO_ANSWER: Final = "Twitch could not sign you in just now. Try again in a moment."
_MISMATCH: Final = (
    "Twitch does not know the address of this server, so it cannot send you back here. You did nothing wrong: the "
    "operator has to add {redirect} to the OAuth redirect URLs of the application at dev.twitch.tv, exactly so."
)
_WRONG_SETUP: Final = (
    "Twitch refuses the sign-in as this server asks for it ({error}). You did nothing wrong: the operator has to "
    "check TWITCH_CLIENT_ID and the application at dev.twitch.tv."
)
_OFF: Final = "Sign-in is not available: the operator has not set up a Twitch application."


def local_path(text: str) -> str:
    """The path to go to after a sign-in: `text` if it is a path of this website, else the start page."""
    if not _LOCAL.fullmatch(text) or text.startswith(("/login", "/logout")):
        return "/"
    return text


class SignIn:
    """Handlers of signing in and out. `origin` gives the website's address, path and all, as browsers see it."""

    def __init__(self, origin: Callable[[web.Request], URL]) -> None:
        self._origin = origin

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Send the browser to Twitch; `next` is the path to come back to."""
        sessions = _sessions(request)
        session = await get_session(request)
        scopes = await request.app[keys.ACCESS].sign_in_scopes()
        state = secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(32)
        redirect = self._redirect(request)
        begun = {
            **_attempts(session),
            state: [local_path(request.query.get("next", "/")), str(redirect), _now(request), verifier],
        }
        newest = sorted(begun.items(), key=lambda item: item[1][2])[-MAX_ATTEMPTS:]
        session[_ATTEMPTS] = dict(newest)
        address = sessions.authorize_url(redirect=redirect, state=state, scopes=scopes, verifier=verifier)
        raise web.HTTPFound(address, headers={"Cache-Control": "no-store"})

    def _redirect(self, request: web.Request) -> URL:
        """Where Twitch has to send the browser of this request back to."""
        origin = self._origin(request)
        return origin.with_path(origin.path.rstrip("/") + CALLBACK)

    async def callback(self, request: web.Request) -> web.StreamResponse:
        """Where Twitch sends the browser back to, with a code or a refusal."""
        sessions, access = _sessions(request), request.app[keys.ACCESS]
        session = await get_session(request)
        attempts = _attempts(session)
        attempt = attempts.pop(request.query.get("state", ""), None)
        refused = request.query.get("error", "")
        if refused == "redirect_mismatch":
            # Twitch has used an address that is registered, where this browser may have no cookie of ours.
            asked = self._redirect(request) if attempt is None else attempt[1]
            _log.error("sign_in_address_not_registered", extra={"redirect": str(asked)})
            access.sign_in_failed(request[keys.CONTEXT], ProblemCode.UPSTREAM_UNAVAILABLE)
            raise TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, _MISMATCH.format(redirect=asked))
        if attempt is None or _now(request) - attempt[2] > ATTEMPT_SECONDS:
            access.sign_in_failed(request[keys.CONTEXT], ProblemCode.CSRF)
            raise TwitchAudioError(ProblemCode.CSRF, _NOT_BEGUN)
        session[_ATTEMPTS] = attempts
        if refused:
            code, detail = _refusal(refused)
            access.sign_in_failed(request[keys.CONTEXT], code)
            raise TwitchAudioError(code, detail)
        before = await session_id(request)
        path, redirect, _, verifier = attempt
        code = request.query.get("code", "")
        after = await access.sign_in(request[keys.CONTEXT], code, URL(redirect), verifier)
        # Nothing that was stored for the browser before the sign-in is kept.
        session.invalidate()
        session[SESSION_ID] = after
        if before is not None:
            await sessions.end(before)
        raise web.HTTPSeeOther(path, headers={"Cache-Control": "no-store"})

    async def confirm_logout(self, request: web.Request) -> web.StreamResponse:
        """A page with a button: following a link must not end the session."""
        _sessions(request)
        return render("logout.html", request, {})

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """End the session, here and at Twitch, or all of the user's. The CSRF token was checked before."""
        sessions = _sessions(request)
        session = await get_session(request)
        current = await session_id(request)
        form = await read_form(request, request.app[keys.SETTINGS].limits.body_seconds)
        if current is not None:
            signed_in = await sessions.find(current) if "everywhere" in form else None
            if signed_in is not None:
                await sessions.end_all(signed_in.user.id)
            else:
                await sessions.end(current)
        session.invalidate()
        raise web.HTTPSeeOther("/", headers={"Cache-Control": "no-store"})


def _refusal(error: str) -> tuple[ProblemCode, str]:
    """The problem for an `error` of RFC 6749, section 4.1.2.1, that Twitch has sent the browser back with."""
    if error == "access_denied":
        return ProblemCode.LOGIN_REQUIRED, _SAID_NO
    if error in _WRONG_REQUESTS:
        _log.error("sign_in_refused_by_twitch", extra={"error": error})
        return ProblemCode.UPSTREAM_UNAVAILABLE, _WRONG_SETUP.format(error=error)
    return ProblemCode.UPSTREAM_UNAVAILABLE, _NO_ANSWER


def _sessions(request: web.Request) -> Sessions:
    sessions = request.app[keys.ACCESS].sessions
    if sessions is None:
        raise TwitchAudioError(ProblemCode.NOT_FOUND, _OFF)
    return sessions


def _attempts(session: Session) -> dict[str, tuple[str, str, float, str]]:
    """Sign-ins begun: the path to go back to, the callback's address, when, and the verifier of PKCE.

    The cookie is sealed by us; sign-ins that were begun before there was a verifier begin again.
    """
    begun = cast("dict[str, Any]", session.get(_ATTEMPTS, {}))
    return {state: attempt for state, attempt in begun.items() if len(attempt) == 4}


def _now(request: web.Request) -> int:
    return int(request.app[keys.CLOCK].now().timestamp())


def add_sign_in(app: web.Application, sign_in: SignIn) -> None:
    """Add the pages for signing in and out to an application."""
    app.router.add_get(LOGIN, sign_in.login)
    app.router.add_get(CALLBACK, sign_in.callback)
    app.router.add_get("/logout", sign_in.confirm_logout)
    app.router.add_post("/logout", sign_in.logout)
