"""The common parts of several benchmarks: the machine, workloads, rows, servers to measure."""
