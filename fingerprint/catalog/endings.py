"""The endings of files in folders of music."""

from typing import Final


def _endings(text: str) -> frozenset[str]:
    return frozenset(f".{ending}" for ending in text.split())


AUDIO_SUFFIXES: Final = _endings(
    "669 amf far it med mo3 mod mptm mtm okt s3m stm ult umx xm "  # tracker modules
    "3g2 3gp 3gpp 8svx aa aac aax aaxc ac3 adts aif aifc aiff amr ape asf at3 au avi awb caf dff divx dsf dts "
    "dtshd eac3 ec3 evo f4a f4v flac flv iff ircam isma kgm kgma m2a m2t m2ts m4a m4b m4p m4r m4v mj2 mk3d "
    "mka mkv mlp mov mp+ mp1 mp2 mp3 mp4 mpa mpc mpeg mpg mpga mpp mts ncm nut oga ogg ogm ogv opus psp qoa "
    "qt ra rf64 rm rmvb sf snd sox spx svx tak thd ts tta vob voc w64 wav wave weba webm wma wmv wv "
)
"""In a folder, files with these endings are music; others are named and skipped, unless they are companions."""

COMPANION_SUFFIXES: Final = _endings(
    "bmp csv cue gif jpeg jpg json log lrc m3u m3u8 md5 nfo pdf pls png sfv webp xml"
)
"""Endings of files that usually accompany music; they are skipped without being reported."""
