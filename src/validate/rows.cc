#include "validate/rows.h"

#include "spec/chip_file.h"
#include "timing/cost.h"
#include "validate/bounds.h"
#include "validate/mamba.h"
#include "validate/measure.h"
#include "validate/programs.h"

namespace presil::validate {
namespace {

using Chip = const spec::ChipSpec&;

double ns(Time t) { return to_seconds(t) * 1e9; }
double ms(Time t) { return to_seconds(t) * 1e3; }

// --- what is read from the traces ------------------------------------------------------------------------------------

double trigger_to_data(Chip chip, const char* tile_op) {
  const Measured m = measure(load_exp_store(true), chip);
  return ns(m.transfer(tile_op).start - m.instructions(tile_op)[0].start);
}
double load_start_latency(Chip chip) { return trigger_to_data(chip, "load"); }
double store_start_latency(Chip chip) { return trigger_to_data(chip, "store"); }
double load_all_engines(Chip chip) { return ns(measure(load_exp_store(true), chip).transfer("load").duration()); }
double load_one_engine(Chip chip) { return ns(measure(load_exp_store(true), chip).shares("load", 0)[0].duration()); }
double exp_duration(Chip chip) { return ns(measure(load_exp_store(true), chip).instructions("exp")[0].duration()); }
double data_to_dependent(Chip chip) {
  const Measured m = measure(load_exp_store(true), chip);
  return ns(m.instructions("exp")[0].start - m.transfer("load").end);
}
// The first exp has its input long before; what it still waits for is its table.
double table_load(Chip chip) {
  const Measured m = measure(load_exp_store(true), chip);
  return ns(m.instructions("warm")[0].start - m.instructions("fill")[0].end - chip.semaphores.wake);
}

constexpr uint32_t kChain = 16;
double chain_interval(Chip chip) {
  const auto chain = measure(activation_chain(kChain), chip).instructions("chain");
  return ns(chain.back().start - chain.front().start) / (kChain - 1);
}
double chain_duration(Chip chip) {
  return ns(measure(activation_chain(kChain), chip).instructions("chain").back().duration());
}

double matmul_duration(Chip chip) {
  const MatmulStream one{.dtype = DType::bf16, .rows = 128, .columns = 96, .moving = 128, .count = 1};
  return ns(measure(matmul_stream(one), chip).instructions("matmul")[0].duration());
}
// Per hardware instruction, of which an fp32 nc_matmul has fp32_instructions.
double fp32_matmul_interval(Chip chip) {
  constexpr uint32_t kCount = 64;
  const MatmulStream stream{.dtype = DType::fp32, .count = kCount};
  const auto list = measure(matmul_stream(stream), chip).instructions("matmul");
  return ns(list[kCount - 1].start - list[kCount / 2].start) / (kCount / 2 - 1) / chip.tensor.fp32_instructions;
}
double stationary_load(Chip chip) { return ns(timing::stationary_load_duration(128, DType::fp32, chip)); }
double add_duration(Chip chip) { return ns(measure(vector_add(64, 8192), chip).instructions("add")[0].duration()); }
double copy_duration(Chip chip) { return ns(measure(psum_copy(512), chip).instructions("copy")[0].duration()); }
double quantize_duration(Chip chip) {
  return 1e-3 * ns(measure(quantize(16384), chip).instructions("quantize")[0].duration());
}

// Bytes per partition and ns of a steady stream of loads on one queue.
double load_rate(Chip chip, uint32_t bytes) {
  constexpr uint32_t kFirst = 16, kLast = 47;
  const auto shares = measure(load_stream(bytes, kLast + 1), chip).shares("load", 0);
  return bytes * (kLast - kFirst) / ns(shares[kLast].start - shares[kFirst].start);
}
template <uint32_t kBytes>
double relative_rate(Chip chip) {
  return load_rate(chip, kBytes) / load_rate(chip, 32768);
}

constexpr Gemm kFp32{.dtype = DType::fp32}, kBf16{};
double columns_elapsed(Chip chip) { return ms(measure_totals(gemm_columns(kFp32), chip).elapsed); }
double columns_packets(Chip chip) { return ms(measure_totals(gemm_columns(kFp32), chip).dma_packet_time); }
double tiled_elapsed(Chip chip) { return ms(measure_totals(gemm_tiled(kBf16), chip).elapsed); }
double blocked_elapsed(Chip chip) { return ms(measure_totals(gemm_blocked(kBf16), chip).elapsed); }

double us_elapsed(tile::TileProgram program, Chip chip) {
  return 1e-3 * ns(measure_totals(std::move(program), chip).elapsed);
}
double mamba_small(Chip chip) { return us_elapsed(mamba_v1({}), chip); }
template <uint32_t kSequence>
double mamba_whole(Chip chip) {
  return 1e-3 * us_elapsed(mamba_v2({.channels = 4096, .sequence = kSequence}), chip);
}
template <uint32_t kSequence>
double mamba_tiled(Chip chip) {
  return 1e-3 * us_elapsed(mamba_v3({.channels = 4096, .sequence = kSequence}), chip);
}

// --- the rows --------------------------------------------------------------------------------------------------------

#define DMA_PAGE "nki/get-started/about/nki-dma-overview.rst"
#define PERF_PAGE "nki/deep-dives/nki_perf_guide.rst"
#define KERNEL_PAGE "nki/guides/tutorials/kernel-optimization.rst"
#define MATMUL_PAGE "v2.26.0:general/nki/tutorials/matrix_multiplication.rst"
#define CURVE "nki/get-started/about/nki-dma-overview.rst (nki-dma-intro-1.jpg)"

constexpr double kPixel = 1.0 / 417;  // of the curve's tallest bar

constexpr Row kCore[] = {
    {"I09", "trn2", "load bf16 [128,128]: trigger to first data", 739, "ns", 10, 2, DMA_PAGE " (nki-dma-intro-6.png)",
     load_start_latency},
    {"I10", "trn2", "load bf16 [128,128]: first to last activity of 16 engines", 468, "ns", 10, 2,
     DMA_PAGE " (nki-dma-intro-5.png)", load_all_engines},
    {"I11", "trn2", "load bf16 [128,128]: one engine's 8 rows of 256 B", 97, "ns", 0.5, 1,
     DMA_PAGE " (nki-dma-intro-5.png, -6.png)", load_one_engine},
    {"I13", "trn2", "store bf16 [128,128]: trigger to first data", 628, "ns", 10, 2, DMA_PAGE " (nki-dma-intro-5.png)",
     store_start_latency},
    {"I15", "trn2", "ACTIVATE exp bf16 [128,128]: duration", 401, "ns", 10, 2, DMA_PAGE " (nki-dma-intro-5.png)",
     exp_duration},
    {"I16", "trn2", "activation table load", 1285, "ns", 10, 2, DMA_PAGE " (nki-dma-intro-5.png)", table_load},
    {"I17", "trn2", "end of a load to its first dependent instruction", 294, "ns", 10, 2,
     DMA_PAGE " (nki-dma-intro-5.png)", data_to_dependent},
    {"I19", "trn1", "chain of ACTIVATE fp32, 1 element: interval", 189, "ns", 0.5, 1, PERF_PAGE " (fig16)",
     chain_interval},
    {"I19D", "trn1", "chain of ACTIVATE fp32, 1 element: duration", 159, "ns", 0.5, 1, PERF_PAGE " (fig16)",
     chain_duration},
    {"I22", "trn1", "MATMUL bf16 128x96, 128 moving: duration", 219, "ns", 0.5, 1, PERF_PAGE " (fig18)",
     matmul_duration},
    {"I23", "trn1", "TENSOR_TENSOR add fp32 [64,8192]: duration", 14968, "ns", 0.5, 1, PERF_PAGE " (fig17)",
     add_duration},
    {"I28", "trn2", "MATMUL fp32 128x128, 512 moving: interval", 428.75, "ns", 0.1, 2, KERNEL_PAGE " (zoom figures)",
     fp32_matmul_interval},
    {"I30", "trn2", "LoadStationary fp32 128x128: duration", 198, "ns", 5, 2, KERNEL_PAGE " (zoom figures)",
     stationary_load},
    {"I32", "trn2", "tensor_copy fp32 [128,512], PSUM to SBUF: duration", 700, "ns", 10, 2,
     KERNEL_PAGE " (zoom figures)", copy_duration},
    {"I38", "trn2", "tensor_scalar bf16 to fp8 [80,16384]: duration", 8.8, "us", 0.1, 3,
     "nki/library/specs/design-rmsnorm-quant.rst (profile figures)", quantize_duration},
    {"D02", "trn2", "loads of 64 B per partition: rate over that of 32 KiB", 0.026, "ratio", 0.026 * kPixel + kPixel, 2,
     CURVE, relative_rate<64>},
    {"D05", "trn2", "loads of 512 B per partition: rate over that of 32 KiB", 0.209, "ratio", 0.209 * kPixel + kPixel,
     2, CURVE, relative_rate<512>},
    {"D07", "trn2", "loads of 2 KiB per partition: rate over that of 32 KiB", 0.814, "ratio", 0.814 * kPixel + kPixel,
     2, CURVE, relative_rate<2048>},
    {"D09", "trn2", "loads of 8 KiB per partition: rate over that of 32 KiB", 0.983, "ratio", 0.983 * kPixel + kPixel,
     2, CURVE, relative_rate<8192>},
    {"K02", "trn2", "GEMM fp32 4096x8192x8192, columns loaded once: time", 28.197982, "ms", 5e-7, 1, KERNEL_PAGE,
     columns_elapsed},
    {"K02P", "trn2", "GEMM fp32 4096x8192x8192, columns loaded once: DMA packet time", 402.07, "ms", 0.005, 1,
     KERNEL_PAGE, columns_packets},
    {"K05", "trn1", "GEMM bf16 4096x8192x8192, tiles without reuse: time", 51.80, "ms", 0.005, 1, MATMUL_PAGE,
     tiled_elapsed},
    {"K07", "trn1", "GEMM bf16 4096x8192x8192, blocks of 256x1024: time", 22.07, "ms", 0.005, 1, MATMUL_PAGE,
     blocked_elapsed},
};

#define SAMPLES "nki-samples@0898a77:test/unit/"
#define MAMBA_PAGE "nki/guides/tutorials/fused_mamba.rst"

constexpr Row kKernels[] = {
    {"K09", "trn1", "Mamba v1 fp32, 512 steps, 256 channels", 172.93, "us", 0.005, 1, MAMBA_PAGE, mamba_small},
    {"K16", "trn1", "Mamba v2 fp32, 2048 steps, 4096 channels", 8.9, "ms", 0.05, 1, MAMBA_PAGE, mamba_whole<2048>},
    {"K20", "trn1", "Mamba v2 fp32, 6144 steps, 4096 channels", 27.5, "ms", 0.05, 1, MAMBA_PAGE, mamba_whole<6144>},
    {"K24", "trn1", "Mamba v3 fp32, 1024 steps, 4096 channels", 3.3, "ms", 0.05, 1, MAMBA_PAGE, mamba_tiled<1024>},
    {"K27", "trn1", "Mamba v3 fp32, 4096 steps, 4096 channels", 13.3, "ms", 0.05, 1, MAMBA_PAGE, mamba_tiled<4096>},
    {"K30", "trn1", "Mamba v3 fp32, 7168 steps, 4096 channels", 24.2, "ms", 0.05, 1, MAMBA_PAGE, mamba_tiled<7168>},
    {"K37", "trn1", "attention fp32, 4096 rows, head 128", 675 * 1.05, "us", 0, 3,
     SAMPLES "test_SD_attention_small_head.py", attention_fp32, true},
    {"K41", "trn1", "attention bf16, 4096 rows, head 128", 380 * 1.05, "us", 0, 3,
     SAMPLES "test_allocated_SD_attention_small_head.py", attention_bf16, true},
    {"K43", "trn1", "RMSNorm and QKV fp16, [128,512] x [512,512]", 25, "us", 0, 3, SAMPLES "test_rmsnorm_qkv.py",
     rmsnorm_qkv_fp16, true},
    {"K45", "trn1", "RMSNorm and QKV bf16, [128,1024] x [1024,512]", 28, "us", 0, 3, SAMPLES "test_rmsnorm_qkv.py",
     rmsnorm_qkv_bf16, true},
    {"K52", "trn1", "average pool fp32 [1,64,56,56] to 7", 65 * 1.05, "us", 0, 3, SAMPLES "test_adaptive_avg_pool2d.py",
     pool_56_to_7, true},
    {"K56", "trn1", "average pool fp32 [2,128,28,28] to 14", 327 * 1.05, "us", 0, 3,
     SAMPLES "test_adaptive_avg_pool2d.py", pool_28_to_14, true},
    {"K58", "trn1", "average pool fp16 [8,64,32,32] to 4", 103 * 1.05, "us", 0, 3,
     SAMPLES "test_adaptive_avg_pool2d.py", pool_32_to_4, true},
};

}  // namespace

Chips bundled_chips() { return {*spec::load_chip("trn1"), *spec::load_chip("trn2")}; }

std::span<const Row> core_rows() { return kCore; }
std::span<const Row> kernel_rows() { return kKernels; }

const Row& core_row(std::string_view id) {
  for (const Row& r : kCore) {
    if (r.id == id) return r;
  }
  CHECK(false, "a row of the suite");
}

double relative_error(const Row& row, const Chips& chips) {
  return row.predict(chips.named(row.chip)) / row.published - 1;
}

}  // namespace presil::validate
