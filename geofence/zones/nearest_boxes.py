"""Distances from a place to boxes, so that a few zones near the place can be looked at closely.

A box is west, south, east, north in degrees. Its east is not below its west, and both may run on
over the 180th meridian in any whole number of turns.
"""

import numpy as np
from numpy.typing import NDArray

_DEGREE_M = 111_195.0  # of latitude, on a sphere


def box_distances_m(boxes: NDArray[np.float64], lon: float, lat: float) -> NDArray[np.float64]:
    """Return roughly how far a place is from each box in metres, 0 inside; (m, 4) -> (m,).

    Right to a percent in the neighbourhood, and good enough far away to tell near boxes from far
    ones.
    """
    west, south, east, north = boxes.T
    closest_lat = np.clip(lat, south, north)
    beyond_east = (lon - west) % 360 - (east - west)
    beyond_west = (west - lon) % 360
    east_deg = np.maximum(np.minimum(beyond_east, beyond_west), 0.0)
    width = np.cos(np.radians(np.maximum(np.abs(closest_lat), abs(lat))))
    return np.hypot(closest_lat - lat, east_deg * width) * _DEGREE_M
