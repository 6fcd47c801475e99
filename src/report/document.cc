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

std::string html_text(std::string_view text) {
  return replaced(replaced(replaced(text, '&', "&amp;"), '<', "&lt;"), '>', "&gt;");
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

void append_html(std::string& out, const Table& table) {
  out += "<table>\n<tr>";
  for (const std::string& column : table.columns) out += fmt::format("<th>{}</th>", html_text(column));
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += fmt::format("<td>{}</td>", html_text(cell));
    out += "</tr>\n";
  }
  out += "</table>\n";
}

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #888}";

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

std::string print_html(const Document& document) {
  std::string title = html_text(document.title);
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{}</title>"
      "<style>{}</style></head>\n<body>\n<h1>{}</h1>\n",
      title, kStyle, title);
  for (const Section& section : document.sections) {
    out += fmt::format("<h2>{}</h2>\n", html_text(section.heading));
    for (const std::string& paragraph : section.paragraphs) out += fmt::format("<p>{}</p>\n", html_text(paragraph));
    if (!section.table.columns.empty()) append_html(out, section.table);
  }
  return out + "</body>\n</html>\n";
}

}  // namespace presil::report
