// Times in microseconds of the workloads whose tests publish an upper bound (rows K37 to K58).
#pragma once
#include "spec/chip_spec.h"

namespace presil::validate {

double attention_fp32(const spec::ChipSpec&);  // 4096 rows, one head of 128
double attention_bf16(const spec::ChipSpec&);
double rmsnorm_qkv_fp16(const spec::ChipSpec&);  // [128, 512] x [512, 512]
double rmsnorm_qkv_bf16(const spec::ChipSpec&);  // [128, 1024] x [1024, 512]
double pool_56_to_7(const spec::ChipSpec&);      // fp32 [1, 64, 56, 56]
double pool_28_to_14(const spec::ChipSpec&);     // fp32 [2, 128, 28, 28]
double pool_32_to_4(const spec::ChipSpec&);      // fp16 [8, 64, 32, 32]

}  // namespace presil::validate
