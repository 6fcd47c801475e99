#include "report/document.h"

#include <fmt/format.h>

namespace presil::report {
namespace {

std::string replaced(std::string_view text, char c, std::string_view by) {
  std::string out;
  for (char t : text) {
    if (t == c) {
      out += by;
    } else {
      out += t;
    }
  }
  return out;
}

std::string markdown_cell(std::string_view text) { return replaced(text, '|', "\\|"); }

void append_markdown(std::string& out, const Table& table) {
  out += '|';
  for (const std::string& column : table.columns) out += fmt::format(" {} |", markdown_cell(column));
  out += "\n|";
  for (size_t i = 0; i < table.columns.size(); ++i) out += "---|";
  out += '\n';
  for (const auto& row : table.rows) {
    out += '|';
    for (const std::string& cell : row) out += fmt::format(" {} |", markdown_cell(cell));
    out += '\n';
  }
  out += '\n';
}

}  // namespace

std::string print_markdown(const Document& document) {
  std::string out = fmt::format("# {}\n\n", document.title);
  for (const Section& section : document.sections) {
    out += fmt::format("## {}\n\n", section.heading);
    for (const std::string& paragraph : section.paragraphs) out += paragraph + "\n\n";
    if (!section.table.columns.empty()) append_markdown(out, section.table);
  }
  return out;
}

}  // namespace presil::report
