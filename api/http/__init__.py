"""HTTP as this API speaks it: the server's bounds, encoding, errors, headers, fields of bodies."""
