"""The archive: days of fixes as Parquet in a folder or a bucket."""
