"""What the op is built from, for Bazel and for setup.py, which is why it is Python too.

Paths are relative to the root of the repository.
"""

# The ops and the CPU functors.
SOURCES = [
    "custom_ops/correlation.cc",
    "custom_ops/cpu/functors.cc",
    "custom_ops/cpu/instruction_set.cc",
    "custom_ops/cpu/scratch.cc",
    "custom_ops/inverted_residual.cc",
    "custom_ops/kernels.cc",
    "custom_ops/ops.cc",
    "custom_ops/recurrence.cc",
]

HEADERS = [
    "custom_ops/axis.h",
    "custom_ops/cpu/instruction_set.h",
    "custom_ops/cpu/scratch.h",
    "custom_ops/cpu/simd.h",
    "custom_ops/cpu/work.h",
    "custom_ops/glimpse.h",
    "custom_ops/tensors.h",
    "custom_ops/types.h",
]

FLAGS = [
    "-O3",
    "-DNDEBUG",
    "-std=c++17",
]

# Without errno and traps, rounding is an instruction and not a call.
HOST_FLAGS = [
    "-fno-math-errno",
    "-fno-trapping-math",
]

# The CPU's arithmetic, compiled once for each instruction set.
SIMD_SOURCE = "custom_ops/cpu/simd.cc"

SIMD_HEADERS = [
    "custom_ops/cpu/banded.h",
    "custom_ops/cpu/correlation.h",
    "custom_ops/cpu/filters.h",
    "custom_ops/cpu/inverted_residual.h",
    "custom_ops/cpu/product.h",
    "custom_ops/cpu/recurrence.h",
    "custom_ops/cpu/vector.h",
]

# These come last, so that an object has the instructions of its set alone
# whatever further flags say of the processor. Machines other than x86-64 have
# only the first, without its flags.
SIMD_FLAGS = {
    "generic": [
        "-march=x86-64",
        "-mno-avx",
    ],
    "avx2": [
        "-march=x86-64",
        "-mno-avx512f",
        "-mavx2",
        "-mf16c",
        "-mfma",
    ],
    "avx512": [
        "-march=x86-64",
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mf16c",
        "-mfma",
        "-mprefer-vector-width=512",
    ],
}

# The CUDA kernels, which know nothing of TensorFlow, and the functors that
# launch them.
CUDA_KERNELS = "custom_ops/cuda/launch.cu"

CUDA_KERNEL_HEADERS = [
    "custom_ops/axis.h",
    "custom_ops/cuda/blocks.h",
    "custom_ops/cuda/filters.h",
    "custom_ops/cuda/grad_images.h",
    "custom_ops/cuda/launch.h",
    "custom_ops/cuda/lines.h",
    "custom_ops/cuda/projection.h",
    "custom_ops/cuda/tiles.h",
    "custom_ops/cuda/works.h",
    "custom_ops/glimpse.h",
    "custom_ops/types.h",
]

CUDA_SOURCES = ["custom_ops/cuda/functors.cc"]

# The GPUs that kernels are built for, by compute capability. GPUs yet to come
# have their drivers compile the last.
CUDA_ARCHITECTURES = [
    "75",
    "80",
    "90",
]

def cuda_architecture_flags(architectures):
    """The flags of nvcc that build for some GPUs, and for GPUs yet to come."""
    flags = [
        "-gencode=arch=compute_%s,code=sm_%s" % (each, each)
        for each in architectures[:-1]
    ]
    last = architectures[-1]
    return flags + [
        "-gencode=arch=compute_%s,code=[sm_%s,compute_%s]" % (last, last, last),
    ]
