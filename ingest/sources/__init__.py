"""Where messages come from: the link of the listeners, the inbox, an external broker."""
