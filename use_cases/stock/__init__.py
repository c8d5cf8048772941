"""Stock: moved, and planned, reserved and used for work orders."""
