"""`codestream_size`: the size that a compressed image states itself, read without decoding it.

A decoder reserves memory by this size, not by Rows and Columns of the DICOM header: 5 kB of
JPEG 2000 can ask for gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

JPEG_START = b"\xff\xd8"
J2K_START = b"\xff\x4f\xff\x51"  # SOC and SIZ, ISO/IEC 15444-1 A.4 and A.5
JP2_START = b"\x00\x00\x00\x0cjP  "  # a file format around the codestream, ISO/IEC 15444-1 I.5
# Start of frame of JPEG (ISO/IEC 10918-1 B.2.2) but for DHT, JPG and DAC, and of JPEG-LS.
FRAME_STARTS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class CodestreamSize:
    """Width and height in pixels, and samples of a pixel."""

    width: int
    height: int
    samples: int


def codestream_size(data: bytes) -> CodestreamSize | None:
    """The size in the header of a JPEG, JPEG-LS or JPEG 2000 codestream; None where there is none.

    High-throughput JPEG 2000 has the same header.
    """
    if data.startswith(JP2_START):
        data = _jp2_codestream(data)
    if data.startswith(J2K_START):
        return _j2k_size(data)
    return _jpeg_size(data) if data.startswith(JPEG_START) else None


def _j2k_size(data: bytes) -> CodestreamSize | None:
    if len(data) < 42:
        return None
    right, bottom, left, top = (int.from_bytes(data[k : k + 4]) for k in (8, 12, 16, 20))
    return CodestreamSize(right - left, bottom - top, int.from_bytes(data[40:42]))


def _jp2_codestream(data: bytes) -> bytes:
    """The contents of the first box `jp2c`."""
    start = 0
    while start + 8 <= len(data):
        length, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[start + 8 : start + 16]), 16
        if kind == b"jp2c":
            return data[start + header :]
        if length < header:  # 0: the last box
            break
        start += length
    return b""


def _jpeg_size(data: bytes) -> CodestreamSize | None:
    start = 2
    while start + 10 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker in FRAME_STARTS:
            height, width = (int.from_bytes(data[start + k : start + k + 2]) for k in (5, 7))
            return CodestreamSize(width, height, data[start + 9])
        if marker == 0xFF:  # a fill byte
            start += 1
        elif marker in WITHOUT_LENGTH:
            start += 2
        else:
            start += 2 + int.from_bytes(data[start + 2 : start + 4])
    return None
