"""The pictures: data in, matplotlib Figure out, a file for each."""
