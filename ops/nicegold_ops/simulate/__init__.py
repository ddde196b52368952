"""The world outside, made of seeds: what a simulation puts in the place of disks, clocks and networks."""
