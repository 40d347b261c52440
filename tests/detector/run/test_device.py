from __future__ import annotations

import logging

import pytest
import torch

import detector.run.device as module
from detector.optimization import use_bfloat16
from detector.run.device import has_bfloat16, warn_of_slow_bfloat16
from tests.detector.films import tiny_training

CPU, GPU = torch.device("cpu"), torch.device("cuda")
WITHOUT = "flags\t\t: fpu sse2 avx avx2 fma avx512f avx512vl\nbugs\t\t: none\n"
WITH = (
    "flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile\n",
    "flags\t\t: fpu amx_bf16 amx_tile\n",
)


@pytest.fixture
def cpu_info(tmp_path, monkeypatch):
    """Gives a function that writes what the system says of its CPU."""
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(module, "CPU_INFO", file)
    return file.write_text


@pytest.mark.parametrize("flags", WITH)
def test_bfloat16_is_chosen_where_the_cpu_has_instructions_for_it(flags, cpu_info, caplog):
    cpu_info(flags)
    assert has_bfloat16(CPU)
    assert use_bfloat16(tiny_training(precision="auto"), CPU)
    assert not use_bfloat16(tiny_training(precision="float32"), CPU)
    warn_of_slow_bfloat16(CPU)
    assert not caplog.records


def test_without_instructions_only_who_asks_gets_bfloat16_and_is_told(cpu_info, caplog):
    cpu_info(WITHOUT)
    assert not has_bfloat16(CPU)
    assert not use_bfloat16(tiny_training(precision="auto"), CPU)
    assert use_bfloat16(tiny_training(precision="bfloat16"), CPU)
    with caplog.at_level(logging.WARNING):
        warn_of_slow_bfloat16(CPU)
    assert "float32 is much faster" in caplog.text


def test_a_gpu_has_bfloat16_and_an_unknown_system_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "nowhere")
    assert has_bfloat16(GPU)
    assert not has_bfloat16(CPU)
