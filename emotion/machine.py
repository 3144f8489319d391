"""Names the machine a number was measured on, and counts what it offers."""

import os
import platform
from pathlib import Path

_SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def machine() -> str:
    """Describe this CPU: its name, cores, and the instruction sets that decide int8's speed."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in info.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", "").split()
    sets = [name for name in _SETS if name in flags]
    cores = info.count("processor\t")
    name = fields.get("model name", platform.machine())
    family = f" family {fields['cpu family']}" if "cpu family" in fields else ""
    return f"{name}{family}, {cores} cores, {' '.join(sets) or 'no AVX2'}"


def usable_cores() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
