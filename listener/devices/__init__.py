"""The connections of devices: taken in, bounded, and what each sends and hears."""
