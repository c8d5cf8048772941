"""Reports: what assets and employees did, by day, and where they were for how long."""
