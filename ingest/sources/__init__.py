"""Sources of messages: the link of the listeners, the inbox, an external broker."""
