"""The CUDA target: kernels compiled for a GPU, and programs run on one."""
