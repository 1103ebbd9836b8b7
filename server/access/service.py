"""Access control for the rest of the server: gathers the facts about a request and applies `policy.decide`."""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

from yarl import URL

from fingerprint.background import Background
from fingerprint.database import Database
from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.domain.targets import AskedTarget, ChannelTarget, ClipTarget, VideoTarget
from fingerprint.ports import Broadcaster, ClipOwners, Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.access.auth_audit import AuthAudit
from server.access.identity.addresses import widely_counted
from server.access.identity.admins import Admins
from server.access.identity.authenticator import Authenticator
from server.access.identity.failed_attempts import FailedAttemptLimiter
from server.access.identity.principal import Principal
from server.access.identity.sessions import Sessions
from server.access.identity.tokens import TokenValidator
from server.access.identity.turns import SourceTurns
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit, most_restrictive
from server.access.quotas.admission import Admissions, QuotaAdmission, Running
from server.access.quotas.rate_limits import RateLimitedError
from server.access.quotas.requests import QuotaRequest, StartLimits, quota_request
from server.access.quotas.slots import JobInProgressError
from server.access.quotas.store import QuotaStore
from server.access.request_context import RequestContext
from server.access.request_records import RequestRecords
from server.access.rules.clip_owners import CachedClipOwners
from server.access.rules.entitlements import Entitlements
from server.access.rules.lists import Blacklist
from server.access.rules.policy import BLACKLISTED, Facts, Refusal, Subscription, decide
from server.access.rules.store import Rules, RulesStore
from server.access.rules.subscriptions import SCOPE, Subscriptions
from server.access.rules.website import AccessMode
from server.audit.entries import Who
from server.audit.writer import AuditWriter

RULES_SECONDS: Final = 1.0
"""How long rules are cached, in seconds: every server sees a change within this time and one query."""

_INVALID_CREDENTIALS: Final = (
    ProblemCode.TOKEN_INVALID,
    ProblemCode.TOKEN_WRONG_CLIENT,
    ProblemCode.KEY_INVALID,
)
_RETRY_SECONDS: Final = {ProblemCode.MAINTENANCE: 60.0, ProblemCode.UPSTREAM_UNAVAILABLE: 5.0}


class Access(Closing):
    """Authenticates and authorizes requests. Refuses all of them (`busy`) while the rules cannot be read."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        tokens: TokenValidator | None,
        audit: AuditWriter,
        limits: StartLimits,
        running: Running,
        quotas: QuotaStore,
        clip_owners: ClipOwners,
        find_channel: Callable[[str], Awaitable[Broadcaster | None]] | None = None,
        known_channel: Callable[[str], Awaitable[Broadcaster | None]] | None = None,
        subscriptions: Subscriptions | None = None,
        sessions: Sessions | None = None,
        admins: Iterable[str] = (),
        background: Background | None = None,
    ) -> None:
        background = background or Background(clock)
        self.sessions = sessions
        """Sessions of the website; None when sign-in is not configured."""
        self.admins = Admins(admins)
        self.records = RequestRecords(audit, clock=clock)
        """Where everything is recorded that requests cause."""
        self._audit = AuthAudit(self.records, clock=clock)
        # By user: a wrong code of theirs does not keep others at the same address from redeeming a right one.
        self._wrong_codes = FailedAttemptLimiter(clock, "access codes")
        # One cookie of ours can be sent with any number of made-up codes, and Twitch would be asked about each.
        self._wrong_sign_ins = FailedAttemptLimiter(clock, "sign-ins")
        self._sign_in_turns = SourceTurns("token", "Twitch is asked about many sign-ins. Try again in a moment.")
        self._authenticator = Authenticator(
            database, clock=clock, tokens=tokens, sessions=sessions, background=background
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
        self._find_channel = find_channel
        self._known_channel = known_channel
        self._clip_owners = CachedClipOwners(database, clip_owners, clock=clock)
        self._admissions = Admissions(quotas, clock=clock, running=running, background=background)

    # --- Authentication -------------------------------------------------------------------------------

    async def rules(self) -> Rules:
        """The operator's rules, at most about `RULES_SECONDS` old. Raises TwitchAudioError `busy`."""
        return self._rules.fresh("") or await self._rules.get("", self._read)

    def forget_rules(self) -> None:
        """Have the next caller read the rules again: they were changed just now."""
        self._rules.invalidate_all()

    async def authenticate(self, context: RequestContext) -> Principal:
        """Check the credentials of a request, and set the principal in its context.

        Raises TwitchAudioError `key-invalid`, `token-invalid`, `token-wrong-client`, `upstream-unavailable`,
        `busy`; `rate-limited` for unknown ones after too many wrong ones from the address.
        """
        # Must come first: reloading changed rules also discards cached API keys.
        await self.rules()
        credentials = context.credentials
        try:
            principal = await self._authenticator.authenticate(credentials)
        except TwitchAudioError as error:
            if error.code in _INVALID_CREDENTIALS:
                how = "API key" if credentials.key is not None else "token"
                self._audit.sign_in_failed(context, how, error.code)
            raise
        context.authenticated = principal
        if not credentials.is_anonymous:
            context.known_subject = principal.audit_subject(credentials.address)
        if principal.token is not None and principal.session is None:
            self._audit.token_used(context)
        return principal

    def audit_subject(self, context: RequestContext) -> Who:
        """Who sends a request, for audit log entries; works for requests that were never authenticated, too.

        Does no I/O: without authentication, it uses the cached result of an earlier check of the same credentials.
        """
        if context.known_subject is not None or context.credentials.is_anonymous:
            return context.audit_subject
        principal = self._authenticator.cached_principal(context.credentials)
        return principal.audit_subject(context.credentials.address)

    def is_admin(self, principal: Principal) -> bool:
        """Whether the principal may use the admin pages: an admin who is signed in on the website."""
        user = principal.user
        return user is not None and principal.session is not None and self.admins.contain(user)

    async def is_still_operator(self, user_id: str) -> bool:
        """Whether the account that made something as an admin is one still, and not blocked. Raises `busy`.

        While the accounts of some admins are not known, no one's right is taken away.
        """
        user = TwitchUser(id=user_id, login="", scopes=frozenset())
        if (await self.rules()).blacklist.names(user=user):
            return False
        return self.admins.contain(user) or bool(self.admins.unknown)

    # --- Signing in -----------------------------------------------------------------------------------

    async def sign_in_scopes(self) -> frozenset[str]:
        """Twitch scopes that a sign-in has to request; none in most modes. Raises TwitchAudioError `busy`."""
        rules = await self.rules()
        decide_it = rules.website.access_mode is AccessMode.SUBSCRIBERS and rules.broadcasters
        return frozenset({SCOPE}) if decide_it else frozenset()

    async def missing_scopes(self, principal: Principal) -> frozenset[str]:
        """Required Twitch scopes that the principal's sign-in does not have. Raises TwitchAudioError `busy`."""
        user = principal.user
        return frozenset() if user is None else await self.sign_in_scopes() - user.scopes

    async def sign_in(self, context: RequestContext, code: str, redirect: URL, verifier: str) -> str:
        """Exchange Twitch's authorization code for a new website session, and return the session's id.

        Raises what `Sessions.begin` raises; TwitchAudioError `not-found` when sign-in is not configured,
        `rate-limited` after too many codes from the address that Twitch did not know.
        """
        if self.sessions is None:
            raise TwitchAudioError(ProblemCode.NOT_FOUND, "This server has no sign-in.")
        address = context.credentials.address
        source = None if address is None else widely_counted(address)
        try:
            async with self._sign_in_turns.turn(source):
                # In its turn, so that codes that are tried at the same time count as well.
                self._wrong_sign_ins.check(source)
                session_id, user = await self._begun(self.sessions, source, code, redirect, verifier)
        except TwitchAudioError as error:
            self.sign_in_failed(context, error.code)
            raise
        context.known_subject = Principal(user=user).audit_subject(context.credentials.address)
        self._audit.signed_in(context, "website")
        return session_id

    async def _begun(
        self, sessions: Sessions, source: str | None, code: str, redirect: URL, verifier: str
    ) -> tuple[str, TwitchUser]:
        try:
            return await sessions.begin(code, redirect, verifier)
        except TwitchAudioError as error:
            if error.code in _INVALID_CREDENTIALS:
                self._wrong_sign_ins.record_failure(source)
            raise

    def signed_in_by_link(self, context: RequestContext, operator: Who) -> None:
        """Log that the operator opened the link of this server's terminal."""
        context.known_subject = operator._replace(address=context.audit_subject.address)
        self._audit.signed_in(context, "link")

    def sign_in_failed(self, context: RequestContext, code: ProblemCode) -> None:
        """Log that a sign-in on the website failed."""
        self._audit.sign_in_failed(context, "website", code)

    async def redeem_code(self, context: RequestContext, code: str) -> None:
        """Redeem an access code for the user who sends the request.

        Raises TwitchAudioError `code-invalid`, `login-required`, `blacklisted`, `rate-limited` after too many
        wrong codes of the user, and what `authenticate` raises.
        """
        user = (await self.authenticate(context)).user
        if user is None:
            detail = "Sign in with Twitch first, then redeem the access code."
            raise TwitchAudioError(ProblemCode.LOGIN_REQUIRED, detail)
        address = context.credentials.address
        if (await self.rules()).blacklist.names(user=user, address=address):
            self._audit.refused(context, "redeem", ProblemCode.BLACKLISTED)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)
        self._wrong_codes.check(user.id)
        try:
            await self._entitlements.redeem(code, user)
        except TwitchAudioError as error:
            if error.code is ProblemCode.CODE_INVALID:
                self._wrong_codes.record_failure(user.id)
                self._audit.sign_in_failed(context, "access code", error.code)
            raise
        self._audit.signed_in(context, "access code")

    # --- Authorization --------------------------------------------------------------------------------

    async def check(self, context: RequestContext, target: AskedTarget) -> None:
        """Authenticate a request, and check that it may ask for the target.

        Raises TwitchAudioError with the problem code of the refusal, and what `authenticate` raises.
        """
        await self.check_kind(context, target.kind, target)

    async def check_kind(self, context: RequestContext, kind: Kind, target: AskedTarget | None = None) -> None:
        """As `check`, before the target is known. Raises as `check` does."""
        await self.authenticate(context)
        refusal = await self.refusal(context, kind, target)
        if refusal is not None:
            self._audit.refused(context, kind, refusal.code, target)
            retry = _RETRY_SECONDS.get(refusal.code)
            raise TwitchAudioError(refusal.code, refusal.detail, retry_after_seconds=retry)

    async def refusal(
        self, context: RequestContext, kind: Kind, target: AskedTarget | None = None
    ) -> Refusal | None:
        """Why an authenticated request may not ask for a kind of target, or for this target; None when it may.

        Raises TwitchAudioError `busy`.
        """
        rules = await self.rules()
        principal = context.principal
        user = principal.user
        only_subscribers = rules.website.access_mode is AccessMode.SUBSCRIBERS
        entitled = only_subscribers and user is not None and await self._entitlements.granted(rules, user)
        facts = Facts(
            website=rules.website,
            kind=kind,
            blacklisted=not rules.blacklist.empty and await self._blacklisted(context, target),
            signed_in=user is not None,
            entitled=entitled,
            key_scopes=None if principal.key is None else principal.key.scopes,
            # Assumed at first, so that Twitch is asked only when the subscription decides.
            subscription=Subscription.YES,
            broadcasters=rules.logins,
        )
        refusal = decide(facts)
        if refusal is None and only_subscribers and user is not None and not entitled:
            said = await self._entitlements.subscription(rules, principal, user)
            facts = replace(facts, signed_in=said is not None, subscription=said or Subscription.NO)
            refusal = decide(facts)
        return refusal

    async def check_sender(self, context: RequestContext) -> None:
        """Authenticate a request, and check that neither its user nor its address is blacklisted.

        Raises TwitchAudioError `blacklisted`, and what `authenticate` raises.
        """
        await self.authenticate(context)
        if (await self.rules()).blacklist.names(user=context.principal.user, address=context.credentials.address):
            self._audit.refused(context, "sender", ProblemCode.BLACKLISTED)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    async def check_channel(self, login: str) -> None:
        """Check that what is known of a channel may be shown. Raises TwitchAudioError `blacklisted`, `busy`.

        Twitch is not asked: reading costs nothing, and what is shown is of the time before the channel was listed.
        """
        blacklist = (await self.rules()).blacklist
        if not blacklist.has_video_owners:
            return
        known = None if self._known_channel is None else await self._known_channel(login)
        if blacklist.names(target=ChannelTarget(login), broadcaster=known):
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    async def check_shown(self, target: AskedTarget) -> None:
        """Check that what is known of a target may be shown. Raises TwitchAudioError `blacklisted`, `busy`.

        Whose a clip or VOD is, Twitch is asked once for each, and only while a channel is blacklisted.
        """
        if isinstance(target, ChannelTarget):
            await self.check_channel(target.login)
        elif await self.is_blacklisted(target):
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    async def is_blacklisted(self, target: AskedTarget) -> bool:
        """Whether a target may not be asked about at all. Raises TwitchAudioError `busy`."""
        broadcaster = await self.broadcaster(target)
        return (await self.rules()).blacklist.names(target=target, broadcaster=broadcaster)

    async def _blacklisted(self, context: RequestContext, target: AskedTarget | None) -> bool:
        sender: dict[str, Any] = {"user": context.principal.user, "address": context.credentials.address}
        if target is None or (await self.rules()).blacklist.names(**sender):
            # Twitch is not asked for those who are refused anyway.
            return (await self.rules()).blacklist.names(**sender)
        broadcaster = await self.broadcaster(target)
        # What was learned of the broadcaster may have changed the list.
        return (await self.rules()).blacklist.names(**sender, target=target, broadcaster=broadcaster)

    async def broadcaster(self, target: AskedTarget) -> Broadcaster | None:
        """Whose channel, clip or video a target is, if the blacklist depends on that and Twitch names them.

        If Twitch fails, stored answers may still be read: `admit` refuses to start a job for a clip or video, and
        one for a channel would fail as well. Raises TwitchAudioError `busy`.
        """
        blacklist = (await self.rules()).blacklist
        with contextlib.suppress(UpstreamError):
            if isinstance(target, ClipTarget | VideoTarget):
                return await self._owner(blacklist, target)
            if blacklist.has_channels and isinstance(target, ChannelTarget) and self._find_channel is not None:
                return await self._find_channel(target.login)
        return None

    async def video_owner(self, video_id: str) -> Broadcaster | None:
        """Whose a VOD is, asked of Twitch once. Raises as `ClipOwners` does."""
        return await self._clip_owners.video_owner(video_id)

    async def _owner(self, blacklist: Blacklist, target: AskedTarget) -> Broadcaster | None:
        """Whose clip or video a target is, if the blacklist depends on that. Raises as `ClipOwners` does."""
        if blacklist.has_clip_broadcasters and isinstance(target, ClipTarget):
            return await self._clip_owners.broadcaster(target.slug)
        if blacklist.has_video_owners and isinstance(target, VideoTarget):
            return await self._clip_owners.video_owner(target.video_id)
        return None

    async def admit(
        self, context: RequestContext, target: AskedTarget, *, own_limits: Sequence[Limit] | None = None
    ) -> QuotaAdmission | None:
        """Take a slot and count against the rate limits for a new job of an authenticated request.

        None when the same quota key has just started a job for this target on another server. The caller reports
        the job's start and end to the admission. `own_limits`: what counts for a request without an API key, in
        place of the jobs that its address may have at once. The status of the most restrictive limit is stored in
        the context.

        Raises TwitchAudioError `job-in-progress`, `rate-limited`, `busy`; when channels are
        blacklisted, also `blacklisted`, and `upstream-unavailable` or `timeout` when Twitch does not say whose the
        clip or video is.
        """
        await self._check_owner(context, target)
        principal = context.principal
        quota = quota_request(
            self._limits, key=principal.key, user=principal.user, address=context.credentials.address
        )
        if own_limits is not None and principal.key is None:
            quota = QuotaRequest(limits=[*own_limits, *quota.limits])
        try:
            admission = await self._admissions.admit(
                quota, target, lambda: self._audit.job_started(context, target)
            )
        except (RateLimitedError, JobInProgressError) as error:
            if isinstance(error, RateLimitedError):
                context.rate_limit = error.status
            self._audit.refused(context, target.kind, error.code, target)
            raise
        if admission is not None:
            context.rate_limit = most_restrictive(admission.limit_statuses)
        return admission

    async def _check_owner(self, context: RequestContext, target: AskedTarget) -> None:
        """Check whose clip or video it is against the blacklist, and fail when Twitch does not say it."""
        blacklist = (await self.rules()).blacklist
        broadcaster = await self._owner(blacklist, target)
        if broadcaster is not None and blacklist.names(target=target, broadcaster=broadcaster):
            self._audit.refused(context, target.kind, ProblemCode.BLACKLISTED, target)
            raise TwitchAudioError(ProblemCode.BLACKLISTED, BLACKLISTED.detail)

    # --- Lifecycle ------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End calls in progress; store pending API key uses and returned slots in the database."""
        self.records.close()
        parts = (self._authenticator, self._admissions, self._clip_owners, self._entitlements, self._rules)
        async with AsyncExitStack() as stack:
            for part in parts:
                stack.push_async_callback(part.close)

    async def _read(self) -> Rules:
        rules = await self._store.read(self._known)
        if rules is not self._known:
            self._authenticator.forget_keys()
            self._entitlements.forget()
        self._known = rules
        return rules


def fair_share_key(context: RequestContext) -> str:
    """Who asks, so that each is counted once and waiting jobs are queued fairly.

    The API key, the user, or the address: the /56 of IPv6, since one customer often has 256 networks.
    """
    principal, address = context.principal, context.credentials.address
    if principal.key is not None:
        return f"key:{principal.key.id}"
    if principal.user is not None:
        return f"user:{principal.user.id}"
    return "unknown" if address is None else widely_counted(address)
