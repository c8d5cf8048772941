"""The ellipsoid, by a library that the engine does not use for it."""

from pyproj import Geod

WGS84 = Geod(ellps="WGS84")
