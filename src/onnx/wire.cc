#include "onnx/wire.h"

#include <fmt/format.h>

#include <cstring>

namespace presil::onnx {
namespace {

constexpr int kDepthMax = 64;
constexpr size_t kLargeFieldBytes = 64 * 1024;

enum class Message { model, graph, node, attribute, tensor, sparse_tensor, training, function, other };
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Which message a field holds, where tensors can be below it.
Message field_message(Message in, uint64_t field) {
  struct Row {
    Message in;
    uint64_t field;
    Message holds;
  };
  static constexpr Row kRows[] = {
      {Message::model, 7, Message::graph},
      {Message::model, 20, Message::training},
      {Message::model, 25, Message::function},
      {Message::training, 1, Message::graph},
      {Message::training, 2, Message::graph},
      {Message::function, 7, Message::node},
      {Message::function, 11, Message::attribute},
      {Message::graph, 1, Message::node},
      {Message::graph, 5, Message::tensor},
      {Message::graph, 15, Message::sparse_tensor},
      {Message::node, 5, Message::attribute},
      {Message::attribute, 5, Message::tensor},
      {Message::attribute, 6, Message::graph},
      {Message::attribute, 10, Message::tensor},
      {Message::attribute, 11, Message::graph},
      {Message::attribute, 22, Message::sparse_tensor},
      {Message::attribute, 23, Message::sparse_tensor},
      {Message::sparse_tensor, 1, Message::tensor},
      {Message::sparse_tensor, 2, Message::tensor},
  };
  for (const Row& row : kRows) {
    if (row.in == in && row.field == field) return row.holds;
  }
  return Message::other;
}

bool is_payload(Message in, uint64_t field, size_t size) {
  constexpr uint64_t kFloatData = 4, kRawData = 9, kDoubleData = 10;
  if (in != Message::tensor) return false;
  return field == kRawData || ((field == kFloatData || field == kDoubleData) && size > kLargeFieldBytes);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_bytes_field(std::string& out, uint64_t field, std::string_view bytes) {
  put_varint(out, field << 3 | kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

class Lifter {
 public:
  explicit Lifter(std::span<const std::byte> model) : model_(model) {}

  Result<LightModel> run() {
    light_.bytes = TRY(message(0, model_.size(), Message::model, 0));
    return std::move(light_);
  }

 private:
  Error broken(size_t at, std::string_view what) const {
    return bad_input(fmt::format("not an ONNX model, or a damaged one: {} at byte {}", what, at));
  }

  Result<uint64_t> varint(size_t& at, size_t end) const {
    uint64_t value = 0;
    for (size_t start = at, shift = 0; shift < 64; shift += 7) {
      if (at == end) return broken(start, "the data ends inside a number");
      uint64_t byte = static_cast<uint64_t>(model_[at++]);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return broken(at, "a number is longer than 10 bytes");
  }

  // The size of a field's value behind its tag; for kBytes `at` is moved to the bytes themselves.
  Result<size_t> value_size(size_t& at, size_t end, uint64_t wire_type) const {
    uint64_t size = 0;
    size_t start = at;
    switch (wire_type) {
      case kVarint: {
        size_t past = at;
        TRY(varint(past, end));
        return past - at;
      }
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kBytes:
        size = TRY(varint(at, end));
        break;
      default:
        return broken(start, fmt::format("wire type {} does not exist", wire_type));
    }
    if (size > end - at) {
      return broken(start, fmt::format("a field of {} bytes does not fit into the remaining {}", size, end - at));
    }
    return static_cast<size_t>(size);
  }

  Result<std::string> message(size_t at, size_t end, Message kind, int depth) {
    if (depth > kDepthMax) return broken(at, fmt::format("messages are nested deeper than {}", kDepthMax));
    std::string out;
    while (at < end) {
      size_t field_start = at;
      uint64_t tag = TRY(varint(at, end));
      uint64_t field = tag >> 3, wire_type = tag & 7;
      size_t size = TRY(value_size(at, end, wire_type));
      Message holds = wire_type == kBytes ? field_message(kind, field) : Message::other;
      if (holds != Message::other) {
        put_bytes_field(out, field, TRY(message(at, at + size, holds, depth + 1)));
      } else if (wire_type == kBytes && is_payload(kind, field, size)) {
        uint64_t index = light_.payloads.size();
        light_.payloads.push_back(model_.subspan(at, size));
        constexpr uint64_t kRawData = 9;
        put_bytes_field(out, kRawData, {reinterpret_cast<const char*>(&index), sizeof index});
      } else {
        out.append(reinterpret_cast<const char*>(model_.data()) + field_start, at + size - field_start);
      }
      at += size;
    }
    return out;
  }

  std::span<const std::byte> model_;
  LightModel light_;
};

}  // namespace

Result<LightModel> lift_payloads(std::span<const std::byte> model) { return Lifter(model).run(); }

std::optional<size_t> payload_index(std::string_view raw) {
  uint64_t index = 0;
  if (raw.size() != sizeof index) return std::nullopt;
  std::memcpy(&index, raw.data(), sizeof index);
  return index;
}

}  // namespace presil::onnx
