"""The two CRCs of boxes: 16 bits, reflected, by a table for bytes."""

from collections.abc import Sequence


def _table(polynomial: int) -> Sequence[int]:
    table: list[int] = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return table


def _crc(data: bytes, crc: int, table: Sequence[int]) -> int:
    for byte in data:
        crc = crc >> 8 ^ table[crc & 0xFF ^ byte]
    return crc


_ARC, _X_25 = _table(0xA001), _table(0x8408)


def crc_16(data: bytes) -> int:
    """Return the CRC-16/ARC of bytes: polynomial 0xA001, from 0."""
    return _crc(data, 0, _ARC)


def crc_itu(data: bytes) -> int:
    """Return the CRC-16/X-25 of bytes: polynomial 0x8408, from 0xFFFF, inverted."""
    return _crc(data, 0xFFFF, _X_25) ^ 0xFFFF
