"""Which parts of NumPy a worker process does without, because this machine's processor is slow at them."""

import re
from pathlib import Path
from typing import Final

_PROCESSORS: Final = Path("/proc/cpuinfo")

_AVX512: Final = (
    "X86_V4",
    "AVX512F",
    "AVX512CD",
    "AVX512_SKX",
    "AVX512_CLX",
    "AVX512_CNL",
    "AVX512_ICL",
    "AVX512_SPR",
)
"""The names of AVX-512 in NumPy's versions. It takes those that it does not know for nothing."""

_ZEN_4: Final = "25"
"""The processor family of AMD's Zen 3 and 4; Zen 3 has no AVX-512."""


def numpy_environment(processors: Path = _PROCESSORS) -> dict[str, str]:
    """The environment variable, if any, with which NumPy sorts faster on this machine. `processors`: Linux's list.

    NumPy sorts with AVX-512 where there is any. Zen 4 writes the chosen elements of a register to memory
    (vpcompressd) so slowly that it takes six times as long as with AVX2: see
    https://github.com/numpy/x86-simd-sort/issues/6.
    """
    try:
        text = processors.read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    facts = dict(re.findall(r"^(vendor_id|cpu family)\s*:\s*(\S+)$", text, re.MULTILINE))
    if (facts.get("vendor_id"), facts.get("cpu family")) != ("AuthenticAMD", _ZEN_4):
        return {}
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(_AVX512)} if re.search(r"\bavx512f\b", text) else {}


HERE: Final = numpy_environment()
"""Of this machine; read when this module is loaded, before any event loop runs."""
