"""Builds the fused op for the TensorFlow that is installed.

ratm-tf build

Needs a C++ compiler. Without the op the package uses plain TensorFlow, which is slower.
What is compiled already is taken from ~/.cache/ratm_tf. Environment variables:
  CXX, CXXFLAGS: the compiler, g++ unless given, and further flags.
  RATM_TF_CUDA=1: builds the CUDA kernels too, by NVCC, or CUDA_HOME's or PATH's nvcc.
  RATM_TF_CUDA_ARCHITECTURES: the GPUs to build them for, such as 75,80,90.
"""


def main(_):
    """Says what it compiles, and at the end what there is."""
    from ratm_tf import build

    version = build.build(log=lambda line: print(line, flush=True))
    print(f"Built {build.LIBRARY} for TensorFlow {version}")
