// Protocol Buffers' wire format, as far as a trace needs it: varints and length-delimited fields appended to a string.
// Source: protobuf documentation, "Encoding".
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace presil::report {

inline void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

inline void append_integer(std::string& out, uint32_t field, uint64_t value) {
  append_varint(out, uint64_t{field} << 3);
  append_varint(out, value);
}

// A string, or an embedded message already encoded.
inline void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_varint(out, uint64_t{field} << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

}  // namespace presil::report
