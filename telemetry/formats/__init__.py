"""The formats of fixes, one file each, and their table (`decode.DECODERS`)."""
