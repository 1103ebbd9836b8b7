"""The migrations are one chain: two that were made side by side are noticed before they meet a database."""

import re

from server import migrations


def test_each_migration_follows_the_one_before() -> None:
    files = sorted(path for path in (migrations.sql_folder() / "versions").glob("*.py"))
    numbers = [path.name[:4] for path in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    told = [
        re.findall(r'^(?:down_)?revision = "?(\w+)"?$', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for path in files
    ]
    assert told == [[number, before] for number, before in zip(numbers, ["None", *numbers], strict=False)]
    assert list(migrations.revisions()) == numbers
