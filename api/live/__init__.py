"""The live side of the API: connections on which we send."""
