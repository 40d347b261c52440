"""Torch imported without its kernels for `meta`, and those kernels imported later."""

from __future__ import annotations

import subprocess
import sys

WORK = """
import sys
from detector.run.quick_torch import import_meta_kernels, import_torch
import_torch()
print("torch._decomp" in sys.modules, "torch._meta_registrations" in sys.modules)
import torch
network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()).eval()
film = torch.rand(1, 1, 8, 8)
expected = network(film)
import_meta_kernels()
exported = torch.export.export(network, (film,)).module()
print(torch.equal(exported(film), expected))
print(tuple(network.to("meta")(film.to("meta")).shape))
import_torch()
print("torch._meta_registrations" in sys.modules)
"""


def test_a_network_runs_without_the_kernels_and_is_exported_with_them():
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["False False", "True", "(1, 2, 6, 6)", "True"]


EAGER = """
import sys
from detector.run.quick_torch import META_KERNELS, import_torch
class Finder:  # a torch whose import asks for a kernel
    def find_spec(self, name, path=None, target=None):
        if name == "torch.distributed._meta_registrations" and not self.asked:
            self.asked.append(name)
            from torch._meta_registrations import pooling_output_shape
            print(pooling_output_shape.__module__)
finder = Finder()
finder.asked = []
sys.meta_path.insert(0, finder)
import_torch()
import torch
print(META_KERNELS in sys.modules, torch.ones(2).sum().item())
"""


def test_a_torch_that_needs_a_kernel_in_its_own_import_gets_it():
    done = subprocess.run(
        [sys.executable, "-c", EAGER], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["torch._meta_registrations", "True 2.0"], done.stderr


def test_torch_that_was_imported_stays_as_it_is():
    import torch._meta_registrations as kernels

    from detector.run.quick_torch import META_KERNELS, import_torch

    import_torch()
    assert sys.modules[META_KERNELS] is kernels
