#include "spec/chip_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "base/text.h"
#include "spec/bundled.h"
#include "spec/fields.h"

// Some malformed files ("[[[") run into assertions of the parser that its next lines handle as errors: keep those lines
// reachable, in every build type.
#undef NDEBUG
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace presil::spec {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr int kExtendsMax = 8;

// A chip being read: values so far, where each key was set ("file:line"), and the comment beside it.
struct Draft {
  ChipSpec spec;
  std::map<std::string, std::string> places, comments;
};

std::string place(const std::string& where, const toml::node& node) {
  return fmt::format("{}:{}", where, node.source().begin.line);
}

std::string type_text(const toml::node& node) {
  if (const auto* v = node.as_string()) return fmt::format("\"{}\"", v->get());
  if (const auto* v = node.as_integer()) return fmt::format("{}", v->get());
  if (const auto* v = node.as_floating_point()) return fmt::format("{}", v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "a list";
  return "a date or time";
}

Result<std::string> text_value(const toml::node& node, const std::string& key, const std::string& where) {
  if (const auto* v = node.as_string()) return std::string(v->get());
  return bad_input(fmt::format("{}: expected a text in quotes, found {}", key, type_text(node)), place(where, node));
}

Result<uint64_t> number_value(const Field& f, const toml::node& node) {
  if (has_unit_text(f.unit)) {
    if (const auto* v = node.as_string()) return parse_quantity(v->get(), f.unit);
    return bad_input(fmt::format("expected {} with a unit such as {}, found {}", unit_meaning(f.unit),
                                 unit_example(f.unit), type_text(node)));
  }
  const auto* v = node.as_integer();
  if (v == nullptr)
    return bad_input(
        fmt::format("expected {} such as {}, found {}", unit_meaning(f.unit), unit_example(f.unit), type_text(node)));
  if (v->get() < 0)
    return bad_input(fmt::format("expected {} that is not negative, found {}", unit_meaning(f.unit), v->get()));
  return static_cast<uint64_t>(v->get());
}

Result<void> set_names(const Field& f, const toml::node& node, ChipSpec& spec) {
  std::vector<std::string> out;
  const auto* list = node.as_array();
  if (list == nullptr)
    return bad_input(
        fmt::format("expected a list of memories such as [\"sbuf\", \"psum\"], found {}", type_text(node)));
  for (const auto& item : *list) {
    const auto* text = item.as_string();
    if (text == nullptr) return bad_input(fmt::format("expected memory names in quotes, found {}", type_text(item)));
    out.push_back(text->get());
  }
  f.names(spec) = std::move(out);
  return {};
}

Result<void> set_field(const Field& f, const toml::node& node, ChipSpec& spec) {
  if (f.is_names()) return set_names(f, node, spec);
  const uint64_t value = TRY(number_value(f, node));
  if (value < f.least || value > f.most) {
    return bad_input(fmt::format("{} is out of range: {} to {}", print_quantity(value, f.unit),
                                 print_quantity(f.least, f.unit), print_quantity(f.most, f.unit)));
  }
  f.set(spec, value);
  return {};
}

std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> out;
  for (const Field& f : chip_fields()) {
    if (f.section == section) out.emplace_back(f.key);
  }
  return out;
}

Result<void> read_section(std::string_view section, const toml::table& table, const std::string& where, Draft& draft) {
  for (const auto& [key, node] : table) {
    if (section.empty() && (node.is_table() || key.str() == "name" || key.str() == "extends")) continue;
    const auto fields = chip_fields();
    const auto f = std::find_if(fields.begin(), fields.end(),
                                [&](const Field& x) { return x.section == section && x.key == key.str(); });
    if (f == fields.end()) {
      const std::string in = section.empty() ? "at the top level" : fmt::format("in [{}]", section);
      return bad_input(fmt::format("unknown key '{}' {}", key.str(), in),
                       fmt::format("{}:{}", where, key.source().begin.line), nearest_hint(key.str(), keys_of(section)));
    }
    if (auto done = set_field(*f, node, draft.spec); !done) {
      return bad_input(f->path() + ": " + done.error().message, place(where, node));
    }
    draft.places[f->path()] = place(where, node);
  }
  return {};
}

Result<void> read_sections(const toml::table& root, const std::string& where, Draft& draft) {
  TRY(read_section("", root, where, draft));
  const std::vector<std::string> sections = section_names();
  for (const auto& [key, node] : root) {
    const auto* table = node.as_table();
    if (table == nullptr) continue;
    if (std::find(sections.begin(), sections.end(), key.str()) == sections.end()) {
      return bad_input(fmt::format("unknown section [{}]", key.str()),
                       fmt::format("{}:{}", where, key.source().begin.line), nearest_hint(key.str(), sections));
    }
    TRY(read_section(key.str(), *table, where, draft));
  }
  return {};
}

Result<std::string> read_file(const std::string& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code)) return Error{ErrorCode::io, "no such file", path, {}};
  std::ifstream in(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (!in && !in.eof()) return Error{ErrorCode::io, "cannot read the file", path, {}};
  if (text.size() > kFileBytesMax) return bad_input("a chip file of more than 1 MiB", path);
  return text;
}

// Keys and values are ASCII, on one line each; comments are free. The parser's tables of wider characters have gaps.
Result<void> check_characters(std::string_view text, const std::string& where) {
  int line = 1;
  char quote = 0;  // of the string that we are in
  bool comment = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line, quote = 0, comment = false;
    } else if (comment) {
      continue;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return bad_input("a character beyond ASCII; only comments may have some", fmt::format("{}:{}", where, line));
    } else if (text.substr(i, 3) == "\"\"\"" || text.substr(i, 3) == "'''") {
      return bad_input("a text of several lines; chip files have none", fmt::format("{}:{}", where, line));
    } else if (quote == '"' && c == '\\') {
      ++i;
      if (i < text.size() && text[i] == '\n') --i;
    } else if (quote == 0 && c == '#') {
      comment = true;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    }
  }
  return {};
}

// The parser's own errors are exceptions; they end here.
Result<toml::table> parse_table(std::string_view text, const std::string& where) {
  TRY(check_characters(text, where));
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    return bad_input(std::string(e.description()), fmt::format("{}:{}", where, e.source().begin.line));
  }
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// What stands behind the '#', if there is one; a '#' inside quotes is none.
std::string comment_of(std::string_view line) {
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (quote == 0 && line[i] == '#') {
      std::string_view comment = line.substr(i + 1);
      if (comment.starts_with(' ')) comment.remove_prefix(1);
      return std::string(comment.substr(0, comment.find_last_not_of(" \r") + 1));
    }
    if (quote == 0 && (line[i] == '"' || line[i] == '\'')) {
      quote = line[i];
    } else if (line[i] == quote) {
      quote = 0;
    }
  }
  return {};
}

// Of every key that this text sets.
void read_comments(std::string_view text, const std::string& where, Draft& draft) {
  const std::vector<std::string_view> lines = lines_of(text);
  for (const auto& [path, place] : draft.places) {
    if (!place.starts_with(where + ":")) continue;
    const size_t line = std::stoul(place.substr(where.size() + 1));
    draft.comments[path] = line <= lines.size() ? comment_of(lines[line - 1]) : "";
  }
  if (!draft.comments.try_emplace("").second) return;  // the file that this one extends opens with it
  for (std::string_view line : lines) {
    if (!line.starts_with('#')) break;
    draft.comments[""] += comment_of(line) + "\n";
  }
}

Result<Draft> read_draft(std::string_view text, const std::string& where, int depth);

// A bundled chip or a file, as the start of what extends it.
Result<Draft> read_base(const std::string& name, const std::string& where, int depth) {
  if (const BundledChip* chip = find_bundled(name))
    return read_draft(chip->toml, "specs/chips/" + name + ".toml", depth);
  const std::filesystem::path path = std::filesystem::path(where).parent_path() / name;
  const auto text = read_file(path.string());
  if (!text) {
    return bad_input(fmt::format("extends: \"{}\" is neither a bundled chip nor a readable file", name), where,
                     nearest_hint(name, chip_names()));
  }
  return read_draft(*text, path.string(), depth);
}

Result<Draft> read_draft(std::string_view text, const std::string& where, int depth) {
  if (depth > kExtendsMax) return bad_input(fmt::format("more than {} files extend each other", kExtendsMax), where);
  const toml::table root = TRY(parse_table(text, where));
  Draft draft;
  if (const toml::node* base = root.get("extends")) {
    const std::string name = TRY(text_value(*base, "extends", where));
    draft = TRY(read_base(name, where, depth + 1));
  }
  if (const toml::node* name = root.get("name")) draft.spec.name = TRY(text_value(*name, "name", where));
  TRY(read_sections(root, where, draft));
  read_comments(text, where, draft);
  return draft;
}

Result<void> check_complete(const Draft& draft, const std::string& where) {
  if (draft.spec.name.empty()) return bad_input("missing key 'name': the name of the chip", where);
  for (const Field& f : chip_fields()) {
    if (draft.places.contains(f.path())) continue;
    const std::string example = f.is_names() ? "[\"sbuf\"]" : std::string(unit_example(f.unit));
    const std::string in = f.section.empty() ? "at the top level" : fmt::format("in [{}]", f.section);
    return bad_input(fmt::format("missing key '{}' {}: {}, such as {}", f.key, in, f.doc, example), where,
                     "or extend a chip that has it");
  }
  return {};
}

// Of the keys involved, one that this file sets itself: what it extends was right before.
std::string key_to_blame(const Finding& finding, const Draft& draft, const std::string& where) {
  for (const std::string& path : finding.paths) {
    if (draft.places.at(path).starts_with(where + ":")) return path;
  }
  return finding.paths[0];
}

Result<Draft> parse_draft(std::string_view text, const std::string& where) {
  Draft draft = TRY(read_draft(text, where, 0));
  TRY(check_complete(draft, where));
  if (const auto findings = check_geometry(draft.spec); !findings.empty()) {
    const std::string path = key_to_blame(findings[0], draft, where);
    return bad_input(path + ": " + findings[0].message, draft.places[path]);
  }
  return draft;
}

Result<Draft> load_draft(const std::string& name_or_path) {
  if (const BundledChip* chip = find_bundled(name_or_path))
    return parse_draft(chip->toml, "specs/chips/" + name_or_path + ".toml");
  const auto text = read_file(name_or_path);
  if (text) return parse_draft(*text, name_or_path);
  const bool is_path = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml");
  if (is_path) return text.error();
  std::string known;
  for (const std::string& name : chip_names()) known += (known.empty() ? "" : ", ") + name;
  return bad_input(fmt::format("unknown chip '{}'; bundled: {}", name_or_path, known), {},
                   nearest_hint(name_or_path, chip_names()));
}

ChipSpec with_origin(Draft draft, const std::string& file) {
  auto known = std::make_shared<Origin::Known>();
  known->file = file;
  known->notes = draft.comments[""];
  for (const auto& [path, place] : draft.places) {
    const std::string& comment = draft.comments[path];
    known->sources[path] = comment.empty() ? place : comment;
  }
  draft.spec.origin.known = std::move(known);
  return std::move(draft.spec);
}

}  // namespace

Result<ChipSpec> parse_chip(std::string_view text, const std::string& where) {
  return with_origin(TRY(parse_draft(text, where)), where);
}

Result<ChipSpec> load_chip(const std::string& name_or_path) {
  return with_origin(TRY(load_draft(name_or_path)), name_or_path);
}

std::vector<std::string> chip_names() {
  std::vector<std::string> out;
  for (const BundledChip& chip : bundled_chips()) out.emplace_back(chip.name);
  return out;
}

}  // namespace presil::spec
