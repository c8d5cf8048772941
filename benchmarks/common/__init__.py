"""What several benchmarks share: the machine, workloads, rows, servers to measure."""
