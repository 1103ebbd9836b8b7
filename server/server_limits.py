"""The limits and timeouts of the HTTP side, which no setting changes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits and timeouts of the HTTP side, in seconds and bytes."""

    body_bytes: int = 16 * 1024
    body_seconds: float = 10.0
    wait_seconds: int = 30
    """Maximum of `Prefer: wait`, in seconds."""
    events_keep_alive_seconds: float = 15.0
    events_write_seconds: float = 10.0
    """How long a write to an event stream may block before the client is disconnected."""
    ready_seconds: float = 2.0
    head_seconds: float = 10.0
    """How long the head of a request may take to arrive."""
    write_seconds: float = 20.0
    """How long a client may take nothing of an answer before it is disconnected."""
    keep_alive_seconds: float = 75.0
    """How long a connection may be idle between requests; longer than the usual timeout of proxies in front."""
    requests_burst: float = 20_000.0
    requests_per_second: float = 200.0
    """What an address may spend on requests, at once and steadily; see `server.middleware.request_budget`."""
    drain_seconds: float = 1.0
    shutdown_seconds: float = 0.5
