// Spans of conversions. The 16-bit floats, which carry the traffic, are vectorized; the others are loops over the
// definition or over a table.
#include <array>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "numerics/convert.h"
#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/convert_span.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DU = hn::Rebind<uint32_t, D>;
using D16 = hn::Rebind<uint16_t, D>;
using DHalf = hn::Rebind<hwy::float16_t, D>;

HWY_INLINE HWY_ATTR hn::Vec<D> widen_bf16(hn::Vec<D16> half) {
  const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(DU(), half));
  const auto value = hn::BitCast(D(), bits);
  return hn::IfThenElse(hn::IsNaN(value), hn::BitCast(D(), hn::Set(DU(), kCanonicalNanBits)), value);
}

HWY_INLINE HWY_ATTR hn::Vec<D16> narrow_bf16(hn::Vec<D> value) {
  const DU du;
  const auto bits = hn::BitCast(du, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
  const auto nan = hn::RebindMask(du, hn::IsNaN(value));
  return hn::TruncateTo(D16(), hn::IfThenElse(nan, hn::Set(du, 0x7fc0), rounded));
}

HWY_INLINE HWY_ATTR hn::Vec<D> widen_fp16(hn::Vec<D16> half) {
  const auto value = hn::PromoteTo(D(), hn::BitCast(DHalf(), half));
  return hn::IfThenElse(hn::IsNaN(value), hn::BitCast(D(), hn::Set(DU(), kCanonicalNanBits)), value);
}

HWY_INLINE HWY_ATTR hn::Vec<D16> narrow_fp16(hn::Vec<D> value) {
  const auto clean = hn::IfThenElse(hn::IsNaN(value), hn::BitCast(D(), hn::Set(DU(), kCanonicalNanBits)), value);
  return hn::BitCast(D16(), hn::DemoteTo(DHalf(), clean));
}

#define PRESIL_SPAN_16(NAME, WIDEN, NARROW)                                                                \
  HWY_ATTR void load_##NAME(const std::byte* source, float* destination, size_t count) {                   \
    constexpr size_t lanes = hn::MaxLanes(D());                                                            \
    size_t i = 0;                                                                                          \
    for (; i + lanes <= count; i += lanes) {                                                               \
      const auto half = hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(source) + i);                   \
      hn::StoreU(WIDEN(half), D(), destination + i);                                                       \
    }                                                                                                      \
    if (i < count) {                                                                                       \
      HWY_ALIGN uint16_t in[lanes] = {};                                                                   \
      HWY_ALIGN float out[lanes];                                                                          \
      std::memcpy(in, source + i * 2, (count - i) * 2);                                                    \
      hn::Store(WIDEN(hn::Load(D16(), in)), D(), out);                                                     \
      std::memcpy(destination + i, out, (count - i) * sizeof(float));                                      \
    }                                                                                                      \
  }                                                                                                        \
  HWY_ATTR void store_##NAME(const float* source, std::byte* destination, size_t count) {                  \
    constexpr size_t lanes = hn::MaxLanes(D());                                                            \
    size_t i = 0;                                                                                          \
    for (; i + lanes <= count; i += lanes) {                                                               \
      hn::StoreU(NARROW(hn::LoadU(D(), source + i)), D16(), reinterpret_cast<uint16_t*>(destination) + i); \
    }                                                                                                      \
    if (i < count) {                                                                                       \
      HWY_ALIGN float in[lanes] = {};                                                                      \
      HWY_ALIGN uint16_t out[lanes];                                                                       \
      std::memcpy(in, source + i, (count - i) * sizeof(float));                                            \
      hn::Store(NARROW(hn::Load(D(), in)), D16(), out);                                                    \
      std::memcpy(destination + i * 2, out, (count - i) * 2);                                              \
    }                                                                                                      \
  }
PRESIL_SPAN_16(bf16, widen_bf16, narrow_bf16)
PRESIL_SPAN_16(fp16, widen_fp16, narrow_fp16)
#undef PRESIL_SPAN_16

LoadFn load_16(DType t) { return t == DType::bf16 ? &load_bf16 : &load_fp16; }
StoreFn store_16(DType t) { return t == DType::bf16 ? &store_bf16 : &store_fp16; }

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {

SIMD_EXPORT(load_16);
SIMD_EXPORT(store_16);

template <DType t>
uint64_t read_bits(const std::byte* source) {
  uint64_t bits = 0;
  std::memcpy(&bits, source, dtype_bytes(t));
  return bits;
}

template <DType t>
void load_loop(const std::byte* source, float* destination, size_t count) {
  for (size_t i = 0; i < count; ++i) destination[i] = to_fp32(t, read_bits<t>(source + i * dtype_bytes(t)));
}

template <DType t>
void store_loop(const float* source, std::byte* destination, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = from_fp32(t, source[i]);
    std::memcpy(destination + i * dtype_bytes(t), &bits, dtype_bytes(t));
  }
}

// Integers that fp32 converts from in one instruction.
template <class Integer>
void load_integers(const std::byte* source, float* destination, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Integer value;
    std::memcpy(&value, source + i * sizeof(Integer), sizeof(Integer));
    destination[i] = static_cast<float>(value);
  }
}

// Integers of at most 16 bits: clamping before rounding gives the same result and keeps the loop simple.
template <class Integer>
void store_small_integers(const float* source, std::byte* destination, size_t count) {
  constexpr float low = std::numeric_limits<Integer>::min(), high = std::numeric_limits<Integer>::max();
  for (size_t i = 0; i < count; ++i) {
    float x = source[i] == source[i] ? source[i] : 0.0f;
    x = x < low ? low : x;
    x = x > high ? high : x;
    const auto value = static_cast<Integer>(static_cast<int32_t>((x + 0x1.8p23f) - 0x1.8p23f));
    std::memcpy(destination + i * sizeof(Integer), &value, sizeof(Integer));
  }
}

template <DType t>
std::array<float, 256> table_of_bytes() {
  std::array<float, 256> table;
  for (uint32_t i = 0; i < 256; ++i) table[i] = to_fp32(t, i);
  return table;
}

template <DType t>
void load_by_table(const std::byte* source, float* destination, size_t count) {
  static const std::array<float, 256> table = table_of_bytes<t>();
  for (size_t i = 0; i < count; ++i) destination[i] = table[static_cast<uint8_t>(source[i])];
}

// A view of packed elements has these too; whoever moves whole elements calls neither.
void refuse_load(const std::byte*, float*, size_t) { CHECK(false, "a packed element is four numbers"); }
void refuse_store(const float*, std::byte*, size_t) { CHECK(false, "a packed element is four numbers"); }

void load_copy(const std::byte* source, float* destination, size_t count) {
  std::memmove(destination, source, count * sizeof(float));
}
void store_copy(const float* source, std::byte* destination, size_t count) {
  std::memmove(destination, source, count * sizeof(float));
}

}  // namespace

LoadFn load_fn(DType t) {
  switch (t) {
    case DType::fp32:
      return load_copy;
    case DType::tf32:
      return load_loop<DType::tf32>;
    case DType::bf16:
    case DType::fp16:
      return SIMD_DISPATCH(load_16)(t);
    case DType::fp8_e4m3:
      return load_by_table<DType::fp8_e4m3>;
    case DType::fp8_e5m2:
      return load_by_table<DType::fp8_e5m2>;
    case DType::fp8_e4m3fn:
      return load_by_table<DType::fp8_e4m3fn>;
    case DType::fp8_e3m4:
      return load_by_table<DType::fp8_e3m4>;
    case DType::fp8_e8m0:
      return load_by_table<DType::fp8_e8m0>;
    case DType::int8:
      return load_integers<int8_t>;
    case DType::uint8:
      return load_integers<uint8_t>;
    case DType::int16:
      return load_integers<int16_t>;
    case DType::uint16:
      return load_integers<uint16_t>;
    case DType::int32:
      return load_integers<int32_t>;
    case DType::uint32:
      return load_integers<uint32_t>;
    case DType::int64:
      return load_integers<int64_t>;
    case DType::boolean:
      return load_by_table<DType::boolean>;
    case DType::fp8_e4m3fn_x4:
    case DType::fp8_e5m2_x4:
    case DType::fp4_e2m1fn_x4:
      return refuse_load;
  }
  CHECK(false, "unknown dtype");
}

StoreFn store_fn(DType t) {
  switch (t) {
    case DType::fp32:
      return store_copy;
    case DType::tf32:
      return store_loop<DType::tf32>;
    case DType::bf16:
    case DType::fp16:
      return SIMD_DISPATCH(store_16)(t);
    case DType::fp8_e4m3:
      return store_loop<DType::fp8_e4m3>;
    case DType::fp8_e5m2:
      return store_loop<DType::fp8_e5m2>;
    case DType::fp8_e4m3fn:
      return store_loop<DType::fp8_e4m3fn>;
    case DType::fp8_e3m4:
      return store_loop<DType::fp8_e3m4>;
    case DType::fp8_e8m0:
      return store_loop<DType::fp8_e8m0>;
    case DType::int8:
      return store_small_integers<int8_t>;
    case DType::uint8:
      return store_small_integers<uint8_t>;
    case DType::int16:
      return store_small_integers<int16_t>;
    case DType::uint16:
      return store_small_integers<uint16_t>;
    case DType::int32:
      return store_loop<DType::int32>;
    case DType::uint32:
      return store_loop<DType::uint32>;
    case DType::int64:
      return store_loop<DType::int64>;
    case DType::boolean:
      return store_loop<DType::boolean>;
    case DType::fp8_e4m3fn_x4:
    case DType::fp8_e5m2_x4:
    case DType::fp4_e2m1fn_x4:
      return refuse_store;
  }
  CHECK(false, "unknown dtype");
}

}  // namespace presil::numerics
#endif
