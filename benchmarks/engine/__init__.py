"""The geofence engine alone, beside other ways of asking, and its rule for coarse fixes."""
