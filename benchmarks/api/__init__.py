"""The API's hot operations beside a bare route."""
