"""Load, killings and the comparison afterwards: what "billed exactly once" and "never over-admits" are held to."""
