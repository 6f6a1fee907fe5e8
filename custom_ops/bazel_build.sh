#!/usr/bin/env bash
# Builds BUILD's targets with Bazel against the TensorFlow of a Python, without network.
#
#   custom_ops/bazel_build.sh [FOLDER] [TARGET...]
#
# FOLDER (build/bazel) receives a workspace and its outputs, in
# FOLDER/bazel-bin/external/ratm_tf. The targets are, unless given, the op library for
# Python and the library for a model server.
#
# Environment: PYTHON (python3), whose TensorFlow is built against; BAZEL (bazel).
#
# The workspace uses this one as a model server's would. What is TensorFlow there stands
# here for the headers and shared libraries of the TensorFlow wheel.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/build/bazel}"
folder=$(cd "${1:-$root/build/bazel}" && pwd)
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  targets=(
    @ratm_tf//:ratm_tf/attention/_gaussian_glimpse_ops.so
    @ratm_tf//:gaussian_glimpse_ops_lib
  )
fi
tensorflow=$("${PYTHON:-python3}" -c '
import importlib.util
print(*importlib.util.find_spec("tensorflow").submodule_search_locations)')

cd "$folder"
mkdir -p repositories/{rules_cc/cc,rules_java/java,local_config_tf,org_tensorflow/tensorflow/{core,cc/saved_model}}
ln -sfn "$root" repositories/ratm_tf
touch repositories/{rules_cc,rules_java,local_config_tf,org_tensorflow}/WORKSPACE
cat > WORKSPACE << 'END'
[
    local_repository(
        name = name,
        path = "repositories/" + name,
    )
    for name in [
        "local_config_tf",
        "org_tensorflow",
        "ratm_tf",
        "rules_cc",
        "rules_java",
    ]
]
END

# Bazel's own rules, for BUILD and for Bazel's toolchains.
natives() {
  touch "repositories/rules_$1/$1/BUILD"
  for rule in "${@:2}"; do
    echo "$rule = native.$rule"
  done > "repositories/rules_$1/$1/defs.bzl"
}
natives cc cc_binary cc_library cc_toolchain cc_toolchain_suite objc_library
natives java java_binary java_import java_runtime java_toolchain

ln -sfn "$tensorflow/include" repositories/local_config_tf/include
ln -sf "$tensorflow"/libtensorflow_{cc,framework}.so.2 repositories/local_config_tf
cat > repositories/local_config_tf/BUILD << 'END'
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "tf_header_lib",
    hdrs = glob(["include/**"]),
    # As tf.sysconfig.get_compile_flags() has them.
    defines = [
        "EIGEN_MAX_ALIGN_BYTES=64",
        "_GLIBCXX_USE_CXX11_ABI=1",
    ],
    includes = ["include"],
)

[
    cc_library(
        name = "lib" + name,
        srcs = ["lib" + name + ".so.2"],
    )
    for name in [
        "tensorflow_cc",
        "tensorflow_framework",
    ]
]
END
cat > repositories/org_tensorflow/tensorflow/core/BUILD << 'END'
[
    cc_library(
        name = name,
        visibility = ["//visibility:public"],
        deps = [
            "@local_config_tf//:libtensorflow_framework",
            "@local_config_tf//:tf_header_lib",
        ],
    )
    for name in [
        "framework",
        "lib",
    ]
]

# All kernels. Nothing names them: they register themselves.
cc_library(
    name = "tensorflow",
    linkopts = ["-Wl,--no-as-needed"],
    visibility = ["//visibility:public"],
    deps = ["@local_config_tf//:libtensorflow_cc"],
)
END
cat > repositories/org_tensorflow/tensorflow/cc/saved_model/BUILD << 'END'
cc_library(
    name = "loader",
    visibility = ["//visibility:public"],
    deps = [
        "@local_config_tf//:libtensorflow_framework",
        "@local_config_tf//:tf_header_lib",
    ],
)
END

# A sandbox would link TensorFlow's thousands of headers anew for every file.
"${BAZEL:-bazel}" --batch --output_user_root="$folder/cache" \
  build -c opt --force_pic --spawn_strategy=local "${targets[@]}"
