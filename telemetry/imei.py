"""IMEIs, the numbers of mobile devices: 15 digits, the last of which checks the others (Luhn).

Source: 3GPP TS 23.003, annex B. Makers of cheap boxes count on in the last digit, too.
"""

_DIGITS = 15


def has_wrong_check_digit(number: str) -> bool:
    """Return whether the last of 15 digits does not check the others. number: digits; others than
    15 have none that checks.
    """
    if len(number) != _DIGITS:
        return False
    doubled = (2 * int(digit) for digit in number[1::2])
    return (sum(map(int, number[::2])) + sum(n // 10 + n % 10 for n in doubled)) % 10 != 0
