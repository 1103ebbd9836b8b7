import sys
import tracemalloc
from pathlib import Path

import pytest

from fingerprint.catalog.tracker_modules import ModuleError, is_module, render_module
from tests.odd_shapes import module


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (module(1), True),
        (b"Extended Module: x", True),
        (b"IMPM" + bytes(100), True),
        (bytes(44) + b"SCRM", True),
        (bytes(1080) + b"6CHN", True),
        (bytes(1080) + b"16CH", True),
        (bytes(2000), False),
        (b"module example\n" * 100, False),
        (b"", False),
    ],
)
def test_modules_are_told_by_their_content(tmp_path: Path, content: bytes, *, expected: bool) -> None:
    path = tmp_path / "x.mod"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert is_module(file) == expected


async def test_without_ffmpeg_a_module_is_left_out_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.mod"
    path.write_bytes(module(1))
    with (
        path.open("rb") as file,
        pytest.raises(ModuleError, match="where FFmpeg with libopenmpt is installed") as no,
    ):
        await render_module(file, program="no-such-program")
    assert no.value.by_choice


async def test_a_renderer_that_never_stops_complaining_fills_no_memory(tmp_path: Path) -> None:
    path, program = tmp_path / "x.mod", tmp_path / "renderer"
    path.write_bytes(module(1))
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfor _ in range(32):\n    sys.stderr.write('no ' * 350_000)\n"
    )
    program.chmod(0o700)
    tracemalloc.start()
    try:
        with path.open("rb") as file, pytest.raises(ModuleError):
            await render_module(file, program=str(program))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20, "it says 32 MB"
