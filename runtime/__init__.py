"""What runs: the compiler of kernels, their cache, programs, training, checkpoints, pictures, the command line."""
