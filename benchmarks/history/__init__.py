"""History of two months at size: first pages, zones made later, files, the archive."""
