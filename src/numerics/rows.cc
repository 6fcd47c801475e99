#include "numerics/rows.h"

#include <cstring>

#include "numerics/convert.h"
#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/rows.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Masked moves of 16-bit elements need AVX-512; without it rows go one by one through the spans of convert.h.
#if HWY_TARGET <= HWY_AVX3

using D = hn::ScalableTag<float>;
using DU = hn::Rebind<uint32_t, D>;
using D16 = hn::Rebind<uint16_t, D>;
using DHalf = hn::Rebind<hwy::float16_t, D>;
constexpr size_t kLanes = hn::MaxLanes(D());
static_assert(kLanes == kRowsSlack);

HWY_INLINE HWY_ATTR hn::Vec<D> clean(hn::Vec<D> x) { return hn::IfThenElse(hn::IsNaN(x), hn::Set(D(), kNan), x); }

// How one vector of elements is read at `from` and becomes fp32.
struct Fp32 {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    return hn::MaskedLoad(hn::FirstN(D(), count), D(), reinterpret_cast<const float*>(from));
  }
  static HWY_INLINE HWY_ATTR void store(hn::Vec<D> x, std::byte* to, size_t count) {
    hn::BlendedStore(x, hn::FirstN(D(), count), D(), reinterpret_cast<float*>(to));
  }
};
struct Bf16 {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    const auto half = hn::MaskedLoad(hn::FirstN(D16(), count), D16(), reinterpret_cast<const uint16_t*>(from));
    return clean(hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(DU(), half))));
  }
  static HWY_INLINE HWY_ATTR void store(hn::Vec<D> x, std::byte* to, size_t count) {
    const DU du;
    const auto bits = hn::BitCast(du, clean(x));
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
    hn::BlendedStore(hn::TruncateTo(D16(), rounded), hn::FirstN(D16(), count), D16(), reinterpret_cast<uint16_t*>(to));
  }
};
struct Fp16 {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    const auto half = hn::MaskedLoad(hn::FirstN(D16(), count), D16(), reinterpret_cast<const uint16_t*>(from));
    return clean(hn::PromoteTo(D(), hn::BitCast(DHalf(), half)));
  }
  static HWY_INLINE HWY_ATTR void store(hn::Vec<D> x, std::byte* to, size_t count) {
    const auto half = hn::BitCast(D16(), hn::DemoteTo(DHalf(), clean(x)));
    hn::BlendedStore(half, hn::FirstN(D16(), count), D16(), reinterpret_cast<uint16_t*>(to));
  }
};
// Every second element: for 16-bit types the low halves of 32-bit words.
struct Fp32Step2 {
  static constexpr size_t kBytes = 8;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    const auto* words = reinterpret_cast<const float*>(from);
    const size_t last = 2 * count - 1;  // words up to the last element, not past it
    const auto low = hn::MaskedLoad(hn::FirstN(D(), HWY_MIN(last, kLanes)), D(), words);
    if (last <= kLanes) return hn::ConcatEven(D(), hn::Zero(D()), low);
    const auto high = hn::MaskedLoad(hn::FirstN(D(), last - kLanes), D(), words + kLanes);
    return hn::ConcatEven(D(), high, low);
  }
};
struct Bf16Step2 {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    const auto words = hn::MaskedLoad(hn::FirstN(DU(), count), DU(), reinterpret_cast<const uint32_t*>(from));
    return clean(hn::BitCast(D(), hn::ShiftLeft<16>(words)));
  }
};
struct Fp16Step2 {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE HWY_ATTR hn::Vec<D> load(const std::byte* from, size_t count) {
    const auto words = hn::MaskedLoad(hn::FirstN(DU(), count), DU(), reinterpret_cast<const uint32_t*>(from));
    return clean(hn::PromoteTo(D(), hn::BitCast(DHalf(), hn::TruncateTo(D16(), words))));
  }
};

// Full vectors are written: what lies beyond a row is overwritten by the next one, or is slack.
template <class Format>
HWY_ATTR void load_rows(const std::byte* source, int64_t row_step, size_t rows, size_t columns, float* packed) {
  for (size_t r = 0; r < rows; ++r, source += row_step, packed += columns) {
    for (size_t i = 0; i < columns; i += kLanes) {
      hn::StoreU(Format::load(source + i * Format::kBytes, HWY_MIN(columns - i, kLanes)), D(), packed + i);
    }
  }
}

template <class Format>
HWY_ATTR void store_rows(const float* packed, std::byte* destination, int64_t row_step, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; ++r, destination += row_step, packed += columns) {
    for (size_t i = 0; i < columns; i += kLanes) {
      const size_t count = HWY_MIN(columns - i, kLanes);
      Format::store(hn::MaskedLoad(hn::FirstN(D(), count), D(), packed + i), destination + i * Format::kBytes, count);
    }
  }
}

// Partitions lie far apart, where no hardware prefetcher follows. `ahead`: so many that some tens of lines are under
// way.
struct Prefetcher {
  std::byte* base;
  int64_t step, bytes;
  size_t partitions, ahead;

  template <class Format>
  static HWY_INLINE Prefetcher of(const Windows& w) {
    constexpr int64_t kUnderWay = 64 * 64;
    const int64_t bytes =
        w.row_step * static_cast<int64_t>(w.rows - 1) + static_cast<int64_t>(w.columns * Format::kBytes);
    return {w.base, w.partition_step, bytes, w.partitions,
            static_cast<size_t>(HWY_MAX(2, kUnderWay / HWY_MAX(64, bytes)))};
  }
  HWY_INLINE HWY_ATTR void window(size_t partition) const {
    constexpr int64_t kLine = 64, kLinesMax = 32;
    if (partition >= partitions) return;
    const std::byte* first = base + step * static_cast<int64_t>(partition);
    for (int64_t at = 0; at < HWY_MIN(bytes, kLinesMax * kLine); at += kLine) hwy::Prefetch(first + at);
  }
  HWY_INLINE HWY_ATTR void start() const {
    for (size_t p = 0; p < ahead; ++p) window(p);
  }
  HWY_INLINE HWY_ATTR void at(size_t partition) const { window(partition + ahead); }
};

template <class Format>
HWY_ATTR void load_windows(const Windows& w, float* packed, size_t stride) {
  const Prefetcher prefetcher = Prefetcher::of<Format>(w);
  prefetcher.start();
  for (size_t p = 0; p < w.partitions; ++p, packed += stride) {
    prefetcher.at(p);
    load_rows<Format>(w.base + w.partition_step * static_cast<int64_t>(p), w.row_step, w.rows, w.columns, packed);
  }
}

template <class Format>
HWY_ATTR void store_windows(const float* packed, size_t stride, const Windows& w) {
  const Prefetcher prefetcher = Prefetcher::of<Format>(w);
  prefetcher.start();
  for (size_t p = 0; p < w.partitions; ++p, packed += stride) {
    prefetcher.at(p);
    store_rows<Format>(packed, w.base + w.partition_step * static_cast<int64_t>(p), w.row_step, w.rows, w.columns);
  }
}

HWY_ATTR void add_windows(const float* packed, size_t stride, const Windows& w) {
  for (size_t p = 0; p < w.partitions; ++p, packed += stride) {
    std::byte* row = w.base + w.partition_step * static_cast<int64_t>(p);
    const float* values = packed;
    for (size_t r = 0; r < w.rows; ++r, row += w.row_step, values += w.columns) {
      for (size_t i = 0; i < w.columns; i += kLanes) {
        const size_t count = HWY_MIN(w.columns - i, kLanes);
        const auto mask = hn::FirstN(D(), count);
        float* to = reinterpret_cast<float*>(row) + i;
        const auto sum = clean(hn::Add(hn::MaskedLoad(mask, D(), to), hn::MaskedLoad(mask, D(), values + i)));
        hn::BlendedStore(sum, mask, D(), to);
      }
    }
  }
}

LoadWindowsFn pick_load_windows(DType t, int64_t element_step) {
  const bool second = element_step == 2;
  switch (t) {
    case DType::fp32:
      return second ? &load_windows<Fp32Step2> : &load_windows<Fp32>;
    case DType::bf16:
      return second ? &load_windows<Bf16Step2> : &load_windows<Bf16>;
    case DType::fp16:
      return second ? &load_windows<Fp16Step2> : &load_windows<Fp16>;
    default:
      return nullptr;
  }
}

StoreWindowsFn pick_store_windows(DType t, bool adds) {
  if (adds) return t == DType::fp32 ? &add_windows : nullptr;
  switch (t) {
    case DType::fp32:
      return &store_windows<Fp32>;
    case DType::bf16:
      return &store_windows<Bf16>;
    case DType::fp16:
      return &store_windows<Fp16>;
    default:
      return nullptr;
  }
}

LoadRowsFn pick_load_rows(DType t, int64_t element_step) {
  const bool second = element_step == 2;
  switch (t) {
    case DType::fp32:
      return second ? &load_rows<Fp32Step2> : &load_rows<Fp32>;
    case DType::bf16:
      return second ? &load_rows<Bf16Step2> : &load_rows<Bf16>;
    case DType::fp16:
      return second ? &load_rows<Fp16Step2> : &load_rows<Fp16>;
    default:
      return nullptr;
  }
}

StoreRowsFn pick_store_rows(DType t) {
  switch (t) {
    case DType::fp32:
      return &store_rows<Fp32>;
    case DType::bf16:
      return &store_rows<Bf16>;
    case DType::fp16:
      return &store_rows<Fp16>;
    default:
      return nullptr;
  }
}

#else
LoadRowsFn pick_load_rows(DType, int64_t) { return nullptr; }
StoreRowsFn pick_store_rows(DType) { return nullptr; }
LoadWindowsFn pick_load_windows(DType, int64_t) { return nullptr; }
StoreWindowsFn pick_store_windows(DType, bool) { return nullptr; }
#endif

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {
SIMD_EXPORT(pick_load_rows);
SIMD_EXPORT(pick_store_rows);
SIMD_EXPORT(pick_load_windows);
SIMD_EXPORT(pick_store_windows);
}  // namespace

LoadRowsFn load_rows_fn(DType t, int64_t element_step) {
  if (element_step != 1 && element_step != 2) return nullptr;
  return SIMD_DISPATCH(pick_load_rows)(t, element_step);
}

LoadWindowsFn load_windows_fn(DType t, int64_t element_step) {
  if (element_step != 1 && element_step != 2) return nullptr;
  return SIMD_DISPATCH(pick_load_windows)(t, element_step);
}

StoreWindowsFn store_windows_fn(DType t, bool adds) { return SIMD_DISPATCH(pick_store_windows)(t, adds); }

StoreRowsFn store_rows_fn(DType t) { return SIMD_DISPATCH(pick_store_rows)(t); }

}  // namespace presil::numerics
#endif
