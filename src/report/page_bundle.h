// Style and script of the report's page, bundled from page/ (cmake/ReportPage.cmake).
#pragma once
#include <string_view>

namespace presil::report {

extern const std::string_view kPageStyle, kPageScript;

}  // namespace presil::report
