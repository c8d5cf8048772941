"""How much may be asked: requests of an organization, sign-ins, geometries, memory."""
