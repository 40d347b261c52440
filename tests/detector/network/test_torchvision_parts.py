from __future__ import annotations

import subprocess
import sys

import torch
import torchvision

from detector.network import torchvision_parts


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_torchvision_comes_without_the_compiler_and_asks_it_when_it_must():
    answer = run(
        "import sys\n"
        "from detector.network import torchvision_parts\n"
        "before = 'torch._dynamo' in sys.modules or 'torch._dynamo.utils' in sys.modules\n"
        "from torchvision.ops import roi_align\n"
        "ours = sys.modules['torchvision.ops.roi_align'].is_compile_supported('cpu')\n"
        "from torch._dynamo.utils import is_compile_supported\n"
        "print(before, ours == is_compile_supported('cpu'))"
    )
    assert answer == "False True"


def test_another_name_of_the_compiler_is_the_real_one():
    # What a later torchvision may import.
    answer = run(
        "import sys\n"
        "from detector.network.torchvision_parts import _compiler_later\n"
        "with _compiler_later():\n"
        "    from torch._dynamo.utils import counters\n"
        "import torch._dynamo.utils\n"
        "print(counters is torch._dynamo.utils.counters)"
    )
    assert answer == "True"


def test_the_parts_are_those_of_torchvision():
    assert torchvision_parts.RetinaNet is torchvision.models.detection.RetinaNet
    assert torchvision_parts.nms is torchvision.ops.nms
    boxes = torch.tensor([[0.0, 0, 8, 8]])
    film = torch.arange(256.0).reshape(1, 1, 16, 16)
    assert torch.equal(
        torchvision_parts.roi_align(film, [boxes], 2), torchvision.ops.roi_align(film, [boxes], 2)
    )
