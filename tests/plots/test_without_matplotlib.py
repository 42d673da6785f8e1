"""Without matplotlib the package works, and its pictures name what is missing."""

import subprocess
import sys


def test_the_error_names_the_extra():
    script = """
import sys
sys.modules["matplotlib"] = None
import funcgd
try:
    from funcgd import plots
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout == 'funcgd.plots needs matplotlib: pip install "funcgd[plot]".\n'
