"""A hundred odd music files, made by code: what each one is, and what a catalog shall make of it.

Sounds are a second long and different for each file, so that each is a recording of its own.
"""

# ruff: noqa: E501, RUF001 - a table, a line for each
import functools
import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

SECONDS: Final = 1.25
RATE: Final = 44_100

TITLE, ARTIST, ALBUM = "Low Tide", "Mira Holt feat. Bo", "Harbour"
ARTISTS: Final = ["Mira Holt", "Bo"]
TAGS: Final = {"title": TITLE, "artist": ARTIST, "album": ALBUM}
DATED: Final = {**TAGS, "date": "2021-05-14", "ISRC": "ZZN992100042", "publisher": "Pier"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A file's name and content. `tracks`: for each track that it shall become, what of it is checked; none at all
    when it shall be skipped, and `reason` is in what is said then."""

    name: str
    make: Callable[[], bytes]
    tracks: Sequence[Mapping[str, object]] = ()
    reason: str = ""
    beside: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    needs: str = ""
    """A program without which `tracks` cannot be made."""


# --- Sounds --------------------------------------------------------------------------------------------

_seeds = iter(range(1, 100_000))


def sound(seed: int, *, rate: int = RATE, channels: int = 2, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Some notes of many partials, of shape (channels, samples)."""
    rng = np.random.default_rng(seed)
    notes = np.zeros((channels, round(seconds * rate)), np.float32)
    times = np.arange(rate // 4) / rate
    for begin in range(0, notes.shape[1], len(times)):
        part = notes[:, begin : begin + len(times)]
        for hertz in rng.uniform(150, 3_400, 4):
            note = np.exp(-6 * times) * np.sin(2 * np.pi * hertz * times)
            part += rng.uniform(0.3, 1.0, (channels, 1)) * note[: part.shape[1]]
    return (notes / (1.1 * max(1e-9, float(np.abs(notes).max())))).astype(np.float32)


SILENCE: Final = np.zeros((2, round(SECONDS * RATE)), np.float32)


def encode(
    muxer: str,
    codec: str,
    *sounds: NDArray[np.float32],
    tags: Mapping[str, str] = TAGS,
    rate: int = RATE,
    options: Mapping[str, str] | None = None,
    track_tags: Sequence[Mapping[str, str]] = (),
    dispositions: Sequence[str] = (),
    bit_rate: int | None = None,
) -> bytes:
    """A container with a sound track for each of the sounds."""
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options=dict(options or {})) as opened:
        output = cast("Any", opened)
        output.metadata.update(tags)
        streams: list[Any] = []
        for number, samples in enumerate(sounds):
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
            stream = output.add_stream(codec, rate=rate, layout=layout)
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            if muxer in ("ogg", "spx", "oga"):
                stream.metadata.update(tags)
            if number < len(track_tags):
                stream.metadata.update(track_tags[number])
            if number < len(dispositions) and dispositions[number]:
                stream.disposition = getattr(Disposition, dispositions[number])
            streams.append(stream)
        for stream, samples in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples), format="fltp", layout=stream.layout.name
            )
            frame.rate = rate
            for packet in stream.encode(frame):
                output.mux(packet)
        for stream in streams:
            for packet in stream.encode(None):
                output.mux(packet)
    return file.getvalue()


def one(muxer: str, codec: str, **more: Any) -> Callable[[], bytes]:
    """A file with one sound, of its own."""
    seed = next(_seeds)
    channels, rate = more.pop("channels", 2), more.get("rate", RATE)
    return lambda: encode(muxer, codec, sound(seed, rate=rate, channels=channels), **more)


@functools.cache
def mp3(seed: int, **tags: str) -> bytes:
    """An MP3, with an ID3v2 tag only if there are tags."""
    return encode(
        "mp3",
        "libmp3lame",
        sound(seed),
        tags=tags,
        options={} if tags else {"id3v2_version": "0", "write_xing": "0"},
    )


def wav(seed: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A RIFF file with further chunks behind the sound."""
    samples = (sound(seed) * 32_000).astype("<i2").T.tobytes()
    form = struct.pack("<HHIIHH", 1, 2, RATE, RATE * 4, 4, 16)
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for name, content in ((b"fmt ", form), (b"data", samples), *chunks)
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def info(**values: bytes) -> tuple[bytes, bytes]:
    """A LIST chunk of INFO, as RIFF files have it."""
    content = b"INFO"
    for name, value in values.items():
        content += name.encode() + struct.pack("<I", len(value) + 1) + value + bytes(1 + (len(value) + 1) % 2)
    return b"LIST", content


def id3(*frames: tuple[bytes, bytes], version: int = 3, claimed: int | None = None, more: bytes = b"") -> bytes:
    """An ID3v2 tag."""
    body = b"".join(name + struct.pack(">I", len(content)) + b"\0\0" + content for name, content in frames) + more
    size = len(body) if claimed is None else claimed
    return b"ID3" + bytes((version, 0, 0)) + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + body


def id3_text(text: bytes, encoding: int = 0) -> bytes:
    return bytes((encoding,)) + text


def id3_v1(title: bytes, artist: bytes = b"", album: bytes = b"") -> bytes:
    """The 128 bytes of an ID3v1 tag."""
    return b"TAG" + title.ljust(30, b"\0") + artist.ljust(30, b"\0") + album.ljust(30, b"\0") + bytes(35)


def ape(*, header: bool = False, **values: str) -> bytes:
    """An APEv2 tag."""
    items = b"".join(
        struct.pack("<II", len(value.encode()), 0) + name.encode() + b"\0" + value.encode()
        for name, value in values.items()
    )
    head = struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(items) + 32, len(values), 0)
    return (head if header else b"") + items + head


def dsf(seed: int) -> bytes:
    """A DSD stream file: one bit a sample, by noise shaping of the first order."""
    rate = 2_822_400
    samples = np.repeat(sound(seed, channels=1, rate=44_100, seconds=1.2)[0], rate // 44_100)
    steps = np.floor(np.cumsum((samples * 0.5 + 1) / 2)).astype(np.int64)
    bits = np.diff(steps, prepend=0).astype(np.uint8)
    bits = bits[: len(bits) // 32_768 * 32_768]
    content = np.packbits(bits, bitorder="little").tobytes()
    form = struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, rate, 1, len(bits), 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(content)) + content
    return struct.pack("<4sQQQ", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data


def module(seed: int, title: str = TITLE) -> bytes:
    """A ProTracker module: one sample, and a pattern of random notes, 7.7 s long."""
    rng = np.random.default_rng(seed)
    wave = (np.sin(np.arange(2_048) * 2 * np.pi / 32) * 60 + rng.normal(0, 20, 2_048)).clip(-127, 127)
    samples = struct.pack(">22sHBBHH", b"wave", len(wave) // 2, 0, 64, 0, len(wave) // 2)
    samples += struct.pack(">22sHBBHH", b"", 0, 0, 0, 0, 1) * 30
    pattern = b""
    for row in range(64):
        for channel in range(4):
            period = int(rng.choice([214, 254, 285, 339, 428, 508])) if (row + channel) % 4 == 0 else 0
            pattern += bytes((period >> 8, period & 0xFF, 0x10 if period else 0, 0))
    head = title.encode().ljust(20, b"\0") + samples + bytes((1, 127)) + bytes(128) + b"M.K."
    return head + pattern + wave.astype(np.int8).tobytes()


def asf_protected() -> bytes:
    plain = encode("asf", "aac", sound(next(_seeds)))
    guid = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
    return plain[:30] + guid + struct.pack("<Q", 24) + plain[30:]


SONG: Final = {"title": TITLE, "artists": ARTISTS, "album": ALBUM}
FULL: Final = {**SONG, "release_date": "2021-05-14", "isrc": "ZZN992100042", "label": "Pier"}
BARE: Final[Mapping[str, object]] = {}


def cyrillic(text: str) -> bytes:
    return text.encode("cp1251")


def shapes() -> list[Shape]:
    """All of them."""
    return [*_containers(), *_tags(), *_mojibake(), *_odd(), *_albums(), *_left_out()]


def _containers() -> list[Shape]:
    def shape(name: str, muxer: str, codec: str, song: Mapping[str, object] = SONG, **more: Any) -> Shape:
        return Shape(name=name, make=one(muxer, codec, **more), tracks=[song])

    opus: dict[str, Any] = {"rate": 48_000}
    return [
        shape("a.mp3", "mp3", "libmp3lame", FULL, tags=DATED),
        shape("a.flac", "flac", "flac", FULL, tags=DATED),
        shape("a.ogg", "ogg", "libopus", FULL, tags=DATED, **opus),
        shape("a.opus", "opus", "libopus", FULL, tags=DATED, **opus),
        shape("a.oga", "ogg", "libopus", FULL, tags=DATED, **opus),
        shape("a.m4a", "ipod", "aac"),
        shape("alac.m4a", "ipod", "alac"),
        shape("a.m4b", "ipod", "aac"),
        shape("a.mp4", "mp4", "aac"),
        shape("a.mov", "mov", "aac"),
        shape("a.3gp", "3gp", "aac", BARE),
        shape("a.wav", "wav", "pcm_s16le", {**SONG, "isrc": "ZZN992100042"}, tags=DATED),
        shape("float.wav", "wav", "pcm_f32le"),
        shape(
            "rf64.wav",
            "wav",
            "pcm_s16le",
            {**SONG, "isrc": "ZZN992100042"},
            tags=DATED,
            options={"rf64": "always"},
        ),
        shape("rf64.rf64", "wav", "pcm_s16le", options={"rf64": "always"}),
        shape("a.w64", "w64", "pcm_s16le", BARE),
        shape("a.aiff", "aiff", "pcm_s16be", {"title": TITLE}),
        shape("id3.aif", "aiff", "pcm_s16be", SONG, options={"write_id3v2": "1"}),
        shape("a.caf", "caf", "pcm_s16be", FULL, tags=DATED),
        shape("a.au", "au", "pcm_s16be"),
        shape("a.snd", "au", "pcm_s16be"),
        shape("a.avi", "avi", "libmp3lame", {**SONG, "isrc": "ZZN992100042"}, tags=DATED),
        shape("a.mka", "matroska", "libopus", FULL, tags=DATED, **opus),
        shape("a.mkv", "matroska", "alac", FULL, tags=DATED),
        shape("a.webm", "webm", "libopus", FULL, tags=DATED, **opus),
        shape("a.weba", "webm", "libopus", **opus),
        shape("a.wv", "wv", "wavpack", FULL, tags=DATED),
        shape("a.tta", "tta", "tta", FULL, tags=DATED),
        shape("a.ac3", "ac3", "ac3", BARE),
        shape("a.eac3", "eac3", "eac3", BARE),
        shape("a.aac", "adts", "aac", BARE),
        shape("id3.aac", "adts", "aac", SONG, options={"write_id3v2": "1"}),
        shape("a.mp2", "mp2", "mp2", BARE),
        shape("a.ts", "mpegts", "mp2", BARE),
        shape("a.mpg", "mpeg", "mp2", BARE),
        shape("a.flv", "flv", "libmp3lame"),
        shape("a.wma", "asf", "libmp3lame", FULL, tags=DATED),
        shape("a.asf", "asf", "aac"),
        shape("a.nut", "nut", "pcm_s16le"),
        shape("a.rm", "rm", "ac3", {"title": TITLE}),
        shape("a.voc", "voc", "pcm_s16le", BARE),
        shape("a.sox", "sox", "pcm_s32le", BARE),
        shape("a.amr", "amr", "libopencore_amrnb", BARE, rate=8_000, channels=1, bit_rate=12_200),
        shape("a.ircam", "ircam", "pcm_s16le", BARE),
        shape("a.aifc", "aiff", "pcm_s16le", {"title": TITLE}),
        Shape(name="a.dsf", make=lambda: dsf(next(_seeds)), tracks=[BARE]),
        shape("mono.flac", "flac", "flac", channels=1),
        shape("surround.flac", "flac", "flac", channels=6),
        shape("8 kHz.wav", "wav", "pcm_mulaw", rate=8_000, channels=1),
        shape("96 kHz.flac", "flac", "flac", rate=96_000),
        shape("fragmented.mp4", "mp4", "aac", options={"movflags": "frag_keyframe+empty_moov"}),
    ]


def _tags() -> list[Shape]:
    def mp3_with(name: str, song: Mapping[str, object], before: bytes = b"", behind: bytes = b"") -> Shape:
        seed = next(_seeds)
        return Shape(name=name, make=lambda: before + mp3(seed) + behind, tracks=[song])

    titled = {"title": TITLE, "artists": ARTISTS}
    utf_16 = "\ufeff".encode("utf-16-le")
    wav_seed, list_seed = next(_seeds), next(_seeds)
    return [
        mp3_with("none.mp3", {"title": "none", "artists": []}),
        mp3_with("v1.mp3", titled, behind=id3_v1(TITLE.encode(), ARTIST.encode())),
        mp3_with("ape.mp3", SONG, behind=ape(Title=TITLE, Artist=ARTIST, Album=ALBUM)),
        mp3_with("ape many.mp3", {"artists": ARTISTS}, behind=ape(Title=TITLE, Artist="Mira Holt\0Bo")),
        mp3_with("ape v1.mp3", {**SONG, "isrc": "ZZN992100042"}, behind=ape(header=True, Title=TITLE, Artist=ARTIST, Album=ALBUM, ISRC="ZZ-N99-21-00042") + id3_v1(b"Low Ti", b"Mira")),
        mp3_with("utf16.mp3", titled, id3((b"TIT2", id3_text(utf_16 + TITLE.encode("utf-16-le"), 1)), (b"TPE1", id3_text(utf_16 + ARTIST.encode("utf-16-le"), 1)))),
        mp3_with("utf8.mp3", {"title": "Été – Grüße"}, id3((b"TIT2", id3_text("Été – Grüße".encode(), 3)), version=4)),
        mp3_with("latin.mp3", {"title": "Été", "artists": ["Motörhead"]}, id3((b"TIT2", id3_text("Été".encode("latin-1"))), (b"TPE1", id3_text("Motörhead".encode("latin-1"))))),
        mp3_with("padded.mp3", titled, id3((b"TIT2", id3_text(TITLE.encode())), (b"TPE1", id3_text(ARTIST.encode())), more=bytes(50_000))),
        mp3_with("two tags.mp3", titled, id3((b"TIT2", id3_text(TITLE.encode())), (b"TPE1", id3_text(ARTIST.encode()))) + id3((b"TIT2", id3_text(b"Other")))),
        mp3_with("guests in title.mp3", {"title": "Song", "artists": ["A", "B"]}, id3((b"TIT2", id3_text(b"Song (feat. B)")), (b"TPE1", id3_text(b"A")))),
        mp3_with("controls.mp3", {"title": "Red [31m Tide"}, id3((b"TIT2", id3_text(b"Red \x1b[31m\x07 Tide")))),
        mp3_with("many.mp3", {"artists": ["A One", "B Two", "C Three"]}, id3((b"TIT2", id3_text(b"x")), (b"TPE1", id3_text(b"A One\0B Two\0C Three", 3)), version=4)),
        Shape(name="info.wav", make=lambda: wav(list_seed, info(INAM=b"Low Tide", IART=b"Mira Holt feat. Bo", IPRD=b"Harbour")), tracks=[SONG]),
        Shape(name="id3.wav", make=lambda: wav(wav_seed, (b"id3 ", id3((b"TIT2", id3_text(TITLE.encode())), (b"TPE1", id3_text(ARTIST.encode()))))), tracks=[titled]),
        Shape(name="artists.ogg", make=one("ogg", "libopus", rate=48_000, tags={"title": TITLE, "artist": "Mira Holt; Bo"}), tracks=[titled]),
        Shape(name="ape.wv", make=one("wv", "wavpack"), tracks=[SONG]),
    ]  # fmt: skip


def _mojibake() -> list[Shape]:
    def mp3_latin(name: str, title: bytes, artist: bytes, song: Mapping[str, object]) -> Shape:
        seed = next(_seeds)
        tag = id3((b"TIT2", id3_text(title)), (b"TPE1", id3_text(artist)))
        return Shape(name=name, make=lambda: tag + mp3(seed), tracks=[song])

    kino = {"title": "Группа крови", "artists": ["Кино"]}
    miku = {"title": "千本桜", "artists": ["初音ミク"]}
    seeds = [next(_seeds) for _ in range(6)]
    more = [next(_seeds) for _ in range(2)]
    greek = {"title": "Χάρτινο το φεγγαράκι", "artists": ["Μάνος Χατζιδάκις"]}
    polish = {"title": "Dziwny jest ten świat", "artists": ["Czesław Niemen"]}
    turkish = {"title": "Dağlar dağlar", "artists": ["Barış Manço"]}
    return [
        mp3_latin("cp1253.mp3", "Χάρτινο το φεγγαράκι".encode("cp1253"), "Μάνος Χατζιδάκις".encode("cp1253"), greek),
        mp3_latin("cp1251.mp3", cyrillic("Группа крови"), cyrillic("Кино"), kino),
        mp3_latin("sjis.mp3", "千本桜".encode("cp932"), "初音ミク".encode("cp932"), miku),
        mp3_latin("utf8 as latin.mp3", "Été à Łódź".encode(), "Beyoncé".encode(), {"title": "Été à Łódź", "artists": ["Beyoncé"]}),
        mp3_latin("cp1252.mp3", b"Don\x92t Stop", b"Bj\xf6rk", {"title": "Don’t Stop", "artists": ["Björk"]}),
        mp3_latin("right.mp3", "Été".encode("latin-1"), "Sigur Rós".encode("latin-1"), {"title": "Été", "artists": ["Sigur Rós"]}),
        Shape(name="v1 cp1251.mp3", make=lambda: mp3(seeds[0]) + id3_v1(cyrillic("Группа крови"), cyrillic("Кино")), tracks=[kino]),
        Shape(name="v1 cp1250.mp3", make=lambda: mp3(more[0]) + id3_v1("Dziwny jest ten świat".encode("cp1250"), "Czesław Niemen".encode("cp1250")), tracks=[polish]),
        Shape(name="cp1254.wav", make=lambda: wav(more[1], info(INAM="Dağlar dağlar".encode("cp1254"), IART="Barış Manço".encode("cp1254"))), tracks=[turkish]),
        Shape(name="cp1251.wav", make=lambda: wav(seeds[1], info(INAM=cyrillic("Группа крови"), IART=cyrillic("Кино"))), tracks=[kino]),
        Shape(name="sjis.wav", make=lambda: wav(seeds[2], info(INAM="千本桜".encode("cp932"), IART="初音ミク".encode("cp932"))), tracks=[miku]),
        Shape(name="cp1252.wav", make=lambda: wav(seeds[3], info(INAM=b"\xc9t\xe9", IART=b"Mot\xf6rhead")), tracks=[{"title": "Été", "artists": ["Motörhead"]}]),
        Shape(name="utf8.wav", make=lambda: wav(seeds[4], info(INAM="Été".encode(), IART="Кино".encode())), tracks=[{"title": "Été", "artists": ["Кино"]}]),
        Shape(name="double.flac", make=one("flac", "flac", tags={"title": "Été".encode().decode("latin-1"), "artist": "Sigur Rós"}), tracks=[{"title": "Été", "artists": ["Sigur Rós"]}]),
        Shape(name="cp1251.flac", make=one("flac", "flac", tags={"title": cyrillic("Группа крови").decode("latin-1"), "artist": cyrillic("Кино").decode("latin-1")}), tracks=[kino]),
        Shape(name="cyrillic.flac", make=one("flac", "flac", tags={"title": "Группа крови", "artist": "Кино"}), tracks=[kino]),
    ]  # fmt: skip


def _odd() -> list[Shape]:
    seeds = [next(_seeds) for _ in range(30)]
    two = [sound(seeds[0]), sound(seeds[1])]
    return [
        Shape(name="really mp3.flac", make=lambda: mp3(seeds[2], title=TITLE, artist=ARTIST, album=ALBUM), tracks=[SONG]),
        Shape(name="really flac.mp3", make=one("flac", "flac"), tracks=[SONG]),
        Shape(name="really ogg.mp3", make=one("ogg", "libopus", rate=48_000), tracks=[SONG]),
        Shape(name="really m4a.wav", make=one("ipod", "aac"), tracks=[SONG]),
        Shape(name="really wv.ogg", make=one("wv", "wavpack"), tracks=[SONG]),
        Shape(name="really mka.m4a", make=one("matroska", "alac"), tracks=[SONG]),
        Shape(name="really wav.mp3", make=one("wav", "pcm_s16le"), tracks=[SONG]),
        Shape(name="id3 flac.flac", make=lambda: id3((b"TIT2", id3_text(b"x"))) + encode("flac", "flac", sound(seeds[3])), tracks=[{"artists": ARTISTS}]),
        Shape(name="id3 too large.mp3", make=lambda: id3((b"TIT2", id3_text(TITLE.encode())), claimed=200_000_000) + mp3(seeds[4]), tracks=[BARE]),
        Shape(name="id3 a little too large.mp3", make=lambda: id3((b"TIT2", id3_text(TITLE.encode())), claimed=len(mp3(seeds[5])) + 100) + mp3(seeds[5]), tracks=[BARE]),
        Shape(name="junk before.mp3", make=lambda: b"junk" * 100 + mp3(seeds[6]), tracks=[BARE]),
        Shape(name="junk behind.mp3", make=lambda: mp3(seeds[7]) + b"\0junk" * 3_000, tracks=[BARE]),
        Shape(name="cut.mp3", make=lambda: mp3(seeds[8])[:-2_000], tracks=[BARE]),
        Shape(name="cut.flac", make=lambda: encode("flac", "flac", sound(seeds[9]))[:-10_000], tracks=[SONG]),
        Shape(name="cut.wav", make=lambda: wav(seeds[10])[:-20_000], tracks=[BARE]),
        Shape(name="no length.wav", make=lambda: wav(seeds[11]).replace(b"data" + struct.pack("<I", 4 * round(SECONDS * RATE)), b"data\xff\xff\xff\xff", 1), tracks=[BARE]),
        Shape(name="hole.mp3", make=lambda: mp3(seeds[12])[:9_000] + bytes(2_000) + mp3(seeds[12])[11_000:], tracks=[BARE]),
        Shape(name="silent first.mkv", make=lambda: encode("matroska", "alac", SILENCE, sound(seeds[13])), tracks=[SONG]),
        Shape(name="silent first.mp4", make=lambda: encode("mp4", "aac", SILENCE, sound(seeds[14])), tracks=[SONG]),
        Shape(name="commentary first.mkv", make=lambda: encode("matroska", "alac", *two, dispositions=["comment"]), tracks=[SONG]),
        Shape(name="commentary by name.mkv", make=lambda: encode("matroska", "alac", sound(seeds[15]), sound(seeds[16]), track_tags=[{"title": "Director's commentary"}]), tracks=[SONG]),
        Shape(name="a.mod", make=lambda: module(seeds[24]), tracks=[{"title": TITLE}], needs="ffmpeg"),
        Shape(name="untitled.mod", make=lambda: module(seeds[25], ""), tracks=[{"title": "untitled"}], needs="ffmpeg"),
        Shape(name="UPPER.MP3", make=lambda: mp3(seeds[17]), tracks=[{"title": "UPPER"}]),
        Shape(name="spaces and ünïcödé 音楽.mp3", make=lambda: mp3(seeds[18]), tracks=[{"title": "spaces and ünïcödé 音楽"}]),
        Shape(name="a" * 247 + ".mp3", make=lambda: mp3(seeds[19]), tracks=[BARE]),
        Shape(name="é" * 125 + ".mp3", make=lambda: mp3(seeds[20]), tracks=[BARE]),
        Shape(name="new\nline \x1b[31m.mp3", make=lambda: mp3(seeds[21]), tracks=[BARE]),
        Shape(name="no bytes \udcff.mp3", make=lambda: mp3(seeds[22]), tracks=[BARE]),
        Shape(name="described.mp3", make=lambda: mp3(seeds[23]), tracks=[{"title": "Own"}], beside={"described.mp3.json": b'{"title": "Own"}'}),
    ]  # fmt: skip


def cue(name: str, *, encoding: str = "utf-8", title: str = "", performer: str = "Mira Holt") -> bytes:
    """A sheet of an album with three songs, each as long as a sound."""
    lines = [f'PERFORMER "{performer}"', f'TITLE "{ALBUM}"', "REM DATE 2021", f'FILE "{name}" WAVE']
    for number in range(3):
        frames = round(number * SECONDS * 75)
        lines += [f"  TRACK {number + 1:02} AUDIO", f'    TITLE "{title or "Song"} {number + 1}"']
        lines += [f"    INDEX 00 00:00:{max(0, frames - 10):02}"] * (number == 1)
        lines += [f"    INDEX 01 {frames // 4500:02}:{frames // 75 % 60:02}:{frames % 75:02}"]
    return "\r\n".join(lines).encode(encoding)


def vorbis_comments(**values: str) -> bytes:
    """Vorbis comments, as FLAC's block 4 has them."""
    texts = [f"{name}={value}".encode() for name, value in values.items()]
    return struct.pack("<II", 0, len(texts)) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def cue_block() -> bytes:
    """FLAC's own block of a sheet with three songs, each as long as a sound, and the lead-out."""
    tracks = b"".join(
        struct.pack(">QB12sB13xB", round(number * SECONDS * RATE), number + 1, b"", 0, 1)
        + struct.pack(">QB3x", 0, 1)
        for number in range(3)
    )
    return (
        bytes(395) + bytes((4,)) + tracks + struct.pack(">QB12sB13xB", round(3 * SECONDS * RATE), 170, b"", 0, 0)
    )


def flac_with(flac: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """A FLAC file with further metadata blocks, by their types; its own comments go if there are others."""
    kept, at, last = b"", 4, False
    while not last:
        last, kind, size = bool(flac[at] & 0x80), flac[at] & 0x7F, int.from_bytes(flac[at + 1 : at + 4], "big")
        if kind != 4 or all(new != 4 for new, _ in blocks):
            kept += bytes((kind,)) + flac[at + 1 : at + 4 + size]
        at += 4 + size
    kept += b"".join(bytes((kind,)) + len(content).to_bytes(3, "big") + content for kind, content in blocks)
    return flac[:4] + kept + bytes((0x81, 0, 0, 0)) + flac[at:]


def _albums() -> list[Shape]:
    def album(name: str, sheet: str, content: bytes, *, title: str = "Song", artist: str = "Mira Holt") -> Shape:
        seeds = [next(_seeds) for _ in range(3)]
        songs = [
            {"title": f"{title} {number}", "artists": [artist], "album": ALBUM, "release_date": "2021"}
            for number in (1, 2, 3)
        ]
        return Shape(
            name=name,
            make=lambda: encode("flac", "flac", np.concatenate([sound(seed) for seed in seeds], axis=1)),
            tracks=songs,
            beside={sheet: content},
        )

    def with_own_sheet(name: str, make: Callable[[bytes], bytes], *, titled: bool = True) -> Shape:
        """An album whose sheet is in its tags; `make` is given its sound as FLAC."""
        seeds = [next(_seeds) for _ in range(3)]
        titles = [f"Song {number}" if titled else f"Track {number}" for number in (1, 2, 3)]
        return Shape(
            name=name,
            make=lambda: make(encode("flac", "flac", np.concatenate([sound(seed) for seed in seeds], axis=1))),
            tracks=[
                {"title": title, "artists": ["Mira Holt"] if titled else ARTISTS, "album": ALBUM}
                for title in titles
            ],
        )

    def chained(*links: Callable[[], bytes]) -> Callable[[], bytes]:
        return lambda: b"".join(link() for link in links)

    opus: dict[str, Any] = {"rate": 48_000}
    first = one("ogg", "libopus", tags={"title": "First", "artist": "A"}, **opus)
    second = one("ogg", "libopus", tags={"title": "Second", "artist": "B"}, **opus)
    third = one("ogg", "libopus", tags={}, **opus)
    of_links = [{"title": "First", "artists": ["A"]}, {"title": "Second", "artists": ["B"]}]
    kino = {"title": "Группа крови", "performer": "Кино"}
    short = next(_seeds)
    single = b'PERFORMER "Mira Holt"\nFILE "one song.flac" WAVE\nTRACK 01 AUDIO\nTITLE "One"\nINDEX 01 00:00:00\n'
    return [
        album("album.flac", "album.cue", cue("album.flac")),
        album("bom.flac", "bom.cue", cue("bom.flac", encoding="utf-8-sig")),
        album("utf16.flac", "utf16.cue", cue("utf16.flac", encoding="utf-16")),
        album("kino.flac", "kino.cue", cue("kino.flac", encoding="cp1251", **kino), title="Группа крови", artist="Кино"),
        album("windows.flac", "rip.cue", cue("C:\\Rips\\WINDOWS.WAV")),
        album("by the sheet.flac", "by the sheet.cue", cue("CDImage.wav")),
        with_own_sheet("tag.flac", lambda flac: flac_with(flac, (4, vorbis_comments(cuesheet=cue("other.wav").decode(), album=ALBUM)))),
        with_own_sheet("no file.flac", lambda flac: flac_with(flac, (4, vorbis_comments(CueSheet=cue("x").decode().replace('FILE "x" WAVE\r\n', "")))),),
        with_own_sheet("block.flac", lambda flac: flac_with(flac, (5, cue_block())), titled=False),
        with_own_sheet("apev2.flac", lambda flac: flac + ape(Cuesheet=cue("album.wav").decode())),
        Shape(name="split.flac", make=lambda: flac_with(one("flac", "flac")(), (4, vorbis_comments(cuesheet=cue("album.wav").decode(), title=TITLE, artist=ARTIST, album=ALBUM))), tracks=[SONG]),
        Shape(name="one song.flac", make=one("flac", "flac", tags={}), tracks=[{"title": "One", "artists": ["Mira Holt"]}], beside={"one song.cue": single}),
        Shape(name="chain.ogg", make=chained(first, second), tracks=of_links),
        Shape(name="untitled chain.ogg", make=chained(one("ogg", "libopus", tags={"title": "First"}, **opus), third), tracks=[{"title": "First"}, {"title": "untitled chain"}]),
        Shape(name="short link.ogg", make=lambda: encode("ogg", "libopus", sound(short), rate=48_000) + encode("ogg", "libopus", sound(1, seconds=0.3), rate=48_000), tracks=[SONG], reason="song 2 holds 0.3 s of sound"),
    ]  # fmt: skip


def _left_out() -> list[Shape]:
    m4a = functools.partial(one("ipod", "aac"))
    no_sound = "not an audio or video file"
    return [
        Shape(name="bought.m4p", make=lambda: m4a().replace(b"mp4a", b"drms"), reason="protected against copying (DRM: iTunes)"),
        Shape(name="cenc.mp4", make=lambda: m4a().replace(b"mp4a", b"enca"), reason="protected against copying (DRM: common encryption)"),
        Shape(name="book.aax", make=lambda: m4a().replace(b"mp4a", b"aavd"), reason="protected against copying (DRM: Audible)"),
        Shape(name="book.aa", make=lambda: b"\0\1\2\3\x57\x90\x75\x36" + bytes(2_000), reason="protected against copying (DRM: Audible)"),
        Shape(name="bought.wma", make=asf_protected, reason="protected against copying (DRM: Windows Media)"),
        Shape(name="song.ncm", make=lambda: b"CTENFDAM" + bytes(2_000), reason="protected against copying (DRM: NetEase)"),
        Shape(name="empty.mp3", make=lambda: b"", reason="it is empty"),
        Shape(name="empty.flac", make=lambda: b"", reason="it is empty"),
        Shape(name="text.mp3", make=lambda: b"this is no music, it is text. " * 300, reason=no_sound),
        Shape(name="zeros.flac", make=lambda: bytes(100_000), reason=no_sound),
        Shape(name="picture.mp3", make=lambda: b"\x89PNG\r\n\x1a\n" + bytes(3_000), reason=no_sound),
        Shape(name="page.mp3", make=lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 20, reason=no_sound),
        Shape(name="only a tag.mp3", make=lambda: id3((b"TIT2", id3_text(b"x"))), reason=no_sound),
        Shape(name="silent.flac", make=lambda: encode("flac", "flac", SILENCE), reason="it is silent"),
        Shape(name="half a second.flac", make=lambda: encode("flac", "flac", sound(1, seconds=0.5)), reason="too little to recognize"),
        Shape(name="broken.xm", make=lambda: b"Extended Module: " + bytes(500), reason="tracker module"),
        Shape(name="go.mod", make=lambda: b"module example\n\ngo 1.22\n" * 80, reason=no_sound),
        Shape(name="notes.txt", make=lambda: b"milk", reason="its name does not end like an audio file's"),
    ]  # fmt: skip
