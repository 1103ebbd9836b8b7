"""What is added often is written in few places: a song's field, an id at another service, a problem code.

CONTRIBUTING.md shows each as a worked example. When one of these fails, something names a field or a code that
could take it from its definition instead.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PRODUCT: Final = ("fingerprint", "server", "simulator", "extension", "sql", "deploy")


def files_that_name(pattern: str) -> set[str]:
    """The product's files in which a pattern is found."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *PRODUCT],
        capture_output=True,
        text=True,
        check=True,
    )
    compiled = re.compile(pattern)
    return {
        name
        for name in listed.stdout.splitlines()
        if (path := ROOT / name).is_file() and compiled.search(path.read_text("utf-8", errors="replace"))
    }


def test_a_songs_field_is_named_where_it_is_defined_and_where_it_is_found_out() -> None:
    found = files_that_name("release_date")
    sources = {name for name in found if name.startswith("fingerprint/recognizers/")}
    assert found - sources == {
        "fingerprint/domain/identification.py",
        "fingerprint/catalog/tags.py",
        # Of several releases, the first one is named.
        "fingerprint/catalog/rivals.py",
        "server/web/song_pages.py",
        "server/web/templates/_receiver.html",
    }
    assert len(found) <= 8


def test_an_id_at_another_service_is_named_where_it_is_defined_and_where_it_is_found_out() -> None:
    found = files_that_name("apple_music")
    sources = {name for name in found if name.startswith("fingerprint/recognizers/")}
    assert found - sources == {
        "fingerprint/domain/identification.py",
        "fingerprint/domain/links.py",
        "extension/lib/answer.js",
    }


def test_a_problem_code_is_named_where_it_is_defined_and_where_it_is_raised() -> None:
    # Beside these two a new code is a row of docs/api.md and one of tests/test_surface.py.
    assert files_that_name("CLIPS_DISABLED|clips-disabled") == {
        "fingerprint/domain/problems.py",
        "server/access/rules/policy.py",
    }
