"""What went wrong on the network, as errors in plain words."""

import socket
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.hosts import AddressRefusedError

NETWORK_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError, EOFError)
"""The exceptions of aiohttp and the layers below it that are caused by the network or the peer."""

_UNKNOWN_NAME: Final = frozenset(
    number for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if (number := getattr(socket, name, None))
)
"""What getaddrinfo answers for a name that does not exist, or that has no address; not each system has all."""

_UNKNOWN_ISSUER: Final = (
    "it is signed by an authority that this server does not trust, so something on the way may read along"
)
_OTHER_NAME: Final = "it is for another name"
_CERTIFICATE: Final[Mapping[int, str]] = {
    2: _UNKNOWN_ISSUER,
    9: "it is not valid yet, or the clock of this server is slow",
    10: "it has expired, or the clock of this server is fast",
    18: _UNKNOWN_ISSUER,
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: "it was revoked",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""What OpenSSL's codes of X509_verify_cert_error_string say about a certificate."""

_OLD: Final = "it speaks only old versions of TLS, which are not safe"
_NOT_TLS: Final = "what answers speaks no TLS, as a proxy or a sign-in page of the network does"
_HANDSHAKE: Final[Mapping[str, str]] = {
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "WRONG_SSL_VERSION": _OLD,
    "VERSION_TOO_LOW": _OLD,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _OLD,
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
}
"""What OpenSSL's reasons say about a handshake; the others mean that the two sides could not agree."""

_PASSING: Final = ("INTERNAL_ERROR", "UNEXPECTED_EOF")
"""Parts of the reasons that may be others a moment later."""


def upstream_error(step: str, error: BaseException, *, upstream: str) -> UpstreamError:
    """The UpstreamError to report for a network failure. Details stay in the cause.

    What waiting does not change (a filtered name, a bad certificate) has no time to retry.
    """
    service = f"{upstream}'s {step} service"
    if (why := _lasting_reason(error)) is not None:
        return UpstreamError(step, f"{service} cannot be reached{why}.", retry_after_seconds=None)
    match error:
        case UpstreamError():
            return error
        case aiohttp.ConnectionTimeoutError():
            reason = "cannot be reached"
        case TimeoutError():
            return too_slow(step, upstream)
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorError(os_error=ConnectionResetError(), ssl=True):
            reason = "breaks off while a safe connection is made, as filters and servers with an old TLS do"
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorDNSError():
            reason = "cannot be reached"
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | EOFError() | OSError():
            reason = "broke off the connection"
        case _:
            reason = "answers with something that cannot be read"
    return UpstreamError(step, f"{service} {reason}. Try again in a moment.")


def too_slow(step: str, upstream: str) -> UpstreamError:
    """The error when an answer does not come in time."""
    detail = f"{upstream}'s {step} service does not answer in time. Try again in a moment."
    return UpstreamError(step, detail, code=ProblemCode.TIMEOUT)


def worth_repeating(cause: BaseException | None) -> bool:
    """Whether a retry may help: after a lost connection, but not after a bad certificate, name or address."""
    if isinstance(cause, aiohttp.ClientConnectorError):
        refused = isinstance(cause.os_error, AddressRefusedError) or _name_is_unknown(cause)
        return not isinstance(cause, aiohttp.ClientSSLError) and not refused
    return isinstance(cause, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError))


def _lasting_reason(error: BaseException) -> str | None:
    """Why a service cannot be reached, as the end of a sentence, if waiting does not change it."""
    match error:
        case aiohttp.ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError(verify_code=code)
        ) if code in _CERTIFICATE:
            return f" safely: its certificate is not accepted, since {_CERTIFICATE[code]}"
        case aiohttp.ClientConnectorCertificateError():
            return " safely: its certificate is not valid"
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError(reason=reason)) if reason and not any(
            part in reason for part in _PASSING
        ):
            return f" safely: {_HANDSHAKE.get(reason, 'the two sides cannot agree on an encryption')}"
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError() as refused):
            return f": {_why_refused(refused)}"
        case aiohttp.ClientConnectorError() if _name_is_unknown(error):
            return ": the DNS of this server knows no such name, or filters it"
        case _:
            return None


def _name_is_unknown(error: aiohttp.ClientConnectorError) -> bool:
    """Whether the DNS says for certain that there is no such name, or that it has no address."""
    return isinstance(error, aiohttp.ClientConnectorDNSError) and error.errno in _UNKNOWN_NAME


def _why_refused(error: AddressRefusedError) -> str:
    if error.leads_here:
        return "a DNS filter answers for it with an address of the asking machine"
    return "its name leads to a private address, where this server does not go"
