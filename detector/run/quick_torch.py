"""`import_torch`: torch without its kernels for tensors of device `meta`, a third of its import.

`torch._meta_registrations` brings torch's decompositions with it. Compiling and exporting need
them, which a prediction by PyTorch does not do.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

META_KERNELS = "torch._meta_registrations"


def import_torch() -> None:
    """Import torch without these kernels; nothing happens where it was imported before.

    Call `import_meta_kernels` before anything is compiled, exported or computed on `meta`.
    """
    if "torch" in sys.modules:
        return
    later = ModuleType(META_KERNELS)
    vars(later)["__getattr__"] = _kernel
    sys.modules[META_KERNELS] = later
    try:
        import torch  # noqa: F401 - imported for what it leaves in `sys.modules`
    finally:
        if sys.modules.get(META_KERNELS) is later:
            del sys.modules[META_KERNELS]


def _kernel(name: str) -> Any:  # Any: whatever a torch asks for that needs them in its import
    """The function `name` of the kernels, which are imported for it."""
    if name.startswith("__"):  # of modules; `inspect` looks at all of them
        raise AttributeError(name)
    sys.modules.pop(META_KERNELS, None)
    return getattr(importlib.import_module(META_KERNELS), name)


def import_meta_kernels() -> None:
    """Import what `import_torch` left out."""
    importlib.import_module(META_KERNELS)
