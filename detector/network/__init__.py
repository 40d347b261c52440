"""The network: backbone, RetinaNet, its weights, and engines that run it."""
