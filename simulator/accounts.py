"""People, applications and access tokens of the simulated Twitch: the state behind id.twitch.tv and Helix."""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from simulator.clock import SimulatedClock

USER_TOKEN_SECONDS: Final = 14_400
APP_TOKEN_SECONDS: Final = 5_000_000
IMPLICIT_TOKEN_SECONDS: Final = 5_184_000
CODE_SECONDS: Final = 600
DEVICE_SECONDS: Final = 1_800
POINTS_PER_MINUTE: Final = 800
_MAX_STORED: Final = 10_000
_FIRST_NEW_ID: Final = 79_000_001
_LOGIN: Final = re.compile(r"[a-z0-9_]{1,25}")

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A registered application; a public one has no secret."""

    client_id: str
    secret: str | None
    redirect_uris: tuple[str, ...] = ()


OWN_APPLICATION: Final = Application(
    client_id="simulatedapplication0000000001",
    secret="simulatedsecret000000000000001",  # noqa: S106 - of the simulator
    redirect_uris=("http://localhost:8080/login/callback", "http://127.0.0.1:8080/login/callback"),
)
PUBLIC_APPLICATION: Final = Application(client_id="simulatedpublicclient000000001", secret=None)
FOREIGN_APPLICATION: Final = Application(
    client_id="simulatedforeignapp00000000001",
    secret="simulatedsecret000000000000002",  # noqa: S106 - of the simulator
    redirect_uris=("https://example.com/callback",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A simulated Twitch account, with its numeric id and names."""

    user_id: str
    login: str
    display_name: str
    broadcaster_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an access token allows. `person` is None for an application's own token."""

    client_id: str
    person: Person | None
    scopes: tuple[str, ...]
    expires_at: float


@dataclass(slots=True, kw_only=True)
class Device:
    """A sign-in on a device that waits for its user's approval."""

    client_id: str
    scopes: tuple[str, ...]
    user_code: str
    expires_at: float
    person: Person | None = None
    used: bool = False


@dataclass(slots=True)
class _TokenBucket:
    points: float
    at: float


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """A Helix call's rate limit: whether it is allowed, what is left, and when the bucket is full again."""

    allowed: bool
    remaining: int
    full_at: int


@dataclass(slots=True)
class _State:
    grants: dict[str, Grant] = field(default_factory=dict[str, Grant])
    refresh: dict[str, Grant] = field(default_factory=dict[str, Grant])
    codes: dict[str, tuple[Grant, str, str]] = field(default_factory=dict[str, tuple[Grant, str, str]])
    """By code: what is granted, the redirect address, and the challenge of PKCE, empty without one."""
    devices: dict[str, Device] = field(default_factory=dict[str, Device])
    subscriptions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    buckets: dict[tuple[str, str], _TokenBucket] = field(default_factory=dict[tuple[str, str], _TokenBucket])


class Accounts:
    """All accounts, the account that is signed in at the simulated twitch.tv, and the valid tokens."""

    def __init__(self, people: Iterable[Person], clock: SimulatedClock) -> None:
        viewers = (
            Person(user_id="72000001", login="viewer_vic", display_name="Viewer_Vic"),
            Person(user_id="72000002", login="subscriber_sue", display_name="Subscriber_Sue"),
        )
        self._at_start: Final = {person.login: person for person in (*viewers, *people)}
        self.people: Final = dict(self._at_start)
        self.applications: Final = {
            each.client_id: each for each in (OWN_APPLICATION, PUBLIC_APPLICATION, FOREIGN_APPLICATION)
        }
        self._clock = clock
        self.viewer: Person | None = None
        self.points_per_minute = POINTS_PER_MINUTE
        self._state = _State()
        self.reset()

    def reset(self) -> None:
        """Restore the initial state: viewer_vic is signed in, subscriber_sue subscribes to all, no tokens."""
        self._state = _State()
        self.people.clear()
        self.people.update(self._at_start)
        self.viewer = self.people["viewer_vic"]
        self.points_per_minute = POINTS_PER_MINUTE
        for login in self.people:
            if login not in ("viewer_vic", "subscriber_sue"):
                self.subscribe("subscriber_sue", login)

    # --- what tests set -------------------------------------------------------------------------------

    def sign_in(self, login: str | None) -> None:
        """Set the account that approves when an application asks; None refuses. Raises KeyError."""
        self.viewer = None if login is None else self.people[login]

    def subscribe(self, login: str, broadcaster: str, tier: str = "1000") -> None:
        """Subscribe a person to a broadcaster. Raises KeyError for an unknown login."""
        self._state.subscriptions[self.people[login].user_id, self.people[broadcaster].user_id] = tier

    def unsubscribe(self, login: str, broadcaster: str) -> None:
        """End a person's subscription to a broadcaster. Raises KeyError for an unknown login."""
        self._state.subscriptions.pop((self.people[login].user_id, self.people[broadcaster].user_id), None)

    def rename(self, login: str, to: str) -> Person:
        """Give an account another login: its id, tokens and subscriptions stay, and the old login is free.

        Raises KeyError for an unknown login, ValueError for one that is taken or that no account can have.
        """
        before = self.people[login]
        self._check_free(to)
        after = replace(before, login=to, display_name=to)
        del self.people[login]
        self.people[to] = after
        state = self._state
        for grants in (state.grants, state.refresh):
            for token, grant in grants.items():
                if grant.person == before:
                    grants[token] = replace(grant, person=after)
        for code, (grant, uri, challenge) in state.codes.items():
            if grant.person == before:
                state.codes[code] = (replace(grant, person=after), uri, challenge)
        for device in state.devices.values():
            if device.person == before:
                device.person = after
        if self.viewer == before:
            self.viewer = after
        return after

    def register(self, login: str) -> Person:
        """A new account, with an id of its own. Raises ValueError for a login that is taken or cannot be one."""
        self._check_free(login)
        number = max([_FIRST_NEW_ID - 1, *(int(person.user_id) for person in self.people.values())]) + 1
        person = Person(user_id=str(number), login=login, display_name=login)
        self.people[login] = person
        return person

    def _check_free(self, login: str) -> None:
        if not _LOGIN.fullmatch(login):
            raise ValueError("a login has 1 to 25 lower-case letters, digits and underscores")
        if login in self.people:
            raise ValueError(f"the login {login} is taken")

    def allow_redirect(self, client_id: str, uri: str) -> None:
        """Register one more redirect address. Raises KeyError."""
        application = self.applications[client_id]
        changed = replace(application, redirect_uris=(*application.redirect_uris, uri))
        self.applications[client_id] = changed

    def token_for(
        self,
        login: str,
        *scopes: str,
        client_id: str = OWN_APPLICATION.client_id,
        seconds: float = USER_TOKEN_SECONDS,
    ) -> str:
        """A user token without the sign-in flow. Raises KeyError."""
        return self.issue(self.grant(client_id, self.people[login], scopes, seconds))

    def limit(self, points_per_minute: float) -> None:
        """Set how many Helix calls a client may make in a minute. Raises ValueError below 1."""
        if points_per_minute < 1:
            raise ValueError("points_per_minute must be at least 1")
        self.points_per_minute = int(points_per_minute)
        self._state.buckets.clear()

    def find(self, *, login: str = "", user_id: str = "") -> Person | None:
        """The account with a login, else the one with an id; None without one."""
        person = self.people.get(login)
        if person is None:
            person = next((each for each in self.people.values() if each.user_id == user_id), None)
        return person

    # --- tokens ---------------------------------------------------------------------------------------

    def grant(self, client_id: str, person: Person | None, scopes: Iterable[str], seconds: float) -> Grant:
        """A new grant that expires `seconds` from now."""
        return Grant(
            client_id=client_id, person=person, scopes=tuple(scopes), expires_at=self._clock.time() + seconds
        )

    def issue(self, grant: Grant) -> str:
        """Issue an access token for a grant: 30 letters and digits."""
        token = secrets.token_hex(15)
        _store_bounded(self._state.grants, token, grant)
        return token

    def issue_refresh(self, grant: Grant) -> str:
        """Issue a refresh token for a grant."""
        token = secrets.token_hex(25)
        _store_bounded(self._state.refresh, token, grant)
        return token

    def look_up(self, token: str) -> Grant | None:
        """The grant of a valid access token, or None."""
        grant = self._state.grants.get(token)
        return grant if grant is not None and grant.expires_at > self._clock.time() else None

    def take_refresh(self, token: str) -> Grant | None:
        """The grant of a valid refresh token, or None; the token is used up."""
        return self._state.refresh.pop(token, None)

    def revoke(self, token: str, client_id: str) -> bool:
        """Revoke an access token; False when it was not that application's."""
        grant = self._state.grants.get(token)
        if grant is None or grant.client_id != client_id:
            return False
        del self._state.grants[token]
        return True

    def revoke_all(self, login: str) -> None:
        """End every access token of a person; refresh tokens stay valid. Raises KeyError."""
        person = self.people[login]
        for token in [token for token, grant in self._state.grants.items() if grant.person == person]:
            del self._state.grants[token]

    def disconnect(self, login: str) -> None:
        """Withdraw everything that a person granted, and all their tokens. Raises KeyError."""
        self.revoke_all(login)
        person = self.people[login]
        for token in [token for token, grant in self._state.refresh.items() if grant.person == person]:
            del self._state.refresh[token]

    def issue_code(self, grant: Grant, redirect_uri: str, challenge: str = "") -> str:
        """Issue an authorization code that can be exchanged once; with a challenge, by its verifier only."""
        code = secrets.token_hex(15)
        expiring = replace(grant, expires_at=self._clock.time() + CODE_SECONDS)
        _store_bounded(self._state.codes, code, (expiring, redirect_uri, challenge))
        return code

    def take_code(self, code: str, redirect_uri: str, verifier: str = "") -> Grant | None:
        """The grant of a code that is valid for this redirect address, or None; the code is used up.

        `verifier`: of the challenge with which the code was issued (RFC 7636, S256).
        """
        grant, uri, challenge = self._state.codes.pop(code, (None, "", ""))
        digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
        proved = base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge if challenge else not verifier
        if grant is None or uri != redirect_uri or not proved or grant.expires_at <= self._clock.time():
            return None
        return grant

    def start_device(self, client_id: str, scopes: Iterable[str]) -> tuple[str, Device]:
        """Begin a sign-in on a device; returns its device code and the sign-in."""
        signs = "ABCDEFGHJKLMNPQRSTVWXZ"
        user_code = "".join(secrets.choice(signs) for _ in range(8))
        device = Device(
            client_id=client_id,
            scopes=tuple(scopes),
            user_code=user_code,
            expires_at=self._clock.time() + DEVICE_SECONDS,
        )
        code = secrets.token_hex(20)
        _store_bounded(self._state.devices, code, device)
        return code, device

    def activate(self, user_code: str) -> bool:
        """Let the signed-in viewer authorize a device; False without a viewer, or when the code is unknown."""
        for device in self._state.devices.values():
            if device.user_code == user_code.upper() and device.expires_at > self._clock.time():
                device.person = self.viewer
                return device.person is not None
        return False

    def device(self, code: str) -> Device | None:
        """The sign-in of a valid device code, or None."""
        device = self._state.devices.get(code)
        if device is None or device.used or device.expires_at <= self._clock.time():
            return None
        return device

    # --- Helix ----------------------------------------------------------------------------------------

    def tier(self, user_id: str, broadcaster_id: str) -> str | None:
        """The tier of a subscription, or None without one."""
        return self._state.subscriptions.get((user_id, broadcaster_id))

    def spend(self, grant: Grant) -> RateLimitStatus:
        """Take one point from the bucket of a client, or of a client and a user."""
        key = (grant.client_id, "" if grant.person is None else grant.person.user_id)
        now = self._clock.time()
        limit = float(self.points_per_minute)
        bucket = self._state.buckets.setdefault(key, _TokenBucket(limit, now))
        bucket.points = min(limit, bucket.points + max(0.0, now - bucket.at) * limit / 60)
        bucket.at = now
        allowed = bucket.points >= 1
        if allowed:
            bucket.points -= 1
        full_at = int(now + (limit - bucket.points) * 60 / limit) + 1
        return RateLimitStatus(allowed, int(bucket.points), full_at)


def _store_bounded(kept: dict[str, V], key: str, value: V) -> None:
    """Store a value, and drop the oldest ones when there are too many."""
    kept[key] = value
    if len(kept) > _MAX_STORED:
        del kept[next(iter(kept))]
