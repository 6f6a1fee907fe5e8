// The instruction sets that the arithmetic is compiled for.

#ifndef RATM_TF_CUSTOM_OPS_CPU_INSTRUCTION_SET_H_
#define RATM_TF_CUSTOM_OPS_CPU_INSTRUCTION_SET_H_

namespace ratm {

// Each has what those before it have.
enum class InstructionSet { kGeneric, kAvx2, kAvx512 };

// The environment variable that names the last one to use.
constexpr char kMaxInstructionSet[] = "RATM_TF_MAX_CPU_ISA";

// Whether this processor has it, and the library was built for such ones.
bool ProcessorHas(InstructionSet set);

// Finds the last set that the processor has, up to the one of this name:
// generic, avx2 or avx512, in any case. Null and the empty name are no limit.
// Returns false if the name is another.
bool FindInstructionSet(const char* most, InstructionSet* set);

}  // namespace ratm

#endif  // RATM_TF_CUSTOM_OPS_CPU_INSTRUCTION_SET_H_
