"""From graph to graph, and from graph to program: differentiate, rewrite, fuse, schedule, plan, print kernels."""
