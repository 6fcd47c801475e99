// Texts of the command line as values.
#pragma once
#include <string>
#include <utility>

#include "base/result.h"
#include "chip/sequencer.h"
#include "cli/options.h"
#include "runtime/workload.h"

namespace presil::cli {

// "NODE=N" each. Errors name the argument.
Result<chip::Assumptions> parse_assumptions(const std::vector<std::string>& texts);
// "NAME=N" and "NAME=1x3x224x224". Errors name the argument.
Result<std::pair<std::string, int64_t>> parse_dim(const std::string& text);
Result<std::pair<std::string, graph::Shape>> parse_shape(const std::string& text);

Result<runtime::WorkloadOptions> workload_options(const WorkloadOptions& options, bool with_data, const Cancel* cancel);

}  // namespace presil::cli
