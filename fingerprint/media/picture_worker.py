"""The worker process that makes pictures, and sounds for playlists: see `picture_pool` for its parent.

It is sandboxed like the decoder (`worker_process`). A job is JSON: `media_type` of the picture, `max_edge` of
what is made of it, or 0 for a card, the name of the `drawing` on a card without a picture and its `points`, and
the `texts` on it; or of a `sound` the ending of its file, and `max_seconds`. CONTENT with it follows, empty for a
card without a picture. The answer is MADE with a JPEG picture, a card's PNG or a sound's AAC, or FAILED.
"""

import base64
import io
import json
import wave
from typing import Final

import av.logging

from fingerprint.domain.artwork import drawing_of
from fingerprint.media.card_text import load_fonts
from fingerprint.media.cards import card_of_cover, card_of_drawing
from fingerprint.media.packed_sound import UndecodableSoundError, packed_sound
from fingerprint.media.picture_replies import FAILED, MADE
from fingerprint.media.small_pictures import UndecodablePictureError, small_jpeg
from fingerprint.worker_process import ParentPipe, limit_cpu, lock_in_sandbox, number_argument, serve_jobs

CPU_SECONDS: Final = 10
"""The limit for one picture; most take a hundredth of a second."""

_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def main() -> None:
    """Serve jobs until the parent ends. The argument is the limit of address space in bytes."""
    serve_jobs(_scale, warm_up=_warm_up, lock_in=lambda: lock_in_sandbox(number_argument()))


def _scale(pipe: ParentPipe, content: bytearray) -> None:
    job = json.loads(content)
    limit_cpu(CPU_SECONDS)
    picture = bytes(pipe.content())
    try:
        if job.get("sound"):
            made = packed_sound(picture, job["sound"], max_seconds=job["max_seconds"])
        elif job["max_edge"]:
            made = small_jpeg(picture, job["media_type"], max_edge=job["max_edge"])
        elif picture:
            made = card_of_cover(picture, job["media_type"], job["texts"])
        else:
            made = card_of_drawing(drawing_of(job["drawing"], job["points"]), job["texts"])
        pipe.send(MADE, made)
    except (UndecodablePictureError, UndecodableSoundError):
        pipe.send(FAILED)


def _warm_up() -> None:
    """Make a picture, to load every lazily loaded library while files may still be opened."""
    av.logging.set_level(None)
    load_fonts()
    card_of_cover(small_jpeg(_PIXEL, "image/png", max_edge=1), "image/jpeg", ["A \u0628"])
    packed_sound(_silence(), ".wav", max_seconds=0.1)


def _silence() -> bytes:
    with io.BytesIO() as silence:
        with wave.open(silence, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(8_000)
            writer.writeframes(bytes(3_200))
        return silence.getvalue()
