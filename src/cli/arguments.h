// Texts of the command line as values.
#pragma once
#include <string>
#include <utility>

#include "base/result.h"
#include "cli/options.h"
#include "runtime/workload.h"

namespace presil::cli {

// "NAME=N" and "NAME=1x3x224x224". Errors name the argument.
Result<std::pair<std::string, int64_t>> parse_dim(const std::string& text);
Result<std::pair<std::string, graph::Shape>> parse_shape(const std::string& text);

Result<runtime::WorkloadOptions> workload_options(const WorkloadOptions& options, bool with_data, const Cancel* cancel);

}  // namespace presil::cli
