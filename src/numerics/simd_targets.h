// Instruction sets that the SIMD kernels are compiled for: the baseline, AVX2 and AVX-512. Those between lack fused
// multiply-add and are not worth a fourth copy.
#pragma once
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
