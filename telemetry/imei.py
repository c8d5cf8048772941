"""IMEIs, the numbers of mobile devices: 15 digits, the last of which checks the others (Luhn).

Source: 3GPP TS 23.003, annex B.
"""

_DIGITS = 15


def is_imei(text: str) -> bool:
    """Return whether a text is an IMEI."""
    if len(text) != _DIGITS or not (text.isascii() and text.isdigit()):
        return False
    doubled = (2 * int(digit) for digit in text[1::2])
    return (sum(map(int, text[::2])) + sum(n // 10 + n % 10 for n in doubled)) % 10 == 0
