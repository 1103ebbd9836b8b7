"""Access control as the rest of the server sees it: the facts are gathered here, and `policy.decide` decides."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from yarl import URL

from fingerprint.database import Database
from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ClipTarget, TwitchTarget
from fingerprint.ports import ClipOwners, Clock
from fingerprint.settings import Secret
from server.access.addresses import Address, counted
from server.access.admins import Admins
from server.access.admission import Admissions, JobTicket, Running
from server.access.api_keys import ApiKey, ApiKeyStore, key_hash, well_formed
from server.access.caller import Caller, current_caller
from server.access.clip_owners import KeptClipOwners
from server.access.codes import CodeStore
from server.access.guesses import Guesses
from server.access.kept import Kept
from server.access.lists import ID_PREFIX, names_of
from server.access.notes import AccessNotes
from server.access.policy import BLACKLISTED, Facts, Refusal, Subscription, decide
from server.access.rates import RateLimitedError, nearest
from server.access.rules import Rules, RulesStore
from server.access.sessions import Sessions, SignedIn
from server.access.slots import JobInProgressError
from server.access.starters import StartLimits, starter
from server.access.subscriptions import SCOPE, Subscriptions
from server.access.tokens import TokenValidator, TwitchUser
from server.access.website import AccessMode
from server.logs.entries import Who
from server.logs.writer import LogWriter
from server.observability import request_id

RULES_SECONDS: Final = 1.0
"""How old the rules may be: a change is seen by every server within that time and one query."""

KEPT_KEYS: Final = 10_000
_SUBSCRIBERS: Final = AccessMode.SUBSCRIBERS
_RECORD_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = {ProblemCode.MAINTENANCE: 60.0, ProblemCode.UPSTREAM_UNAVAILABLE: 5.0}
_NOT_KNOWN: Final = (ProblemCode.TOKEN_INVALID, ProblemCode.TOKEN_WRONG_CLIENT, ProblemCode.KEY_INVALID)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, checked."""

    key: ApiKey | None = None
    user: TwitchUser | None = None
    token: Secret | None = None
    """The user's access token, for asking Twitch on their behalf."""
    session: str | None = None
    """The id of the website's session that they are known by."""

    def who(self, address: Address | None) -> Who:
        """Whom log entries name."""
        text = None if address is None else str(address)
        if self.key is not None:
            return Who(id=f"key:{self.key.id}", name=self.key.name, address=text)
        if self.user is not None:
            return Who(id=f"{ID_PREFIX}{self.user.id}", name=self.user.login, address=text)
        return Who(address=text)

    @property
    def known_by(self) -> str | None:
        """How they are known: `key`, `token`, `session`, or None for somebody unknown."""
        if self.key is not None:
            return "key"
        if self.user is None:
            return None
        return "token" if self.session is None else "session"


class Access:
    """Decides on requests. When the rules are out of reach nobody passes (`busy`)."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: TokenValidator | None,
        logs: LogWriter,
        limits: StartLimits,
        running: Running,
        clip_owners: ClipOwners,
        subscriptions: Subscriptions | None = None,
        sessions: Sessions | None = None,
        admins: Iterable[str] = (),
    ) -> None:
        self.sessions = sessions
        """People signed in on the website; None when nobody can sign in there."""
        self.admins = Admins(admins)
        self._clock = clock
        self._notes = AccessNotes(logs, clock=clock)
        self._tokens = tokens
        self._subscriptions = subscriptions
        self._store = RulesStore(database)
        self._known: Rules | None = None
        self._rules = Kept(self._read, clock=clock, seconds=RULES_SECONDS)
        self._keys = ApiKeyStore(database)
        self._kept_keys: dict[str, ApiKey | None] = {}
        self._codes = CodeStore(database)
        self._redeemed: dict[str, bool] = {}
        self._limits = limits
        self._guesses = Guesses(clock)
        self._clip_owners = KeptClipOwners(database, clip_owners, clock=clock)
        self._admissions = Admissions(database, clock=clock, running=running)
        self._uses: dict[str, datetime] = {}
        self._recorder: asyncio.Task[None] | None = None

    async def rules(self) -> Rules:
        """The operator's rules. Raises TwitchAudioError `busy`."""
        return await self._rules.get()

    async def principal(self) -> Principal:
        """Who sends the current request.

        Raises TwitchAudioError `key-invalid`, `token-invalid`, `token-wrong-client`, `upstream-unavailable`,
        `busy`; `rate-limited` after many wrong keys.
        """
        # First of all: what is kept of keys is as new as the rules.
        await self.rules()
        caller = current_caller.get(None) or Caller()
        if caller.key is not None:
            self._guesses.check(caller.address)
        try:
            principal = await self._principal(caller)
        except TwitchAudioError as error:
            if error.code is ProblemCode.KEY_INVALID:
                self._guesses.wrong(caller.address)
            if error.code in _NOT_KNOWN:
                self._notes.login_failed("API key" if caller.key is not None else "token", error.code)
            raise
        caller.known_as = principal.who(caller.address)
        if principal.token is not None and principal.session is None:
            self._notes.token(caller.known_as)
        return principal

    async def _principal(self, caller: Caller) -> Principal:
        if caller.token is not None:
            if self._tokens is None:
                raise TwitchAudioError(ProblemCode.TOKEN_INVALID, "Nobody can sign in with Twitch on this server.")
            return Principal(user=await self._tokens.user(caller.token), token=caller.token)
        if caller.key is None:
            return await self._by_session(caller.session)
        key = await self._key(caller.key.reveal())
        now = self._clock.now()
        if key is None or not key.valid(now):
            detail = "The API key is not valid: it may be mistyped, expired or revoked."
            raise TwitchAudioError(ProblemCode.KEY_INVALID, detail)
        self._uses[key.id] = now
        self._record()
        return Principal(key=key)

    async def _by_session(self, session: str | None) -> Principal:
        signed_in = None if session is None or self.sessions is None else await self.sessions.find(session)
        if signed_in is None:
            return Principal()
        return Principal(user=signed_in.user, token=signed_in.token, session=session)

    def known_as(self, caller: Caller) -> Who:
        """Whom log entries about a request name, whether or not somebody had to know who sent it.

        Nothing is asked for it: a name is what was found out about the same credentials before.
        """
        if caller.known_as is None:
            principal = Principal()
            if caller.key is not None:
                principal = Principal(key=self._kept_keys.get(key_hash(caller.key.reveal())))
            elif caller.token is not None and self._tokens is not None:
                principal = Principal(user=self._tokens.known(caller.token))
            elif caller.session is not None and self.sessions is not None:
                principal = Principal(user=self.sessions.known(caller.session))
            return principal.who(caller.address)
        return caller.known_as

    def is_admin(self, principal: Principal) -> bool:
        """Whether somebody may use the admin pages: on the operator's list, and signed in on the website."""
        user = principal.user
        return user is not None and principal.session is not None and self.admins.contain(user)

    async def sign_in_scopes(self) -> frozenset[str]:
        """What a sign-in has to ask for: nothing, unless subscriptions decide. Raises TwitchAudioError `busy`."""
        rules = await self.rules()
        decide_it = rules.website.access_mode is AccessMode.SUBSCRIBERS and rules.broadcasters
        return frozenset({SCOPE}) if decide_it else frozenset()

    async def missing_scopes(self, principal: Principal) -> frozenset[str]:
        """What a caller has to allow in a new sign-in to be let in. Raises TwitchAudioError `busy`."""
        user = principal.user
        return frozenset() if user is None else await self.sign_in_scopes() - user.scopes

    async def sign_in(self, code: str, redirect: URL) -> str:
        """Begin a session of the website for whoever a code of Twitch's is from; gives its id.

        Raises what `Sessions.begin` raises; TwitchAudioError `not-found` when nobody can sign in here.
        """
        if self.sessions is None:
            raise TwitchAudioError(ProblemCode.NOT_FOUND, "Nobody can sign in here.")
        try:
            session_id, user = await self.sessions.begin(code, redirect)
        except TwitchAudioError as error:
            self.sign_in_failed(error.code)
            raise
        caller = current_caller.get(None) or Caller()
        caller.known_as = Principal(user=user).who(caller.address)
        self._notes.login("website", caller.known_as)
        return session_id

    def sign_in_failed(self, code: ProblemCode) -> None:
        """Note that somebody did not get to sign in on the website."""
        self._notes.login_failed("website", code)

    async def refusal(
        self, kind: Kind, principal: Principal, target: TwitchTarget | None = None
    ) -> Refusal | None:
        """Why somebody may not ask for targets of a kind, or for one, or None. Raises TwitchAudioError `busy`."""
        rules = await self.rules()
        user = principal.user
        address = (current_caller.get(None) or Caller()).address
        broadcaster = None
        if rules.blacklist.has_clip_broadcasters and isinstance(target, ClipTarget):
            # When Twitch does not say, an answer that is stored may still be given; a job is not started.
            with contextlib.suppress(TwitchAudioError):
                broadcaster = await self._clip_owners.broadcaster(target.slug)
        scopes = None if principal.key is None else principal.key.scopes
        facts = Facts(
            website=rules.website,
            kind=kind,
            blacklisted=rules.blacklist.names(user=user, address=address, target=target, broadcaster=broadcaster),
            signed_in=user is not None,
            entitled=user is not None and await self._entitled(rules, user),
            key_scopes=scopes,
            # Twitch is asked only when that is what decides.
            subscription=Subscription.YES,
            broadcasters=tuple(each.login or each.id for each in rules.broadcasters),
        )
        refusal = decide(facts)
        if (
            refusal is None
            and user is not None
            and not facts.entitled
            and rules.website.access_mode is _SUBSCRIBERS
        ):
            refusal = decide(await self._with_subscription(facts, rules, principal, user))
        return refusal

    async def _with_subscription(
        self, facts: Facts, rules: Rules, principal: Principal, user: TwitchUser
    ) -> Facts:
        subscriptions, token = self._subscriptions, principal.token
        if subscriptions is None or token is None:
            return replace(facts, subscription=Subscription.NO)
        asked = [each.id for each in rules.broadcasters]
        subscription = await subscriptions.of(user, token, asked)
        if subscription is None:
            try:
                renewed = await self._renewed(principal, token)
            except TwitchAudioError as error:
                if error.code is not ProblemCode.UPSTREAM_UNAVAILABLE:
                    raise
                return replace(facts, subscription=Subscription.UNKNOWN)
            if renewed is None:
                return replace(facts, signed_in=False, subscription=Subscription.NO)
            subscription = await subscriptions.of(renewed.user, renewed.token, asked)
        return replace(facts, subscription=subscription or Subscription.UNKNOWN)

    async def _renewed(self, principal: Principal, refused: Secret) -> SignedIn | None:
        """Another token than one that Twitch refused; None when the session is over.

        Raises TwitchAudioError `token-invalid` when a bearer token is not valid any more; `upstream-unavailable`.
        """
        if principal.session is not None and self.sessions is not None:
            return await self.sessions.renewed(principal.session, refused)
        if self._tokens is None:
            return None
        self._tokens.forget(refused)
        return SignedIn(await self._tokens.user(refused), refused)

    async def redeem(self, code: str) -> None:
        """Redeem an access code for the caller.

        Raises TwitchAudioError `code-invalid`, `login-required`, `blacklisted`, and what `principal` raises.
        """
        user = (await self.principal()).user
        if user is None:
            detail = "An access code is for whoever is signed in with Twitch: sign in first."
            raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
        address = (current_caller.get(None) or Caller()).address
        if (await self.rules()).blacklist.names(user=user, address=address):
            self._notes.refused("redeem", ProblemCode.BLACKLISTED)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)
        self._guesses.check(address)
        try:
            await self._codes.redeem(code, user.id, self._clock.now())
        except TwitchAudioError as error:
            if error.code is ProblemCode.CODE_INVALID:
                self._guesses.wrong(address)
                self._notes.login_failed("access code", error.code)
            raise
        self._notes.login("access code")
        self._redeemed.pop(user.id, None)

    async def _entitled(self, rules: Rules, user: TwitchUser) -> bool:
        if rules.website.access_mode is not AccessMode.SUBSCRIBERS:
            return False
        if any(name in rules.whitelist for name in names_of(user)):
            return True
        known = self._redeemed.get(user.id)
        if known is None:
            known = await self._codes.redeemed(user.id)
            if rules is self._known:
                if len(self._redeemed) >= KEPT_KEYS:
                    self._redeemed.clear()
                self._redeemed[user.id] = known
        return known

    async def check(self, target: TwitchTarget) -> Principal:
        """Who asks. Raises TwitchAudioError with the refusal's code unless they may ask for the target."""
        principal = await self.principal()
        refusal = await self.refusal(target.kind, principal, target)
        if refusal is not None:
            self._notes.refused(target.kind, refusal.code, target)
            retry = _RETRY_SECONDS.get(refusal.code)
            raise TwitchAudioError(refusal.code, refusal.detail, retry_after_seconds=retry)
        return principal

    async def admit(self, principal: Principal, target: TwitchTarget) -> JobTicket | None:
        """Let a new job be started, or raise why not now; the ticket is told of the job's end.

        Raises TwitchAudioError `job-in-progress`, `rate-limited`, `busy`; when it matters whose clip it is,
        `blacklisted`, and `upstream-unavailable` or `timeout` while Twitch does not say.
        """
        await self._check_owner(target)
        caller = current_caller.get(None) or Caller()
        who, request = principal.who(caller.address), request_id.get()
        chosen = starter(self._limits, key=principal.key, user=principal.user, address=caller.address)
        try:
            ticket = await self._admissions.admit(
                chosen, target, lambda: self._notes.launched(target, who, request)
            )
        except (RateLimitedError, JobInProgressError) as error:
            if isinstance(error, RateLimitedError):
                caller.spent = error.spent
            self._notes.refused(target.kind, error.code, target)
            raise
        if ticket is not None:
            caller.spent = nearest(ticket.spent)
        return ticket

    async def _check_owner(self, target: TwitchTarget) -> None:
        """As `refusal`, but nobody passes while Twitch does not say whose clip it is."""
        blacklist = (await self.rules()).blacklist
        if not blacklist.has_clip_broadcasters or not isinstance(target, ClipTarget):
            return
        broadcaster = await self._clip_owners.broadcaster(target.slug)
        if blacklist.names(target=target, broadcaster=broadcaster):
            self._notes.refused(target.kind, ProblemCode.BLACKLISTED, target)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    async def close(self) -> None:
        """End what is under way, and write down what is not yet."""
        await self._rules.close()
        await self._clip_owners.close()
        await self._admissions.close()
        if self._recorder is not None:
            self._recorder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recorder
            await self._record_uses()

    async def _read(self) -> Rules:
        rules = await self._store.read(self._known)
        if rules is not self._known:
            self._kept_keys.clear()
            self._redeemed.clear()
        self._known = rules
        return rules

    async def _key(self, text: str) -> ApiKey | None:
        if not well_formed(text):
            return None
        digest = key_hash(text)
        if digest in self._kept_keys:
            return self._kept_keys[digest]
        version = self._known
        key = await self._keys.find(text)
        # Not when the rules changed meanwhile: this may be what changed.
        if version is self._known:
            if len(self._kept_keys) >= KEPT_KEYS:
                self._kept_keys.clear()
            self._kept_keys[digest] = key
        return key

    def _record(self) -> None:
        if self._recorder is None or self._recorder.done():
            self._recorder = asyncio.create_task(self._record_later(), name="record uses of API keys")

    async def _record_later(self) -> None:
        while self._uses:
            await self._clock.sleep(_RECORD_SECONDS)
            await self._record_uses()

    async def _record_uses(self) -> None:
        uses, self._uses = self._uses, {}
        try:
            await self._keys.record_uses(uses)
        except TwitchAudioError:
            _log.warning("uses_not_recorded", extra={"keys": len(uses)})
            self._uses = {**uses, **self._uses}


def caller_key(principal: Principal) -> str:
    """Who the current request counts for where callers get their share: a key, a user, or an address."""
    if principal.key is not None:
        return f"key:{principal.key.id}"
    if principal.user is not None:
        return f"user:{principal.user.id}"
    address = (current_caller.get(None) or Caller()).address
    return "unknown" if address is None else counted(address)
