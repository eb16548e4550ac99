"""Kernels for GPUs: which form a loop program takes there, its grid, and its source."""
