// Errors for callers that have no command line.
#pragma once
#include <string>

#include "base/result.h"

namespace presil::runtime {

// Error::text(), with options by name: "precision" for "--precision".
std::string api_text(const Error& error);

}  // namespace presil::runtime
