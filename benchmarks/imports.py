"""What `import funcgd` costs beside `import jax`: new processes, interleaved."""

import subprocess
import sys

from harness import compare


def importing(module: str):
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def main() -> None:
    runs = {name: importing(name) for name in ("jax, jax.numpy", "funcgd", "optax")}
    compare("a new process with one import", runs, repeats=7, warm_up=1)


if __name__ == "__main__":
    main()
