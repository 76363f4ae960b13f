"""What measures: clocks, counters, memory, kernels, telemetry."""
