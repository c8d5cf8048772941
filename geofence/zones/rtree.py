"""A packed R-tree of boxes that compiled code walks.

Boxes are sorted into tiles (sort-tile-recursive: Leutenegger, Lopez and Edgington, 1997) and every
`FANOUT` neighbours have a parent, whose box holds theirs; parents have parents until few are left.
A tree never changes. Node k of a level is the parent of nodes FANOUT * k and following of the level
below, so there are no pointers; a level is filled up with boxes that nothing meets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.kernel.compiled import bare

FANOUT = 8
STACK = 16 * FANOUT  # nodes that may wait during a search: FANOUT for each level

_LEVEL_BITS = 4
_LEVEL_MASK = (1 << _LEVEL_BITS) - 1


class Tree(NamedTuple):
    """box: (nodes, 4), float64: west, south, east, north; the level of the items first.

    level: (levels + 1,), int64: where each level begins in `box`, and where the last one ends.
    item: (items,), int64: the number of each box of the first level, as given to `pack`.
    """

    box: NDArray[np.float64]
    level: NDArray[np.int64]
    item: NDArray[np.int64]


def pack(box: NDArray[np.float64], item: NDArray[np.int64]) -> Tree:
    """Return the tree of n boxes, (n, 4): west, south, east, north; item: the number
    of each, (n,).
    """
    order = _tiled(box)
    levels = [_filled(box[order])]
    while len(levels[-1]) > FANOUT:
        children = levels[-1].reshape(-1, FANOUT, 4)
        least, greatest = children[:, :, :2].min(axis=1), children[:, :, 2:].max(axis=1)
        levels.append(_filled(np.concatenate((least, greatest), axis=1)))
    starts = np.cumsum([0, *(len(level) for level in levels)])
    return Tree(np.concatenate(levels), starts.astype(np.int64), item[order].astype(np.int64))


def _tiled(box: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of the boxes: strips from west to east, within a strip from
    south to north.
    """
    by_x = np.argsort(box[:, 0] + box[:, 2], kind="stable")
    strip_size = FANOUT * max(1, int(np.ceil(np.sqrt(len(box) / FANOUT))))
    strip = np.empty(len(box), np.int64)
    strip[by_x] = np.arange(len(box)) // strip_size
    return np.lexsort((box[:, 1] + box[:, 3], strip))


def _filled(box: NDArray[np.float64]) -> NDArray[np.float64]:
    nothing = np.array([[np.inf, np.inf, -np.inf, -np.inf]])
    return np.concatenate((box, np.repeat(nothing, -len(box) % FANOUT, axis=0)))


@bare
def search(
    tree: Tree,
    west: float,
    south: float,
    east: float,
    north: float,
    stack: NDArray[np.int64],
    hits: NDArray[np.int64],
    count: int,
) -> int:
    """Write the items whose boxes meet the given one to `hits` from `count` on.

    Returns how many there are then; -1 where `hits` is too short. stack: scratch, (STACK,).
    """
    level = len(tree.level) - 2
    first, last = tree.level[level], tree.level[level + 1]
    waiting = 0
    while True:
        for node in range(first, last):
            meets = (  # put so that a NaN meets nothing, not even what fills a level up
                tree.box[node, 0] <= east
                and tree.box[node, 2] >= west
                and tree.box[node, 1] <= north
                and tree.box[node, 3] >= south
            )
            if not meets:
                continue
            if level > 0:
                stack[waiting] = (node << _LEVEL_BITS) | level
                waiting += 1
            elif count == len(hits):
                return -1
            else:
                hits[count] = tree.item[node]
                count += 1
        if waiting == 0:
            return count
        waiting -= 1
        level = (stack[waiting] & _LEVEL_MASK) - 1
        parent = (stack[waiting] >> _LEVEL_BITS) - tree.level[level + 1]
        first = tree.level[level] + parent * FANOUT
        last = first + FANOUT
