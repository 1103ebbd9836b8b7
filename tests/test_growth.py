"""Whatever grows in memory while a server runs has a bound, and docs/threat-model.md says which."""

import re
from collections.abc import Generator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
CONTAINER: Final = re.compile(
    r"^\s+self\.(_?\w+)(?:: [^=\n]+)? = "
    r"(?:\{\}|\[\]|dict\(\)|set\(\)|list\(\)|(?:collections\.)?(?:defaultdict|OrderedDict|Counter)\(.*|deque\(\))$",
    re.MULTILINE,
)
"""Containers without a bound of their own; caches of `cachetools` and `deque(maxlen=...)` have one."""

SHORT_LIVED: Final = (
    # One request, one job, or one command each.
    "fingerprint/catalog/cover_reader.py",
    "fingerprint/catalog/covers.py",
    "fingerprint/catalog/file_reader.py",
    "fingerprint/catalog/fingerprint.py",
    "fingerprint/catalog/ingest.py",
    "fingerprint/catalog/library.py",
    "fingerprint/catalog/listings.py",
    "fingerprint/catalog/rivals.py",
    "fingerprint/catalog/search.py",
    "fingerprint/catalog/song_reader.py",
    "fingerprint/catalog/writer.py",
    "fingerprint/hls/",
    "fingerprint/media/clip_body.py",
    "fingerprint/media/fragment_filter.py",
    "fingerprint/media/partial_response.py",
    "fingerprint/media/segments.py",
    "fingerprint/media/whole.py",
    "fingerprint/retry.py",
    "fingerprint/worker_process.py",
    "server/api/songs.py",
    "server/backups/",
    "server/cli/",
)


def growing() -> Generator[str]:
    """What may grow: the file and the attribute, as the table has them."""
    for folder in ("server", "fingerprint"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            name = str(file.relative_to(ROOT))
            if not name.startswith(SHORT_LIVED):
                for found in CONTAINER.finditer(file.read_text(encoding="utf-8")):
                    yield f"{name} {found[1].lstrip('_')}"


def test_each_container_of_a_server_has_its_bound_in_the_threat_model() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    listed = {
        f"{file} {name}"
        for file, names in re.findall(r"^\| `((?:server|fingerprint)/[\w/]+\.py)`: ([^|]+) \|", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    found = set(growing())
    assert len(found) > 40, "the pattern still finds them"
    assert found - listed == set(), "these grow, and the table does not say how far"
    assert listed - found == set(), "these rows are of something that is gone"


def test_the_pattern_finds_what_has_no_bound_and_passes_over_what_has_one() -> None:
    text = """
        self._a: dict[str, int] = {}
        self.b = set()
        self._c: deque[int] = deque()
        self._d: Counter[str] = Counter()
        self._e: deque[int] = deque(maxlen=5)
        self._f: LRUCache[str, int] = LRUCache(10)
        self._g = 5
    """
    assert [found[1] for found in CONTAINER.finditer(text)] == ["_a", "b", "_c", "_d"]
