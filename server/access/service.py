"""Access control as the rest of the server sees it: the facts are gathered here, and `policy.decide` decides."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from yarl import URL

from fingerprint.database import Database
from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ClipTarget, TwitchTarget
from fingerprint.ports import ClipOwners, Clock
from fingerprint.single_flight import SingleFlightCache
from server.access.auth_audit import AccessNotes
from server.access.identity.addresses import counted
from server.access.identity.admins import Admins
from server.access.identity.authenticator import UNKNOWN, Principal, Principals
from server.access.identity.credentials import Caller, current_caller
from server.access.identity.failed_attempts import Guesses
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import most_restrictive
from server.access.quotas.admission import Admissions, QuotaAdmission, Running
from server.access.quotas.rate_limits import RateLimitedError
from server.access.quotas.requests import StartLimits, quota_request
from server.access.quotas.slots import JobInProgressError
from server.access.rules.clip_owners import CachedClipOwners
from server.access.rules.entitlements import Entitlements
from server.access.rules.policy import BLACKLISTED, Facts, Refusal, Subscription, decide
from server.access.rules.store import Rules, RulesStore
from server.access.rules.subscriptions import SCOPE, Subscriptions
from server.access.rules.website import AccessMode
from server.audit.entries import Who
from server.audit.writer import LogWriter
from server.observability import request_id

RULES_SECONDS: Final = 1.0
"""How old the rules may be: a change is seen by every server within that time and one query."""

_RETRY_SECONDS: Final = {ProblemCode.MAINTENANCE: 60.0, ProblemCode.UPSTREAM_UNAVAILABLE: 5.0}


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
        self._notes = AccessNotes(logs, clock=clock)
        self._guesses = Guesses(clock)
        self._principals = Principals(
            database, clock=clock, tokens=tokens, sessions=sessions, notes=self._notes, guesses=self._guesses
        )
        self._entitlements = Entitlements(
            database, clock=clock, tokens=tokens, sessions=sessions, subscriptions=subscriptions
        )
        self._store = RulesStore(database)
        self._known: Rules | None = None
        self._rules: SingleFlightCache[str, Rules] = SingleFlightCache(
            clock=clock, fresh_seconds=RULES_SECONDS, failure_seconds=RULES_SECONDS
        )
        self._limits = limits
        self._clip_owners = CachedClipOwners(database, clip_owners, clock=clock)
        self._admissions = Admissions(database, clock=clock, running=running)

    # --- Who asks -------------------------------------------------------------------------------------

    async def rules(self) -> Rules:
        """The operator's rules. Raises TwitchAudioError `busy`."""
        return self._rules.fresh("") or await self._rules.get("", self._read)

    async def principal(self) -> Principal:
        """Who sends the current request.

        Raises TwitchAudioError `key-invalid`, `token-invalid`, `token-wrong-client`, `upstream-unavailable`,
        `busy`; `rate-limited` after many wrong keys.
        """
        # First of all: what is kept of keys is as new as the rules.
        await self.rules()
        caller = current_caller.get(None)
        return UNKNOWN if caller is None else await self._principals.of(caller)

    def known_as(self, caller: Caller) -> Who:
        """Whom log entries about a request name, as far as that is known without asking anybody."""
        return self._principals.known_as(caller)

    def is_admin(self, principal: Principal) -> bool:
        """Whether somebody may use the admin pages: on the operator's list, and signed in on the website."""
        user = principal.user
        return user is not None and principal.session is not None and self.admins.contain(user)

    # --- Signing in -----------------------------------------------------------------------------------

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
            await self._entitlements.redeem(code, user)
        except TwitchAudioError as error:
            if error.code is ProblemCode.CODE_INVALID:
                self._guesses.wrong(address)
                self._notes.login_failed("access code", error.code)
            raise
        self._notes.login("access code")

    # --- May they -------------------------------------------------------------------------------------

    async def check(self, target: TwitchTarget) -> Principal:
        """Who asks. Raises TwitchAudioError with the refusal's code unless they may ask for the target."""
        principal = await self.principal()
        refusal = await self.refusal(target.kind, principal, target)
        if refusal is not None:
            self._notes.refused(target.kind, refusal.code, target)
            retry = _RETRY_SECONDS.get(refusal.code)
            raise TwitchAudioError(refusal.code, refusal.detail, retry_after_seconds=retry)
        return principal

    async def refusal(
        self, kind: Kind, principal: Principal, target: TwitchTarget | None = None
    ) -> Refusal | None:
        """Why somebody may not ask for targets of a kind, or for one, or None. Raises TwitchAudioError `busy`."""
        rules = await self.rules()
        user = principal.user
        only_subscribers = rules.website.access_mode is AccessMode.SUBSCRIBERS
        entitled = only_subscribers and user is not None and await self._entitlements.granted(rules, user)
        facts = Facts(
            website=rules.website,
            kind=kind,
            blacklisted=not rules.blacklist.empty and await self._blacklisted(rules, user, target),
            signed_in=user is not None,
            entitled=entitled,
            key_scopes=None if principal.key is None else principal.key.scopes,
            # Twitch is asked only when that is what decides.
            subscription=Subscription.YES,
            broadcasters=rules.logins,
        )
        refusal = decide(facts)
        if refusal is None and only_subscribers and user is not None and not entitled:
            said = await self._entitlements.subscription(rules, principal, user)
            facts = replace(facts, signed_in=said is not None, subscription=said or Subscription.NO)
            refusal = decide(facts)
        return refusal

    async def _blacklisted(self, rules: Rules, user: TwitchUser | None, target: TwitchTarget | None) -> bool:
        blacklist, broadcaster = rules.blacklist, None
        if blacklist.has_clip_broadcasters and isinstance(target, ClipTarget):
            # When Twitch does not say, an answer that is stored may still be given; a job is not started.
            with contextlib.suppress(TwitchAudioError):
                broadcaster = await self._clip_owners.broadcaster(target.slug)
        address = (current_caller.get(None) or Caller()).address
        return blacklist.names(user=user, address=address, target=target, broadcaster=broadcaster)

    async def admit(self, principal: Principal, target: TwitchTarget) -> QuotaAdmission | None:
        """Let a new job be started, or raise why not now; the admission is told of the job's end.

        Raises TwitchAudioError `job-in-progress`, `rate-limited`, `busy`; when it matters whose clip it is,
        `blacklisted`, and `upstream-unavailable` or `timeout` while Twitch does not say.
        """
        await self._check_owner(target)
        caller = current_caller.get(None) or Caller()
        who, request = principal.who(caller.address), request_id.get()
        quota = quota_request(self._limits, key=principal.key, user=principal.user, address=caller.address)
        try:
            admission = await self._admissions.admit(
                quota, target, lambda: self._notes.launched(target, who, request)
            )
        except (RateLimitedError, JobInProgressError) as error:
            if isinstance(error, RateLimitedError):
                caller.spent = error.status
            self._notes.refused(target.kind, error.code, target)
            raise
        if admission is not None:
            caller.spent = most_restrictive(admission.limit_statuses)
        return admission

    async def _check_owner(self, target: TwitchTarget) -> None:
        """As `refusal`, but nobody passes while Twitch does not say whose clip it is."""
        blacklist = (await self.rules()).blacklist
        if not blacklist.has_clip_broadcasters or not isinstance(target, ClipTarget):
            return
        broadcaster = await self._clip_owners.broadcaster(target.slug)
        if blacklist.names(target=target, broadcaster=broadcaster):
            self._notes.refused(target.kind, ProblemCode.BLACKLISTED, target)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    # --- The end --------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End what is under way, and write down what is not yet."""
        await self._rules.close()
        await self._entitlements.close()
        await self._clip_owners.close()
        await self._admissions.close()
        await self._principals.close()

    async def _read(self) -> Rules:
        rules = await self._store.read(self._known)
        if rules is not self._known:
            self._principals.forget()
            self._entitlements.forget()
        self._known = rules
        return rules


def caller_key(principal: Principal) -> str:
    """Who the current request counts for where callers get their share: a key, a user, or an address."""
    if principal.key is not None:
        return f"key:{principal.key.id}"
    if principal.user is not None:
        return f"user:{principal.user.id}"
    address = (current_caller.get(None) or Caller()).address
    return "unknown" if address is None else counted(address)
