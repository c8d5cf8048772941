"""The verdict on a punch, and the time that counts for pay."""
