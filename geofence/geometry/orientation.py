"""The side of a line on which a point lies: the exact sign, whatever the rounding.

A floating-point determinant decides wherever its error bound allows (the bound is from J. R.
Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates",
1997); elsewhere it becomes a sum of doubles without any error, which is distilled until its
greatest term outweighs all others. That holds for coordinates that are 0 or from 1e-130 to 1e130 in
magnitude, and for arithmetic that neither fuses nor reorders: nothing here may have fastmath.
"""

from geofence.kernel.compiled import bare

_BOUND = 3.3306690738754716e-16  # (3 + 16 u) u, where u = 2^-53
_SPLITTER = 134217729.0  # 2^27 + 1: halves a double into two of 26 bits
_PASSES = 64  # a dozen terms are in order after a dozen


@bare
def orientation(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    """Return 1 where c lies to the left of the line from a to b, -1 to the right, 0 on it."""
    left = (ax - cx) * (by - cy)
    right = (ay - cy) * (bx - cx)
    difference = left - right
    bound = _BOUND * (abs(left) + abs(right))
    if difference > bound:
        return 1
    if difference < -bound:
        return -1
    return _exact_orientation(ax, ay, bx, by, cx, cy)


@bare
def _exact_orientation(ax: float, ay: float, bx: float, by: float, cx: float, cy: float) -> int:
    # (a - c) x (b - c), multiplied out; c x c is nothing.
    t6, t0 = _product(ax, by)
    t7, t1 = _product(-ay, bx)
    t8, t2 = _product(-ax, cy)
    t9, t3 = _product(ay, cx)
    t10, t4 = _product(-cx, by)
    t11, t5 = _product(cy, bx)
    for _ in range(_PASSES):
        t1, t0 = _sum(t0, t1)
        t2, t1 = _sum(t1, t2)
        t3, t2 = _sum(t2, t3)
        t4, t3 = _sum(t3, t4)
        t5, t4 = _sum(t4, t5)
        t6, t5 = _sum(t5, t6)
        t7, t6 = _sum(t6, t7)
        t8, t7 = _sum(t7, t8)
        t9, t8 = _sum(t8, t9)
        t10, t9 = _sum(t9, t10)
        t11, t10 = _sum(t10, t11)
        rest = abs(t0) + abs(t1) + abs(t2) + abs(t3) + abs(t4) + abs(t5)
        rest += abs(t6) + abs(t7) + abs(t8) + abs(t9) + abs(t10)
        if rest == 0.0 or abs(t11) > 1.001 * rest:
            break
    return 1 if t11 > 0.0 else -1 if t11 < 0.0 else 0


@bare
def _sum(a: float, b: float) -> tuple[float, float]:
    """Add a and b: return the rounded sum and what the rounding left out (Knuth)."""
    total = a + b
    turned = total - a
    return total, (a - (total - turned)) + (b - turned)


@bare
def _product(a: float, b: float) -> tuple[float, float]:
    """Multiply a and b: return the rounded product and what the rounding left out (Dekker)."""
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    rest = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, rest


@bare
def _halves(a: float) -> tuple[float, float]:
    shifted = _SPLITTER * a
    high = shifted - (shifted - a)
    return high, a - high
