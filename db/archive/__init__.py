"""The archive of fixes as the database knows it: which days are there, and how they get there."""
