"""What benchmarks share: interleaved runs, one line of JSON at the end, a PostgreSQL to measure."""
