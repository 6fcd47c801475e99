// A plain report as data: headed sections of text and a table, printed as Markdown.
#pragma once
#include <string>
#include <vector>

namespace presil::report {

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct Section {
  std::string heading;
  std::vector<std::string> paragraphs;
  Table table;  // no columns: none
};

struct Document {
  std::string title;
  std::vector<Section> sections;
};

std::string print_markdown(const Document& document);

}  // namespace presil::report
