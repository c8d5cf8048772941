"""The content of answers: compressed as the caller likes, and made once where it is fixed."""
