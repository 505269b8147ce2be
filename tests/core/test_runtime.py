"""What a command sets for its process, looked at in a process of its own."""

import subprocess
import sys

import pytest


def output_of(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_python_looks_for_garbage_seldom_and_its_other_thresholds_stay() -> None:
    said = output_of(
        "import gc; before = gc.get_threshold()\n"
        "from tomosoup.core.runtime import look_for_garbage_less\n"
        "look_for_garbage_less(); after = gc.get_threshold()\n"
        "print(after[0] > 10 * before[0], after[1:] == before[1:], gc.isenabled())"
    )
    assert said == "True True True"


def test_objects_that_only_hold_each_other_are_not_looked_for_at_the_end() -> None:
    said = output_of(
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"  # the last that is registered runs first
        "from tomosoup.core.runtime import look_for_garbage_less\n"
        "look_for_garbage_less()"
    )
    assert said == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_large_block_that_is_freed_stays_with_the_process() -> None:
    code = (
        "import re\n"
        "from pathlib import Path\n"
        "from tomosoup.core.runtime import keep_freed_memory\n"
        "import ctypes\n"
        "KEEP\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = "
        "ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]\n"
        "size = 48 * 2**20\n"
        "block = libc.malloc(size); ctypes.memset(block, 1, size); libc.free(block)\n"
        "print(int(re.search(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    kept, given_back = (int(output_of(code.replace("KEEP", word))) for word in ("keep_freed_memory()", "pass"))
    assert kept - given_back > 40  # of the 48 MiB


def test_a_worker_that_preloads_the_module_leaves_ctrl_c_to_the_command() -> None:
    said = output_of(
        "import os, signal\n"
        "from tomosoup.core.runtime import dask_setup\n"
        "dask_setup(None); os.kill(os.getpid(), signal.SIGINT); print('still here')"
    )
    assert said == "still here"


def test_the_module_is_imported_without_torch() -> None:
    assert output_of("import sys; import tomosoup.core.runtime; print('torch' in sys.modules)") == "False"
