"""Keeps the sound of MPEG-TS while it arrives and drops the picture, so that memory does not grow with that.

The program map is replaced by one without the picture's tracks: FFmpeg would search for them until the end of its
input. A stream that is not understood passes as it is (ISO/IEC 13818-1, 2.4.3 and 2.4.4).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.media.containers import PACKET_BYTES, first_timestamp, transport_stream_start

_DECIDED_BYTES: Final = 256 << 10
"""When no program map was found so far, the picture is not dropped."""

_OPENING_BYTES: Final = 128 << 10
"""How much of the beginning is searched for the first timestamps of all tracks."""

_SYNC: Final = 0x47
_SOUND: Final = frozenset({0x03, 0x04, 0x0F, 0x11, 0x81, 0x87})
_PICTURE: Final = frozenset({0x01, 0x02, 0x10, 0x1B, 0x24, 0x33})
_PRIVATE: Final = 0x06
_PRIVATE_SOUND: Final = (b"Opus", b"AC-3", b"EAC3")
"""Registrations of sound in a private stream: those of https://smpte-ra.org/registered-mpeg-ts-ids."""

_METADATA: Final = frozenset({0x15, 0x86})
"""ID3 with times, and SCTE 35."""

Packets = NDArray[np.uint8]


class SoundFilter:
    """Takes the pieces of a body in order and gives those bytes of them that are kept; see `BodyFilter`."""

    def __init__(self) -> None:
        self._waiting = b""
        self._decided = False
        self._opening = b""
        self._program: _Program | None = None

    @property
    def first_timestamp(self) -> float | None:
        """The earliest first timestamp of all tracks, in seconds; None when the picture was not dropped."""
        return None if self._program is None else first_timestamp(self._opening, "mpegts")

    async def feed(self, piece: bytes) -> bytes:
        if self._decided and self._program is None:
            return piece
        if len(self._opening) < _OPENING_BYTES:
            self._opening += piece[: _OPENING_BYTES - len(self._opening)]
        self._waiting += piece
        if not self._decided:
            self._decide()
        return self._kept() if self._decided else b""

    def finish(self) -> bytes:
        self._decided = True
        rest, self._waiting = self._kept() + self._waiting, b""
        return rest

    def _decide(self) -> None:
        start = transport_stream_start(self._waiting)
        if start is not None:
            self._program = _program_of(self._waiting[start:])
            if self._program is not None:
                self._waiting = self._waiting[start:]
        other = start is None and len(self._waiting) >= 4 * PACKET_BYTES
        self._decided = self._program is not None or other or len(self._waiting) >= _DECIDED_BYTES

    def _kept(self) -> bytes:
        if self._program is None:
            whole, self._waiting = self._waiting, b""
            return whole
        count = len(self._waiting) // PACKET_BYTES
        packets = np.frombuffer(self._waiting, np.uint8, count * PACKET_BYTES).reshape(count, PACKET_BYTES)
        kept = self._program.sound_of(packets)
        if kept is None:
            self._program = None
            return self._kept()
        self._waiting = self._waiting[count * PACKET_BYTES :]
        return kept


class _Program:
    """A program of sound and picture: where its map and its sound are, and the map without the picture."""

    def __init__(self, map_pid: int, sound_pid: int, old_map: bytes, new_map: bytes) -> None:
        self._map_pid = map_pid
        self._sound_pid = sound_pid
        self._old_map = old_map
        self._new_map = np.frombuffer(b"\0" + new_map.ljust(PACKET_BYTES - 5, b"\xff"), np.uint8)

    def sound_of(self, packets: Packets) -> bytes | None:
        """The packets without those of the picture; None when they are not what the map says."""
        if not bool((packets[:, 0] == _SYNC).all()):
            return None
        pids = (packets[:, 1].astype(np.uint16) & 0x1F) << 8 | packets[:, 2]
        if any(_section(packet.tobytes()) != self._old_map for packet in packets[pids == self._map_pid]):
            return None
        chosen = (pids == self._map_pid) | (pids == 0) | (pids == self._sound_pid)
        kept, is_map = packets[chosen].copy(), pids[chosen] == self._map_pid
        kept[is_map, 3] = kept[is_map, 3] & 0x0F | 0x10  # no adaptation field
        kept[is_map, 4:] = self._new_map
        return kept.tobytes()


def _program_of(content: bytes) -> _Program | None:
    """The program that a transport stream begins with, if it has sound and a picture, and a map of one packet."""
    found = _map_of(content)
    return None if found is None else _mapped(*found)


def _map_of(content: bytes) -> tuple[int, bytes] | None:
    """The first program map of a transport stream, and its packets' number."""
    map_pid: int | None = None
    for at in range(0, len(content) - PACKET_BYTES + 1, PACKET_BYTES):
        packet = content[at : at + PACKET_BYTES]
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        if pid not in (0, map_pid):
            continue
        section = _section(packet)
        if pid == 0 and map_pid is None and section[:1] == b"\0" and len(section) >= 12:
            map_pid = (section[10] & 0x1F) << 8 | section[11]
        elif pid == map_pid and section[:1] == b"\2":
            return pid, section
    return None


def lacks_sound(content: bytes) -> bool:
    """Whether the map of a transport stream has a picture, and nothing that may be sound."""
    start = transport_stream_start(content)
    found = None if start is None else _map_of(content[start : start + _DECIDED_BYTES])
    kinds = {kind for kind, _, _ in _streams(found[1])} if found else set[int]()
    return bool(kinds & _PICTURE) and kinds <= _PICTURE | _METADATA


def _section(packet: bytes) -> bytes:
    """The table that begins in a packet, or as much of it as the packet holds; empty when none begins."""
    if packet[0] != _SYNC or not packet[1] & 0x40 or not packet[3] & 0x10:
        return b""
    payload = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
    section = payload[1 + payload[0] :] if payload else b""
    return section[: 3 + ((section[1] & 0x0F) << 8 | section[2])] if len(section) >= 3 else b""


def _mapped(pid: int, section: bytes) -> _Program | None:
    streams = _streams(section)
    sound = next((stream for stream in streams if _is_sound(stream)), None)
    if sound is None or not any(kind in _PICTURE for kind, _, _ in streams):
        return None
    entry = sound[2]
    body = section[:1] + (0xB000 | 9 + len(entry) + 4).to_bytes(2, "big") + section[3:8]
    body += (0xE000 | sound[1]).to_bytes(2, "big") + b"\xf0\0" + entry
    return _Program(pid, sound[1], section, body + _crc(body).to_bytes(4, "big"))


def _is_sound(stream: tuple[int, int, bytes]) -> bool:
    kind, _, entry = stream
    return kind in _SOUND or (kind == _PRIVATE and any(name in entry for name in _PRIVATE_SOUND))


def _streams(section: bytes) -> list[tuple[int, int, bytes]]:
    """Type, packets' number and entry of each track in a program map; none when it is in several packets."""
    length = 3 + ((section[1] & 0x0F) << 8 | section[2])
    if not 16 <= length == len(section):
        return []
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    streams: list[tuple[int, int, bytes]] = []
    while at + 5 <= length - 4:
        end = at + 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
        streams.append((section[at], (section[at + 1] & 0x1F) << 8 | section[at + 2], section[at:end]))
        at = end
    return streams


def _crc(content: bytes) -> int:
    """CRC-32/MPEG-2 (ISO/IEC 13818-1, annex A)."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
    return crc
