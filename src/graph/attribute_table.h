// Private to text.cc and parse.cc: the attributes by name, once for printing and parsing.
#pragma once
#include <array>
#include <span>
#include <string_view>

#include "graph/graph.h"

namespace presil::graph {

template <class Value>
struct AttributeField {
  std::string_view name;
  Value Attributes::*member;
};
inline constexpr AttributeField<std::vector<int64_t>> kListFields[] = {
    {"kernel", &Attributes::kernel}, {"strides", &Attributes::strides},
    {"pads", &Attributes::pads},     {"dilations", &Attributes::dilations},
    {"axes", &Attributes::axes},     {"output_padding", &Attributes::output_padding},
    {"starts", &Attributes::starts}, {"ends", &Attributes::ends},
    {"steps", &Attributes::steps},   {"loop", &Attributes::loop}};
inline constexpr AttributeField<float> kFloatFields[] = {{"alpha", &Attributes::alpha},
                                                         {"beta", &Attributes::beta},
                                                         {"pad_value", &Attributes::pad_value},
                                                         {"epsilon", &Attributes::epsilon}};
inline constexpr AttributeField<bool> kBoolFields[] = {{"count_include_pad", &Attributes::count_include_pad},
                                                       {"keepdims", &Attributes::keepdims},
                                                       {"integers", &Attributes::integers},
                                                       {"expected", &Attributes::expected}};

// Enumerations: names in the order of their values.
inline constexpr std::string_view kPoolNames[] = {"max", "average"};
inline constexpr std::string_view kReduceNames[] = {"sum", "mean", "max", "min", "prod"};
inline constexpr std::string_view kPadModeNames[] = {"constant", "reflect", "edge"};
inline constexpr std::string_view kResizeModeNames[] = {"nearest", "linear"};
inline constexpr std::string_view kCoordinateNames[] = {"half_pixel", "pytorch_half_pixel", "asymmetric",
                                                        "align_corners"};
inline constexpr std::string_view kRoundingNames[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

// Calls visit(name, member, names of its values) for each enumeration.
template <class Visit>
void for_each_enum_field(Visit visit) {
  visit("pool", &Attributes::pool, std::span<const std::string_view>(kPoolNames));
  visit("reduce", &Attributes::reduce, std::span<const std::string_view>(kReduceNames));
  visit("pad_mode", &Attributes::pad_mode, std::span<const std::string_view>(kPadModeNames));
  visit("resize", &Attributes::resize, std::span<const std::string_view>(kResizeModeNames));
  visit("coordinates", &Attributes::coordinates, std::span<const std::string_view>(kCoordinateNames));
  visit("rounding", &Attributes::rounding, std::span<const std::string_view>(kRoundingNames));
}

}  // namespace presil::graph
