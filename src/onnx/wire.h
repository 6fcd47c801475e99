// Takes tensor payloads out of a serialized ONNX model before protobuf sees it, so that weights are neither copied
// twice nor, without data, read at all.
// Source: protobuf's encoding (varint, length-delimited fields) and the field numbers of onnx.proto.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace presil::onnx {

struct LightModel {
  std::string bytes;                                 // the model, with payload_index() in place of each raw_data
  std::vector<std::span<const std::byte>> payloads;  // views into the original
};

// Every raw_data, and float_data or double_data above 64 KiB, becomes a raw_data of 8 bytes: an index into payloads.
// Errors: truncated or malformed fields, messages nested deeper than 64.
Result<LightModel> lift_payloads(std::span<const std::byte> model);

// What lift_payloads left in raw_data; nothing if `raw` is not such an index.
std::optional<size_t> payload_index(std::string_view raw);

}  // namespace presil::onnx
