#include "custom_ops/cpu/instruction_set.h"

#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace ratm {
namespace {

#if defined(__x86_64__)
bool HasF16c() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2") &&
                          __builtin_cpu_supports("fma") && HasF16c();
  return has;
}

bool HasAvx512() {
  static const bool has = HasAvx2() && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl");
  return has;
}
#else
bool HasAvx2() { return false; }
bool HasAvx512() { return false; }
#endif

}  // namespace

bool ProcessorHas(InstructionSet set) {
  switch (set) {
    case InstructionSet::kGeneric:
      return true;
    case InstructionSet::kAvx2:
      return HasAvx2();
    case InstructionSet::kAvx512:
      return HasAvx512();
  }
  return false;
}

bool FindInstructionSet(const char* most, InstructionSet* set) {
  constexpr struct {
    const char* name;
    InstructionSet set;
  } kSets[] = {{"generic", InstructionSet::kGeneric},
               {"avx2", InstructionSet::kAvx2},
               {"avx512", InstructionSet::kAvx512}};
  const bool limited = most != nullptr && *most != '\0';
  for (const auto& each : kSets) {
    if (ProcessorHas(each.set)) *set = each.set;
    if (limited && strcasecmp(most, each.name) == 0) return true;
  }
  return !limited;
}

}  // namespace ratm
