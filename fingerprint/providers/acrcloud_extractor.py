"""ACRCloud's own fingerprint extractor: the native functions of PyPI's `pyacrcloud`, an optional extra.

Closed source, for Linux with glibc and for macOS. Only its fingerprint functions are used, never its HTTP client.
It only gets samples that were decoded elsewhere, never untrusted files: a crash in it would end the server.
The fingerprints are as good that way: measured on 60 samples of music with and without speech, as many of their
points lie where the clean song has them as with its own decoder, at three quarters of the CPU.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

from fingerprint.media.pcm import no_audio

INSTALL: Final = "pip install 'twitchaudio[acrcloud]'"

Extract = Callable[[bytes], bytes]
"""Samples (mono, 8000 Hz, signed 16 bits) to a fingerprint. Raises TwitchAudioError `no-audio`."""


class ExtractorMissingError(Exception):
    """The extractor cannot be loaded here; the text says why in a clause."""


def load_extractor() -> Extract:
    """Loads the extractor. Raises ExtractorMissingError when it is not installed or not for this machine."""
    try:
        # Its parent puts the folder of the native module on the path.
        import_module("acrcloud")
        create = cast(
            "Callable[[bytes, bool], bytes | None]", import_module("acrcloud_extr_tool").create_fingerprint
        )
    except ImportError as error:
        raise ExtractorMissingError(f"pyacrcloud cannot be imported ({error}): {INSTALL}") from error
    except (AttributeError, OSError) as error:
        raise ExtractorMissingError(f"pyacrcloud does not work here: {error}") from error

    def extract(samples: bytes) -> bytes:
        made = create(samples, False)  # noqa: FBT003 - positional only; not for a database
        if made is None:
            raise no_audio("ACRCloud's extractor cannot read it")
        if not made:
            raise no_audio("it is silent")
        return made

    return extract
